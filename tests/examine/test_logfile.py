# SPDX-License-Identifier: Apache-2.0
"""$LogFile: every record found by its own number, names that came and went told apart, damage said."""

from __future__ import annotations

from pathlib import Path

import pytest
from ntfs_log_writing import NOON, PAGE, ROOT, Writer, fixups, index_entry, story

from headwater.examine.parsers import windows_logfile
from headwater.formats.ntfs import FILETIME_1970, fixed_up
from headwater.formats.ntfs_log import Log
from headwater.model.records import Count, Event, File, Gap

T0 = (NOON - FILETIME_1970) * 100


def parsed(data: bytes) -> tuple[list[Event], list[Gap], Count]:
    found = list(windows_logfile.parse(File.of(data, "/$LogFile")))
    events = [r for r in found if isinstance(r, Event)]
    gaps = [r for r in found if isinstance(r, Gap)]
    count = found[-1]
    assert isinstance(count, Count)
    assert len(events) + count.lost == count.declared
    return events, gaps, count


def test_made_renamed_and_deleted_are_told_apart() -> None:
    events, gaps, _ = parsed(story())
    assert gaps == []
    told = [(str(e.kind), e.file_path, e.t_recorded) for e in events if e.kind != "log.message"]
    assert told == [
        ("file.created", "账目.xlsx", T0 + 1000),
        ("file.changed", None, T0 + 2000),
        ("file.renamed", "账目.xlsx", None),
        ("file.renamed", "账目.xlsx.locked", T0 + 3000),
        ("file.changed", "账目.xlsx.locked", T0 + 4000),  # as the change journal was told
        ("file.deleted", "账目.xlsx.locked", None),
    ]
    reasons = [e.fields.get("reason") for e in events if e.fields.get("reason")]
    assert reasons == ["FILE_CREATE", "RENAME_OLD_NAME", "RENAME_NEW_NAME", "RENAME_NEW_NAME", "FILE_DELETE"]


def test_record_of_the_mft_is_told_by_the_clusters_that_the_log_itself_proves() -> None:
    events, _, _ = parsed(story())
    targets = {e.fields["redo"]: e.fields.get("record") for e in events if "vcn" in e.fields}
    assert targets["InitializeFileRecordSegment"] == 41
    assert targets["DeallocateFileRecordSegment"] == 41


def test_record_over_two_pages_is_whole_and_a_torn_second_page_costs_it() -> None:
    data = story()
    large = next(r for r in Log(lambda at, n: data[at : at + n], len(data)).records() if len(r.redo) > PAGE)
    assert large.redo == bytes(range(256)) * 20
    torn = bytearray(data)
    torn[(large.at // PAGE + 1) * PAGE + 510] ^= 1
    events, gaps, count = parsed(bytes(torn))
    assert count.lost == 1
    assert [(g.offset, g.length) for g in gaps] == [((large.at // PAGE + 1) * PAGE, PAGE)]
    assert not [e for e in events if e.offset == large.at]


def test_records_of_an_earlier_round_behind_the_newest_are_read_too() -> None:
    old, new = Writer(2, round_=1), Writer(2, round_=2)
    for n in range(20):
        old.put(14, 15, index_entry(50 + n, ROOT, f"old{n}.txt", n))
    for n in range(5):
        new.put(14, 15, index_entry(90 + n, ROOT, f"new{n}.txt", n))
    held = bytearray(new.image())
    page = 4 * PAGE
    fresh, stale = bytearray(fixed_up(held[page : page + PAGE])), fixed_up(old.image()[page : page + PAGE])
    end = int.from_bytes(fresh[24:26], "little")
    fresh[end:] = stale[end:]
    held[page : page + PAGE] = fixups(bytes(fresh), 40)
    events, _, _ = parsed(bytes(held))
    slack = [e.file_path for e in events if e.fields.get("slack")]
    assert "old19.txt" in slack or len(slack) > 5
    assert not any(str(p).startswith("new") for p in slack)


def test_loud_and_empty_logs_raise_nothing() -> None:
    for data in (b"", b"\xff" * 65536, bytes(65536), b"RSTR" + bytes(9000), bytes(range(256)) * 300):
        parsed(data)


def test_real_log_shows_the_file_that_was_deleted() -> None:
    path = Path(__file__).parents[3] / "shared/data/plaso/test_data/vsstest.qcow2"
    if not path.exists():
        pytest.skip("plaso's test data are not here")
    from headwater.formats.media import open_medium
    from headwater.formats.ntfs_tree import NtfsTree
    from headwater.formats.opened import open_readonly

    source = NtfsTree(open_medium([open_readonly(path)])).open("2")
    events, gaps, count = parsed(source.pread(0, source.size))
    assert (len(events), gaps, count.lost) == (3419, [], 0)
    assert [e.file_path for e in events if e.kind == "file.deleted"] == ["syslog"]
    made = {e.file_path for e in events if e.kind == "file.created"}
    assert {"syslog", "syslog.gz", "another_file", "password.txt"} <= made
