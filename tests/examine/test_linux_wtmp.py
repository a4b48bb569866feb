# SPDX-License-Identifier: Apache-2.0
"""Login records: nothing lost where a cleaner wrote zeros, where a record is cut, or where the layout is another."""

from __future__ import annotations

import numpy as np
import pytest
from tiling import GOLDEN, golden, hold, run, shared, spoilt

from headwater.examine.parsers import linux_btmp, linux_utmp, linux_wtmp
from headwater.examine.parsers._utmp import LAYOUTS
from headwater.model.kinds import GapReason
from headwater.model.records import File

GOOD = (GOLDEN / "linux_wtmp" / "wtmp").read_bytes()


@pytest.mark.parametrize("name", ["wtmp", "wtmp_zeroed"])
def test_wtmp_golden(name: str) -> None:
    golden(linux_wtmp, "linux_wtmp", name, "/var/log/wtmp")


@pytest.mark.parametrize("parser", [linux_wtmp, linux_btmp, linux_utmp])
def test_wtmp_loses_no_byte_in_any_state(parser: object) -> None:
    for data in [GOOD, *spoilt(GOOD)]:
        hold(parser, data)


def test_wtmp_zeroed_is_overwritten_and_not_1970() -> None:
    rows, gaps, _ = run(linux_wtmp, (GOLDEN / "linux_wtmp" / "wtmp_zeroed").read_bytes())
    assert [(g.offset, g.length, g.reason) for g in gaps] == [
        (1152, 384, GapReason.OVERWRITTEN),
        (3072, 768, GapReason.OVERWRITTEN),
        (4224, 100, GapReason.TRUNCATED),
    ]
    assert all(r["t_recorded"] > 1_700_000_000 * 10**9 for r in rows)


def test_wtmp_time_running_backwards_is_said() -> None:
    rows, _, _ = run(linux_wtmp, GOOD)
    assert [r["offset"] // 384 for r in rows if r["backward"]] == [5]


def test_btmp_sshd_writes_failures_as_login_process() -> None:
    record = np.zeros(1, LAYOUTS[0])
    record["type"], record["user"], record["line"], record["sec"] = 6, b"admin", b"ssh:notty", 1_700_000_000
    record["host"] = b"203.0.113.9"
    rows, _, _ = run(linux_btmp, record.tobytes())
    assert (rows[0]["kind"], rows[0]["outcome"], rows[0]["user"]) == ("auth.failure", "failure", "admin")
    assert rows[0]["src_ip"] == "203.0.113.9"


@pytest.mark.parametrize("layout", range(4))
def test_wtmp_of_other_machines(layout: int) -> None:
    records = np.zeros(3, LAYOUTS[layout])
    records["type"], records["user"], records["line"] = 7, [b"a", b"b", b"c"], b"pts/0"
    records["sec"], records["usec"], records["pid"] = 1_700_000_000, 123_456, [70_000, 2, 3]
    rows, gaps, _ = run(linux_wtmp, records.tobytes())
    assert [r["user"] for r in rows] == ["a", "b", "c"]
    assert gaps == []
    assert {r["t_recorded"] for r in rows} == {1_700_000_000_123_456_000}
    assert rows[0]["pid"] == 70_000


def test_wtmp_names_that_are_no_utf8_and_leftovers_after_the_end() -> None:
    record = np.zeros(2, LAYOUTS[0])
    record["type"], record["sec"] = 7, 1_700_000_000
    record["user"] = [b"\xff\xe9lise", b"root\0kitten"]
    rows, _, _ = run(linux_wtmp, record.tobytes())
    assert [r["user"] for r in rows] == ["\\xff\\xe9lise", "root"]


def test_wtmp_unreadable_sector_costs_only_its_records() -> None:
    def pread(at: int, length: int) -> bytes:
        if at < 900 < at + length:
            raise OSError(5, "input/output error")
        return GOOD[at : at + length]

    done = list(linux_wtmp.batches(File("/var/log/wtmp", len(GOOD), pread)))
    assert [len(b.events) for b in done] == [8]
    assert [(g.offset, g.length, g.reason) for g in done[0].gaps] == [(768, 384, GapReason.UNREADABLE)]


def test_wtmp_shorter_than_its_stated_size_is_truncated() -> None:
    done = list(linux_wtmp.batches(File("/var/log/wtmp", len(GOOD), lambda at, n: GOOD[:500][at : at + n])))
    assert len(done[0].events) == 1
    assert [(g.offset, g.length, g.reason) for g in done[0].gaps] == [(384, len(GOOD) - 384, GapReason.TRUNCATED)]


def test_wtmp_records_agree_with_its_batches() -> None:
    rows, gaps, _ = run(linux_wtmp, GOOD)
    events = list(linux_wtmp.parse(File.of(GOOD)))
    assert [e.t_recorded for e in events] == [r["t_recorded"] for r in rows]  # type: ignore[union-attr]
    assert gaps == []


def test_wtmp_is_recognised_by_content_and_text_is_not() -> None:
    assert linux_wtmp.recognise(GOOD[:4096])
    assert not linux_wtmp.recognise(b"Mar  1 00:00:01 host sshd[1]: Accepted password\n" * 80)
    assert not linux_wtmp.recognise(bytes(4096))


@pytest.mark.parametrize(
    ("name", "records", "gap_bytes"),
    [
        ("utmp", 14, 0),
        ("utmp_aarch64", 6, 0),
        ("utmp_s390", 6, 0),
        ("utmp_x86_64", 6, 0),
        ("utmp_corrupted", 2, 818),
        ("wtmp.1", 2, 769),
    ],
)
def test_utmp_files_of_real_machines(name: str, records: int, gap_bytes: int) -> None:
    data = shared(f"plaso/test_data/utmp/{name}").read_bytes()
    rows, gaps, _ = run(linux_wtmp, data)
    assert (len(rows), sum(g.length for g in gaps)) == (records, gap_bytes)
    hold(linux_wtmp, data)


def test_btmp_is_told_from_wtmp_by_content() -> None:
    record = np.zeros(3, LAYOUTS[0])
    record["type"], record["user"], record["line"], record["sec"] = 6, b"admin", b"ssh:notty", 1_700_000_000
    assert linux_btmp.recognise(record.tobytes())
    assert not linux_btmp.recognise(GOOD)


def test_wtmp_out_of_step_yields_no_events_without_a_time() -> None:
    rows, gaps, _ = run(linux_wtmp, GOOD[:384] + GOOD[388:])
    assert all("t_recorded" in r for r in rows)
    assert sum(g.length for g in gaps) > 0
