# SPDX-License-Identifier: Apache-2.0
"""Cuts a medium into its volumes: GPT, MBR with logical partitions, LVM2 on top of either, or no table at all.

Specifications: UEFI 2.10 chapter 5 (GPT and protective MBR); for MBR the layout that every PC has had since DOS 3.3.
A volume is ``p1``, ``p2`` … by its number in the table (logical MBR partitions from ``p5``), a logical volume
``p2!lv.GROUP.NAME`` behind the partition that holds its first physical volume, ``lv.GROUP.NAME`` where that is the
whole medium. What lies in no volume is listed as slack: nothing on the medium goes unmentioned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headwater.formats import gpt, mbr
from headwater.formats.lvm import LogicalVolume, PhysicalVolume, logical_volumes, physical_volume
from headwater.formats.partitions import Partition, Scan
from headwater.formats.sources import window
from headwater.model.paths import join
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

Slack = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Volume:
    """``length`` bytes of the medium from ``offset``; −1 where a logical volume is not one run of the medium.

    ``type``: the table's own word (``0x83``, a GUID, ``lvm2``); ``label``: the name that the table gives it.
    """

    name: str
    offset: int
    length: int
    type: str
    label: str
    source: ByteSource


@dataclass(frozen=True, slots=True)
class VolumeTable:
    """``kind``: ``gpt``, ``mbr``, ``lvm2`` (the whole medium is a physical volume) or ``none``.

    ``volumes`` holds the partitions in the order of their numbers, then the logical volumes; partitions that are
    physical volumes are among them. ``slack``: (offset, length, what it is) by offset. ``warnings``: damage and
    contradictions, offsets on the medium.
    """

    kind: str
    volumes: tuple[Volume, ...]
    slack: tuple[Slack, ...]
    warnings: tuple[Gap, ...] = ()


def volumes(source: ByteSource) -> VolumeTable:
    """The volumes of a medium. Nothing raises for hostile tables: what does not fit is left out and warned of."""
    found = _scan(source)
    partitions = [
        Volume(p.name, p.offset, p.length, p.type, p.label, window(source, p.offset, p.length))
        for p in found.partitions
    ]
    held: list[PhysicalVolume] = []
    candidates: Iterable[tuple[str, int, ByteSource]] = (
        [(v.name, v.offset, v.source) for v in partitions] if partitions else [("", 0, source)]
    )
    for name, offset, candidate in candidates:
        pv = physical_volume(name, offset, candidate)
        if pv is not None:
            held.append(pv)
    warnings = list(found.warnings)
    logical = [_logical(lv) for lv in logical_volumes(held, warnings)]
    kind = found.kind if partitions or not held else "lvm2"
    slack = _slack(source.size, found) if partitions else ()
    return VolumeTable(kind, (*partitions, *logical), slack, tuple(warnings))


def _logical(lv: LogicalVolume) -> Volume:
    return Volume(join(lv.holder, f"lv.{lv.group}.{lv.name}"), lv.offset, lv.source.size, "lvm2", lv.name, lv.source)


def _scan(source: ByteSource) -> Scan:
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
