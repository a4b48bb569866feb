# SPDX-License-Identifier: Apache-2.0
"""Thousands of guessing addresses are counted exactly, told in bounded number, and worked out once."""

from __future__ import annotations

from typing import Any

import pytest
from memory_events import MemoryEvents, at

from headwater.detect import registry
from headwater.detect.detectors import new_address_login, password_spraying, ssh_guessing
from headwater.detect.intrusion import Entries, Entry, after_words, cited, entries
from headwater.model.kinds import EventKind, Severity
from headwater.model.nouns import Citation, Finding, Span
from headwater.model.ports import Settings

FAIL, PASS = EventKind.AUTH_FAILURE, EventKind.AUTH_SUCCESS
START = at("2026-03-01 00:00:00")
SECOND = 1_000_000_000


def attempts(address: str, n: int, first: int = START, user: str | None = "root") -> list[Any]:
    return [
        (FAIL, first + i * SECOND, {"src_ip": address, "user": user or f"u{i}", "method": "password"}) for i in range(n)
    ]


def login(address: str, when: int, user: str = "root") -> tuple[Any, ...]:
    return (PASS, when, {"src_ip": address, "user": user, "method": "password"})


def run(detector: Any, events: MemoryEvents) -> list[Finding]:
    return list(registry.run(detector, events, Settings()))


def test_addresses_beyond_the_bound_are_one_finding_with_exact_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_guessing, "TOLD", 2)
    rows = [r for i in range(5) for r in attempts(f"203.0.113.{i}", 6 + i)]
    found = run(ssh_guessing, MemoryEvents().say("linux.auth", "/var/log/auth.log", *rows))
    assert [(f.src_ip, f.facts["failures"]) for f in found] == [
        ("203.0.113.3", 9),
        ("203.0.113.4", 10),
        (None, 6 + 7 + 8),
    ]
    assert found[-1].facts["addresses"] == 3
    assert found[-1].spans


def test_a_login_is_told_even_where_its_address_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_guessing, "TOLD", 1)
    rows = [*attempts("203.0.113.1", 40), *attempts("203.0.113.2", 12), login("203.0.113.2", START + 60 * SECOND)]
    found = run(ssh_guessing, MemoryEvents().say("linux.auth", "/var/log/auth.log", *rows))
    assert found[-1].rule.id == "ssh-guessing-success"
    assert found[-1].src_ip == "203.0.113.2"
    assert found[-1].facts["failures"] == 12


def test_the_tally_is_what_the_store_counts_again() -> None:
    rows = [*attempts("203.0.113.1", 300), *attempts("203.0.113.2", 7)]
    events = MemoryEvents().say("linux.auth", "/var/log/auth.log", *rows[::2])
    events.say("linux.auth", "/var/log/auth.log.1", *rows[1::2])
    for finding in run(ssh_guessing, events):
        assert finding.tally is not None
        assert finding.tally == events.tally(finding.tally.where)
        assert finding.tally.count == finding.facts["failures"]


def test_logins_after_guessing_beyond_the_bound_are_one_high_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_guessing, "LOGINS", 1)
    rows = [r for n in range(4) for r in attempts(f"203.0.113.{n}", 12 + n)]
    rows += [login(f"203.0.113.{n}", START + (60 + n) * SECOND) for n in range(4)]
    events = MemoryEvents().say("linux.auth", "/var/log/auth.log", *rows)
    entered = [f for f in run(ssh_guessing, events) if f.rule.id == "ssh-guessing-success"]
    assert [(f.src_ip, f.facts.get("failures"), f.facts.get("logins")) for f in entered] == [
        ("203.0.113.3", 15, None),
        (None, None, 3),
    ]
    assert (entered[1].ts_first, entered[1].ts_last) == (START + 60 * SECOND, START + 62 * SECOND)
    assert entered[1].severity == Severity.HIGH
    assert len(entered[1].spans) == 3
    assert len(entries(events, Settings()).of(1)) == 2


def test_logins_after_spraying_beyond_the_bound_are_one_high_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(password_spraying, "LOGINS", 1)
    rows = [r for n in range(3) for r in attempts(f"203.0.113.{n}", 10 - n, user=None)]
    rows += [login(f"203.0.113.{n}", START + 60 * SECOND, "u3") for n in range(3)]
    found = run(password_spraying, MemoryEvents().say("linux.auth", "/var/log/auth.log", *rows))
    told, rest = [f for f in found if f.rule.id == "password-spraying-success"]
    assert told.src_ip == "203.0.113.0"
    assert (rest.src_ip, rest.facts["addresses"], rest.facts["logins"], rest.severity) == (None, 2, 2, Severity.HIGH)


def test_spraying_beyond_the_bound_keeps_its_logins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(password_spraying, "TOLD", 1)
    rows = [r for i in range(3) for r in attempts(f"203.0.113.{i}", 10 - i, user=None)]
    rows.append(login("203.0.113.2", START + 60 * SECOND, "u3"))
    one, rest, success = run(password_spraying, MemoryEvents().say("linux.auth", "/var/log/auth.log", *rows))
    assert one.facts["accounts"] == 10
    assert rest.facts["addresses"] == 2
    assert rest.facts["failures"] == 9 + 8
    assert success.severity == Severity.HIGH
    assert success.src_ip == "203.0.113.2"


def test_new_addresses_beyond_the_bound_keep_those_that_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new_address_login, "TOLD", 1)
    night = at("2026-03-02 02:00:00")
    rows = [login("198.51.100.1", START + 12 * 3600 * SECOND), *attempts("203.0.113.3", 6)]
    rows += [login(f"203.0.113.{i}", night + i * SECOND) for i in range(1, 5)]
    told, rest = run(new_address_login, MemoryEvents().say("linux.auth", "/var/log/auth.log", *rows))
    assert told.src_ip == "203.0.113.3"
    assert told.facts["failures"] == 6
    assert rest.facts["logins"] == 3


def test_what_several_detectors_need_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    events = MemoryEvents().say(
        "linux.auth", "/a", *attempts("203.0.113.1", 30), login("203.0.113.1", START + 60 * SECOND)
    )
    calls = []
    real = ssh_guessing.detect
    monkeypatch.setattr(ssh_guessing, "detect", lambda e, s: calls.append(1) or real(e, s))
    assert [e.src_ip for e in entries(events, Settings()).of(1)] == ["203.0.113.1"]
    entries(events, Settings())
    run(ssh_guessing, events)
    assert len(calls) == 1
    entries(events, Settings(zone="Asia/Shanghai"))
    assert len(calls) == 2


def test_many_entries_are_found_by_time_and_named_briefly() -> None:
    spans = (Citation(Span(1, "/a", 0, 1), 1, {}),)
    hour = 3600 * SECOND
    held = Entries([Entry(1, i * hour, i * hour + 1, f"203.0.113.{i}", "root", spans) for i in range(48)])
    assert len(held.covered(1)) == 1
    assert held.before(2, hour) == ()
    assert held.before(1, 200 * hour) == ()
    assert held.before(1, None) == ()
    near = held.before(1, 30 * hour)
    assert [e.src_ip for e in near] == [f"203.0.113.{i}" for i in range(6, 31)]
    zh, en = after_words(near)
    assert "203.0.113.10 等 25 个" in zh
    assert "and 20 more" in en
    assert len(cited(near)) == 20
