# SPDX-License-Identifier: Apache-2.0
"""An event of a Windows log in the words of its provider, where the item carried them: the text with the event's values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headwater.examine.event_texts import FEED, OWN
from headwater.formats.message_table import fill
from headwater.model.records import own_column
from headwater.procedure.contracts import event_id
from headwater.procedure.corridor import Corridor, store_of
from headwater.procedure.event_texts import LOGS

_LANGUAGES = {"zh": (0x804, 0x404, 0x409, 0), "en": (0x409, 0, 0x804)}
_NUMBERED = 99

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Words:
    """``text`` as filled in; ``source``: the id of the row that has it; the file and its SHA-256; the language's number."""

    text: str
    source: str
    file: str
    hash: str | None
    language: int


class Texts:
    """The texts that a case has, by item, provider and number."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._rows: dict[tuple[int, str, str], list[Mapping[str, Any]]] = {}
        for row in rows:
            self._rows.setdefault((row["source"], row["provider"], row["event_code"]), []).append(row)

    @staticmethod
    def of(corridor: Corridor) -> Texts:
        """All texts of a case."""
        store = store_of(corridor)
        if FEED not in store.feeds():
            return Texts(())
        rows = store.scan(feeds=[FEED], columns=list(OWN)).collect()
        return Texts(rows.sort("source", "path", "ordinal").iter_rows(named=True))

    def __bool__(self) -> bool:
        return bool(self._rows)

    def fields(self) -> list[str]:
        """The columns whose values the texts may want."""
        if not self:
            return []
        named = {n for rows in self._rows.values() for r in rows for n in str(r["inserts"] or "").split("\n") if n}
        numbered = {f"{word}{n}" for word in ("param", "Data_") for n in range(1, 31)}
        more = {"Data", "EventID_Qualifiers", "Version"}
        return sorted(own_column(n) for n in named | numbered | more)

    def say(self, event: Mapping[str, Any], language: str) -> Words | None:
        """An event in words; None where it is of no Windows log or the case has no text for it."""
        if event.get("feed") != LOGS:
            return None
        rows = self._rows.get((event["source"], event["provider"], event["event_code"]), ())
        if not rows:
            return None
        row = min(rows, key=lambda r: (_apart(r, event), _rank(r["language"], language)))
        text = fill(str(row["text"]), _values(row, event))
        place = event_id(row["source"], row["path"], row["offset"], row["ordinal"])
        return Words(text, place, str(row["file_path"]), row["hash"], int(row["language"]))


def _rank(number: int, language: str) -> int:
    order = _LANGUAGES["zh" if language == "both" else language]
    return order.index(number) if number in order else len(order)


def _apart(row: Mapping[str, Any], event: Mapping[str, Any]) -> int:
    """How far a text is from the event: of another version, or other qualifiers."""
    version, stated = row["version"], event.get("Version")
    qualifiers, given = row["qualifiers"], event.get("EventID_Qualifiers")
    return (version is not None and stated is not None and int(version) != int(stated)) + (
        qualifiers is not None and given is not None and int(qualifiers) != int(given)
    )


def _values(row: Mapping[str, Any], event: Mapping[str, Any]) -> Sequence[str | None]:
    """The event's values in the order of the inserts: by the manifest's names, else by number, else the unnamed data."""
    low = {k.lower(): v for k, v in event.items() if v is not None}
    names = str(row["inserts"]).split("\n") if row["inserts"] else []
    if names:
        return [_text(low.get(own_column(n).lower())) if n else None for n in names]
    numbered = [_text(low.get(f"param{n}")) for n in range(1, _NUMBERED)]
    if any(v is not None for v in numbered):
        return numbered
    data = _text(low.get("data"))
    if data is None:
        return []
    if "data_1" not in low:  # one array of texts, a line for each; a single insert takes all lines
        wanted = {int(n) for n in re.findall(r"%([1-9][0-9]?)", str(row["text"]))}
        return [data] if wanted <= {1} else list(data.split("\n"))
    return [data, *(_text(low.get(f"data_{n}")) for n in range(1, _NUMBERED))]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
