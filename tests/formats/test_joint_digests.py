# SPDX-License-Identifier: Apache-2.0
"""Digests made in one pass must be those of the library, whatever the lengths and cuts; a processor that errs is not used."""

from __future__ import annotations

import hashlib
import mmap
import random
from collections.abc import Iterator
from typing import Any

import pytest

from headwater.formats import compiled, joint_compiled
from headwater.formats.joint_digests import ALGORITHMS, digesters, hexdigests

SETS = [("sha256", "md5"), ("sha256", "sha1"), ("md5", "sha1"), ("md5", "sha256", "sha1"), ALGORITHMS]


@pytest.fixture(params=["compiled", "pure"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "pure":
        compiled.forbid()
    elif not joint_compiled._sound(compiled.library()):
        pytest.skip("no compiled scanner here, or no SHA instructions")
    yield request.param
    compiled.allow()


def _right(data: bytes, algorithms: tuple[str, ...]) -> dict[str, str]:
    return {name: hashlib.new(name, data).hexdigest() for name in algorithms}


@pytest.mark.parametrize("algorithms", SETS)
def test_no_length_and_no_cut_changes_a_digest(way: str, algorithms: tuple[str, ...]) -> None:
    dice = random.Random(7)
    for length in [*range(140), 191, 192, 193, 255, 256, 1000, 4096, 70_001]:
        data = dice.randbytes(length)
        made = digesters(algorithms)
        cuts = sorted(dice.randrange(length + 1) for _ in range(dice.randrange(5)))
        for low, high in zip([0, *cuts], [*cuts, length]):
            for each in made:
                each.update(data[low:high])
        assert hexdigests(made, algorithms) == _right(data, algorithms)
        assert list(hexdigests(made, algorithms)) == list(algorithms)


def test_writable_read_only_and_mapped_bytes_are_digested_alike(way: str) -> None:
    data = random.Random(8).randbytes(100_003)
    with mmap.mmap(-1, len(data)) as mapped:
        mapped[:] = data
        for held in (data, bytearray(data), memoryview(data), memoryview(bytearray(data))[:], memoryview(mapped)):
            made = digesters(("sha256", "md5"))
            for each in made:
                each.update(held[:50_001])  # type: ignore[arg-type]
                each.update(held[50_001:])  # type: ignore[arg-type]
                each.update(b"")
                each.update(memoryview(bytearray()))
            assert hexdigests(made, ("sha256", "md5")) == _right(data, ("sha256", "md5"))
            del held


def test_copy_goes_its_own_way_and_asking_changes_nothing(way: str) -> None:
    made = digesters(("sha256", "sha1", "md5"))
    for each in made:
        each.update(b"a" * 100)
    assert hexdigests(made, ("sha1",)) == _right(b"a" * 100, ("sha1",))
    others = [each.copy() for each in made]
    for each in others:
        each.update(b"b")
    for each in made:
        each.update(b"c" * 28)
    assert hexdigests(others, ("sha256", "md5")) == _right(b"a" * 100 + b"b", ("sha256", "md5"))
    assert hexdigests(made, ("sha256", "md5")) == _right(b"a" * 100 + b"c" * 28, ("sha256", "md5"))


def test_one_digest_alone_and_sm3_are_the_librarys(way: str) -> None:
    for algorithms in (("sha256",), ("sm3",), ("sm3", "md5")):
        made = digesters(algorithms)
        for each in made:
            each.update(b"abc")
        assert hexdigests(made, algorithms) == _right(b"abc", algorithms)
    with pytest.raises(ValueError, match="crc32"):
        digesters(("crc32",))


@pytest.mark.long
def test_length_beyond_32_bits_of_bits_is_written_right(way: str) -> None:
    """2^29 bytes are 2^32 bits: the upper half of the length counts from there."""
    made, known, block = (
        digesters(("sha256", "md5", "sha1")),
        [hashlib.new(n) for n in ("sha256", "md5", "sha1")],
        bytes(1 << 20),
    )
    for _ in range(513):
        for each in (*made, *known):
            each.update(block)
    assert hexdigests(made, ("sha256", "md5", "sha1")) == {d.name: d.hexdigest() for d in known}


def test_wrong_answer_to_the_known_question_leaves_it_to_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    library = compiled.library()
    if not joint_compiled._sound(library):
        pytest.skip("no compiled scanner here, or no SHA instructions")

    class Bent:
        hw_joint_room = library.hw_joint_room
        hw_joint_begin = library.hw_joint_begin
        hw_joint_end = library.hw_joint_end

        @staticmethod
        def hw_joint_update(state: Any, data: Any, size: int) -> int:
            return int(library.hw_joint_update(state, b"\x00" * size, size))

    monkeypatch.setattr(compiled, "library", Bent)
    made = digesters(("sha256", "md5"))
    assert len(made) == 2
    for each in made:
        each.update(b"abc")
    assert hexdigests(made, ("sha256", "md5")) == _right(b"abc", ("sha256", "md5"))
