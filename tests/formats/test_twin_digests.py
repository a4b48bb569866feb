# SPDX-License-Identifier: Apache-2.0
"""Harms: a digest made side by side is another than the standard's; a processor that digests wrongly is believed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

import pytest

from headwater.formats import compiled, twin_digests
from headwater.formats.twin_digests import LANES, above, digests, leaves, which

# FIPS 180-4 examples: https://csrc.nist.gov/projects/cryptographic-standards-and-guidelines/example-values
STANDARD = {
    b"": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    b"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": (
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    b"a" * 1_000_000: "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
}
CHANCE = random.Random(42)
BYTES = CHANCE.randbytes(1 << 16)


@pytest.fixture(params=["compiled", "hashlib"], autouse=True)
def _way(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param == "hashlib":
        compiled.forbid()
    elif which() == "hashlib":
        pytest.skip("not built, or the processor has no such instructions")
    yield
    compiled.allow()


def _sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def test_examples_of_the_standard_both_ways() -> None:
    found, _ = digests(list(STANDARD))
    assert found.hex() == "".join(STANDARD.values())


def test_every_length_and_alignment_both_ways() -> None:
    for shift in range(4):
        messages = [BYTES[shift + 7 * n : shift + 8 * n] for n in range(330)]  # one behind the other: all alignments
        found, marks = digests(messages)
        assert found == b"".join(map(_sha, messages))
        assert marks == b"".join(_sha(b"\x00" + m) for m in messages)
    assert digests([]) == (b"", b"")


def test_nodes_of_a_tree_both_ways() -> None:
    for pairs in (0, 1, 2, 3, 8, 129):
        level = BYTES[: 64 * pairs]
        assert above(level) == b"".join(_sha(b"\x01" + level[at : at + 64]) for at in range(0, len(level), 64))
    with pytest.raises(ValueError, match="neighbours"):
        above(BYTES[:96])


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 128, 192, 1000, 1024, 4096])
def test_chunks_in_a_rack_both_ways(length: int) -> None:
    for gap in (0, 1, 64, 4160):
        rack = bytearray(random.Random(length).randbytes((length + gap) * LANES + length))
        for count in (0, 1, 2, 3, 7, LANES - 1, LANES, LANES + 1):
            stride = length + gap
            wanted = [_sha(b"\x00" + rack[stride * at : stride * at + length]) for at in range(count)]
            assert leaves(rack, stride, length, count) == b"".join(wanted)


def test_chunks_outside_their_rack_are_refused() -> None:
    rack = bytearray(1000)
    for stride, length, count in ((64, 128, 1), (500, 64, 3), (64, -64, 1), (64, 64, -1), (2**62, 64, 3)):
        with pytest.raises(ValueError, match="outside"):
            leaves(rack, stride, length, count)


def test_places_outside_the_data_are_refused_by_the_library() -> None:
    library = compiled.library()
    if library is None or not library.hw_twin_there():
        pytest.skip("the library is left out here")
    from ctypes import c_int64, c_uint8

    out = (c_uint8 * 64)()
    for ends in ((-1,), (11,), (5, 4), (2**62,)):
        given = (c_int64 * len(ends))(*ends)
        assert library.hw_twin_rows(b"0123456789", 10, given, len(ends), out, out) < 0
    for stride, length, count in ((64, 65, 1), (64, 0, 1), (32, 64, 2), (64, 64, -1), (64, -64, 2)):
        assert library.hw_twin_leaves(bytes(256), stride, length, count, out) < 0


@pytest.mark.parametrize("fault", ["hw_twin_rows", "hw_twin_nodes", "hw_twin_leaves", "hw_wide_leaves"])
def test_a_library_that_digests_wrongly_is_not_believed(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if (sound := compiled.library()) is None:
        pytest.skip("the library is left out here")

    class Wrong:
        def __getattr__(self, name: str) -> object:
            return (lambda *_: 0) if name == fault else getattr(sound, name)

    monkeypatch.setattr(compiled, "library", Wrong)
    twin_digests._sound.cache_clear()
    assert which() == ("twin" if fault == "hw_wide_leaves" else "hashlib")
    assert leaves(bytearray(64 * LANES), 64, 64, LANES) == _sha(bytes(65)) * LANES
