# SPDX-License-Identifier: Apache-2.0
"""What every grammar says of its fixtures, field by field; and the same of reference logs by count."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from tiling import GOLDEN, golden, hold, run, shared, spoilt

from headwater.examine.batch import Batch
from headwater.examine.lines import line_batches
from headwater.examine.parsers import (
    linux_apt,
    linux_auth,
    linux_cron,
    linux_dpkg,
    linux_kern,
    linux_syslog,
    linux_yum,
    web_access,
)
from headwater.model.records import Facts, File

GRAMMARS: dict[str, ModuleType] = {
    "linux_auth": linux_auth,
    "linux_cron": linux_cron,
    "linux_dpkg": linux_dpkg,
    "linux_kern": linux_kern,
    "linux_syslog": linux_syslog,
    "linux_yum": linux_yum,
    "web_access": web_access,
}
FIXTURES = [
    (folder, path.name)
    for folder in (*GRAMMARS, "linux_apt")
    for path in sorted((GOLDEN / folder).iterdir())
    if path.name not in {"SOURCES.md", "paths.json"} and not path.name.endswith(".golden.json")
]


class Lined:
    """A grammar module as the tests of record parsers know them; the year is stated, for there is no clock to ask."""

    def __init__(self, module: ModuleType, year: int | None = 2026, block: int = 1 << 20) -> None:
        self.module, self.year, self.block = module, year, block

    def batches(self, file: File) -> Iterator[Batch]:
        return line_batches(self.module.GRAMMAR, replace(file, facts=Facts(year=self.year)), self.block)


def _parser(folder: str) -> Any:
    return linux_apt if folder == "linux_apt" else Lined(GRAMMARS[folder])


@pytest.mark.parametrize(("folder", "name"), FIXTURES)
def test_golden(folder: str, name: str) -> None:
    golden(_parser(folder), folder, name, "/" + name)


@pytest.mark.parametrize(("folder", "name"), FIXTURES)
def test_spoilt_logs_lose_no_byte(folder: str, name: str) -> None:
    for data in spoilt((GOLDEN / folder / name).read_bytes()):
        hold(_parser(folder), data)


def _shared_rows(name: str, module: ModuleType, year: int = 2015) -> tuple[bytes, list[dict[str, Any]], list[Any]]:
    data = shared(name).read_bytes()
    rows, gaps, _ = run(Lined(module, year), data)
    return data, rows, gaps


def test_openssh_2k_counts_as_grep_does() -> None:
    data, rows, gaps = _shared_rows("loghub/OpenSSH/OpenSSH_2k.log", linux_auth)
    assert (len(rows), gaps) == (len(data.splitlines()), [])
    wanted = Counter(re.findall(r"Failed password .* from ([0-9.]+) port", data.decode()))
    # a repeated message stands in one line, as grep sees it
    found = Counter(r["src_ip"] for r in rows if r["kind"] == "auth.failure" and r["method"] == "password")
    assert found == wanted
    assert sum(wanted.values()) == 520
    assert [r["repeat"] for r in rows if r["kind"] == "auth.failure" and "repeat" in r] == [5, 5]
    assert Counter(r["user"] for r in rows if r["kind"] == "auth.success") == {"fztu": 1}


def test_linux_2k_every_line_is_an_event() -> None:
    data, rows, gaps = _shared_rows("loghub/Linux/Linux_2k.log", linux_auth)
    assert (len(rows), gaps) == (len(data.splitlines()), [])
    kinds = Counter(r["kind"] for r in rows)
    opened = len(re.findall(rb"session opened for user", data))
    assert kinds["session.open"] == opened
    assert kinds["network.connection"] == len(re.findall(rb"ftpd\[[0-9]+\]: connection from", data))
    assert {r["process"] for r in rows if r.get("pam_module")} >= {"sshd", "su"}


@pytest.mark.parametrize("name", ["OpenSSH/OpenSSH_2k.log", "Linux/Linux_2k.log"])
def test_a_lone_auth_log_is_found_without_its_path(name: str) -> None:
    assert linux_auth.recognise(shared(f"loghub/{name}").read_bytes()[:4096])


@pytest.mark.parametrize(
    ("name", "module", "events", "gap_bytes"),
    [
        ("syslog/syslog", linux_syslog, 16, 100),
        ("syslog/syslog_chromeos", linux_syslog, 8, 45),
        ("syslog/syslog_rsyslog", linux_syslog, 5, 0),
        ("syslog/syslog_rsyslog_SyslogProtocol23Format", linux_syslog, 9, 18),
        ("syslog/syslog_rsyslog_SysklogdFileFormat", linux_syslog, 9, 18),
        ("syslog/syslog_rsyslog_traditional", linux_syslog, 8, 239),
        ("syslog/syslog_ssh.log", linux_auth, 9, 0),
        ("syslog/syslog_cron.log", linux_cron, 9, 0),
        ("apache_access.log", web_access, 15, 0),
        ("dpkg.log", linux_dpkg, 4, 0),
    ],
)
def test_plaso_reference_logs(name: str, module: ModuleType, events: int, gap_bytes: int) -> None:
    _, rows, gaps = _shared_rows(f"plaso/test_data/{name}", module)
    assert (len(rows), sum(g.length for g in gaps)) == (events, gap_bytes)


def test_plaso_apt_history_states_every_package() -> None:
    data = shared("plaso/test_data/apt_history.log").read_bytes()
    rows, gaps, _ = run(linux_apt, data)
    assert gaps == []
    stated = sum(line.count(b" (") for line in data.split(b"\n") if line.split(b":")[0] in _ACTIONS)
    assert len(rows) == stated


_ACTIONS = (b"Install", b"Reinstall", b"Upgrade", b"Downgrade", b"Remove", b"Purge")
