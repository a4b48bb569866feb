# SPDX-License-Identifier: Apache-2.0
"""A night login from a new address is told; commuting administrators and a lone mistyper are not more than low."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
from memory_events import MemoryEvents, at

from headwater.detect import registry
from headwater.detect.detectors import new_address_login, password_spraying
from headwater.model.kinds import EventKind, Severity
from headwater.model.ports import Settings, Visit
from headwater.model.times import from_rfc3339

FAIL, PASS = EventKind.AUTH_FAILURE, EventKind.AUTH_SUCCESS
LOG = "/var/log/auth.log"
SHANGHAI = Settings(zone="Asia/Shanghai", usual_hours=(7, 22))


def login(when: str, ip: str, user: str = "ops", kind: EventKind = PASS, method: str = "password") -> tuple:
    return (kind, when, {"src_ip": ip, "user": user, "method": method})


def new(events: MemoryEvents, settings: Settings = SHANGHAI) -> list:
    return list(registry.run(new_address_login, events, settings))


def test_a_new_address_at_night_by_the_zone_of_the_case() -> None:
    usual = login("2026-03-01 02:00:00", "198.51.100.1")  # ten in the morning in Shanghai
    night = login("2026-03-02 19:30:00", "203.0.113.7")  # half past three at night there
    (found,) = new(MemoryEvents().say("linux.auth", LOG, usual, night))
    assert found.severity == Severity.LOW
    assert found.facts["local_hour"] == 3
    assert "2026-03-03 03:30:00" in found.text.zh
    assert new(MemoryEvents().say("linux.auth", LOG, usual, night), Settings(zone="UTC", usual_hours=(7, 22))) == []


def test_login_of_our_own_by_night_is_not_the_intruders_and_another_from_there_is_told() -> None:
    usual = login("2026-03-01 02:00:00", "198.51.100.1")
    ours = login("2026-03-02 19:30:00", "203.0.113.7")
    ours[2]["fields"] = {"port": 51122}
    came = from_rfc3339("2026-03-02T19:30:00Z")
    settings = replace(SHANGHAI, visits=(Visit("203.0.113.7 51122", came - 1, came + 1),))
    assert new(MemoryEvents().say("linux.auth", LOG, usual, ours), settings) == []
    late = replace(SHANGHAI, visits=(Visit("203.0.113.7 51122", came + 1, came + 2),))
    assert len(new(MemoryEvents().say("linux.auth", LOG, usual, ours), late)) == 1, "the same port at another time"
    other = login("2026-03-02 19:40:00", "203.0.113.7")
    other[2]["fields"] = {"port": 51199}
    (found,) = new(MemoryEvents().say("linux.auth", LOG, usual, ours, other), settings)
    assert "03:40:00" in found.text.zh
    assert len(new(MemoryEvents().say("linux.auth", LOG, usual, ours))) == 1


def test_an_address_that_had_guessed_makes_it_medium() -> None:
    usual = login("2026-03-01 02:00:00", "198.51.100.1")
    tries = [login("2026-03-02 19:00:00", "203.0.113.7", "root", FAIL)] * 6
    night = login("2026-03-02 19:30:00", "203.0.113.7")
    (found,) = new(MemoryEvents().say("linux.auth", LOG, usual, *tries, night))
    assert found.severity == Severity.MEDIUM
    assert found.facts["failures"] == 6


def test_known_inside_or_first_addresses_are_nothing() -> None:
    events = MemoryEvents().say(
        "linux.auth",
        LOG,
        login("2026-03-01 19:00:00", "198.51.100.1"),
        login("2026-03-02 19:00:00", "198.51.100.1"),
        login("2026-03-03 19:00:00", "10.20.0.21"),
        login("2026-03-03 02:00:00", "198.51.100.9"),
    )
    assert new(events) == []


def test_wtmp_serves_only_where_there_is_no_authentication_log() -> None:
    sessions = [
        (EventKind.SESSION_OPEN, "2026-03-01 02:00:00", {"src_ip": "198.51.100.1", "user": "ops"}),
        (EventKind.SESSION_OPEN, "2026-03-02 19:00:00", {"src_ip": "203.0.113.7", "user": "ops"}),
    ]
    assert len(new(MemoryEvents().say("linux.wtmp", "/var/log/wtmp", *sessions))) == 1
    both = MemoryEvents().say("linux.wtmp", "/var/log/wtmp", *sessions)
    both.say("linux.auth", LOG, login("2026-03-01 02:00:00", "198.51.100.1"))
    assert new(both) == []


def spray(events: MemoryEvents) -> list:
    return list(registry.run(password_spraying, events, Settings()))


def test_many_accounts_a_few_times_each_and_a_login_after() -> None:
    tries = [login("2026-03-01 02:00:00", "203.0.113.7", f"user{n}", FAIL) for n in range(12)]
    (low,) = spray(MemoryEvents().say("linux.auth", LOG, *tries))
    assert (low.severity, low.facts["accounts"]) == (Severity.LOW, 12)
    won = login("2026-03-01 02:20:00", "203.0.113.7", "user7")
    _, high = spray(MemoryEvents().say("linux.auth", LOG, *tries, won))
    assert high.severity == Severity.HIGH
    assert high.user == "user7"


def test_a_key_login_or_one_next_day_is_no_success_of_spraying() -> None:
    tries = [login("2026-03-01 02:00:00", "203.0.113.7", f"user{n}", FAIL) for n in range(12)]
    late = login("2026-03-02 02:20:00", "203.0.113.7", "user7")
    key = login("2026-03-01 02:20:00", "203.0.113.7", "user7", method="publickey")
    assert len(spray(MemoryEvents().say("linux.auth", LOG, *tries, late, key))) == 1


def test_one_account_many_times_is_guessing_not_spraying() -> None:
    tries = [login("2026-03-01 02:00:00", "203.0.113.7", "root", FAIL)] * 50
    assert spray(MemoryEvents().say("linux.auth", LOG, *tries)) == []
    assert at("2026-03-01 00:00:00") > 0


def test_a_container_s_login_is_judged_by_the_container_s_own_zone() -> None:
    usual = login("2026-03-01 02:00:00", "198.51.100.1")
    night = login("2026-03-02 19:30:00", "203.0.113.7")  # night in Shanghai, evening in UTC
    settings = Settings(zone="Asia/Shanghai", usual_hours=(7, 22), zones={"1": "Asia/Shanghai", "1.c1": "UTC"})
    for clock, told in (("1", 1), ("1.c1", 0)):
        events = MemoryEvents().say("linux.auth", LOG, usual, night)
        events.frames["linux.auth"] = events.frames["linux.auth"].with_columns(pl.lit(clock).alias("clock"))
        assert len(new(events, settings)) == told
    # what the host knows, the container need not know: the first address of an account is each system's own
    host, inside = (
        MemoryEvents().say("linux.auth", LOG, usual),
        MemoryEvents().say("linux.auth", "container.a!" + LOG, night),
    )
    inside.frames["linux.auth"] = inside.frames["linux.auth"].with_columns(pl.lit("1.c1").alias("clock"))
    assert new(host.put_frame("linux.auth", inside.frames["linux.auth"]), settings) == []
