# SPDX-License-Identifier: Apache-2.0
"""Read the texts of the events that an item's logs hold, from the files that its registry names for them.

The registry is read as the examination recorded it: ``Services\\EventLog\\LOG\\SOURCE`` (EventMessageFile) for sources,
``WINEVT\\Publishers\\{…}`` (ResourceFileName, MessageFileName) for providers with a manifest. A file's texts may stand in
``LANGUAGE\\NAME.mui`` beside it. https://learn.microsoft.com/windows/win32/eventlog/event-sources
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from headwater.confine.pool import Message, Pool, Task
from headwater.examine import content, event_texts
from headwater.formats.canonical import digest
from headwater.formats.patterns import lazy_regex
from headwater.model.custody import Evidence
from headwater.model.kinds import GapReason
from headwater.model.paths import join
from headwater.model.records import Gap
from headwater.procedure.corridor import TOOL, Corridor, store_of
from headwater.procedure.folder_members import open_members
from headwater.procedure.intake import Held
from headwater.procedure.tasks import Receiver, Unit, discard, done

TEXTS = 980_000_000  # the number of the task, behind those of strings
LOGS, REGISTRY = "windows.eventlog", "windows.registry"
_FILES_MOST = 1_000
_MEMBERS_MOST = 200  # of a folder: each needs a descriptor of its own
_EVENTS_MOST = 20_000
_SOURCE = lazy_regex(r"(?i)\\services\\eventlog\\[^\\]+\\([^\\]+)$")
_PUBLISHER = lazy_regex(r"(?i)\\winevt\\publishers\\(\{[0-9a-f-]{36}\})$")
_FILES = {"eventmessagefile", "messagefilename", "resourcefilename"}
_LANGUAGES = ("zh-cn", "en-us", "zh-tw", "ja-jp", "ko-kr", "de-de", "fr-fr", "es-es", "ru-ru")

Json = dict[str, Any]


def texts_all(corridor: Corridor, pool: Pool, item: Evidence, open_files: Held, listing: Json) -> list[int]:
    """Read the texts; returns the numbers of the tasks, none where no log asks for any."""
    targets, asks, beyond = planned(corridor, item, listing["contents"])
    if not targets:
        return []
    unit = Unit(item, TEXTS, targets)
    unit.fingerprint = digest(
        {
            "tool": TOOL,
            "evidence": item.digests["sha256"],
            "texts": event_texts.VERSION,
            "targets": targets,
            "asks": asks,
        }
    )
    if done(corridor.case, unit) is not None:
        return [unit.number]
    discard(corridor.case, unit)
    receiver = Receiver(corridor.case, unit)
    ready: Sequence[Any] = unit.targets
    fds, own = open_files.fds, item.kind == "folder"
    if own:
        opened, ready, lost = open_members(item, unit.targets)
        fds = tuple(opened)
        for target, why in lost:
            _gap(receiver, target, GapReason.UNREADABLE, why)
    args = {"files": open_files.args(), "number": item.number, "own_fds": own, "targets": ready, "asks": asks}

    def take(message: Message) -> None:
        receiver.take(message, corridor)

    try:
        task = Task(
            f"texts-{item.number}", "headwater.procedure.child_event_texts:take", args, fds, wall=1200.0, cpu=600
        )
        for outcome in pool.run([task], take):
            if outcome.status != "done":
                discard(corridor.case, unit)
                receiver = Receiver(corridor.case, unit)
                for target in unit.targets:
                    _gap(receiver, target, GapReason.INCOMPLETE, f"event texts: {outcome.status}: {outcome.detail}")
        for target in beyond:
            _gap(receiver, target, GapReason.LIMIT, f"event texts: beyond the first {len(targets)} files")
        receiver.finish()
    finally:
        for fd in fds if own else ():
            os.close(fd)
    return [unit.number]


def _gap(receiver: Receiver, target: Json, reason: GapReason, why: str) -> None:
    path = join(str(target["view"]), str(target["path"]))
    receiver.gap(event_texts.FEED, path, Gap(0, int(target["size"]), reason, why))


def planned(
    corridor: Corridor, item: Evidence, contents: Sequence[Sequence[Any]]
) -> tuple[list[Json], list[Json], list[Json]]:
    """The files to read, and what each provider asks of which of them (by number), and files beyond the bound."""
    asked = _asked(corridor, item)
    if not asked:
        return [], [], []
    files, guids = _named(corridor, item)
    there: dict[str, list[Sequence[Any]]] = {}
    for row in contents:
        there.setdefault(str(row[2]).lower(), []).append(row)
    targets: list[Json] = []
    numbers: dict[tuple[str, str], int] = {}
    beyond: dict[tuple[str, str], Json] = {}
    asks: list[Json] = []
    most = _MEMBERS_MOST if item.kind == "folder" else _FILES_MOST
    for (provider, guid), events in sorted(asked.items()):
        known = guid or guids.get(provider.lower(), "")
        names = dict.fromkeys((*files.get(known, ()), *files.get(provider.lower(), ())))
        mine = []
        for path in (p for name in names for p in _beside(name)):
            for row in there.get(path, ()):
                place = (str(row[0]), str(row[1]))
                if place not in numbers and len(targets) < most:
                    numbers[place] = len(targets)
                    targets.append({"view": row[0], "key": row[1], "path": row[2], "size": int(row[3]), "hash": None})
                elif place not in numbers:
                    beyond[place] = {"view": row[0], "path": row[2], "size": 0}
                if place in numbers:
                    mine.append(numbers[place])
        if mine:
            asks.append({"provider": provider, "guid": known, "events": events, "files": mine})
    _hashed(corridor, item, targets)
    return targets, asks, list(beyond.values())


def _asked(corridor: Corridor, item: Evidence) -> dict[tuple[str, str], list[list[int | None]]]:
    """Event numbers and qualifiers of the item's logs, by provider and its identifier."""
    store = store_of(corridor)
    if LOGS not in store.feeds():
        return {}
    names = ["Provider_Guid", "EventID_Qualifiers"]
    rows = (
        store.scan(feeds=[LOGS], columns=names)
        .filter(pl.col("source") == item.number, pl.col("provider").is_not_null())
        .select("provider", "event_code", *(pl.col(n).cast(pl.String) for n in names))
        .unique()
        .sort(pl.all())
        .head(_EVENTS_MOST)
        .collect(engine="streaming")
    )
    found: dict[tuple[str, str], list[list[int | None]]] = {}
    for provider, code, guid, qualifiers in rows.iter_rows():
        if code is not None and code.isdigit():
            number = int(qualifiers) if qualifiers is not None and qualifiers.isdigit() else None
            found.setdefault((provider, (guid or "").lower()), []).append([int(code), number])
    return found


def _named(corridor: Corridor, item: Evidence) -> tuple[Mapping[str, list[str]], Mapping[str, str]]:
    """Files by source (in lower case) or identifier, and identifiers by name, as the registry's rows have them."""
    files: dict[str, list[str]] = {}
    guids: dict[str, str] = {}
    key = pl.col("key").str.to_lowercase()
    spots = key.str.contains("\\services\\eventlog\\", literal=True) | key.str.contains(
        "\\winevt\\publishers\\", literal=True
    )
    rows = (
        store_of(corridor)
        .scan(feeds=[REGISTRY], columns=["key", "value", "data"])
        .filter(pl.col("source") == item.number, pl.col("kind") == "registry.value", spots)
        .select("key", "value", "data")
        .unique()
        .sort(pl.all())
        .collect(engine="streaming")
    )
    for path, value, data in rows.iter_rows():
        source, publisher = _SOURCE.search(path), _PUBLISHER.search(path)
        name = source.group(1).lower() if source else publisher.group(1).lower() if publisher else ""
        what = str(value or "").lower()
        if not name or not data:
            continue
        if what in _FILES:
            files.setdefault(name, []).extend(p for p in map(_local, str(data).split(";")) if p)
        elif source and what == "providerguid":
            guids[name] = str(data).lower()
        elif publisher and not what.strip("(default)"):
            guids[str(data).lower()] = name
    return files, guids


def _local(name: str) -> str:
    """A path as the registry writes it, in lower case from the volume's root; empty where it names no file of the system."""
    path = name.strip().strip('"').lower().replace("/", "\\")
    for sign, place in (("%systemroot%", "\\windows"), ("%windir%", "\\windows"), ("%programfiles%", "\\program files"),
                        ("%systemdrive%", ""), ("\\systemroot", "\\windows")):  # fmt: skip
        if path.startswith(sign):
            path = place + path.removeprefix(sign)
    path = re.sub(r"^[a-z]:", "", path)
    if "\\" not in path:
        path = "\\windows\\system32\\" + path
    return path.replace("\\", "/") if path.startswith("\\") and "%" not in path else ""


def _beside(path: str) -> list[str]:
    """A file and those of its languages."""
    folder, _, name = path.rpartition("/")
    return [path, *(f"{folder}/{language}/{name}.mui" for language in _LANGUAGES)]


def _hashed(corridor: Corridor, item: Evidence, targets: Sequence[Json]) -> None:
    """Give the targets the digests that the examination found."""
    paths = {join(str(t["view"]), str(t["path"])): t for t in targets}
    rows = store_of(corridor).scan(feeds=[content.FEED]).filter(
        pl.col("source") == item.number, pl.col("path").is_in(list(paths))
    )  # fmt: skip
    for path, found in rows.select("path", "hash").collect(engine="streaming").iter_rows():
        paths[path]["hash"] = found
