# SPDX-License-Identifier: Apache-2.0
"""A shell out of a permitted program is told; daily sudo and a colleague's new account are not more than low."""

from __future__ import annotations

import pytest
from memory_events import MemoryEvents, at

from headwater.detect import registry
from headwater.detect.detectors import account_change, sudo_abuse
from headwater.model.kinds import EventKind, Severity
from headwater.model.ports import Settings

LOG = "/var/log/auth.log"
T = "2026-03-03 03:00:00"


def sudo(
    command: str, user: str = "deploy", kind: EventKind = EventKind.PRIVILEGE_USE, process: str = "sudo"
) -> MemoryEvents:
    named = {"user": user, "command_line": command, "process": process, "fields": {"target_user": "root"}}
    return MemoryEvents().say("linux.auth", LOG, (kind, T, named))


def abuse(events: MemoryEvents) -> list:
    return list(registry.run(sudo_abuse, events, Settings()))


@pytest.mark.parametrize(
    "command",
    [
        "/usr/bin/find . -exec /bin/sh -p ; -quit",
        "/usr/bin/vim -c :!/bin/sh",
        '/usr/bin/awk BEGIN {system("/bin/sh")}',
        "/usr/bin/tar -cf /dev/null /dev/null --checkpoint=1 --checkpoint-action=exec=/bin/sh",
        '/usr/bin/python3 -c import os; os.system("/bin/sh")',
        "/usr/bin/env /bin/sh",
        '/usr/bin/perl -e exec "/bin/sh";',
    ],
)
def test_a_shell_through_a_permitted_program_is_high(command: str) -> None:
    (found,) = abuse(sudo(command))
    assert found.severity == Severity.HIGH
    assert found.spans[0].claims["command_line"] == command


@pytest.mark.parametrize(
    "command",
    [
        "/usr/bin/find /var/www -name *.bak -delete",
        "/usr/bin/find /srv -type f -exec chmod 644 {} +",
        "/usr/bin/vim /etc/nginx/nginx.conf",
        "/usr/bin/apt-get update",
        "/usr/bin/tar czf /srv/backup/a.tgz /srv/data",
        "/usr/bin/systemctl restart nginx",
        "/bin/bash",
        "/usr/bin/su -",
        "/usr/bin/less /var/log/syslog",
        "/usr/bin/python3 /opt/ops/report.py",
    ],
)
def test_everyday_sudo_of_a_person_is_nothing(command: str) -> None:
    assert abuse(sudo(command, "alice")) == []


def test_service_accounts_and_refusals() -> None:
    assert abuse(sudo("/bin/bash", "www-data"))[0].severity == Severity.HIGH
    assert abuse(sudo("/usr/bin/id", "www-data"))[0].severity == Severity.MEDIUM
    assert abuse(sudo("list", "alice", EventKind.PRIVILEGE_DENIED))[0].severity == Severity.LOW


def accounts(events: MemoryEvents) -> list:
    return list(registry.run(account_change, events, Settings()))


def made(name: str = "carol", uid: int = 1004, shell: str = "/bin/bash", when: str = T) -> MemoryEvents:
    own = {"target_user": name, "uid": uid, "shell": shell}
    group = {"target_user": name, "group": "sudo"}
    return MemoryEvents().say(
        "linux.auth",
        LOG,
        (EventKind.ACCOUNT_CREATE, when, {"process": "useradd", "fields": own}),
        (EventKind.GROUP_CHANGE, when, {"process": "usermod", "fields": group}),
    )


def test_a_colleague_with_sudo_is_low() -> None:
    (found,) = accounts(made())
    assert found.severity == Severity.LOW
    assert found.user == "carol"


def test_a_packages_own_account_is_nothing() -> None:
    assert accounts(made("_apt", 105, "/usr/sbin/nologin")) == []
    installed = made("postgres", 110).say("linux.dpkg", "/d", (EventKind.PACKAGE_INSTALL, at(T) + 10**9, {}))
    assert accounts(installed) == []


def test_uid_zero_in_the_log_and_on_disk_is_high() -> None:
    (logged,) = accounts(made("sysadm", 0))
    assert logged.severity == Severity.HIGH
    rows = [
        (EventKind.STATE_ACCOUNT, None, {"user": "root", "fields": {"uid": 0, "shell": "/bin/bash"}}),
        (EventKind.STATE_ACCOUNT, None, {"user": "sysadm", "fields": {"uid": 0, "shell": "/bin/bash"}}),
    ]
    events = MemoryEvents().say("linux.passwd", "/etc/passwd", *rows).say("linux.passwd", "/etc/passwd-", *rows)
    (found,) = accounts(events)
    assert (found.severity, found.user) == (Severity.HIGH, "sysadm")
    assert found.spans[0].claims["uid"] == 0


def test_an_empty_password_counts_with_a_shell() -> None:
    events = MemoryEvents().say(
        "linux.passwd",
        "/etc/passwd",
        (EventKind.STATE_ACCOUNT, None, {"user": "guest", "fields": {"uid": 1005, "shell": "/bin/sh"}}),
        (EventKind.STATE_ACCOUNT, None, {"user": "daemon", "fields": {"uid": 1, "shell": "/usr/sbin/nologin"}}),
    )
    empty = {"password_state": "empty"}
    events.say(
        "linux.shadow",
        "/etc/shadow",
        (EventKind.STATE_ACCOUNT, None, {"user": "guest", "fields": empty}),
        (EventKind.STATE_ACCOUNT, None, {"user": "daemon", "fields": empty}),
        (EventKind.STATE_ACCOUNT, None, {"user": "root", "fields": {"password_state": "locked"}}),
    )
    assert {f.user: f.severity for f in accounts(events)} == {"guest": Severity.MEDIUM, "daemon": Severity.LOW}


def test_an_account_made_after_an_entry_is_high_and_cites_the_entry() -> None:
    fails = [(EventKind.AUTH_FAILURE, T, {"src_ip": "203.0.113.7", "user": "root", "method": "password"})] * 20
    login = (EventKind.AUTH_SUCCESS, at(T) + 10**9, {"src_ip": "203.0.113.7", "user": "root", "method": "password"})
    events = made("carol", when="2026-03-03 05:00:00").say("linux.auth", "/var/log/auth.log.1", *fails, login)
    (found,) = accounts(events)
    assert found.severity == Severity.HIGH
    assert any(c.claims.get("kind") == "auth.success" for c in found.spans)
