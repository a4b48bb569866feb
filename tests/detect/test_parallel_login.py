# SPDX-License-Identifier: Apache-2.0
"""One account from two places at once is told; moving within a network, inside, or hours apart is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from memory_events import MemoryEvents

from headwater.detect import registry
from headwater.detect.detectors import parallel_login
from headwater.model.kinds import EventKind, Severity
from headwater.model.nouns import Finding
from headwater.model.ports import Settings, Visit
from headwater.model.times import from_rfc3339

LOG = "/var/log/auth.log"
EVERYDAY = Settings()


def login(when: str, ip: str, user: str = "ops") -> tuple:
    return (EventKind.AUTH_SUCCESS, f"2026-03-01 {when}", {"src_ip": ip, "user": user, "fields": {"port": 50022}})


def run(*rows: tuple, settings: Settings = EVERYDAY) -> list[Finding]:
    return list(registry.run(parallel_login, MemoryEvents().say("linux.auth", LOG, *rows), settings))


def test_an_account_used_from_two_places_within_minutes_is_told_with_the_closest_pair() -> None:
    (found,) = run(
        login("01:00:00", "198.51.100.1"),
        login("02:00:00", "198.51.100.1"),
        login("02:20:00", "203.0.113.7"),
        login("02:25:00", "198.51.100.1"),
        login("09:00:00", "203.0.113.7"),
    )
    assert found.severity == Severity.LOW
    assert found.facts["pairs"] == 2
    assert found.facts["seconds"] == 300
    assert "203.0.113.7" in found.text.zh
    assert "02:25:00" in found.text.en
    assert len(found.spans) == 3, "the login of one o'clock and that of nine have no part in it"


@pytest.mark.parametrize(
    "rows",
    [
        (login("02:00:00", "198.51.100.1"), login("02:10:00", "198.51.7.9")),  # the same provider's network
        (login("02:00:00", "198.51.100.1"), login("02:10:00", "10.20.0.8")),  # from inside as well
        (login("02:00:00", "198.51.100.1"), login("02:31:00", "203.0.113.7")),  # time enough for a tunnel or a train
        (login("02:00:00", "198.51.100.1", "li"), login("02:10:00", "203.0.113.7", "wang")),  # two accounts
        (login("02:00:00", "2001:db8:1::1"), login("02:10:00", "2001:db8:9::1")),
    ],
)
def test_what_one_person_or_two_do_every_day_is_nothing(rows: tuple) -> None:
    assert run(*rows) == []


def test_our_own_visit_makes_no_pair() -> None:
    assert run() == []
    rows = login("02:00:00", "198.51.100.1"), login("02:10:00", "203.0.113.7")
    came = from_rfc3339("2026-03-01T02:10:00Z")
    assert run(*rows, settings=replace(EVERYDAY, visits=(Visit("203.0.113.7 50022", came - 1, came + 1),))) == []
    assert len(run(*rows)) == 1


def test_accounts_beyond_the_bound_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel_login, "TOLD", 1)
    rows = [login(f"02:0{n}:00", ip, user) for n, ip in enumerate(("198.51.100.1", "203.0.113.7")) for user in "abc"]
    one, rest = run(*rows)
    assert one.user == "a"
    assert rest.facts == {"pairs": 2, "accounts": 2}
