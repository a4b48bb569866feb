# SPDX-License-Identifier: Apache-2.0
"""One account at two ends of the world within the hour is told with its speed and its table; travellers and offices are not."""

from __future__ import annotations

from memory_events import MemoryEvents

from headwater.detect import registry
from headwater.detect.detectors import impossible_login, parallel_login
from headwater.detect.detectors.impossible_login import distance
from headwater.model.kinds import EventKind, Severity
from headwater.model.nouns import Finding
from headwater.model.ports import Place, Settings

SHANGHAI = Place("CN", 31222200, 121458000, "Shanghai", "city.csv", "a" * 64)
BEIJING = Place("CN", 39904200, 116407400, "Beijing", "city.csv", "a" * 64)
FRANKFURT = Place("DE", 50110900, 8682100, "Frankfurt", "city.csv", "a" * 64)
PLACES = {"203.0.113.5": SHANGHAI, "198.51.100.7": FRANKFURT, "192.0.2.9": BEIJING}


def found(
    *logins: tuple[str, str, str], places: dict[str, Place] | None = None, rule: object = impossible_login
) -> list[Finding]:
    events = MemoryEvents().say(
        "linux.auth", "p1!/var/log/auth.log",
        *[(EventKind.AUTH_SUCCESS, when, {"user": user, "src_ip": address, "method": "password"}) for when, user, address in logins],
    )  # fmt: skip
    return list(registry.run(rule, events, Settings(places=PLACES if places is None else places)))  # type: ignore[arg-type]


def test_the_distance_is_that_of_the_globe() -> None:
    assert 8800 < (distance(SHANGHAI, FRANKFURT) or 0) < 8900
    assert distance(SHANGHAI, SHANGHAI) == 0
    assert distance(Place("A", 0, 179_000_000), Place("B", 0, -179_000_000)) == 222  # across the date line
    assert distance(SHANGHAI, Place("DE")) is None


def test_two_ends_of_the_world_within_the_hour_are_told_with_speed_places_and_table() -> None:
    told = found(("2026-03-02 03:00:00", "li", "203.0.113.5"), ("2026-03-02 04:00:00", "li", "198.51.100.7"))
    assert [(f.severity, f.facts["km"], f.facts["km_h"], f.facts["pairs"], f.facts["countries"]) for f in told] == [
        (Severity.MEDIUM, distance(SHANGHAI, FRANKFURT), distance(SHANGHAI, FRANKFURT), 1, "CN,DE")
    ]
    assert told[0].facts["table_sha256"] == "a" * 64
    assert len(told[0].spans) == 2
    for word in ("Shanghai", "Frankfurt", "km/h", "city.csv", "a" * 64, "VPN"):
        assert word in told[0].text.en
    assert "公里" in told[0].text.zh


def test_a_flight_a_near_town_another_account_and_an_unknown_address_are_no_such_thing() -> None:
    assert found(("2026-03-02 03:00:00", "li", "203.0.113.5"), ("2026-03-02 15:00:00", "li", "198.51.100.7")) == []
    assert (
        found(("2026-03-02 03:00:00", "li", "203.0.113.5"), ("2026-03-02 05:00:00", "li", "192.0.2.9")) == []
    )  # two hours to Beijing
    assert found(("2026-03-02 03:00:00", "li", "203.0.113.5"), ("2026-03-02 03:01:00", "wu", "198.51.100.7")) == []
    assert found(("2026-03-02 03:00:00", "li", "203.0.113.5"), ("2026-03-02 03:01:00", "li", "198.51.100.99")) == []
    assert (
        found(("2026-03-02 03:00:00", "li", "203.0.113.5"), ("2026-03-02 03:01:00", "li", "198.51.100.7"), places={})
        == []
    )
    near = {"203.0.113.5": SHANGHAI, "198.51.100.7": Place("CN", 31300000, 120600000, "Suzhou")}
    assert (
        found(("2026-03-02 03:00:00", "li", "203.0.113.5"), ("2026-03-02 03:00:01", "li", "198.51.100.7"), places=near)
        == []
    )


def test_countries_alone_count_within_three_hours_and_stay_low() -> None:
    places = {
        "203.0.113.5": Place("CN", table="c.csv"),
        "198.51.100.7": Place("DE", table="c.csv"),
        "192.0.2.9": Place("CN", table="c.csv"),
    }
    told = found(
        ("2026-03-02 03:00:00", "li", "203.0.113.5"), ("2026-03-02 04:00:00", "li", "198.51.100.7"), places=places
    )
    assert [(f.severity, f.facts["km"], f.facts["countries"]) for f in told] == [(Severity.LOW, 0, "CN,DE")]
    assert (
        found(
            ("2026-03-02 03:00:00", "li", "203.0.113.5"), ("2026-03-02 07:00:00", "li", "198.51.100.7"), places=places
        )
        == []
    )
    assert (
        found(("2026-03-02 03:00:00", "li", "203.0.113.5"), ("2026-03-02 03:10:00", "li", "192.0.2.9"), places=places)
        == []
    )


def test_a_pair_whose_places_are_known_is_told_once() -> None:
    pair = ("2026-03-02 03:00:00", "li", "203.0.113.5"), ("2026-03-02 03:10:00", "li", "198.51.100.7")
    assert found(*pair, rule=parallel_login) == []
    assert len(found(*pair, rule=parallel_login, places={"203.0.113.5": SHANGHAI})) == 1


def test_hundreds_of_accounts_are_bounded() -> None:
    logins = []
    for n in range(260):
        logins += [
            ("2026-03-02 03:00:00", f"u{n:03}", "203.0.113.5"),
            ("2026-03-02 03:30:00", f"u{n:03}", "198.51.100.7"),
        ]
    told = found(*logins)
    assert len(told) < 260
    assert told[-1].facts["accounts"] == 260 - len(told) + 1
