# SPDX-License-Identifier: Apache-2.0
"""Transaction logs of registry hives, and what they change in their hive (windows.registry_log).

Reads:  SYSTEM.LOG1, SYSTEM.LOG2, SYSTEM.LOG and the logs of every other hive, beside the hive itself where it is there.
Time:   of each key that a log brings: its last write, FILETIME, UTC; a write that a log keeps states no time.
Format: https://github.com/msuhanov/regf/blob/master/Windows%20registry%20file%20format%20specification.md, old (DIRT) and new (HvLE).
Limits: a log is applied to a dirty hive only, as Windows would; without its hive only the writes that it keeps are told;
        logs older than Windows 2000 and transactional ones (CLFS: .blf, .regtrans-ms) are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import polars as pl

from headwater.examine.batch import Batch, Skipped, frame_of
from headwater.examine.hive_changes import Changes, Where, entry_event
from headwater.examine.hive_place import place_of
from headwater.formats.patterns import lazy_regex
from headwater.formats.registry_hive import open_hive
from headwater.formats.registry_layout import base_block
from headwater.formats.registry_log import NEW_TYPE, OLD_TYPES, SECTOR, Entry, Log, Replayed, read_log, replay
from headwater.model.kinds import GapReason
from headwater.model.records import Count, Event, File, Gap

FEED = "windows.registry_log"
VERSION = 1
_HIVES = ("SYSTEM", "SOFTWARE", "SAM", "SECURITY", "DEFAULT", "COMPONENTS", "DRIVERS", "ELAM", "BBI")
READS = (
    *(f"/*.{ending}" for ending in ("LOG1", "LOG2")),
    *(f"/{folder}/{n}.LOG" for folder in ("config", "Config") for name in _HIVES for n in (name, name.lower())),
    *(
        "/NTUSER.DAT.LOG",
        "/ntuser.dat.LOG",
        "/ntuser.dat.log",
        "/UsrClass.dat.LOG",
        "/usrclass.dat.LOG",
        "/Amcache.hve.LOG",
    ),
)
LOG_MOST = 256 << 20
_ENDING = lazy_regex(r"\.log[12]?$", re.IGNORECASE)
_ORDER = (".LOG", ".LOG1", ".LOG2")


def recognise(head: bytes) -> bool:
    base = base_block(head)
    return base is not None and base.file_type in (*OLD_TYPES, NEW_TYPE)


def beside(path: str) -> tuple[str, ...]:
    """The hive of this log, and its other logs."""
    hive, name = _ENDING.sub("", path), path.lower()
    return (hive, *(hive + ending for ending in _ORDER if (hive + ending).lower() != name))


def batches(file: File) -> Iterator[Batch]:
    """The keys and values that the log changes, and what those mean; then the writes that it keeps, with the count."""
    whole = file.size <= LOG_MOST
    data = file.pread(0, file.size) if whole else b""
    log = read_log(data)
    if log is None:
        reason = GapReason.NOT_THIS_FORMAT if whole else GapReason.LIMIT
        gap = Gap(0, file.size, reason, "no base block of a transaction log" if whole else "a log of more than 256 MiB")
        yield Batch(0, file.size, frame_of([]), (gap,) if file.size else (), (), Count(0))
        return
    number, replayed, changes, why = _applied(file, data, log)
    events = [_told(entry, log, number, replayed, why) for entry in sorted((*log.entries, *log.older), key=_offset)]
    rest = file.size - sum(e.length for e in events)
    head = min(SECTOR, rest)
    skips = (Skipped("base block of a log", 1, head), Skipped("remains without an entry", 1, rest - head))
    count = Count(len(events), 0, rest - head)
    if changes is not None:
        yield from _changed(changes)
    yield Batch(0, file.size, frame_of(events), (), tuple(s for s in skips if s.size), count)


def _offset(entry: Entry) -> int:
    return entry.offset


def _told(entry: Entry, log: Log, number: int, replayed: Replayed | None, why: str) -> Event:
    what = "applied" if replayed is not None and (number, entry.offset) in replayed.applied else why
    if what != "applied" and entry in log.older:
        what = "an earlier write, or one that does not follow"
    return entry_event(entry, log.form, what)


def _applied(file: File, data: bytes, log: Log) -> tuple[int, Replayed | None, Changes | None, str]:
    """This log's number among its hive's, the hive as its logs make it, what that changes, or why nothing."""
    match = _ENDING.search(file.path)
    number = _ORDER.index(match.group().upper()) if match else 0
    by_name = {path.lower(): other for path, other in file.beside.items()}
    stem = _ENDING.sub("", file.path).lower()
    other = by_name.get(stem)
    if other is None:
        return number, None, None, "no hive beside it"
    whole = other.pread(0, other.size)
    logs: list[Log | None] = [None, None, None]
    contents = [b"", b"", b""]
    logs[number], contents[number] = log, data
    for place, ending in enumerate(_ORDER):
        found = by_name.get(stem + ending.lower())
        if place != number and found is not None and found.size <= LOG_MOST:
            contents[place] = found.pread(0, found.size)
            logs[place] = read_log(contents[place])
    replayed = replay(whole, logs, contents)
    if replayed is None:
        base = base_block(whole)
        return number, None, None, "its hive is no hive" if base is None else _not_needed(base.dirty)
    return (
        number,
        replayed,
        _changes(file, whole, replayed, number, log.entries),
        "the hive has it, or does not lead to it",
    )


def _not_needed(dirty: bool) -> str:
    return "its hive is dirty, but this does not continue it" if dirty else "its hive is whole and needs no log"


def _changes(file: File, whole: bytes, replayed: Replayed, number: int, entries: Sequence[Entry]) -> Changes | None:
    old, new = open_hive(whole), open_hive(replayed.data)
    if old is None or new is None:
        return None
    ends = [e for e in entries if (number, e.offset) in replayed.applied]
    newest = replayed.pages[-1][0] if replayed.pages else number
    place = place_of(new, _ENDING.sub("", file.path))
    return Changes(old, new, place, Where.of(replayed), number, ends[-1] if ends and newest == number else None)


def _changed(changes: Changes) -> Iterator[Batch]:
    taken: dict[int, int] = {}

    def numbered(frame: pl.DataFrame) -> pl.DataFrame:
        ordinals = []
        for offset in frame["offset"].to_list():
            taken[offset] = taken.get(offset, 0) + 1
            ordinals.append(taken[offset])
        return frame.with_columns(pl.Series("ordinal", ordinals, dtype=pl.Int64))

    rows = changes.rows()
    if rows.height:
        yield Batch(0, 0, numbered(rows.sort("offset", maintain_order=True)), feed="windows.registry")
    for artifact, events in changes.artifacts():
        yield Batch(0, 0, numbered(frame_of(events)), feed=artifact.feed)
