# SPDX-License-Identifier: Apache-2.0
"""A sealed container: opens for each recipient and nobody else; every cut, swap and flipped bit is refused."""

from __future__ import annotations

import hashlib
import io
import random
from pathlib import Path

import pyrage
import pytest

from headwater.model.errors import IntegrityError, VaultError
from headwater.vault.merkle import leaf, root
from headwater.vault.sealed import CHUNK, MAGIC, TAG, Container, Contents, seal

ONE, TWO, STRANGER = (pyrage.x25519.Identity.generate() for _ in range(3))
RECIPIENTS = [str(ONE.to_public()), str(TWO.to_public())]
DATA = random.Random(7).randbytes(2 * CHUNK + 999)


def _sealed(path: Path, data: bytes = DATA) -> Path:
    with open(path, "wb") as target:
        seal(io.BytesIO(data), target, RECIPIENTS)
    return path


def _read(path: Path, identity: object = TWO) -> bytes:
    with open(path, "rb") as handle:
        return b"".join(Container(handle, str(identity)).blocks())


def test_each_recipient_opens_it_and_a_stranger_does_not(tmp_path: Path) -> None:
    path = _sealed(tmp_path / "c")
    assert _read(path, ONE) == _read(path, TWO) == DATA
    with pytest.raises(VaultError, match="wrapped for this identity"):
        _read(path, STRANGER)
    assert DATA[:64] not in path.read_bytes()


def test_one_recipient_is_too_few(tmp_path: Path) -> None:
    for recipients in ([], RECIPIENTS[:1], RECIPIENTS[:1] * 2, ["age1nobody", "age1none"]):
        with pytest.raises(VaultError):
            seal(io.BytesIO(b"x"), io.BytesIO(), recipients)


def test_merkle_root_is_over_the_chunks(tmp_path: Path) -> None:
    with open(_sealed(tmp_path / "c"), "rb") as handle:
        opened = Container(handle, str(ONE))
        assert opened.held.root == root([DATA[:CHUNK], DATA[CHUNK : 2 * CHUNK], DATA[2 * CHUNK :]])
        assert opened.faults() == []


@pytest.mark.parametrize("size", [0, 1, CHUNK, 16 * CHUNK, 16 * CHUNK + 1, 17 * CHUNK, 33 * CHUNK - 1])
def test_chunks_taken_by_sixteen_are_those_taken_one_by_one(tmp_path: Path, size: int) -> None:
    data = (DATA * 17)[:size]
    path = _sealed(tmp_path / "c", data)
    chunks = [data[at : at + CHUNK] for at in range(0, size, CHUNK)] or [b""]
    with open(path, "rb") as handle:
        opened = Container(handle, str(ONE))
        assert opened.held == Contents(
            size, hashlib.sha256(data).hexdigest(), root(chunks), b"".join(map(leaf, chunks))
        )
        assert b"".join(opened.blocks()) == data


def test_broken_chunk_is_named_and_the_others_still_read(tmp_path: Path) -> None:
    path = _sealed(tmp_path / "c")
    held = bytearray(path.read_bytes())
    first = _first(held)
    held[first + CHUNK + TAG + 5] ^= 1
    path.write_bytes(held)
    with open(path, "rb") as handle:
        opened = Container(handle, str(ONE))
        assert opened.faults() == [1]
        assert opened.read_at(0, 10) == DATA[:10]
        assert opened.read_at(2 * CHUNK, 10) == DATA[2 * CHUNK : 2 * CHUNK + 10]
        with pytest.raises(IntegrityError, match="chunk 1"):
            opened.read_at(CHUNK - 1, 2)


def test_chunks_cannot_change_places_or_be_cut_off(tmp_path: Path) -> None:
    path = _sealed(tmp_path / "c")
    held = path.read_bytes()
    first = _first(held)
    size = CHUNK + TAG
    one, two, rest = held[first : first + size], held[first + size : first + 2 * size], held[first + 2 * size :]
    for other in (two + one + rest, one + rest, one + one + rest):
        path.write_bytes(held[:first] + other)
        with pytest.raises(VaultError):
            _read(path)


def _first(held: bytes | bytearray) -> int:
    """Where the chunks begin; age adds stanzas of random length, so headers differ."""
    return len(MAGIC) + 4 + int.from_bytes(held[len(MAGIC) : len(MAGIC) + 4], "big")


def test_chunk_of_another_container_does_not_fit(tmp_path: Path) -> None:
    one, two = _sealed(tmp_path / "1").read_bytes(), bytearray(_sealed(tmp_path / "2").read_bytes())
    size = CHUNK + TAG
    two[_first(two) : _first(two) + size] = one[_first(one) : _first(one) + size]
    (tmp_path / "2").write_bytes(two)
    with pytest.raises(IntegrityError):
        _read(tmp_path / "2")


def test_flipped_bits_and_cuts_anywhere_are_refused(tmp_path: Path) -> None:
    path = _sealed(tmp_path / "c", b"small evidence")
    held = path.read_bytes()
    rng = random.Random(3)
    for at in [*rng.sample(range(len(held)), 120), *range(8, 13), *range(len(held) - 16, len(held))]:
        spoilt = bytearray(held)
        spoilt[at] ^= 1 << rng.randrange(8)
        path.write_bytes(spoilt)
        with pytest.raises(VaultError):
            _read(path)
    for length in (0, 5, 12, 100, len(held) - 1):
        path.write_bytes(held[:length])
        with pytest.raises(VaultError):
            _read(path)
