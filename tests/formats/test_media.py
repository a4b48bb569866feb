# SPDX-License-Identifier: Apache-2.0
"""Raw media and byte sources: sets are found whole, foreign containers are refused by name, faults are listed."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from headwater.formats import sources
from headwater.formats.media import is_medium, open_medium, segments
from headwater.formats.opened import OpenFile, open_readonly
from headwater.formats.sources import BadRanges, ChainSource, FileSource, MemorySource, Piece, SourceFile, window
from headwater.model.errors import AcquireError
from headwater.model.kinds import GapReason

DATA = random.Random(9).randbytes(10_000)


def code(path: Path) -> str:
    with pytest.raises(AcquireError) as caught:
        open_medium([open_readonly(p) for p in segments(path)])
    return caught.value.code


@pytest.mark.parametrize(
    "names", [["d.000", "d.001", "d.002"], ["d.001", "d.002"], ["d.dd.aa", "d.dd.ab", "d.dd.ac"], ["xaa", "xab"]]
)
def test_split_raw_is_one_medium(tmp_path: Path, names: list[str]) -> None:
    for index, name in enumerate(names):
        (tmp_path / name).write_bytes(DATA[index * 3000 : (index + 1) * 3000])
    for name in names:
        assert [p.name for p in segments(tmp_path / name)] == names
    medium = open_medium([open_readonly(p) for p in segments(tmp_path / names[0])])
    assert medium.kind == "split-raw"
    assert medium.pread(0, 99_999) == DATA[: 3000 * len(names)]
    assert medium.pread(2990, 20) == DATA[2990:3010]
    medium.close()


def test_missing_part_of_split_raw_is_named(tmp_path: Path) -> None:
    for name in ("d.001", "d.003"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(AcquireError) as caught:
        segments(tmp_path / "d.001")
    assert (caught.value.code, caught.value.names["what"]) == ("HW2004", "d.002")
    (tmp_path / "d.001").unlink()
    with pytest.raises(AcquireError) as caught:
        segments(tmp_path / "d.003")
    assert caught.value.names["what"] == "d.001"


@pytest.mark.parametrize("names", [["auth.log", "auth.log.1"], ["a.dd"], ["a.sh", "a.md"], ["disk.img", "disk.iso"]])
def test_neighbours_are_not_glued_together(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    assert segments(tmp_path / names[0]) == [tmp_path / names[0]]


def test_missing_empty_and_unfit_sources_are_refused_by_number(tmp_path: Path) -> None:
    assert code(tmp_path / "none") == "HW2001"
    (tmp_path / "empty").write_bytes(b"")
    assert code(tmp_path / "empty") == "HW2002"
    os.mkfifo(tmp_path / "pipe")
    assert code(tmp_path / "pipe") == "HW2007"
    assert code(tmp_path) == "HW2007"
    (tmp_path / "x").write_bytes(b"x")
    assert code(tmp_path / "x/y") == "HW2001"


@pytest.mark.parametrize(
    "head", [b"QFI\xfb", b"KDMV", b"vhdxfile", b"EVF2\r\n\x81\x00", bytes(0x40) + b"\x7f\x10\xda\xbe"]
)
def test_other_containers_are_refused_not_read_as_a_disk(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "disk"
    path.write_bytes(head + bytes(1000))
    assert is_medium(open_readonly(path))
    assert code(path) in {"HW2007", "HW2042"}


def test_evidence_is_opened_for_reading_only(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(DATA)
    os.utime(path, ns=(1, 2))
    file = open_readonly(path)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.write(file.fd, b"x")
    assert not os.get_inheritable(file.fd)
    source = FileSource(file)
    assert source.pread(0, 20_000) == DATA
    source.close()
    assert (path.stat().st_atime_ns, path.stat().st_mtime_ns) == (1, 2)


def test_file_cut_while_it_is_read_is_zeros_and_bad(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(DATA)
    source = FileSource(open_readonly(path))
    os.truncate(path, 4000)
    assert source.pread(0, 10_000) == DATA[:4000] + bytes(6000)
    assert source.bad == ((4000, 6000, GapReason.TRUNCATED, "the file ended early"),)
    source.close()


def test_bad_sectors_lose_no_good_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {3, 4, 11}

    def pread(fd: int, length: int, offset: int) -> bytes:
        if any(offset < (s + 1) * 512 and s * 512 < offset + length for s in broken):
            raise OSError(5, "Input/output error")
        return DATA[offset : offset + length]

    monkeypatch.setattr(sources.os, "pread", pread)
    source = FileSource(OpenFile(99, "sdb", len(DATA)))
    expected = bytearray(DATA)
    for sector in broken:
        expected[sector * 512 : (sector + 1) * 512] = bytes(512)
    assert source.pread(0, len(DATA)) == expected
    assert [b[:3] for b in source.bad] == [(1536, 1024, GapReason.UNREADABLE), (5632, 512, GapReason.UNREADABLE)]
    assert window(source, 2000, 1000).bad[0][:2] == (0, 560)


def test_windows_and_chains_agree_with_slices() -> None:
    first, second = MemorySource(DATA[:4000]), MemorySource(DATA[4000:])
    chain = ChainSource((Piece(first, 100, 900), Piece(None, 0, 50), Piece(second, 0, 3000), Piece(first, 0, 10)))
    expected = DATA[100:1000] + bytes(50) + DATA[4000:7000] + DATA[:10]
    rng = random.Random(5)
    for _ in range(200):
        at, length = rng.randrange(4100), rng.randrange(4100)
        assert chain.pread(at, length) == expected[at : at + length]
        assert window(chain, 333, 2000).pread(at, length) == expected[333:2333][at : at + length]
    file = SourceFile(chain)
    assert file.read() == expected
    assert (file.seek(-20, 2), file.read(5)) == (len(expected) - 20, expected[-20:-15])
    assert chain.physical(890, 70) == ((990, 10), (0, 10))


def test_many_bad_ranges_stay_bounded() -> None:
    bad = BadRanges()
    for index in range(10_050):
        bad.add(index * 1000, 1, GapReason.UNREADABLE, "x")
        bad.add(index * 1000 + 1, 1, GapReason.UNREADABLE, "x")
    listed = bad.listing()
    assert len(listed) < 10_001
    assert listed[0][0] == 0
    assert max(o + n for o, n, _, _ in listed) == 10_049_002
