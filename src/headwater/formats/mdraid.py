# SPDX-License-Identifier: Apache-2.0
"""Puts the members of Linux md arrays together: linear, RAID 0, 1, 4, 5, 6 and 10, whole or with members missing.

The members that belong together carry one UUID. The one with the highest count of events knows best: what it lists as
faulty, and members whose count lags behind, are left out by name, as the kernel does when it assembles (md(4), the
kernel's drivers/md/md.c). An array of RAID 4, 5 or 6 in the middle of a reshape is read in both its shapes. Write-intent
bitmaps are not needed for reading. A journal device (RAID 4, 5, 6) is not played back; that is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headwater.formats.mdraid_geometry import Geometry, Striped, Unfit, geometry
from headwater.formats.mdraid_source import ArraySource, Leg
from headwater.formats.mdraid_super import FAULTY, JOURNAL, SPARE, MdMember, member
from headwater.formats.sources import ChainSource, Piece
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

__all__ = ["MdArray", "MdMember", "arrays", "member", "open_array"]

_SLACK = 1  # events: the kernel takes a member that lags by one, written while the array was marked clean


@dataclass(frozen=True, slots=True)
class MdArray:
    """An array that can be read. ``holder``: its first member; ``offset`` on the medium, −1 where it is not one run.

    ``members``: those that it is read from; ``left_out``: those that carry its mark but are not used, and why.
    ``missing``: the places in it for which there is no member.
    """

    holder: str
    name: str
    uuid: str
    level: int
    offset: int
    source: ByteSource
    members: tuple[MdMember, ...]
    missing: tuple[int, ...]
    left_out: tuple[tuple[str, str], ...]


def open_array(sources: Sequence[ByteSource]) -> MdArray:
    """The one array that members, each given whole, belong to.

    Raises:
        ValueError: none of them is a member, or they are of several arrays, or it cannot be assembled.
    """
    warnings: list[Gap] = []
    held = [m for m in (member(str(n), 0, s) for n, s in enumerate(sources)) if m is not None]
    found = arrays(held, warnings)
    if len(found) != 1:
        said = "; ".join(gap.detail for gap in warnings) or f"members of {len(found)} arrays"
        raise ValueError(said)
    return found[0]


def arrays(held: Sequence[MdMember], warnings: list[Gap]) -> list[MdArray]:
    """The arrays that these members make, in the order of their first members."""
    sets: dict[str, list[MdMember]] = {}
    for one in held:
        sets.setdefault(one.uuid, []).append(one)
    found = (_assemble(members, warnings) for members in sets.values())
    return [array for array in found if array is not None]


def _label(one: MdMember) -> str:
    return one.holder or "the medium"


def _assemble(members: list[MdMember], warnings: list[Gap]) -> MdArray | None:
    newest = max((m for m in members if m.role != SPARE), key=lambda m: m.events, default=members[0])
    places, left_out = _placed(members, newest)
    for one, why in left_out:
        if why:
            detail = f"{_label(one)}: a member of the array {newest.name} that is left out: {why}"
            warnings.append(Gap(one.offset, one.source.size, GapReason.UNSUPPORTED, detail))
    try:
        source = _source(newest, places, warnings)
    except Unfit as error:
        detail = f"{_label(newest)}: the array {newest.name} is not assembled: {error}"
        warnings.append(Gap(newest.offset, newest.source.size, GapReason.UNSUPPORTED, detail))
        return None
    here = tuple(places[n] for n in sorted(places))
    missing = tuple(n for n in range(newest.disks) if n not in places)
    if missing:
        _warn_missing(newest, missing, here, warnings)
    if newest.journalled:
        detail = f"the array {newest.name} has a journal device, which is not played back"
        warnings.append(Gap(newest.offset, newest.source.size, GapReason.NOT_REPLAYED, detail))
    if not here:
        return None
    run = newest.level == 1 and here[0].offset >= 0 and newest.reshape is None and here[0].synced is None
    offset = here[0].offset + here[0].data_offset if run else -1
    said = tuple((_label(one), why or "a spare") for one, why in left_out)
    return MdArray(here[0].holder, newest.name, newest.uuid, newest.level, offset, source, here, missing, said)


def _placed(members: list[MdMember], newest: MdMember) -> tuple[dict[int, MdMember], list[tuple[MdMember, str]]]:
    """The members by their place in the array, and those left out with the reason; '' for a spare."""
    places: dict[int, MdMember] = {}
    left_out: list[tuple[MdMember, str]] = []
    for one in members:
        role = newest.roles[one.number] if one.number < len(newest.roles) else one.role
        if one.role in (SPARE, JOURNAL):
            left_out.append((one, "" if one.role == SPARE else "it is the array's journal"))
        elif one.events + _SLACK < newest.events:
            why = f"it is stale: it saw {one.events} events, the array {newest.events}"
            left_out.append((one, why))
        elif role >= FAULTY - 1 or one.role >= newest.disks or one.role != role:
            left_out.append((one, "the other members list it as faulty or removed"))
        elif one.role in places:
            left_out.append((one, f"its place is taken by {_label(places[one.role])}"))
        elif one.synced == 0:
            left_out.append((one, "it was still being rebuilt"))
        else:
            places[one.role] = one
    return places, left_out


def _warn_missing(newest: MdMember, missing: tuple[int, ...], here: Sequence[MdMember], warnings: list[Gap]) -> None:
    spare = {1: newest.disks - 1, 4: 1, 5: 1, 6: 2, 10: newest.disks - 1}.get(newest.level, 0)
    lost = len(missing) > spare
    said = ", ".join(str(n) for n in missing[:20])
    what = "parts of it cannot be read" if lost else "its data come from the others"
    detail = f"the array {newest.name} (level {newest.level}, {newest.disks} members) lacks member {said}: {what}"
    if not lost and newest.level in (4, 5, 6) and newest.resynced is not None and newest.resynced < newest.size:
        detail += f"; it was not in sync from byte {newest.resynced} of each member on, what is made there may be wrong"
    reason = GapReason.UNREADABLE if lost else GapReason.INCOMPLETE
    warnings.append(Gap(newest.offset, newest.source.size, reason, detail))


def _shape(newest: MdMember, places: dict[int, MdMember]) -> Geometry:
    """The geometry that a superblock tells.

    Raises:
        Unfit: there is none.
    """
    sizes = [places[n].data_size if n in places else 0 for n in range(newest.disks)] if newest.disks <= 1920 else []
    if newest.level in (-1, 0) and len(places) < newest.disks:
        raise Unfit(f"{newest.disks - len(places)} of {newest.disks} members are missing, and it has no redundancy")
    return geometry(newest.level, newest.layout, newest.disks, newest.size, newest.chunk, sizes)


def _legs(newest: MdMember, places: dict[int, MdMember], disks: int) -> list[Leg | None]:
    legs: list[Leg | None] = [None] * disks
    for role, one in places.items():
        if role < disks:
            synced = one.synced if one.synced is not None else 1 << 63
            legs[role] = Leg(one.source, one.data_offset, one.data_size, synced, one.lost)
    return legs


def _source(newest: MdMember, places: dict[int, MdMember], warnings: list[Gap]) -> ByteSource:
    if newest.reshape is not None:
        return _reshaped(newest, places)
    shape = _shape(newest, places)
    if isinstance(shape, Striped) and not newest.layout_known and shape.first_zone < shape.size:
        detail = (
            f"the array {newest.name} has members of unequal size and does not say how they are striped: "
            f"what lies behind byte {shape.first_zone} was read as kernels since 3.14 wrote it"
        )
        warnings.append(Gap(newest.offset, newest.source.size, GapReason.UNSUPPORTED, detail))
    return ArraySource(shape, _legs(newest, places, newest.disks), shape.size)


def _reshaped(newest: MdMember, places: dict[int, MdMember]) -> ByteSource:
    """An array between two shapes: up to the position it has the one, from there on the other.

    Raises:
        Unfit: a reshape that is not one of RAID 4, 5 or 6 to more or fewer members, another chunk or layout.
    """
    change = newest.reshape
    if change is None or newest.level not in (4, 5, 6) or change.level not in (4, 5, 6):
        raise Unfit("it is being reshaped, and of such arrays only RAID 4, 5 and 6 are read")
    before = newest.disks - change.disks
    old = _shape(replace(newest, disks=before), places)
    new = _shape(replace(newest, level=change.level, layout=change.layout, chunk=change.chunk), places)
    size = min(old.size, new.size)
    was = ArraySource(old, _legs(newest, places, before), size)
    legs = _legs(newest, places, newest.disks)
    for role, leg in enumerate(legs):
        shape = places[role].reshape if role in places else None
        if leg is not None and shape is not None:
            legs[role] = leg._replace(offset=leg.offset + shape.shift, synced=1 << 63)
    becomes = ArraySource(new, legs, size)
    at = min(change.position, size)
    first, second = (was, becomes) if change.backwards else (becomes, was)
    return ChainSource((Piece(first, 0, at), Piece(second, at, size - at)))
