# SPDX-License-Identifier: Apache-2.0
"""Guessing is counted exactly and once; a login after it is told, a mistyping administrator is not."""

from __future__ import annotations

from memory_events import MemoryEvents, at

from headwater.detect import registry
from headwater.detect.detectors import ssh_guessing
from headwater.model.kinds import EventKind, Severity
from headwater.model.ports import Settings

FAIL, PASS, PROBE = EventKind.AUTH_FAILURE, EventKind.AUTH_SUCCESS, EventKind.AUTH_PROBE
BAD = "203.0.113.7"


def failures(n: int, start: str, ip: str = BAD, user: str = "root") -> list:
    first = at(start)
    return [
        (FAIL, first + i * 2_000_000_000, {"src_ip": ip, "user": user, "outcome": "failure", "method": "password"})
        for i in range(n)
    ]


def run(events: MemoryEvents) -> list:
    return list(registry.run(ssh_guessing, events, Settings()))


def test_guessing_is_counted_exactly_and_probes_are_not_attempts() -> None:
    probes = [(PROBE, "2026-03-01 02:00:00", {"src_ip": BAD, "user": "root"})] * 7
    events = MemoryEvents().say("linux.auth", "p1!/var/log/auth.log", *failures(37, "2026-03-01 02:00:00"), *probes)
    (found,) = run(events)
    assert found.facts["failures"] == 37
    assert found.tally is not None
    assert found.tally.count == 37
    assert found.severity == Severity.LOW
    assert found.src_ip == BAD
    assert found.id.startswith("F-")
    assert all(c.claims["src_ip"] == BAD for c in found.spans)


def test_the_same_attempts_in_two_logs_count_once() -> None:
    same = failures(20, "2026-03-01 02:00:00")
    events = MemoryEvents().say("linux.auth", "/var/log/auth.log", *same)
    events.say("linux.btmp", "/var/log/btmp", *same[:19])
    (found,) = run(events)
    assert found.facts["failures"] == 20
    assert found.facts["feed"] == "linux.auth"


def test_a_login_after_guessing_is_high_and_cites_both() -> None:
    login = (PASS, "2026-03-01 02:10:00", {"src_ip": BAD, "user": "root", "method": "password", "host": "web01"})
    events = MemoryEvents().say("linux.auth", "/var/log/auth.log", *failures(30, "2026-03-01 02:00:00"), login)
    guess, success = run(events)
    assert guess.rule.id == "ssh-guessing"
    assert success.severity == Severity.HIGH
    assert success.facts["failures"] == 30
    assert success.user == "root"
    assert {c.claims["kind"] for c in success.spans} == {"auth.failure", "auth.success"}


def test_an_administrator_who_mistypes_is_nothing() -> None:
    login = (PASS, "2026-03-01 09:01:00", {"src_ip": "198.51.100.20", "user": "ops", "method": "password"})
    events = MemoryEvents().say(
        "linux.auth", "/var/log/auth.log", *failures(3, "2026-03-01 09:00:00", "198.51.100.20", "ops"), login
    )
    assert run(events) == []


def test_a_gateway_with_a_failure_a_day_between_logins_is_at_most_low() -> None:
    days = []
    for day in range(1, 29):
        days += failures(2, f"2026-02-{day:02d} 09:00:00", "198.51.100.20", "ops")
        days.append(
            (PASS, f"2026-02-{day:02d} 09:01:00", {"src_ip": "198.51.100.20", "user": "ops", "method": "password"})
        )
    found = run(MemoryEvents().say("linux.auth", "/var/log/auth.log", *days))
    assert all(f.severity == Severity.LOW for f in found)


def test_nothing_happens_without_events() -> None:
    assert run(MemoryEvents()) == []
