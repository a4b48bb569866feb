# SPDX-License-Identifier: Apache-2.0
"""WMI subscriptions: what Windows starts by itself when an event comes, in use and left over (windows.wmi).

Reads:  /Windows/System32/wbem/Repository/OBJECTS.DATA (and FS/ of Windows XP), with INDEX.BTR and MAPPING*.MAP beside it.
Time:   the first of a record's two FILETIMEs, UTC (t_kind written); what the second means is not documented (t_second).
Format: https://github.com/libyal/dtformats/blob/main/documentation/WMI%20repository%20file%20format.asciidoc, [MS-WMIO].
Limits: filters, bindings and the five standard consumers alone; consumers of classes of their own are not read; a record that was
        partly overwritten is found only where its class's hash is left; an instance with dynamic properties is told by its texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from headwater.examine.parsers._text import name_of
from headwater.examine.parsers._whole import whole
from headwater.formats import wmi_instance, wmi_repository
from headwater.formats.registry_layout import nanoseconds
from headwater.formats.wmi_instance import BINDING, COMMAND, FILTER, SCRIPT, Instance
from headwater.formats.wmi_repository import PAGE, Record, Repository, name_hash
from headwater.model.kinds import EventKind, GapReason, TimeBasis
from headwater.model.records import Count, Event, File, Gap, Skip, Value
from headwater.model.records import Record as Told

FEED = "windows.wmi"
VERSION = 1
_INDEX, _MAPS = "INDEX.BTR", ("MAPPING1.MAP", "MAPPING2.MAP", "MAPPING3.MAP")
_SPELT = ("OBJECTS.DATA", "Objects.data", _INDEX, "Index.btr", *_MAPS, *(name.capitalize() for name in _MAPS))
READS = tuple(
    f"/Repository{folder}/{form(name)}" for folder in ("", "/FS") for name in _SPELT for form in (str, str.lower)
)
_MOST = 1 << 29
_RECORDS_MOST = 20_000  # of one class
_TEXT_MOST = 16_384  # characters of a value that are told
_SPACES = ("root", "root\\subscription", "root\\default", "root\\cimv2", "root\\wmi", "root\\standardcimv2")
NAMESPACES = {name_hash(space, old): space for space in _SPACES for old in (False, True)}


def beside(path: str) -> tuple[str, ...]:
    """For the objects, the index and the maps in the same folder."""
    folder, _, name = path.rpartition("/")
    if name.upper() in (_INDEX, *_MAPS):
        return ()
    return tuple(f"{folder}/{name}" for name in (_INDEX, *_MAPS))


@dataclass(slots=True)
class _Tally:
    declared: int = 0
    lost: int = 0
    used: int = 0


def parse(file: File) -> Iterator[Told]:
    """The instances by class and place; what the maps and the index say of each is in ``state``."""
    read = whole(file, _MOST)
    name = name_of(file.path).upper()
    if name == _INDEX or name in _MAPS:
        yield from _accounted(name, read.data)
        yield from read.gaps
        return
    if len(read.data) < PAGE:
        if file.size:
            yield Gap(0, file.size, GapReason.NOT_THIS_FORMAT, "less than a page of a WMI repository")
        yield Count(0)
        return
    repository, faults = _repository(file, read.data)
    for why in faults:
        yield Gap(0, 0, GapReason.INCOMPLETE, why)
    tally, seen = _Tally(), set[int]()
    for kind in wmi_instance.CLASSES:
        for number, record in enumerate(repository.records(kind)):
            if number >= _RECORDS_MOST:
                yield Gap(record.pieces[0][0], 0, GapReason.LIMIT, f"more than {_RECORDS_MOST} instances of {kind}")
                break
            if record.pieces[0][0] in seen:
                continue
            seen.add(record.pieces[0][0])
            tally.declared += 1
            instance = wmi_instance.read(kind, record.data)
            if instance is None:
                tally.lost += 1
                yield Gap(*record.pieces[0], GapReason.NOT_THIS_FORMAT, f"an instance of {kind} that cannot be read")
                continue
            event = _event(record, instance)
            tally.used += event.length
            yield event
    yield from read.gaps
    yield Count(tally.declared, tally.lost, max(0, file.size - tally.used))


def _accounted(name: str, data: bytes) -> Iterator[Skip | Gap]:
    """The files beside the objects say nothing by themselves."""
    if not data:
        return
    if name in _MAPS and wmi_repository.page_map(data) is not None:
        yield Skip(0, len(data), "map of a WMI repository, read with its objects")
    elif name == _INDEX and wmi_repository.is_index(data):
        yield Skip(0, len(data), "index of a WMI repository, read with its objects")
    else:
        yield Gap(0, len(data), GapReason.NOT_THIS_FORMAT, "no whole map or index of a WMI repository")


def _repository(file: File, data: bytes) -> tuple[Repository, list[str]]:
    """The repository with its newest whole map and the keys of its index, and what of these is missing."""
    there = {path.rpartition("/")[2].upper(): other for path, other in file.beside.items()}
    maps = [whole(there[name], _MOST).data for name in _MAPS if name in there]
    page_map = wmi_repository.newest(maps)
    if page_map is None:
        why = "no mapping file beside it that is whole: which pages are in use cannot be told"
        return Repository(data), [why]
    if _INDEX not in there or not page_map.index:
        return Repository(data, page_map), ["no index beside it: which objects are in use cannot be told"]
    index = whole(there[_INDEX], _MOST).data
    wanted = frozenset(name_hash(kind, page_map.old) for kind in wmi_instance.CLASSES)
    return Repository(data, page_map, wmi_repository.keys(index, page_map.index, wanted)), []


def _state(record: Record) -> str:
    if record.indexed:
        return "in use, with another length in the index" if record.disputed else "in use"
    if record.mapped is None:
        return "not known: no mapping file"
    if not record.mapped:
        return "left over: its page is not in use"
    if record.number is None:
        return "left over: its page does not name it"
    return "left over: no longer indexed" if record.indexed is False else "not known: no index"


def _event(record: Record, instance: Instance) -> Event:
    values = dict(instance.values or {})
    command = values.get("CommandLineTemplate") or values.get("ExecutablePath") or values.get("ScriptText")
    path = values.get("ExecutablePath") or values.get("ScriptFilename") or values.get("Filename")
    when, second = (nanoseconds(t) for t in instance.times)
    fields: dict[str, Value] = {
        "class": record.kind, "state": _state(record), "in_use": record.indexed,
        "namespace": NAMESPACES.get(record.namespace, record.namespace or None),
        "sort": "filter" if record.kind == FILTER else "binding" if record.kind == BINDING else "consumer",
        "runs": record.kind in (COMMAND, SCRIPT),
        "t_second": second, "page": record.page, "record": record.number,
        **{k: v[:_TEXT_MOST] if isinstance(v, str) else v for k, v in values.items()},
    }  # fmt: skip
    if instance.values is None:
        fields["texts"] = "\n".join(instance.texts)[:_TEXT_MOST]
    if not record.whole:
        fields["cut"] = True
    if len(record.pieces) > 1:
        fields["further"] = ", ".join(f"{at}+{size}" for at, size in record.pieces[1:])
    return Event(
        *record.pieces[0], EventKind.STATE_AUTORUN, when, TimeBasis.NONE if when is None else TimeBasis.UTC, "written",
        command_line=str(command)[:_TEXT_MOST] if command else None, file_path=str(path) if path else None,
        fields={k: v for k, v in fields.items() if v is not None},
    )  # fmt: skip
