# SPDX-License-Identifier: Apache-2.0
"""Cuts a medium into its volumes: GPT, MBR with logical partitions, or no table at all, and what stands on them.

Specifications: UEFI 2.10 chapter 5 (GPT and protective MBR); for MBR the layout that every PC has had since DOS 3.3.
A volume is ``p1``, ``p2`` … by its number in the table (logical MBR partitions from ``p5``); arrays, logical volumes
and opened ciphers are named behind the volume that holds them (:mod:`headwater.formats.stacking`), or stand alone where
that is the whole medium. What lies in no volume is listed as slack: nothing on the medium goes unmentioned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headwater.formats import mdraid
from headwater.formats.disk_sets import SetMedium
from headwater.formats.keys import Key
from headwater.formats.partitions import Partition, Scan
from headwater.formats.sources import window
from headwater.formats.stacking import Volume, partitions_of, stacked, table_of
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

__all__ = ["Slack", "Volume", "VolumeTable", "volumes"]

Slack = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class VolumeTable:
    """``kind``: ``gpt``, ``mbr``, ``none``, or what the whole medium is (``lvm2``, ``md``, ``luks``, ``bitlocker``).

    ``volumes`` holds the partitions in the order of their numbers, then the layers on them; what another layer stands
    on is among them, with its ``held_by``. ``slack``: (offset, length, what it is) by offset. ``warnings``: damage and
    contradictions, offsets on the medium.
    """

    kind: str
    volumes: tuple[Volume, ...]
    slack: tuple[Slack, ...]
    warnings: tuple[Gap, ...] = ()


def volumes(source: ByteSource, keys: Sequence[Key] = ()) -> VolumeTable:
    """The volumes of a medium. Nothing raises for hostile tables: what does not fit is left out and warned of.

    ``keys`` are tried on encrypted volumes; one that none opens stays as it is.
    """
    if isinstance(source, SetMedium):
        return _of_set(source, keys)
    found = table_of(source)
    partitions = partitions_of(found, source)
    whole = Volume("", 0, source.size, "", "", source)
    if partitions and _is_member(source, partitions):
        found, partitions = Scan("none", (), (), ()), []  # the table is that of the array, not of its member
    stack = stacked(partitions or [whole], keys)
    kind = stack.volumes[0].type if "" in stack.held else found.kind
    # shadow copies stand beside the volume that they are of, which is then listed too
    base = partitions or ([whole] if stack.volumes and "" not in stack.held else [])
    listed = tuple(replace(v, held_by=stack.held.get(v.name, "")) for v in (*base, *stack.volumes))
    slack = _slack(source.size, found) if partitions else ()
    return VolumeTable(kind, listed, slack, (*found.warnings, *stack.warnings))


def _of_set(medium: SetMedium, keys: Sequence[Key]) -> VolumeTable:
    """The volumes of a disk set: each member's own (``m1!p2``, or ``m1`` where it has no table), and what stands on them."""
    base: list[Volume] = []
    slack: list[Slack] = []
    warnings: list[Gap] = []
    for member in medium.members:
        source = window(medium, member.offset, member.size)
        found = table_of(source)
        partitions = partitions_of(found, source, member.name, member.offset)
        if partitions and _is_member(source, partitions):
            found, partitions = Scan("none", (), (), ()), []
        base += partitions or [Volume(member.name, member.offset, member.size, "disk", member.kind, source)]
        if partitions:
            slack += [
                (member.offset + at, length, f"{member.name}: {what}")
                for at, length, what in _slack(member.size, found)
            ]
        warnings += [replace(gap, offset=member.offset + gap.offset) for gap in found.warnings]
    stack = stacked(base, keys)
    listed = tuple(replace(v, held_by=stack.held.get(v.name, "")) for v in (*base, *stack.volumes))
    return VolumeTable("disk-set", listed, tuple(slack), (*warnings, *stack.warnings))


def _is_member(source: ByteSource, partitions: Sequence[Volume]) -> bool:
    """Whether the whole medium is a member of an array, whose content begins with the table that was found.

    A superblock of version 0.90 at the end of the last partition is at the end of the medium as well: there it is the
    partition's.
    """
    whole = mdraid.member("", 0, source)
    if whole is None or whole.version == "1.2":
        return False
    inner = (mdraid.member(p.name, p.offset, p.source) for p in partitions)
    return all(one is None or one.uuid != whole.uuid for one in inner)


def _slack(size: int, found: Scan) -> tuple[Slack, ...]:
    """Everything outside the partitions: the table's own sectors by name, the rest by where it lies."""
    slack: list[Slack] = []
    at = 0
    ranges = sorted([(p.offset, p.length, "") for p in found.partitions] + list(found.metadata))
    partitions: Sequence[Partition] = found.partitions
    first = min((p.offset for p in partitions), default=size)
    last = max((p.offset + p.length for p in partitions), default=0)
    for offset, length, what in [*ranges, (size, 0, "")]:
        offset = min(offset, size)
        end = min(offset + length, size)
        if offset > at:
            where = "before the first" if at < first else "after the last" if at >= last else "between"
            slack.append((at, offset - at, f"{where} partition" + ("s" if where == "between" else "")))
        if what and end > max(at, offset):
            slack.append((max(at, offset), end - max(at, offset), what))
        at = max(at, end)
    return tuple(slack)
