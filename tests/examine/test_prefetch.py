# SPDX-License-Identifier: Apache-2.0
"""Runs of programs are not lost, doubled or misdated where Windows keeps them in prefetch files."""

from __future__ import annotations

import random

import pytest
from prefetch_writing import mam, prefetch
from tiling import hold, run, shared, spoilt

from headwater.examine.registry import all_parsers
from headwater.formats import prefetch as reading
from headwater.formats import xpress_huffman

PARSER = all_parsers()["windows.prefetch"]
SECOND = 1_000_000_000
# name, version, runs, run times kept, the last run; plaso's own tests state the same of the first four
KNOWN = (
    ("CMD.EXE-087B4001.pf", 17, 2, 1, 1_362_910_309_281_250_000),
    ("PING.EXE-B29F6629.pf", 23, 14, 1, 1_333_738_855_932_955_600),
    ("WUAUCLT.EXE-830BCC14.pf", 23, 25, 1, 1_331_846_259_807_996_300),
    ("TASKHOST.EXE-3AE259FC.pf", 26, 4, 4, 1_380_901_209_037_833_300),
    ("BYTECODEGENERATOR.EXE-C1E9BCE6.pf", 30, 7, 7, 1_431_641_518_091_134_100),
    ("AM_DELTA_PATCH_1.443.990.0.EX-7037CF86.pf", 31, 1, 1, 1_770_212_624_668_632_500),
)


@pytest.mark.parametrize(("name", "version", "runs", "times", "last"), KNOWN)
def test_real_files_tell_what_others_read_in_them(name: str, version: int, runs: int, times: int, last: int) -> None:
    rows, gaps, _ = run(PARSER, shared(f"plaso/test_data/winprefetch/{name}").read_bytes(), f"/Windows/Prefetch/{name}")
    assert not gaps
    assert len(rows) == times
    assert (rows[0]["prefetch_version"], rows[0]["runs"], rows[0]["t_recorded"]) == (version, runs, last)
    assert rows[0]["prefetch_hash"] in name
    assert str(rows[0]["file_path"]).endswith(rows[0]["process"]) or "AM_DELTA" in name


@pytest.mark.parametrize("version", [17, 23, 26, 30, 31])
def test_every_run_is_one_event_and_the_latest_carries_the_names(version: int) -> None:
    times = (1_772_500_000, 1_772_400_000)
    rows, gaps, _ = run(PARSER, mam(prefetch(version, "FRPC.EXE", 9, times, ("\\VOLUME{01d0}\\PERFLOGS\\FRPC.EXE",))))
    assert not gaps
    kept = times if version > 23 else times[:1]
    assert [r["t_recorded"] for r in rows] == [t * SECOND for t in kept]
    assert {r["file_path"] for r in rows} == {"\\VOLUME{01d0}\\PERFLOGS\\FRPC.EXE"}
    assert (rows[0]["t_kind"], rows[0]["runs"]) == ("run", 9)
    assert "1A2B-3C4D" in rows[0]["volumes"]
    assert not any("file_names" in r for r in rows[1:])


def test_a_match_over_the_border_of_two_blocks_is_whole() -> None:
    """Compressors write such matches; a decoder that cuts them loses its place in all that follows."""
    rows, gaps, _ = run(PARSER, shared("plaso/test_data/winprefetch/ONEDRIVE.EXE-7E152375.pf").read_bytes())
    assert not gaps
    assert rows[0]["files"] == len(rows[0]["file_names"].split("\n"))


def test_a_match_longer_than_a_block_is_whole() -> None:
    """Two codes of one bit: a zero, and a match of it that goes on 4,464 bytes into the next block."""
    table = bytearray(256)
    table[0], table[135] = 0x01, 0x10
    stream = bytes(table) + b"\x00\x40\x00\x00" + b"\xff\x00\x00" + (69_996).to_bytes(4, "little")
    assert xpress_huffman.decompress(stream, 70_000) == bytes(70_000)


def test_more_than_one_block_comes_back() -> None:
    plain = random.Random(3).randbytes(70_000)
    assert reading.plain(mam(plain)) == plain


def test_a_file_that_lies_about_its_size_is_bounded_and_told() -> None:
    for data in (
        b"MAM\x04\xff\xff\xff\xff" + bytes(400),
        b"MAM\x07" + bytes(60),
        b"MAM\x04\x00\x10\x00\x00" + bytes(300),
    ):
        rows, gaps, _ = run(PARSER, data)
        assert not rows
        assert sum(g.length for g in gaps) == len(data)


def test_spoilt_files_stay_accounted_for() -> None:
    good = prefetch(30, "CMD.EXE", 2, (1_772_500_000,), ("\\VOLUME{01d0}\\CMD.EXE",))
    for data in (*spoilt(good), *spoilt(mam(good))):
        hold(PARSER, data, "/Windows/Prefetch/CMD.EXE-0.pf")
