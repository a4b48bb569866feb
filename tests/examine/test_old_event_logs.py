# SPDX-License-Identifier: Apache-2.0
"""Event logs before Vista lose no record that is whole: not one across the end, not one of an earlier turn, not of a dirty log."""

from __future__ import annotations

import struct

from evt_writing import log, record
from tiling import hold, run, shared, spoilt

from headwater.examine.registry import all_parsers

EVT = all_parsers()["windows.evt"]
PATH = "/WINDOWS/system32/config/SecEvent.Evt"
WHEN = 1_172_500_000
SID = bytes.fromhex("010500000000000515000000") + struct.pack("<4I", 1, 2, 3, 500)


def _records() -> list[bytes]:
    refused = ("admin", "CORP", "10", "User32", "Negotiate", "SRV2003", "-", "-", "-", "-", "-", "203.0.113.9", "4312")
    return [
        record(7, WHEN, 529, "Security", refused, 16, SID),
        record(8, WHEN + 5, 528, "Security", ("admin", "CORP", "(0x0,0x3E7)", "10"), 8, SID),
        record(9, WHEN + 9, 0x80000000 | 7036, "Service Control Manager", ("远程服务", "已停止"), 4, b"", b"\1\2"),
    ]


def test_a_refused_logon_is_told_in_the_words_of_later_logs() -> None:
    rows, gaps, _ = run(EVT, log(_records()), PATH)
    assert not gaps
    first, second, third = rows
    assert (first["kind"], first["user"], first["src_ip"], first["outcome"]) == (
        *("auth.failure", "admin", "203.0.113.9", "failure"),
    )
    assert (first["Security_UserID"], first["Channel"], first["t_recorded"]) == (
        "S-1-5-21-1-2-3-500",
        "Security",
        WHEN * 10**9,
    )
    assert (second["kind"], second["LogonType"], second["t_written"]) == ("auth.success", "10", (WHEN + 6) * 10**9)
    assert (third["param1"], third["Binary"], third["EventID"], third["EventID_Qualifiers"]) == (
        "远程服务",
        "0102",
        7036,
        0x8000,
    )


def test_a_record_across_the_end_of_the_file_is_whole_and_counted_once() -> None:
    records = _records()
    for shift in (4, 60, len(records[-1]) - 60):
        data = log(records, shift)
        rows, gaps, _ = run(EVT, data, PATH)
        assert not gaps
        assert [r["RecordNumber"] for r in rows] == [7, 8, 9]
        assert not any(r.get("recovered") for r in rows)
        assert rows[-1]["further"] == f"48+{shift}"
        hold(EVT, data, PATH)


def test_records_of_an_earlier_turn_are_told_as_remains() -> None:
    old = record(3, WHEN - 999, 517, "Security", ("SYSTEM", "NT AUTHORITY", "(0x0,0x3E7)"), 8)
    rows, gaps, _ = run(EVT, log(_records(), 60, old=b"\xaa" * 12 + old), PATH)
    assert [(r["RecordNumber"], r["recovered"]) for r in rows if r["kind"] == "log.cleared"] == [(3, True)]
    assert [(g.length, g.reason.value) for g in gaps] == [(12, "overwritten")]


def test_the_end_record_is_believed_above_the_header_of_an_open_log() -> None:
    rows, _, done = run(EVT, log(_records(), dirty=True), PATH)
    assert not any(r.get("recovered") for r in rows)
    assert "not closed" in done[0].skipped[1].reason


def test_a_record_that_was_blotted_out_is_missed() -> None:
    data = bytearray(log(_records()))
    at = data.index(b"LfLe", 60)
    data[at + 20 : at + 24] = b"LfLe"
    data[at : at + 4] = bytes(4)
    _, gaps, _ = run(EVT, bytes(data), PATH)
    assert any("the log counts 3 records in its ring, 2 are there whole" in g.detail for g in gaps)
    hold(EVT, bytes(data), PATH)


def test_logs_that_lie_about_their_lengths_are_held() -> None:
    for data in (*spoilt(log(_records(), 60)), *spoilt(log(_records(), old=bytes(99))), b"LfLe" * 5000):
        hold(EVT, data, PATH)
    end = log(_records())[-40:]
    for data in (log(_records(), old=end * 3), log([record(7, WHEN, 1, "x", data=end)], old=end[:30] + _records()[0])):
        hold(EVT, data, PATH)
    many = bytearray(log([record(7, WHEN, 1, "x", ("a",))]))
    many[48 + 26 : 48 + 28] = b"\xff\xff"
    rows, _, _ = run(EVT, bytes(many), PATH)
    assert rows[0]["broken"]


def test_a_real_wrapped_and_dirty_log_agrees_with_libevt() -> None:
    data = shared("plaso/test_data/SysEvent.Evt").read_bytes()
    rows, gaps, _ = run(EVT, data, "/SysEvent.Evt")
    assert sum(not r.get("recovered") for r in rows) == 6063
    assert sum(bool(r.get("recovered")) for r in rows) == 437
    assert sum(g.length for g in gaps) == 668
    hold(EVT, data, "/SysEvent.Evt")
