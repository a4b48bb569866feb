# SPDX-License-Identifier: Apache-2.0
"""Outputs of a running system: the capture's time is the command's own start, and no list invents one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tiling import GOLDEN, run

from headwater.examine.parsers import (
    linux_crontab,
    live_find,
    live_ls,
    live_lsof,
    live_proc_net,
    live_proc_pid,
    live_ps,
    live_ss,
)
from headwater.examine.registry import all_parsers, by_path
from headwater.model.records import Facts

START = 1_795_332_411_250_000_000  # 2026-11-22T07:26:51.25Z
PS = b"UID PID PPID C STIME TTY TIME CMD\nroot 1 0 0 07:26 ? 00:00:00 /sbin/init\n"


def facts(path: str, **said: Any) -> Facts:
    return Facts(context={path: json.dumps(said)})


@pytest.mark.parametrize(
    ("start", "found"),
    [
        ("2026-11-22T07:26:51.250000Z", START),
        ("2026-11-22T15:26:51.25+08:00", START),
        (START / 1e9, START),
        ("no time", None),
        (True, None),
        (None, None),
    ],
)
def test_rows_have_the_time_of_the_command_and_no_other(start: object, found: int | None) -> None:
    known = facts("/@command/ps-ef.json", start=start)
    (row,), _, _ = run(live_ps, PS, "x!/@command/ps-ef.stdout", facts=known, mtime_ns=1)
    assert row.get("t_recorded") == found
    assert row["t_kind"] == ("captured" if found else "logged")


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000])
def test_a_hostile_record_of_a_command_gives_no_time(text: str) -> None:
    (row,), _, _ = run(live_ps, PS, "/@command/ps-ef.stdout", facts=Facts(context={"/@command/ps-ef.json": text}))
    assert "t_recorded" not in row


def test_a_process_that_writes_a_header_as_its_title_stays_a_row() -> None:
    rows, gaps, _ = run(live_ps, PS + b"PID 7 1 0 07:26 ? 00:00:00 UID PID CMD\n", "/@command/ps-ef.stdout")
    assert [r["pid"] for r in rows] == [1, 7]
    assert not gaps


def test_a_listing_belongs_to_the_folder_that_the_command_named() -> None:
    data = b"total 0\n 5 drwxr-xr-x 2 0 0 40 2026-11-22 07:15:49.5 +0800 .\n 6 -rw-r--r-- 1 0 0 1 2026-11-22 07:15:49.5 +0800 a%b\n"
    for line in ("ls -lani --full-time /var/tmp", ["ls", "-lani", "/var/tmp"]):
        rows, _, _ = run(live_ls, data, "/@command/ls-x.stdout", facts=facts("/@command/ls-x.json", line=line))
        assert [r["file_path"] for r in rows] == ["/var/tmp", "/var/tmp/a%25b"]
    rows, _, _ = run(live_ls, data, "/@command/ls-x.stdout")
    assert not any("file_path" in r for r in rows)


def test_a_day_without_a_year_is_the_last_one_before_the_command() -> None:
    line = b"1 0 -rw-r--r-- 1 root root 5 %s /a\\012b\n"
    known = facts("/@command/find-x.json", start="2026-01-10T00:00:00Z")
    data = line % b"Jan  9 11:00" + line % b"Dec 31 23:59" + line % b"Feb 30 10:00" + line % b"Feb 29  2024"
    rows, _, _ = run(live_find, data, "/@command/find-x.stdout", facts=known)
    assert [r.get("t_recorded", 0) // 10**9 for r in rows] == [1767956400, 1767225540, 0, 1709164800]
    assert [r["t_basis"] for r in rows] == ["year-assumed", "year-assumed", "none", "zone-assumed"]
    assert rows[0]["file_path"] == "/a%0Ab"
    assert rows[2]["time_text"] == "Feb 30 10:00"


def test_the_start_of_a_process_is_reckoned_from_the_boot_or_not_stated() -> None:
    data = b"77 (a) S 1 77 77 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 250 0 0\n"
    known = Facts(context={"/proc/stat": "cpu 1 2\nbtime 1795300000\n"})
    (row,), _, _ = run(live_proc_pid, data, "/proc/77/stat", facts=known)
    assert (row["t_recorded"], row["t_kind"]) == (1795300002500000000, "started")
    (row,), _, _ = run(live_proc_pid, data, "/proc/77/stat")
    assert "t_recorded" not in row


def test_a_process_number_is_that_of_the_collectors_view_not_of_a_container() -> None:
    data = b"Name:\tx\nState:\tS (sleeping)\nPid:\t5\nNSpid:\t5\t1\nVmSize:\t1 kB\n"
    (row,), _, _ = run(live_proc_pid, data, "/proc/5/status")
    assert (row["pid"], row.get("kernel_thread")) == (5, None)


def test_addresses_of_the_kernel_are_in_its_order() -> None:
    data = (
        b"  sl  local_address rem_address   st\n"
        b"   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   112        0 18444 1 0 100 0 0 10 0\n"
        b"   1: 0000000000000000FFFF00000500000A:0016 0000000000000000FFFF0000097100CB:C822 01 00000000:00000000 "
        b"02:000A 0 0 0 20011 2\n"
        b"   2: 0000000000000000FFFF00000500000A:0016 0000000000000000FFFF0000097100CB:C822 01 00000000:00000000 "
        b"02:0000000A 00000000     0        0 20011 2 0\n"
    )
    rows, gaps, _ = run(live_proc_net, data, "/proc/net/tcp6")
    assert [(r["local_address"], r["local_port"]) for r in rows] == [("127.0.0.1", 3306), ("10.0.0.5", 22)]
    assert rows[1]["dst_ip"] == "203.0.113.9"
    assert len(gaps) == 1


def test_a_socket_of_two_processes_is_told_for_each_on_the_same_bytes() -> None:
    data = b'State Recv-Q Send-Q Local Address:Port Peer Address:Port Process\nLISTEN 0 5 *:80 *:* users:(("a",pid=1,fd=3),("b",pid=2,fd=4))\n'
    rows, _, _ = run(live_ss, data, "/@command/ss-antp.stdout")
    assert [(r["pid"], r["ordinal"], r["protocol"]) for r in rows] == [(1, 0, "tcp"), (2, 1, "tcp")]


def test_a_crontab_printed_for_a_user_is_that_users() -> None:
    (row,), _, _ = run(linux_crontab, b"* * * * * /tmp/x\n", "/@command/crontab-l.www-data.stdout")
    assert (row["user"], row["command_line"]) == ("www-data", "/tmp/x")


def test_an_open_file_that_is_gone_is_told_as_such() -> None:
    data = b"COMMAND PID USER FD TYPE DEVICE SIZE/OFF NODE NAME\nx 5 root 3w REG 8,1 10 77 /var/log/a b.log (deleted)\n"
    (row,), _, _ = run(live_lsof, data, "/@command/lsof-all.stdout")
    assert (row["file_path"], row["deleted"]) == ("/var/log/a b.log", True)


def test_every_row_says_what_its_time_rests_on() -> None:
    for folder in sorted(GOLDEN.glob("live_*")):
        for place in folder.glob("*.golden.json"):
            rows = json.loads(place.read_text(encoding="utf-8"))["rows"]
            assert all(row.get("t_basis") for row in rows), place.name


def test_every_output_of_the_catalogue_has_one_reader() -> None:
    names = "ps-ef ps-auxww top ss-antp ss-anup ss-axp netstat-antp lsof-i lsof-all systemctl-units systemctl-timers lsmod mount"
    names += " systemctl-unit-files crontab-l.root find-mtime-7 last lastb lastlog who w ip-addr ip-neigh ip-route iptables-save"
    names += " ls-usr-bin ip6tables-save nft-ruleset dpkg-l rpm-qa docker-ps podman-ps crictl-ps uname-a timedatectl df dmesg ls-tmp id date"
    for name in names.split():
        assert len(by_path(f"/@command/{name}.stdout")) == 1, name
    assert len([p for p in all_parsers() if p.startswith("live.")]) >= 18
