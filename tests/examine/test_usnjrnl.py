# SPDX-License-Identifier: Apache-2.0
"""The NTFS change journal: no change lost or told twice, names as they were then, holes and damage accounted for."""

from __future__ import annotations

import struct
from pathlib import Path

import polars as pl
import pytest

from headwater.examine.parsers import windows_usnjrnl as usn
from headwater.formats import usn_journal
from headwater.formats.ntfs import FILETIME_1970
from headwater.model.records import File

ROOT = 5 | 5 << 48
NOON = 1_760_000_000 * 10_000_000 + FILETIME_1970


def record(
    at: int, inode: int, parent: int, name: str, reason: int, *, attributes: int = 0x20, version: int = 2, tick: int = 0
) -> bytes:
    """One record of version 2 or 3 with a reference of sequence 1 (the root's is given whole)."""
    raw = name.encode("utf-16-le", "surrogatepass")
    head = 60 if version == 2 else 76
    length = (head + len(raw) + 7) & ~7
    refs = [inode | 1 << 48, parent if parent == ROOT else parent | 1 << 48]
    form = "<QQ" if version == 2 else "<QxxxxxxxxQxxxxxxxx"
    fields = struct.pack("<qqIIIIHH", at, NOON + tick, reason, 0, 300, attributes, len(raw), head)
    return (struct.pack("<IHH", length, version, 0) + struct.pack(form, *refs) + fields + raw).ljust(length, b"\0")


def journal(*rows: tuple[int, int, str, int], attributes: dict[int, int] | None = None) -> bytes:
    data = b""
    for n, (inode, parent, name, reason) in enumerate(rows):
        kind = (attributes or {}).get(inode, 0x20)
        data += record(len(data), inode, parent, name, reason, attributes=kind, tick=n)
    return data


def read(data: bytes, held: tuple[tuple[int, int], ...] | None = None) -> pl.DataFrame:
    file = File("/$Extend/$UsnJrnl:$J", len(data), lambda at, n: data[at : at + n], held=held)
    batches = list(usn.batches(file))
    total = sum(
        int(b.events["length"].sum()) + sum(g.length for g in b.gaps) + sum(s.size for s in b.skipped) for b in batches
    )
    assert total == len(data)
    assert [b.start for b in batches] == [0, *(b.end for b in batches)][:-1]
    return pl.concat([b.events for b in batches])


def test_kind_says_what_is_new_since_the_file_was_opened() -> None:
    data = journal(
        (40, ROOT, "a.txt", 0x100), (40, ROOT, "a.txt", 0x102), (40, ROOT, "a.txt", 0x80000102),
        (40, ROOT, "a.txt", 0x1000), (40, ROOT, "b.locked", 0x2000), (40, ROOT, "b.locked", 0x80002000),
        (40, ROOT, "b.locked", 0x80000200),
    )  # fmt: skip
    rows = read(data)
    assert rows["kind"].to_list() == [
        "file.created", "file.modified", "file.closed", "file.renamed", "file.renamed", "file.closed", "file.deleted",
    ]  # fmt: skip
    assert rows["reason"][1] == "DATA_EXTEND|FILE_CREATE"
    assert rows["t_recorded"].to_list() == [1_760_000_000 * 10**9 + 100 * n for n in range(7)]


def test_path_is_the_one_that_the_folder_had_then() -> None:
    data = journal(
        (50, ROOT, "finance", 0x100), (40, 50, "a.txt", 0x100), (50, ROOT, "finance", 0x1000),
        (50, ROOT, "hidden", 0x2000), (40, 50, "a.txt", 0x80000200),
        attributes={50: 0x10},
    )  # fmt: skip
    paths = read(data)["file_path"].to_list()
    assert paths == ["/finance", "/finance/a.txt", "/finance", "/hidden", "/hidden/a.txt"]


def test_folder_that_nothing_names_is_said_to_be_unknown() -> None:
    assert read(journal((40, 77, "a.txt", 0x100)))["file_path"].to_list() == ["/$Unknown/77-1/a.txt"]


def test_folders_that_lie_in_each_other_end() -> None:
    data = journal((50, 51, "x", 0x100), (51, 50, "y", 0x100), (40, 50, "a", 0x100), attributes={50: 0x10, 51: 0x10})
    assert all(path.startswith("/$Unknown/") for path in read(data)["file_path"].to_list())


def test_hole_at_the_beginning_is_passed_over_by_the_runs_alone() -> None:
    tail = journal((40, ROOT, "a", 0x100))
    hole = 1 << 30

    def pread(at: int, length: int) -> bytes:
        assert at >= hole, "the hole was read"
        return tail[at - hole : at - hole + length]

    file = File("/$J", hole + len(tail), pread, held=((hole, len(tail)),))
    batches = list(usn.batches(file))
    assert [(b.start, b.end) for b in batches] == [(0, hole), (hole, hole + len(tail))]
    assert batches[0].skipped[0].size == hole
    assert batches[1].events["offset"].to_list() == [hole]


def test_versions_3_and_4_are_read_and_4_states_no_time() -> None:
    four = struct.pack("<IHHQQQQqIIIHH", 80, 4, 0, 40 | 1 << 48, 0, ROOT, 0, 500, 0x1, 0, 0, 1, 16) + struct.pack(
        "<qq", 0, 4096
    )
    rows = read(record(0, 40, ROOT, "三.txt", 0x100, version=3) + four)
    assert rows["file_path"].to_list() == ["/三.txt", None]
    assert rows["t_basis"].to_list() == ["utc", "none"]
    assert rows["usn"].to_list() == [0, 500]
    assert rows["reason"].to_list() == ["FILE_CREATE", "DATA_OVERWRITE"]


def test_damaged_record_costs_its_page_and_no_more() -> None:
    first = journal(*((40 + n, ROOT, f"f{n}", 0x100) for n in range(20)))
    page = first.ljust(4096, b"\0")
    bent = bytearray(page + page)
    struct.pack_into("<I", bent, len(record(0, 40, ROOT, "f0", 0x100)) * 3, 7)
    rows = read(bytes(bent))
    assert 20 < rows.height < 40
    assert rows.filter(pl.col("offset") >= 4096).height == 20


def test_records_across_pages_are_read_one_behind_the_other() -> None:
    rows = [(40 + n, ROOT, f"name {n:05d}", 0x100) for n in range(500)]
    assert read(journal(*rows))["inode"].to_list() == [40 + n for n in range(500)]


def test_record_across_two_stretches_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usn_journal, "_CHUNK", 4096)
    rows = [(40 + n, ROOT, f"name {n:05d}", 0x100) for n in range(500)]
    assert read(journal(*rows))["inode"].to_list() == [40 + n for n in range(500)]


def test_name_that_is_no_text_can_be_had_back() -> None:
    assert read(journal((40, ROOT, "a\ud800/b", 0x100)))["file_path"].to_list() == ["/a%ED%A0%80%2Fb"]


def test_real_journal_is_read_as_others_read_it() -> None:
    # log2timeline/plaso test_data, Apache-2.0; names, order and times as dissect.ntfs 3.16 gives them (its times go through floats)
    path = Path(__file__).parents[3] / "shared/data/plaso/test_data/UsnJrnl.raw"
    if not path.exists():
        pytest.skip("plaso's test data are not here")
    rows = read(path.read_bytes())
    assert rows.height == 19
    assert rows["name"].unique(maintain_order=True).to_list() == [
        "Nieuw - Tekstdocument.txt", "first.txt", "%2E", "Kopie van first.txt", "second.txt",
    ]  # fmt: skip
    assert (rows["t_recorded"][0], rows["t_recorded"][18]) == (1448918127203125000, 1448918162031250000)
    assert rows["kind"].to_list().count("file.renamed") == 4
