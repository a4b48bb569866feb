# SPDX-License-Identifier: Apache-2.0
"""Texts of Windows events out of the programs and libraries that carry them; feed ``windows.eventtext``, one row for each.

A row says of one provider and event number what its text is in one language, where ``%1`` … stand for the event's values
(``inserts``: their names in that order, a line for each, where a manifest names them), and stands on the text's bytes in
the file that has it. Only what the case's event logs ask for is read. Ordinals count from :data:`TEXT` in each file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from headwater.examine.batch import HEAD_SCHEMA, printable
from headwater.formats.message_table import MANIFEST, NONE, Described, Message, manifest, messages
from headwater.formats.pe_resources import MESSAGE_TABLE, Resource, resources
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.ports import ByteSource

FEED = "windows.eventtext"
VERSION = 1
TEXT = 1 << 34
_RESOURCE_MOST = 64 << 20
ROWS_MOST = 50_000
OWN: dict[str, Any] = {
    "text": pl.String, "inserts": pl.String, "language": pl.Int64, "message_number": pl.Int64, "version": pl.Int64,
    "qualifiers": pl.Int64,
}  # fmt: skip
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """What the logs have of one provider: event numbers with their qualifiers, and the files that may carry their texts."""

    provider: str
    guid: str
    events: tuple[tuple[int, int | None], ...]
    files: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Wanted:
    ask: Ask
    code: int
    qualifiers: int | None
    described: Described | None


class Carrier:
    """One file that may carry texts; a resource is read when it is asked for and not kept."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._manifests: Mapping[str, tuple[Described, ...]] | None = None

    def _resources(self, kind: int | str) -> Iterator[tuple[Resource, bytes]]:
        for each in resources(self._source.pread, self._source.size, kind):
            if each.length <= _RESOURCE_MOST:
                yield each, self._source.pread(each.offset, each.length)

    def manifests(self) -> Mapping[str, tuple[Described, ...]]:
        """What its manifests describe, by provider."""
        if self._manifests is None:
            found: dict[str, tuple[Described, ...]] = {}
            for _, data in self._resources(MANIFEST):
                found |= manifest(data)
            self._manifests = found
        return self._manifests

    def texts(self, wanted: Sequence[int]) -> Iterator[tuple[int, int, Message]]:
        """Language, place of the table in the file, text."""
        asked = frozenset(wanted)
        for each, data in self._resources(MESSAGE_TABLE):
            for message in messages(data, asked):
                yield each.language, each.offset, message


def describe(asks: Sequence[Ask], sources: Sequence[ByteSource]) -> list[list[Row]]:
    """The rows of each file, in the order of the files; at most 50,000 together."""
    carriers = [Carrier(source) for source in sources]
    by_file: dict[int, dict[int, list[_Wanted]]] = {}
    for ask in asks:
        described: dict[int, list[Described]] = {}
        for number in ask.files:
            for event in carriers[number].manifests().get(ask.guid, ()) if ask.guid else ():
                described.setdefault(event.number, []).append(event)
        for code, qualifiers in ask.events:
            for one, text_number in _numbers(ask, code, qualifiers, described.get(code, ())):
                for number in ask.files:
                    by_file.setdefault(number, {}).setdefault(text_number, []).append(one)
    rows: list[list[Row]] = [[] for _ in sources]
    left = ROWS_MOST
    for number, asked in sorted(by_file.items()):
        for language, offset, message in carriers[number].texts(sorted(asked)):
            for wanted in asked[message.number][:left]:
                left -= 1
                rows[number].append(_row(wanted, language, offset, message, len(rows[number])))
    return rows


def _numbers(
    ask: Ask, code: int, qualifiers: int | None, described: Sequence[Described]
) -> Iterator[tuple[_Wanted, int]]:
    """The numbers under which the text may stand: the manifest's, else the event's own with its qualifiers."""
    told = [d for d in described if d.message != NONE]
    for event in told:
        yield _Wanted(ask, code, qualifiers, event), event.message
    if not told:
        yield _Wanted(ask, code, qualifiers, None), (qualifiers or 0) << 16 | code


def _row(wanted: _Wanted, language: int, offset: int, message: Message, index: int) -> Row:
    described = wanted.described
    return {
        "offset": offset + message.at, "length": message.length, "ordinal": TEXT + index,
        "provider": wanted.ask.provider, "event_code": str(wanted.code), "text": printable(message.text),
        "inserts": printable("\n".join(described.fields)) if described and described.fields else None,
        "language": language, "message_number": message.number, "version": described.version if described else None,
        "qualifiers": wanted.qualifiers,
    }  # fmt: skip


def frame(rows: Sequence[Row], paths: Sequence[str]) -> pl.DataFrame:
    """Rows of :func:`describe`, each with ``file_path`` and ``hash``, as events; ``paths`` with their layers."""
    fixed = {"t_basis": str(TimeBasis.NONE), "t_kind": "state", "kind": str(EventKind.STATE_EVENT_TEXT)}
    columns: dict[str, pl.Series] = {}
    for name, dtype in {**HEAD_SCHEMA, **OWN}.items():
        columns[name] = pl.Series(name, [fixed.get(name, row.get(name)) for row in rows], dtype=dtype)
    return pl.DataFrame(columns).with_columns(pl.Series("path", paths, dtype=pl.String))
