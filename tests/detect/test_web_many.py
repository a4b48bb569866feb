# SPDX-License-Identifier: Apache-2.0
"""Thousands of clients of a website are told in bounded number, the strongest first, and none that got in is dropped."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from memory_events import MemoryEvents, at

from headwater.detect import registry, web_many
from headwater.detect.detectors import web_chain, web_command
from headwater.detect.web_attempts import kinds, read
from headwater.detect.web_evidence import Host
from headwater.model.kinds import EventKind, Severity
from headwater.model.ports import Settings

T, SECOND = at("2026-03-03 03:00:00"), 1_000_000_000
SHELL = "/var/www/html/uploads/a.php"


def request(after: int, uri: str, status: int, ip: str, method: str = "GET") -> tuple:
    stem, _, query = uri.partition("?")
    own = {"cs-method": method, "cs-uri-stem": stem, "cs-uri-query": query or None, "sc-status": status}
    return (EventKind.WEB_REQUEST, T + after * SECOND, {"src_ip": ip, "fields": own})


def asked(*requests: tuple) -> MemoryEvents:
    events = MemoryEvents().say("web.access", "/var/log/nginx/access.log", *requests)
    own = {"trait": "exec-of-request", "match": "system($c)", "parameter": "cmd"}
    row = (EventKind.STATE_CONTENT, None, {"file_path": SHELL, "fields": own})
    return events.say("web.script", "p1!" + SHELL, row)


def run(detector: Any, events: MemoryEvents) -> list[Any]:
    return list(registry.run(detector, events, Settings()))


def ip(n: int) -> str:
    return f"203.0.{n >> 8}.{n & 255}"


def test_commands_asked_in_vain_by_many_are_one_finding_beyond_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_command, "TOLD", 2)
    rows = [request(n * 10 + k, "/x.php?cmd=id", 404, ip(n)) for n in range(6) for k in range(1 + n)]
    found = run(web_command, asked(*rows))
    assert [f.src_ip for f in found] == [ip(4), ip(5), None]
    assert (found[-1].facts["clients"], found[-1].facts["requests"]) == (4, 1 + 2 + 3 + 4)
    assert found[-1].severity == Severity.LOW


def test_a_confirmed_command_is_told_among_many_that_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_command, "TOLD", 1)
    rows = [request(n, "/tool.php?cmd=id", 200, ip(n)) for n in range(5)] + [
        request(9, "/uploads/a.php?cmd=id", 200, ip(9))
    ]
    found = run(web_command, asked(*rows))
    assert [(f.src_ip, f.facts["reach"], f.severity) for f in found] == [
        (ip(0), "answered", Severity.MEDIUM), (ip(9), "confirmed", Severity.HIGH), (None, "answered", Severity.MEDIUM),
    ]  # fmt: skip
    assert found[-1].facts["clients"] == 4


def test_confirmed_commands_beyond_the_bound_stay_high_and_cite_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_command, "LOGINS", 1)
    found = run(web_command, asked(*[request(n, "/uploads/a.php?cmd=id", 200, ip(n)) for n in range(4)]))
    assert [f.severity for f in found] == [Severity.HIGH, Severity.HIGH]
    assert found[1].facts["clients"] == 3
    assert any(c.claims.get("trait") == "exec-of-request" for c in found[1].spans)


def test_the_clients_with_most_behind_them_are_worked_out_and_the_others_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = []
    for n in range(12):  # an attempt each; every third then used the planted script
        rows.append(request(n * 100, "/item.php?id=1'%20or%20'1'='1", 200, ip(n)))
        rows.append(request(n * 100 + 5, "/uploads/b.php?cmd=id", 404, ip(n), "POST"))
        if n % 3 == 0:
            rows.append(request(n * 100 + 9, "/uploads/a.php?cmd=id", 200, ip(n)))
    whole = run(web_chain, asked(*rows))
    used = [f for f in whole if f.facts.get("shell_reach") == "confirmed"]
    assert [f.src_ip for f in used] == [ip(n) for n in (0, 3, 6, 9)]
    monkeypatch.setattr(web_many, "MOST", 2)
    found = run(web_chain, asked(*rows))
    rest = [f for f in found if "shell_clients" in f.facts]
    assert [f.src_ip for f in found if f.facts.get("shell_reach") == "confirmed"] == [ip(0), ip(3)]
    assert [f.text for f in found if f.src_ip == ip(0)] == [f.text for f in whole if f.src_ip == ip(0)]
    assert [(f.facts["shell_clients"], f.severity, f.src_ip) for f in rest] == [(2, Severity.HIGH, None)]
    assert {c.claims["src_ip"] for c in rest[0].spans if "src_ip" in c.claims} == {ip(6), ip(9)}


def process(after: int, line: str) -> tuple:
    return (EventKind.PROCESS_CREATE, T + after * SECOND, {"user": "www-data", "command_line": line})


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("sh -c 'id; uname -a'", "id; uname -a"), ("/usr/bin/id", "id"), ("cat   /etc/hostname", "cat /etc/hostname"),
        ("wget http://a/x", "cd /tmp && wget http://a/x > /dev/null 2>&1"), ("id", "id|tee"),
    ],
)  # fmt: skip
def test_a_process_that_a_request_asked_for_is_found_by_its_words_and_its_time(line: str, command: str) -> None:
    rows = [process(n, f"other {n}") for n in range(50)] + [process(70, line), process(9000, line)]
    host = Host(MemoryEvents().say("linux.audit", "/var/log/audit/audit.log", *rows))
    assert [p.rows["command_line"].to_list() for p in host.proofs(T + 60 * SECOND, command, ip(1), ip(1))] == [[line]]
    assert host.proofs(T + 4000 * SECOND, command, ip(1), ip(1)) == []
    assert host.proofs(T + 60 * SECOND, "identify", ip(1), ip(1)) == []


def test_an_error_line_speaks_for_its_own_client_alone() -> None:
    rows = [
        (EventKind.WEB_ERROR, T, {"src_ip": a, "fields": {"message": "sh: 1: wgetx: not found"}}) for a in (ip(1), None)
    ]
    host = Host(MemoryEvents().say("web.error", "/var/log/nginx/error.log", *rows))
    assert len(host.proofs(T, "wgetx http://a", ip(1), ip(7))) == 2
    assert len(host.proofs(T, "wgetx http://a", ip(2), ip(2))) == 1


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("/%24%7BClass.forName%28%22x%22%29%7D/", "template-injection"),
        ("/autodiscover/autodiscover.json?@a.example/mapi/nspi/", "known-exploit"),
        ("/vpn/../vpns/portal/scripts/newbm.pl", "known-exploit"),
        ("/service/extension/backup/mboximport?account-name=admin", "known-exploit"),
        ("/autodiscover/autodiscover.json?Email=", None),
        ("/docs/${project}/class", None),
    ],
)
def test_known_ways_in_are_named_and_honest_paths_are_not(uri: str, kind: str | None) -> None:
    stem, _, query = uri.partition("?")
    columns = {
        "cs-uri-stem": stem,
        "cs-uri-query": query,
        "cs-uri": uri,
        "cs-user-agent": "x",
        "cs-referer": "",
        "body": None,
    }
    assert pl.DataFrame(columns).select(kinds(read())).item().to_list() == ([kind] if kind else [])
