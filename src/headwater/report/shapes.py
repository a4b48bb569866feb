# SPDX-License-Identifier: Apache-2.0
"""Values as cells: times in both zones, digests, persons' words, what is not recorded."""

from __future__ import annotations

from collections.abc import Sequence

from headwater.model.gap_phrases import gap_told
from headwater.model.nouns import Text
from headwater.model.times import SECOND
from headwater.report import moments
from headwater.report.blocks import BREAK, Block, Cell, Column, Note, Piece, Row, Table, code, data, said
from headwater.report.words import NONE, UNRECORDED


def given(value: str | Text | None, absent: Text | None = None) -> Cell:
    """A person's or a source's value; None says "not recorded", or why it is absent."""
    if value is None or value == "":
        return (Piece("none", absent),) if absent is not None else (UNRECORDED,)
    return (said(value),) if isinstance(value, Text) else (data(value),)


def detail(recorded: str) -> Cell:
    """What a gap states: in words where they are the program's, else as they stand."""
    said_in = gap_told(recorded)
    return (said(said_in),) if said_in.zh != said_in.en else given(recorded)


def optional(value: str | None) -> Cell:
    """A value that may rightly be missing: a dash where it is."""
    return (data(value),) if value else (NONE,)


def fixed(value: str | None) -> Cell:
    """A digest, path or command in fixed width."""
    return (code(value),) if value else (UNRECORDED,)


def when(ns: int | None, zone: str) -> Cell:
    """UTC, and under it the time in the case's zone."""
    if ns is None:
        return (UNRECORDED,)
    there = moments.local(ns, zone)
    return (code(moments.utc(ns)),) if there is None else (code(moments.utc(ns)), BREAK, code(there))


def exactly(ns: int | None) -> Cell:
    """UTC alone, to the last digit that was recorded."""
    return (UNRECORDED,) if ns is None else (code(moments.utc(ns)),)


def between(first: int | None, last: int | None, zone: str) -> Cell:
    """The first time and, where it differs, the last."""
    if last is None or first == last:
        return when(first, zone)
    return (*when(first, zone), BREAK, code("– "), *when(last, zone))


def briefly(first: int, last: int | None, zone: str) -> Cell:
    """For narrow columns: UTC in full, under it whole seconds in the case's zone, then the end in UTC."""
    there = moments.local(first // SECOND * SECOND, zone)
    found = [code(moments.utc(first)), *((BREAK, code(there)) if there is not None else ())]
    if last is not None and last != first:
        found += [BREAK, code("– " + moments.utc(last))]
    return tuple(found)


def through(first: int | None, last: int | None, zone: str) -> Cell:
    """From when to when in one running line: UTC, then the case's zone in brackets."""
    if first is None:
        return (UNRECORDED,)
    ends = [first] if last is None or last == first else [first, last]
    found: list[Piece] = [code(" – ".join(moments.utc(ns).removesuffix(" UTC") for ns in ends) + " UTC")]
    there = [moments.local(ns, zone) for ns in ends]
    if all(there):
        found.append(code(" (" + " – ".join(map(str, there)) + ")"))
    return tuple(found)


def size(value: int | None) -> Cell:
    """Bytes with thousands separated."""
    return (UNRECORDED,) if value is None else (code(f"{value:,}"),)


def column(zh: str, en: str, share: int, right: bool = False) -> Column:
    return Column(Text(zh, en), share, right)


def table(columns: tuple[Column, ...], rows: Sequence[tuple[Cell, ...]], targets: tuple[str, ...] = ()) -> Table:
    """A table whose rows may be anchors."""
    names = targets or ("",) * len(rows)
    return Table(columns, tuple(Row(cells, name) for cells, name in zip(rows, names, strict=True)))


def capped(whole: Table, limit: int | None) -> list[Block]:
    """The table, or its first rows and a note of how many more the page form of the report has."""
    if limit is None or len(whole.rows) <= limit:
        return [whole]
    return [Table(whole.columns, whole.rows[:limit]), *unprinted(len(whole.rows) - limit)]


def unprinted(missing: int) -> list[Block]:
    """The note on rows that the printed form leaves out; nothing where it leaves out none."""
    if missing <= 0:
        return []
    note = Text(
        f"其余 {missing:,} 行未印出，见本报告的网页版。",
        f"The other {missing:,} rows are not printed; they stand in this report's HTML form.",
    )
    return [Note(note, "small")]
