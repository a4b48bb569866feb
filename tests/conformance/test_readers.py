# SPDX-License-Identifier: Apache-2.0
"""One suite for every reader: any order of reading gives the same bytes, ends are short, damage is said, hostility ends."""

from __future__ import annotations

import contextlib
import random
import signal
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from readers import ALL, MEDIA, Case, descriptors

from headwater.formats.media import open_medium, segments
from headwater.formats.opened import open_readonly
from headwater.model.errors import AcquireError

MUTATIONS = 16
PEAK = 48 << 20  # bytes that reading a small hostile image may hold at once
HANG = 20.0  # CPU seconds after which a reader counts as hanging


@pytest.fixture(params=sorted(ALL))
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    made = ALL[request.param](tmp_path)
    yield made
    with contextlib.suppress(OSError):
        made.source.close()


def reference(case: Case) -> bytes:
    """What the whole must be: the content, and zeros where the format rounds its size up."""
    return case.truth + bytes(case.source.size - len(case.truth))


def test_sequential_reading_gives_the_reference(case: Case) -> None:
    truth = reference(case)
    assert case.source.size - len(case.truth) < 1 << 20
    for step in (4096, 65_537, 1 << 20, len(truth) + 1):
        parts = [case.source.pread(at, step) for at in range(0, len(truth), step)]
        assert b"".join(parts) == truth
    assert tuple(case.source.bad) == ()


def test_random_reading_gives_the_same(case: Case) -> None:
    truth, pick = reference(case), random.Random(3)
    for _ in range(250):
        at = pick.randrange(len(truth))
        length = pick.choice([1, 511, 512, 4096, pick.randrange(1, 300_000)])
        assert case.source.pread(at, length) == truth[at : at + length]
    assert tuple(case.source.bad) == ()


def test_reads_are_short_at_the_end_only(case: Case) -> None:
    truth, size = reference(case), case.source.size
    for back in (1, 17, 512, 70_000):
        assert case.source.pread(size - back, 100_000) == truth[size - back :][:100_000]
    for at in (size, size + 1, size + (1 << 40), 1 << 62):
        assert case.source.pread(at, 4096) == b""
    assert case.source.pread(0, 0) == case.source.pread(5, -3) == case.source.pread(-1, 10) == b""
    assert case.source.pread(0, 1 << 40) == truth


@pytest.mark.parametrize("name", sorted(MEDIA))
def test_closing_closes_every_descriptor(name: str, tmp_path: Path) -> None:
    case = MEDIA[name](tmp_path)
    assert len(descriptors(case.paths)) == len(case.paths)
    assert case.source.pread(0, 100_000) == case.truth[:100_000]
    case.source.close()
    assert descriptors(case.paths) == set()
    # what is read from it now is refused, or zeros that are listed: never bytes that look like the medium's
    try:
        found = case.source.pread(1 << 20, 512)
    except (OSError, ValueError):
        return
    assert found == bytes(512)
    assert any(o <= 1 << 20 and o + n >= (1 << 20) + 512 for o, n, _, _ in case.source.bad)


@pytest.mark.parametrize("name", sorted(MEDIA))
def test_readers_say_whether_threads_may_share_them(name: str, tmp_path: Path) -> None:
    case = MEDIA[name](tmp_path)
    said = "".join(str(c.__doc__) + str(sys.modules[c.__module__].__doc__) for c in type(case.source).__mro__)
    case.source.close()
    assert "thread" in said or name in ("raw", "split-raw")  # pread(2) alone shares nothing


@pytest.mark.parametrize("name", sorted(MEDIA))
def test_cut_images_lose_nothing_in_silence(name: str, tmp_path: Path) -> None:
    whole = MEDIA[name](tmp_path)
    truth = reference(whole)
    whole.source.close()
    for share in (0.97, 0.6, 0.2):
        for path in whole.paths:
            held = path.read_bytes()
            path.write_bytes(held[: int(len(held) * share)])
            try:
                medium = open_medium([open_readonly(p) for p in whole.paths], allow_missing=True)
            except AcquireError:
                path.write_bytes(held)
                continue
            found, expected = medium.pread(0, medium.size), bytearray(truth[: medium.size])
            for at, length, _, _ in medium.bad:
                assert found[at : at + length] == bytes(min(length, max(0, medium.size - at)))
                expected[at : at + length] = bytes(len(expected[at : at + length]))
            # a raw file, or a parent beneath, that ends sooner is a smaller disk: nothing tells that it was cut
            smaller = name in ("raw", "split-raw") or path.name == "base.raw"
            assert smaller or found == bytes(expected)
            medium.close()
            path.write_bytes(held)


def _flips(held: bytes, pick: random.Random) -> bytes:
    """One hostile neighbour of an image: bytes changed where the structures stand, or a piece moved, or its end cut."""
    raw = bytearray(held)
    way = pick.randrange(4)
    if way < 3:
        areas = [(0, 512), (0, 4096), (len(raw) - 1536, len(raw)), (0, len(raw)), (65536, 262144), (1 << 20, 4 << 20)]
        low, high = pick.choice(areas)
        low, high = max(0, min(low, len(raw) - 1)), max(1, min(high, len(raw)))
        for _ in range(pick.choice([1, 1, 4, 64])):
            at = pick.randrange(min(low, high - 1), high)
            raw[at : at + 1] = bytes([pick.choice([0, 0xFF, 0x80, 1, pick.randrange(256)])])
        if way == 2:
            at = pick.randrange(min(512, len(raw))) // 4 * 4
            raw[at : at + 8] = pick.choice([b"\xff" * 8, bytes(8), pick.randbytes(8)])[: len(raw) - at]
    else:
        del raw[pick.randrange(1, len(raw)) :]
    return bytes(raw)


@contextlib.contextmanager
def bounded(measured: bool) -> Iterator[None]:
    """Memory is measured where that is asked for, since it is slow; a reader that does not come back is stopped and the test fails."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise AssertionError("the reader hangs")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, HANG)
    if measured:
        tracemalloc.start(1)
    try:
        yield
        assert not measured or tracemalloc.get_traced_memory()[1] < PEAK
    finally:
        tracemalloc.stop()
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


HOSTILE = sorted(set(MEDIA) - {"raw", "split-raw"})


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_images_end_in_bounded_time_and_memory(name: str, tmp_path: Path) -> None:
    _mutate(name, tmp_path, MUTATIONS, 0)


@pytest.mark.long
@pytest.mark.parametrize("name", HOSTILE)
def test_many_hostile_images(name: str, tmp_path: Path) -> None:
    _mutate(name, tmp_path, 40 * MUTATIONS, 1)


def _mutate(name: str, folder: Path, count: int, seed: int) -> None:
    case = MEDIA[name](folder)
    case.source.close()
    pick = random.Random(f"{name} {seed}")
    for number in range(count):
        path = pick.choice(case.paths)
        held = path.read_bytes()
        path.write_bytes(_flips(held, pick))
        with bounded(measured=number % 4 == 0):
            _try(case.paths, pick)
        path.write_bytes(held)


def _try(paths: tuple[Path, ...], pick: random.Random) -> None:
    try:
        found = segments(paths[0])
        medium = open_medium([open_readonly(p) for p in found], allow_missing=pick.random() < 0.5)
    except AcquireError:
        return
    size = medium.size
    for _ in range(12):
        at = pick.randrange(max(1, size))
        length = pick.choice([512, 4096, 100_000, 1 << 20])
        assert len(medium.pread(at, length)) == min(length, max(0, size - at))
    assert len(medium.pread(0, 65536)) == min(65536, size)
    assert all(o >= 0 and n > 0 and o + n <= size for o, n, _, _ in medium.bad)
    medium.close()
