# SPDX-License-Identifier: Apache-2.0
"""Duties (法定义务): deadline clocks and prompts of a case, from one data file that says when each law was checked.

The product gives no legal advice: it reminds, and it records what a person did. Articles are cited only where the text
was read (mark V); else the law is named.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from headwater.model.errors import UsageError
from headwater.model.nouns import Text
from headwater.model.times import SECOND, from_rfc3339, rfc3339

OPERATORS = ("cii", "state", "other")
MATTERS = ("cross-border", "third-party", "criminal")


@dataclass(frozen=True, slots=True)
class Law:
    """One text: ``mark`` V, S or K; ``needs`` is what it asks of the records."""

    id: str
    mark: str
    checked_on: str
    name: Text
    needs: Text


@dataclass(frozen=True, slots=True)
class Clock:
    """A deadline: ``left_ns`` is negative where it has passed; ``done`` is when and how it was met."""

    id: str
    text: Text
    law: Law
    due: str
    left_ns: int
    done: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question that the matter raises, and the answer recorded."""

    id: str
    matter: str
    text: Text
    law: Law
    answer: str = ""


@cache
def _data() -> dict[str, Any]:
    raw: dict[str, Any] = json.loads((Path(__file__).parent / "laws.json").read_bytes())
    return raw


def notice() -> Text:
    """What the table is and is not."""
    return Text(_data()["notice_zh"], _data()["notice_en"])


@cache
def laws() -> Mapping[str, Law]:
    """The law map by id."""
    return {
        raw["id"]: Law(raw["id"], raw["mark"], raw["checked_on"], Text(raw["zh"], raw["en"]),
                       Text(raw["needs_zh"], raw["needs_en"]))
        for raw in _data()["laws"]
    }  # fmt: skip


def identifiers() -> list[str]:
    """The ids of all clocks and prompts."""
    return [raw["id"] for raw in (*_data()["clocks"], *_data()["prompts"])]


def known(value: str, among: Sequence[str]) -> str:
    """The value itself, if it is one of these.

    Raises:
        UsageError: HW1018.
    """
    if value not in among:
        raise UsageError("HW1018", what=value, known=", ".join(among))
    return value


def clocks(known_at: str, operator: str, done: Mapping[str, str], now_ns: int) -> list[Clock]:
    """The deadlines that run since the incident became known, for this kind of operator, soonest first."""
    start = from_rfc3339(known_at)
    found = []
    for raw in _data()["clocks"]:
        if raw["operator"] in {"any", operator}:
            due = start + int(raw["hours"]) * 3600 * SECOND
            text = Text(raw["zh"], raw["en"])
            said = done.get(raw["id"], "")
            found.append(Clock(raw["id"], text, laws()[raw["law"]], rfc3339(due) or "", due - now_ns, said))
    return sorted(found, key=lambda c: c.due)


def prompts(matters: Sequence[str], answers: Mapping[str, str]) -> list[Prompt]:
    """The questions that these matters raise."""
    return [
        Prompt(raw["id"], raw["matter"], Text(raw["zh"], raw["en"]), laws()[raw["law"]], answers.get(raw["id"], ""))
        for raw in _data()["prompts"]
        if raw["matter"] in matters
    ]
