# SPDX-License-Identifier: Apache-2.0
"""Finds what reads a hive's meaning: every module in ``examine/artifacts`` is one, and one more is one more file.

An artifact module has
- a docstring like a parser's: its first line ends in its name, and it has the words Reads, Time, Format and Limits;
- ``FEED``: the closed name of its feed; ``HIVES``: the kinds of hive that it reads (:mod:`headwater.examine.hive_place`);
- ``read(hive, place) -> Iterator[Event | Gap]``: pure, over an opened hive.

They are not parsers of their own: one hive is opened once, and an event is identified by its path and place, which the hive's
rows and what they mean share. So the hive's parser gives both, and the ordinals of an artifact's events begin at 1.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType

import polars as pl

from headwater.examine import artifacts as package
from headwater.examine.batch import FAULTS, Batch, frame_of, merge_gaps
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive
from headwater.model.errors import ExamineError
from headwater.model.kinds import GapReason
from headwater.model.records import Event, Gap

MOST = 500_000  # events of one artifact and hive


@dataclass(frozen=True, slots=True)
class Artifact:
    name: str
    version: int
    feed: str
    hives: tuple[str, ...]
    read: Callable[[Hive, Place], Iterator[Event | Gap]]
    doc: str


def _load(module: ModuleType) -> Artifact:
    doc = module.__doc__ or ""
    name = doc.partition("\n")[0].rpartition("(")[2].removesuffix(").")
    words = all(word in doc for word in ("Reads:", "Time:", "Format:", "Limits:"))
    if not words or name != getattr(module, "FEED", "") or not callable(getattr(module, "read", None)):
        raise ExamineError("HW4002", module.__name__, what="name, FEED, read or the four words")
    return Artifact(name, int(module.VERSION), module.FEED, tuple(module.HIVES), module.read, doc)


@functools.cache
def all_artifacts() -> tuple[Artifact, ...]:
    """Every artifact, in order of name."""
    found = [
        _load(importlib.import_module(f"{package.__name__}.{info.name}"))
        for info in pkgutil.iter_modules(package.__path__)
        if not info.name.startswith("_")
    ]
    return tuple(sorted(found, key=lambda a: a.name))


def events_of(artifact: Artifact, hive: Hive, place: Place) -> tuple[list[Event], list[Gap]]:
    """What one artifact says of a hive; where it fails on it, a gap that names the error."""
    events: list[Event] = []
    gaps: list[Gap] = []
    try:
        for record in artifact.read(hive, place):
            if isinstance(record, Gap):
                gaps.append(record)
            elif len(events) >= MOST:
                gaps.append(Gap(record.offset, 0, GapReason.LIMIT, f"{artifact.name}: more than {MOST} events"))
                break
            else:
                events.append(record)
    except FAULTS as error:
        detail = f"{artifact.name} failed on this hive: {type(error).__name__}"
        gaps.append(Gap(0, 0, GapReason.NOT_THIS_FORMAT, detail))
    return events, gaps


def artifact_batches(hive: Hive, place: Place) -> Iterator[Batch]:
    """A batch of every artifact that has something to say, before the rows; ordinals leave 0 to the row of the same place."""
    taken: dict[int, int] = {}
    for artifact in all_artifacts():
        if place.kind not in artifact.hives:
            continue
        events, gaps = events_of(artifact, hive, place)
        if not events and not gaps:
            continue
        ordinals = []
        for event in events:
            taken[event.offset] = taken.get(event.offset, 0) + 1
            ordinals.append(taken[event.offset])
        frame = frame_of(events).with_columns(pl.Series("ordinal", ordinals, dtype=pl.Int64))
        yield Batch(0, 0, frame, merge_gaps(gaps), feed=artifact.feed)
