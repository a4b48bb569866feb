# SPDX-License-Identifier: Apache-2.0
"""Last logins: holes cost nothing, the place is the user number, and a file of terabytes ends at its limit."""

from __future__ import annotations

import struct

from tiling import fixture, golden, hold, run, spoilt

from headwater.examine.parsers import linux_lastlog
from headwater.model.kinds import GapReason
from headwater.model.records import File, Gap

PATH = "p2!/var/log/lastlog"


def test_lastlog_golden() -> None:
    golden(linux_lastlog, "linux_lastlog", "lastlog", PATH)


def test_lastlog_loses_no_byte_in_any_state() -> None:
    data = fixture("linux_lastlog", "lastlog")
    for bent in [data, *spoilt(data)]:
        hold(linux_lastlog, bent, PATH)


def test_lastlog_of_64_bit_time() -> None:
    data = bytes(296 * 5) + struct.pack("<q32s256s", 1_772_336_000, b"pts/0", b"2001:db8::1") + bytes(296 * 2)
    rows, gaps, _ = run(linux_lastlog, data, PATH)
    assert [(r["uid"], r["src_ip"], r["t_recorded"]) for r in rows] == [(5, "2001:db8::1", 1_772_336_000 * 10**9)]
    assert gaps == []


def test_lastlog_of_a_directory_service_is_not_read_for_hours() -> None:
    file = File(PATH, 350 << 30, lambda at, n: bytes(n))
    gaps = [r for r in linux_lastlog.parse(file) if isinstance(r, Gap)]
    assert [g.reason for g in gaps] == [GapReason.LIMIT]
    assert gaps[0].offset + gaps[0].length == 350 << 30
