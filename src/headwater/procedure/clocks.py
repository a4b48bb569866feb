# SPDX-License-Identifier: Apache-2.0
"""Clocks: what is assumed of each item's clock and why, what its events say of it, and changing the assumption.

A change re-reads everything at once and touches no recorded time: ``ts`` is computed from the recorded time and the
assumptions whenever it is asked for; what rests on it is judged and reported anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from headwater.case import settings as case_settings
from headwater.correlate.skew import Skew, estimates
from headwater.model.errors import UsageError
from headwater.procedure.corridor import (
    Corridor,
    clocks_of,
    container_words,
    container_zone,
    evidence_of,
    facts_of,
    store_of,
    zone_for,
)
from headwater.procedure.investigate import record_settings
from headwater.procedure.judgement import judge
from headwater.procedure.reporting import write_report


@dataclass(frozen=True, slots=True)
class ItemClock:
    """One item's clock: zone and its ground, ns ahead of the reference as assumed, events by basis of their time.

    Of a container on the item ``name`` is the item's with the container's. ``clock`` names the clock: the item's number, and
    of a container that with the container's (``1.c2``).
    """

    evidence: int
    name: str
    zone: str
    ground: str
    skew_ns: int
    bases: Mapping[str, int]
    clock: str


def clocks(corridor: Corridor) -> list[ItemClock]:
    """The clocks of all items, in order of number, each item's before those of the containers on it."""
    store = store_of(corridor)
    counted: dict[str, dict[str, int]] = {}
    if store.feeds():
        rows = store.scan().group_by("clock", "t_basis").len().collect().sort("clock", "t_basis")
        for clock, basis, count in rows.iter_rows():
            counted.setdefault(str(clock), {})[str(basis)] = int(count)
    found = []
    for item in evidence_of(corridor.ledger):
        facts = facts_of(corridor.ledger, item.number)
        zone, ground = zone_for(corridor.settings, item.number, facts)
        skew = int(corridor.settings.skews_ns.get(str(item.number), 0))
        found.append(
            ItemClock(item.number, item.name, zone, ground, skew, counted.get(str(item.number), {}), str(item.number))
        )
        for said in facts.values():
            if "container" in said:
                name = f"{item.name} · {container_words(said)}"
                bases = counted.get(said["clock"], {})
                found.append(
                    ItemClock(
                        item.number, name, *container_zone(said, corridor.settings.zones), skew, bases, said["clock"]
                    )
                )
    return found


def skews(corridor: Corridor) -> list[Skew]:
    """What matched events say of the clocks of every two items, beyond what is assumed already."""
    store = store_of(corridor)
    if not store.feeds():
        return []
    return list(estimates(store, [item.number for item in evidence_of(corridor.ledger)]))


def change(corridor: Corridor, zones: Mapping[str, str], skews_ns: Mapping[str, int]) -> list[Path]:
    """Enter new assumptions for items, judge anew and write the report anew; returns the report's files.

    ``zones`` by clock (the item's number, or a container's such as ``1.c2``), ``skews_ns`` by item number as text; an empty
    zone takes an item's own word back. A container runs by its host's clock: it has no skew of its own.

    Raises:
        UsageError: HW0005, there is no such item, HW1004, no such zone.
    """
    items = {str(item.number) for item in evidence_of(corridor.ledger)}
    inside = {clock for clock in clocks_of(corridor) if clock not in items}
    for number, known in (*((n, items | inside) for n in zones), *((n, items) for n in skews_ns)):
        if number not in known:
            raise UsageError("HW0005", what=f"evidence-{number}")
    for zone in zones.values():
        if zone:
            case_settings.check_zone(zone)
    standing = corridor.settings
    merged = {k: v for k, v in {**standing.zones, **zones}.items() if v}
    corridor.settings = replace(standing, zones=merged, skews_ns={**standing.skews_ns, **skews_ns})
    record_settings(corridor)
    judge(corridor, tuple(Path(rule) for rule in corridor.settings.rules))
    return write_report(corridor)
