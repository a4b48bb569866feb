# SPDX-License-Identifier: Apache-2.0
"""The audit trail: every line keeps its own fields, and a process is joined from its records whatever their order."""

from __future__ import annotations

import random
import re
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tiling import GOLDEN, golden, hold, run, spoilt

from headwater.examine.lines import line_batches
from headwater.examine.parsers import linux_audit
from headwater.formats import compiled
from headwater.model.records import File

PATH = "p2!/var/log/audit/audit.log"
FIXTURES = ("enriched.log", "selinux.log", "web.log")


def _data(name: str) -> bytes:
    return (GOLDEN / "linux_audit" / name).read_bytes()


def _made(data: bytes) -> list[dict[str, Any]]:
    return [r for r in run(linux_audit, data, PATH)[0] if r["kind"] == "process.create"]


@pytest.mark.parametrize("name", FIXTURES)
def test_linux_audit_golden(name: str) -> None:
    golden(linux_audit, "linux_audit", name, PATH)


def test_linux_audit_loses_no_byte_in_any_state() -> None:
    data = _data("web.log") + b"\n" + _data("selinux.log")
    for bent in [data, *spoilt(data)]:
        hold(linux_audit, bent, PATH)


def test_every_line_of_the_enriched_file_is_an_event() -> None:
    rows, gaps, _ = run(linux_audit, _data("enriched.log"), PATH)
    assert len([r for r in rows if r["ordinal"] == 0]) == _data("enriched.log").count(b"\n") == 29
    assert not gaps


def test_process_is_told_by_all_its_records() -> None:
    data = _data("web.log")
    shell = _made(data)[0]
    assert shell["CommandLine"] == "sh -c id; echo 溯源"
    assert (shell["Image"], shell["CurrentDirectory"], shell["own.User"]) == (
        "/usr/bin/dash",
        "/var/www/html",
        "www-data",
    )
    cited = [tuple(map(int, place.split("+"))) for place in shell["records"].split(",")]
    lines = [data[offset : offset + length] for offset, length in cited]
    assert [line.split(b" ")[0] for line in lines] == [b"type=SYSCALL", b"type=EXECVE", b"type=CWD", b"type=PROCTITLE"]
    assert all(b":1020):" in line and line.endswith(b"\n") for line in lines)


def test_parent_is_the_program_that_this_file_saw_begin() -> None:
    made = _made(_data("web.log"))
    child = next(r for r in made if r.get("Image") == "/usr/bin/id")
    assert (child["ParentImage"], child["ParentCommandLine"]) == ("/usr/bin/dash", "sh -c id; echo 溯源")
    assert child["CurrentDirectory"] == "/var/www/html/上传 目录"
    assert "ParentImage" not in made[0]  # 800 was running before the file began


def test_call_that_failed_made_no_process() -> None:
    assert 1022 not in [r["serial"] for r in _made(_data("web.log"))]


def test_arguments_in_pieces_and_beyond_the_columns() -> None:
    lines = {r["serial"]: r.get("CommandLine") for r in _made(_data("web.log"))}
    assert lines[1030] == " ".join(f"v{i}" for i in range(20))
    assert lines[1031] == "tool A long argument A long argument  end"
    assert lines[1023] == "perl -e 1"  # from the title, where the arguments are missing


def test_numbers_that_are_none_are_kept_as_written() -> None:
    row = next(r for r in run(linux_audit, _data("web.log"), PATH)[0] if r["serial"] == 1080)
    assert "pid" not in row
    for written in ("pid=notanumber", "uid=99999999999999999999", "weird=1", "weird=2", "uid=7"):
        assert written in row["other"]


def test_words_that_no_key_claims_are_kept() -> None:
    line = b"type=X msg=audit(1772500000.000:1): lone msg=text uid=1 stray op=two words res=1 tail\n"
    row = run(linux_audit, line, PATH)[0][0]
    assert row["other"] == "lone msg=text stray tail"
    assert (row["uid"], row["op"], row["res"]) == (1, "two words", "1")


def test_what_is_joined_does_not_depend_on_the_blocks() -> None:
    chance = random.Random(3)
    data = b"".join(_data(chance.choice(FIXTURES)).rstrip(b"\n") + b"\n" for _ in range(16))
    whole = pl.concat([b.events for b in line_batches(linux_audit.GRAMMAR, File.of(data))], how="diagonal")
    for block in (5000, 20_011):
        parts = list(line_batches(linux_audit.GRAMMAR, File.of(data), block))
        again = pl.concat([b.events for b in parts], how="diagonal_relaxed")
        assert len(parts) > 2
        assert again.select(whole.columns).equals(whole)


def test_one_serial_without_end_is_bounded_work() -> None:
    line = b'type=EXECVE msg=audit(1772500000.000:1): argc=1 a0="x"\ntype=CWD msg=audit(1772500000.000:1): cwd="/"\n'
    rows, _, _ = run(linux_audit, line * 4000, PATH)
    assert len(rows) == 4000 * 3


def test_enriched_names_differ_from_numbers_in_more_than_case() -> None:
    for name in FIXTURES:
        for batch in line_batches(linux_audit.GRAMMAR, File.of(_data(name))):
            lowered = [c.lower() for c in batch.events.columns]
            assert len(set(lowered)) == len(lowered)


def test_both_ways_join_the_same_where_blocks_end_between_the_records() -> None:
    if compiled.library() is None:
        pytest.skip("the compiled scanner was not built")
    chance = random.Random(5)
    lines = [line for name in FIXTURES for line in _data(name).splitlines(keepends=True)]
    # records of one serial torn apart, lines that the scanner does not take, pids used again
    data = b"".join(chance.choice(lines) if chance.random() < 0.9 else b"type=X lone words\n" for _ in range(400))
    try:
        for block, part in ((700, data[:8_000]), (9_001, data), (1 << 20, data)):
            compiled.allow()
            quick = [b.events for b in line_batches(linux_audit.GRAMMAR, File.of(part), block)]
            compiled.forbid()
            plain = [b.events for b in line_batches(linux_audit.GRAMMAR, File.of(part), block)]
            for a, b in zip(quick, plain, strict=True):
                assert_frame_equal(a, b, check_column_order=False)
    finally:
        compiled.allow()


def test_both_ways_put_rows_alike_where_programs_fail_or_come_without_arguments() -> None:
    if compiled.library() is None:
        pytest.skip("the compiled scanner was not built")
    chance = random.Random(11)
    lines = [line for name in FIXTURES for line in _data(name).splitlines(keepends=True)]
    parts = [
        line for line in lines if line.startswith((b"type=SYSCALL", b"type=EXECVE", b"type=CWD", b"type=PROCTITLE"))
    ]

    def line() -> bytes:
        one = chance.choice(parts if chance.random() < 0.8 else lines)
        if chance.random() < 0.3:  # then its arguments have room in front of them, and no process
            one = one.replace(b"success=yes", b"success=no")
        stamp = b"audit(1772500000.%03d:%d)" % (chance.randrange(2), chance.randrange(40))
        return re.sub(rb"audit\([^)]*\)", stamp, one)

    try:
        for _ in range(4):
            data = b"".join(line() for _ in range(250))
            compiled.allow()
            (quick,) = line_batches(linux_audit.GRAMMAR, File.of(data))
            compiled.forbid()
            (plain,) = line_batches(linux_audit.GRAMMAR, File.of(data))
            assert_frame_equal(quick.events, plain.events, check_column_order=False)
            assert (quick.events["ordinal"] == 1).any()
    finally:
        compiled.allow()


def test_an_argument_far_away_is_not_joined() -> None:
    call = (
        b"type=SYSCALL msg=audit(1772500000.000:1): arch=c000003e syscall=59 success=yes exit=0 ppid=1 pid=2 "
        b'comm="a" exe="/bin/a"\n'
    )
    other = b'type=CWD msg=audit(1772500001.000:2): cwd="/"\n'
    folder = b'type=CWD msg=audit(1772500000.000:1): cwd="/near"\n'
    assert _made(call + other * 250 + folder)[0]["CurrentDirectory"] == "/near"
    assert "CurrentDirectory" not in _made(call + other * 300 + folder)[0]
    long = b'type=PATH msg=audit(1772500001.000:2): name="' + b"x" * 1_000_000 + b'"\n'
    assert "CurrentDirectory" not in _made(call + long * 5 + folder)[0]
