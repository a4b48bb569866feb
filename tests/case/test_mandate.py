# SPDX-License-Identifier: Apache-2.0
"""An act outside the mandate that nobody noticed, and one within it that was refused."""

from __future__ import annotations

import pytest

from headwater.case.mandate import Mandate, checked, objections, permit, target
from headwater.model.errors import AuthorityError, UsageError
from headwater.model.times import from_rfc3339

NOW = from_rfc3339("2026-03-02T12:00:00Z")
MANDATE = Mandate(
    targets=(("host", "web01.example.org"), ("machine-id", "0123456789abcdef0123456789abcdef"), ("serial", "S3Z1")),
    valid_from="2026-03-01",
    valid_until="2026-03-02",
)


def _results(*said: tuple[str, str], now: int = NOW) -> list[str]:
    return [o.result for o in objections(MANDATE, said, now)]


def test_same_machine_under_its_short_name_is_within() -> None:
    assert _results(("host", "web01")) == []
    assert _results(("host", "WEB01.example.org")) == []
    assert _results(("machine-id", "01234567-89ab-cdef-0123-456789abcdef")) == []


def test_another_machine_is_outside() -> None:
    assert _results(("host", "web02")) == ["outside"]
    assert _results(("host", "web01.other.org")) == ["outside"]
    assert _results(("host", "web01"), ("serial", "S3Z2")) == ["outside"]


def test_evidence_that_names_itself_in_no_comparable_way_is_said_not_assumed() -> None:
    assert _results(("address", "192.0.2.1")) == ["not-comparable"]
    assert _results(("host", " ")) == ["not-comparable"]
    assert permit(objections(MANDATE, [], NOW), None)[0]["result"] == "not-comparable"


def test_last_day_counts_whole_and_the_next_does_not() -> None:
    assert _results(("host", "web01"), now=from_rfc3339("2026-03-02T23:59:59.999Z")) == []
    assert _results(("host", "web01"), now=from_rfc3339("2026-03-03T00:00:00Z")) == ["outside"]
    assert _results(("host", "web01"), now=from_rfc3339("2026-02-28T23:59:59Z")) == ["outside"]


def test_override_needs_words() -> None:
    found = objections(MANDATE, [("host", "db07")], NOW)
    for nothing in (None, "", "  "):
        with pytest.raises(AuthorityError) as caught:
            permit(found, nothing)
        assert caught.value.code == "HW1013"
    assert permit(found, "检察官同意")[0]["result"] == "outside"


def test_nonsense_is_refused() -> None:
    for text in ("host", "host=", "name=web01"):
        with pytest.raises(UsageError):
            target(text)
    with pytest.raises(UsageError):
        checked(Mandate(valid_from="soon"))
    with pytest.raises(UsageError):
        checked(Mandate(valid_from="2026-03-02", valid_until="2026-03-01"))
