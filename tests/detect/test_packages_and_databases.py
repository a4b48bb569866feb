# SPDX-License-Identifier: Apache-2.0
"""Maintainer scripts that run an intruder's program and functions of a database's own are told; honest ones are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from memory_events import MemoryEvents
from test_package_files import System

from headwater.detect import registry
from headwater.detect.detectors import database_function, package_scripts, settings_abuse
from headwater.examine.parsers import linux_package_script, mysql_general
from headwater.model.kinds import EventKind, Severity
from headwater.model.ports import Settings
from headwater.model.records import Event, File

GOLDEN = Path(__file__).parents[1] / "golden"
INFO = Path("/var/lib/dpkg/info")


def scripts(events: MemoryEvents, path: str, data: bytes) -> MemoryEvents:
    where = "p1!" + path
    records = [r for r in linux_package_script.parse(File.of(data, where)) if isinstance(r, Event)]
    return events.put(linux_package_script.FEED, where, records)


def test_a_postinst_that_runs_hidden_and_unowned_programs_is_told_line_by_line() -> None:
    system = System().ordinary().owned("/usr/sbin/netutil", "c" * 32).holds("/usr/sbin/netutil", "c" * 32)
    for name in ("a", "b", "d"):
        system.owned(f"/usr/bin/{name}", name * 32).holds(f"/usr/bin/{name}", name * 32)
        scripts(system, f"/var/lib/dpkg/info/{name}.prerm", f"#!/bin/sh\n/usr/bin/{name} --stop\n".encode())
    system.holds("/usr/local/sbin/nu-sync", "e" * 32)
    data = (GOLDEN / "linux_package_script/netutil.postinst").read_bytes()
    found = system_found(scripts(system, "/var/lib/dpkg/info/netutil:amd64.postinst", data))
    assert found == [
        ("hidden", "/usr/lib/x86_64-linux-gnu/.cache/kworkerd", Severity.HIGH),
        ("hidden", "/var/tmp/fix.sh", Severity.HIGH),
        ("unowned", "/usr/local/sbin/nu-sync", Severity.MEDIUM),
    ]


def system_found(events: MemoryEvents) -> list[tuple[object, object, Severity]]:
    told = registry.run(package_scripts, events, Settings())
    return [(f.facts["reason"], f.facts["program"], f.severity) for f in told]


def test_a_database_that_knows_none_of_the_programs_proves_nothing() -> None:
    system = System().ordinary().holds("/usr/sbin/own", "c" * 32)
    assert system_found(scripts(system, "/var/lib/dpkg/info/own.postinst", b"#!/bin/sh\n/usr/sbin/own\n")) == []


@pytest.mark.skipif(not INFO.is_dir(), reason="no dpkg on this machine")
def test_the_maintainer_scripts_of_this_machines_packages_are_silent() -> None:
    events = MemoryEvents()
    for path in sorted(INFO.iterdir()):
        if path.suffix.lstrip(".") in linux_package_script._ACTS:
            scripts(events, str(path), path.read_bytes())
    assert system_found(events) == []
    grave = [
        f.severity
        for f in registry.run(settings_abuse, events, Settings())
        if f.severity not in (Severity.INFO, Severity.LOW)
    ]
    assert grave == []


def functions(*statements: str) -> list[tuple[object, Severity]]:
    lines = "".join(f"2026-03-02T03:04:{n:02d}.000000Z\t    8 Query\t{s}\n" for n, s in enumerate(statements))
    where = "p1!/var/log/mysql/general.log"
    records = [r for r in mysql_general.parse(File.of(lines.encode(), where)) if isinstance(r, Event)]
    told = registry.run(database_function, MemoryEvents().put("mysql.general", where, records), Settings())
    return [(f.facts["reason"], f.severity) for f in told]


ATTACKS = (
    ("CREATE FUNCTION sys_eval RETURNS STRING SONAME 'lib_mysqludf_sys.so'", "function", Severity.HIGH),
    ("create aggregate function `do_system` returns integer soname \"raptor_udf2.so\"", "function", Severity.HIGH),
    ("CREATE OR REPLACE FUNCTION hello RETURNS INTEGER SONAME 'xqw.so'", "function", Severity.MEDIUM),
    ("SELECT 0x7f454c46 INTO DUMPFILE '/usr/lib/mysql/plugin/u.so'", "written", Severity.HIGH),
    ("INSERT INTO mysql.func VALUES ('sys_exec', 2, 'u.so', 'function')", "table", Severity.HIGH),
    ("INSTALL PLUGIN x SONAME 'x9.so'", "plugin", Severity.LOW),
)  # fmt: skip


@pytest.mark.parametrize(("statement", "reason", "severity"), ATTACKS)
def test_a_function_of_an_intruders_library_is_told(statement: str, reason: str, severity: Severity) -> None:
    assert functions("SELECT 1", statement) == [(reason, severity)]


HONEST = (
    "CREATE FUNCTION version_tokens_set RETURNS STRING SONAME 'version_token.so'",
    "CREATE FUNCTION fnv1a_64 RETURNS INTEGER SONAME 'libfnv1a_udf.so'",
    "INSTALL PLUGIN rpl_semi_sync_master SONAME 'semisync_master.so'",
    "INSTALL SONAME 'auth_socket'",
    "CREATE FUNCTION total(a INT) RETURNS INT DETERMINISTIC RETURN a + 1",
    "SELECT * FROM mysql.func",
    "SELECT body INTO DUMPFILE '/var/lib/mysql-files/body.bin' FROM t",
    "SELECT 'soname is a word of linkers'",
)


def test_functions_of_the_server_and_stored_ones_are_silent() -> None:
    assert functions(*HONEST) == []


def test_a_library_that_no_package_brought_in_the_plugin_folder_is_told_and_a_server_unpacked_by_hand_is_silent() -> (
    None
):
    folder = "/usr/lib/mysql/plugin"
    system = System().ordinary().owned(f"{folder}/auth_socket.so", "f" * 32).holds(f"{folder}/auth_socket.so", "f" * 32)
    system.holds(f"{folder}/lib_mysqludf_sys.so", "9" * 32).holds("/opt/mysql-8/lib/plugin/rewriter.so", "8" * 32)
    told = [(f.facts["reason"], f.facts["path"]) for f in system.found(database_function)]
    assert told == [("library", f"{folder}/lib_mysqludf_sys.so")]


def test_a_statement_typed_into_the_client_is_told() -> None:
    line = {"command_line": "create function sys_exec returns int soname 'u.so';"}
    events = MemoryEvents().say("linux.history", "p1!/root/.mysql_history", (EventKind.COMMAND_HISTORY, None, line))
    assert [f.severity for f in registry.run(database_function, events, Settings())] == [Severity.HIGH]
