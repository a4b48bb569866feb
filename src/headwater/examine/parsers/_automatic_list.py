# SPDX-License-Identifier: Apache-2.0
"""Automatic jump lists, which Windows keeps: the list's entries, their links, and links in sectors that nothing holds any more."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field

from headwater.examine.parsers._shortcuts import events
from headwater.formats import destination_list, shell_link
from headwater.formats.compound_file import Claimed, Compound, Content, Entry, NotCompound, open_compound
from headwater.formats.destination_list import Destination
from headwater.formats.registry_layout import nanoseconds
from headwater.model.kinds import EventKind, GapReason, TimeBasis
from headwater.model.records import Count, Event, Gap, Record, Value

_LIST = "DestList"
_STREAM_MOST = 1 << 24
_LINKS_MOST = 10_000
_CARVED_MOST = 1 << 16  # bytes of a link outside the streams
_DIRECTORY_ENTRY = 128


@dataclass(slots=True)
class _Tally:
    declared: int = 0
    lost: int = 0
    used: int = 0
    held: list[tuple[int, int]] = field(default_factory=list)

    def take(self, event: Event) -> Event:
        self.declared += 1
        self.used += event.length
        return event


def records(data: bytes, user: str | None, more: Mapping[str, Value]) -> Iterator[Record]:
    """Events in the counted form: entries of the list, links of its streams, links found outside any stream."""
    try:
        compound = open_compound(lambda at, n: data[at : at + n], len(data))
    except NotCompound as error:
        yield Gap(0, len(data), GapReason.NOT_THIS_FORMAT, str(error))
        return
    tally = _Tally()
    contents = [(entry, compound.read(entry, _STREAM_MOST)) for entry in compound.streams()]
    listed = yield from _listed(compound, contents, user, more, tally)
    for entry, content in contents:
        if entry.name != _LIST:
            yield from _link(entry, content, user, {**more, **listed.get(entry.name.lower(), _unlisted(entry))}, tally)
        tally.held += content.pieces
    yield from _remains(data, Claimed.of(iter(tally.held)), user, more, tally)
    for offset, length, why in compound.faults:
        yield Gap(min(offset, len(data)), min(length, max(0, len(data) - offset)), GapReason.NOT_THIS_FORMAT, why)
    yield Count(tally.declared, tally.lost, max(0, len(data) - tally.used))


def _unlisted(entry: Entry) -> dict[str, Value]:
    return {"entry": entry.name, "state": "not in the list any more"}


def _listed(
    compound: Compound,
    contents: list[tuple[Entry, Content]],
    user: str | None,
    more: Mapping[str, Value],
    tally: _Tally,
) -> Generator[Record, None, dict[str, dict[str, Value]]]:
    """The list's entries; returns by the stream's name what its link is to say of the entry."""
    names = {entry.name.lower() for entry, _ in contents}
    found: dict[str, dict[str, Value]] = {}
    for entry, content in contents:
        if entry.name != _LIST:
            continue
        head = destination_list.header(content.data)
        if head is None:
            if entry.size:
                yield _fault(entry, f"{_LIST}: {content.fault or 'no header of a list of a known version'}")
            continue
        at, rows = destination_list.HEAD, 0
        for row in destination_list.destinations(content.data, head.version):
            at, rows = row.at + row.length, rows + 1
            name = f"{row.number:x}"
            found[name] = {"entry": name}
            yield tally.take(
                _entry_event(row, content, user, {**more, "linked": name in names, "version": head.version})
            )
        left = len(content.data) - at
        if rows < head.entries or content.fault or left:
            missing = max(0, head.entries - rows)
            tally.declared, tally.lost = tally.declared + missing, tally.lost + missing
            why = content.fault or f"{left} bytes behind its last entry"
            yield _fault(entry, f"{_LIST} counts {head.entries} entries and has {rows}: {why}")
    return found


def _fault(entry: Entry, why: str) -> Gap:
    return Gap(entry.offset, _DIRECTORY_ENTRY, GapReason.NOT_THIS_FORMAT, why)


def _entry_event(row: Destination, content: Content, user: str | None, more: Mapping[str, Value]) -> Event:
    """When the user last had the target through this program, and what the list keeps of it."""
    places = content.places(row.at, row.length)
    when = nanoseconds(row.used)
    fields: dict[str, Value] = {
        **more, "entry": f"{row.number:x}", "machine": row.machine or None, "pinned": row.pinned is not None,
        "pin_rank": row.pinned, "count": row.count, "score": round(row.score, 4) if row.score == row.score else None,
        **(shell_link.tracked(row.droid, row.birth or bytes(32)) if row.droid else {}),
        **_further(places),
    }  # fmt: skip
    return Event(
        *places[0], EventKind.USER_ACTIVITY, when, TimeBasis.NONE if when is None else TimeBasis.UTC, "used",
        user=user, file_path=row.path or None, fields={k: v for k, v in fields.items() if v is not None},
    )  # fmt: skip


def _further(places: tuple[tuple[int, int], ...]) -> dict[str, Value]:
    """Where the rest of something stands whose sectors do not follow each other."""
    return {"further": ", ".join(f"{at}+{size}" for at, size in places[1:])} if len(places) > 1 else {}


def _link(
    entry: Entry, content: Content, user: str | None, more: Mapping[str, Value], tally: _Tally
) -> Iterator[Record]:
    link = shell_link.read(content.data)
    if link is None:
        if entry.size:
            tally.declared, tally.lost = tally.declared + 1, tally.lost + 1
            yield _fault(entry, f"stream {entry.name!r}: {content.fault or 'no link'}")
        return
    places = content.places(0, max(link.end, 1))
    first, *rest = events(link, *places[0], EventKind.USER_ACTIVITY, user, {**more, **_further(places)})
    yield tally.take(first)
    yield from rest
    if content.fault:
        yield _fault(entry, f"stream {entry.name!r}: {content.fault}")


def _remains(
    data: bytes, held: Claimed, user: str | None, more: Mapping[str, Value], tally: _Tally
) -> Iterator[Record]:
    """Links in sectors, and ends of sectors, that no stream holds: what stood in the list before."""
    at = 0
    for _ in range(_LINKS_MOST):
        at = data.find(shell_link.MAGIC, at)
        if at < 0:
            return
        link = shell_link.read(data[at : at + _CARVED_MOST]) if at not in held else None
        if link is None:
            at += 1
            continue
        end = held.next_start(at, at + link.end)
        state: dict[str, Value] = {**more, "state": "found outside any stream"}
        if end < at + link.end:
            state["cut"] = True
        first, *rest = events(link, at, end - at, EventKind.USER_ACTIVITY, user, state)
        yield tally.take(first)
        yield from rest
        at = end
    if data.find(shell_link.MAGIC, at) >= 0:
        yield Gap(
            at, 0, GapReason.LIMIT, f"more than {_LINKS_MOST} beginnings of links; those behind were not looked at"
        )
