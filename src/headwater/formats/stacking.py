# SPDX-License-Identifier: Apache-2.0
"""What stands on volumes: md arrays over several, LVM2, opened LUKS and BitLocker, shadow copies, tables within.

Each layer is named behind the volume that holds it, its first one where it has several: ``p1!md.web:0``,
``p1!md.web:0!lv.vg.root``, ``p3!luks``, ``p2!bitlocker``, ``p2!vss1``, ``p1!md.web:0!p2``. Layers are looked for
on layers, a bounded number of times over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from headwater.formats import gpt, mbr, mdraid
from headwater.formats.keys import Key
from headwater.formats.lvm import LogicalVolume, PhysicalVolume, logical_volumes, physical_volume
from headwater.formats.partitions import Scan
from headwater.formats.shadow_copies import shadow_copies
from headwater.formats.sources import window
from headwater.formats.unlocking import opened
from headwater.model.kinds import GapReason
from headwater.model.paths import encode_name, join
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

_DEPTH = 6
_MOST = 4096


@dataclass(frozen=True, slots=True)
class Volume:
    """``length`` bytes of the medium from ``offset``; −1 where it is not one run of the medium as it stands there.

    ``type``: the table's own word (``0x83``, a GUID), or ``md``, ``lvm2``, ``luks``, ``bitlocker``, ``vss``;
    ``label``: the name that the table gives it. ``held_by``: the layer that is read instead of it, '' where there is
    none. ``facts``: what the layer says of itself (level, members, creation time, key slot), by name.
    """

    name: str
    offset: int
    length: int
    type: str
    label: str
    source: ByteSource
    held_by: str = ""
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Stack:
    """``volumes``: the layers, in the order in which they were found; ``held``: name of a volume → the layer on it."""

    volumes: list[Volume] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)
    warnings: list[Gap] = field(default_factory=list)


def table_of(source: ByteSource) -> Scan:
    """GPT where a protective MBR or no MBR stands before it, else MBR, else none."""
    table = mbr.scan(source)
    if table is None or any(p.type == "0xee" for p in table.partitions):
        found = gpt.scan(source)
        if found is not None:
            return found
        if table is not None and len(table.partitions) == 1:
            lost = Gap(0, source.size, gpt.LOST_REASON, "a protective MBR, but neither GPT header can be read")
            return Scan("gpt", (), (), (lost,))
    return table or Scan("none", (), (), ())


def partitions_of(table: Scan, source: ByteSource, holder: str = "", offset: int = 0) -> list[Volume]:
    """The partitions of a table as volumes; ``offset``: where ``source`` lies on the medium, −1 if in several runs."""
    return [
        Volume(
            join(holder, p.name),
            offset + p.offset if offset >= 0 else -1,
            p.length,
            p.type,
            p.label,
            window(source, p.offset, p.length),
        )
        for p in table.partitions
    ]


def stacked(candidates: Sequence[Volume], keys: Sequence[Key] = ()) -> Stack:
    """Everything that stands on these volumes, layer by layer."""
    stack = Stack()
    fresh = list(candidates)
    for _ in range(_DEPTH):
        groups: list[PhysicalVolume] = []
        below = 0
        while fresh and below < _DEPTH:
            members: list[mdraid.MdMember] = []
            upper: list[Volume] = []
            for volume in fresh:
                upper.extend(_look(volume, members, groups, keys, stack))
            upper.extend(_arrays(members, stack))
            fresh = _added(upper, stack)
            below += 1
        fresh = _added([_logical(lv, groups, stack) for lv in logical_volumes(groups, stack.warnings)], stack)
        if not fresh:
            break
    return stack


def _added(found: Sequence[Volume], stack: Stack) -> list[Volume]:
    """Note layers, each under a name of its own; give back those in which to look for more."""
    names = {volume.name for volume in stack.volumes}
    fresh: list[Volume] = []
    for volume in found:
        if len(stack.volumes) >= _MOST:
            text = f"more than {_MOST} volumes stand on this medium; the others are not listed"
            stack.warnings.append(Gap(0, 0, GapReason.LIMIT, text))
            return []
        if volume.name in names:
            stack.warnings.append(Gap(0, 0, GapReason.NOT_THIS_FORMAT, f"two volumes are called {volume.name}"))
            continue
        names.add(volume.name)
        stack.volumes.append(volume)
        if volume.type != "vss":
            fresh.append(volume)
    return fresh


def _look(
    volume: Volume, members: list[mdraid.MdMember], groups: list[PhysicalVolume], keys: Sequence[Key], stack: Stack
) -> list[Volume]:
    """What one volume is: a member, a physical volume (noted), or something that is opened into further volumes."""
    part = mdraid.member(volume.name, volume.offset, volume.source)
    if part is not None:
        members.append(part)
        return []
    pv = physical_volume(volume.name, volume.offset, volume.source)
    if pv is not None:
        groups.append(pv)
        return []
    inner = opened(volume.source, keys, volume.name, stack.warnings, volume.offset)
    if inner is not None:
        kind, label, source, facts = inner
        name = join(volume.name, kind)
        stack.held[volume.name] = name
        return [Volume(name, -1, source.size, kind, label, source, facts=facts)]
    if volume.type in ("md", "lvm2", "luks", "bitlocker"):
        table = table_of(volume.source)
        if table.partitions:
            stack.warnings.extend(table.warnings)
            stack.held[volume.name] = join(volume.name, table.partitions[0].name)
            return partitions_of(table, volume.source, volume.name, volume.offset)
    return [
        Volume(
            join(volume.name, f"vss{c.number}"), -1, c.source.size, "vss", dict(c.facts)["copy"], c.source, "", c.facts
        )
        for c in shadow_copies(volume.source, volume.name, stack.warnings, volume.offset)
    ]


def _arrays(members: Sequence[mdraid.MdMember], stack: Stack) -> list[Volume]:
    found: list[Volume] = []
    for array in mdraid.arrays(members, stack.warnings):
        plain = encode_name((array.name or array.uuid[:8]).encode("utf-8", "surrogateescape")).replace("/", "%2F")
        name = join(array.holder, f"md.{plain}")
        stack.held.update((one.holder, name) for one in members if one.uuid == array.uuid)
        facts = (
            ("level", {-1: "linear"}.get(array.level, str(array.level))),
            ("uuid", array.uuid),
            ("members", ", ".join(one.holder or "medium" for one in array.members)),
            ("missing", ", ".join(str(n) for n in array.missing)),
            ("left out", "; ".join(f"{who}: {why}" for who, why in array.left_out)),
        )
        said = tuple(fact for fact in facts if fact[1])
        found.append(Volume(name, array.offset, array.source.size, "md", array.name, array.source, facts=said))
    return found


def _logical(lv: LogicalVolume, groups: Sequence[PhysicalVolume], stack: Stack) -> Volume:
    name = join(lv.holder, f"lv.{lv.group}.{lv.name}")
    stack.held.update((pv.holder, name) for pv in groups if pv.group == lv.group and pv.holder not in stack.held)
    facts = (("thin", "yes"),) if lv.thin else ()
    return Volume(name, lv.offset, lv.source.size, "lvm2", lv.name, lv.source, facts=facts)
