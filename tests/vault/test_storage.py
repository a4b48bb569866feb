# SPDX-License-Identifier: Apache-2.0
"""One conduct for every store: what was put comes back or the read fails; nothing is changed, nothing removed."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest

from headwater.model.errors import IntegrityError, VaultError
from headwater.vault.s3 import LockedStore
from headwater.vault.sealed import SealedFolder
from headwater.vault.storage import Folder, Memory, Store

ONE, TWO = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
MIB = 1 << 20
STORES: dict[str, Callable[[Path], Store]] = {
    "memory": lambda folder: Memory(),
    "folder": Folder,
    "sealed": lambda folder: SealedFolder(folder, [str(ONE.to_public()), str(TWO.to_public())], str(TWO)),
}


@pytest.fixture(params=[*sorted(STORES), "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        name = hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]
        return LockedStore(request.getfixturevalue("place"), 1, f"{name}/")
    return STORES[request.param](tmp_path / "store")


@pytest.mark.parametrize("size", [0, 1, 100, MIB - 1, MIB, MIB + 1, 3 * MIB, 3 * MIB + 7])
def test_what_was_put_comes_back(store: Store, size: int) -> None:
    data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    put = store.put(io.BytesIO(data))
    assert (put.sha256, put.size) == (hashlib.sha256(data).hexdigest(), size)
    assert b"".join(store.blocks(put.sha256)) == data
    for offset, length in ((0, 10), (size // 2, 5), (max(size - 3, 0), 100), (size + 5, 4), (0, size)):
        assert store.read_at(put.sha256, offset, length) == data[offset : offset + length]
    assert store.names() == [put.sha256]


def test_putting_again_changes_nothing(store: Store) -> None:
    first = store.put(io.BytesIO(b"evidence"))
    assert store.put(io.BytesIO(b"evidence")) == first
    store.put(io.BytesIO(b"other"))
    assert len(store.names()) == 2
    assert b"".join(store.blocks(first.sha256)) == b"evidence"


def test_source_that_gives_little_at_a_time_is_stored_whole(store: Store) -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 70_000, 70_000) if size != -1 else 70_000)

    data = bytes(range(256)) * 8192
    if isinstance(store, Memory):
        data = data[:60_000]  # memory reads a source at one stroke
    assert b"".join(store.blocks(store.put(Slow(data)).sha256)) == data


def test_what_is_not_stored_or_no_digest_is_refused(store: Store) -> None:
    for name in ("0" * 64, "../../etc/passwd", "", "A" * 64):
        with pytest.raises(VaultError):
            b"".join(store.blocks(name))
        with pytest.raises(VaultError):
            store.read_at(name, 0, 1)


def test_altered_content_is_never_given_out_as_whole(tmp_path: Path) -> None:
    for name, make in STORES.items():
        if name == "memory":
            continue
        store = make(tmp_path / name)
        put = store.put(io.BytesIO(b"e" * (2 * MIB + 5)))
        path = next((tmp_path / name).glob("??/*"))
        assert path.stat().st_mode & 0o777 == 0o444
        path.chmod(0o644)
        for at in (1000, path.stat().st_size // 2, path.stat().st_size - 40):
            held = bytearray(path.read_bytes())
            held[at] ^= 1
            path.write_bytes(held)
            with pytest.raises(VaultError):
                b"".join(store.blocks(put.sha256))
            held[at] ^= 1
            path.write_bytes(held)
        path.write_bytes(path.read_bytes()[:-7])
        with pytest.raises(VaultError):
            b"".join(store.blocks(put.sha256))


def test_other_content_under_the_name_is_refused(tmp_path: Path) -> None:
    """Swapped sealed files: each opens, neither is what its name says."""
    store = STORES["sealed"](tmp_path)
    digests = [store.put(io.BytesIO(text)).sha256 for text in (b"one", b"two")]
    paths = [next(tmp_path.glob(f"??/{d}.hwsealed")) for d in digests]
    paths[0].rename(tmp_path / "x")
    paths[1].rename(paths[0])
    (tmp_path / "x").rename(paths[1])
    for digest in digests:
        with pytest.raises(IntegrityError):
            store.read_at(digest, 0, 1)


def test_name_taken_by_something_else_is_noticed_when_putting(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    digest = hashlib.sha256(b"evidence").hexdigest()
    store.path(digest).parent.mkdir(parents=True)
    store.path(digest).write_bytes(b"evidencX")
    with pytest.raises(IntegrityError):
        store.put(io.BytesIO(b"evidence"))
