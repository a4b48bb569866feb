# SPDX-License-Identifier: Apache-2.0
"""The no-tamper examination of an item as the report prints it, from the record that the case holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headwater.model.nouns import Text


@dataclass(frozen=True, slots=True)
class Example:
    path: str
    what: str
    at: str | None
    place: str


@dataclass(frozen=True, slots=True)
class Row:
    """One sign: its layer, its standing in words, the statement, how many it stands for, and some of them."""

    layer: Text
    standing: str
    standing_text: Text
    text: Text
    count: int
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class NoTamper:
    """The examination of one item as it is printed; ``cites``: the ids of its entry and item in a report."""

    number: int
    verdict: str
    conclusion: Text
    t0: str
    source: str
    uncertainty: str
    acquired: str
    operation: Text
    reasons: tuple[Text, ...]
    rows: tuple[Row, ...]
    limits: tuple[Text, ...]
    cites: tuple[str, ...] = ()


def _text(raw: Mapping[str, str]) -> Text:
    return Text(raw["zh"], raw["en"])


def item_of(raw: Mapping[str, Any], cites: Sequence[str] = ()) -> NoTamper:
    """The record of an examination as it is printed."""
    base = raw["baseline"]
    within = base["uncertainty_ns"]
    rows = tuple(
        Row(
            _text(s["layer_text"]), str(s["standing"]), _text(s["standing_text"]), _text(s["text"]), int(s["count"]),
            tuple(
                Example(e["path"], e["what"], e["at"], f"{e['span'][1]} @ {e['span'][2]} + {e['span'][3]}")
                for e in s["examples"]
            ),
        )
        for s in raw["signs"]
    )  # fmt: skip
    return NoTamper(
        int(raw["evidence"]), str(raw["verdict"]), _text(raw["conclusion"]), str(base["t0"]), str(base["source"]),
        "" if within is None else f"±{int(within) / 1e9:g} s", str(raw["acquired"]), _text(raw["operation"]["text"]),
        tuple(_text(t) for t in raw["reasons"]), rows, tuple(_text(t) for t in raw["limits"]), tuple(cites),
    )  # fmt: skip
