# SPDX-License-Identifier: Apache-2.0
"""Where an interrupted image stands, from its sidecar, and bringing its files back to that state."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.acquire import sidecar
from headwater.acquire.destinations import PART
from headwater.acquire.e01_writer import Checkpoint
from headwater.acquire.image_files import rename_back
from headwater.acquire.plans import Plan, plain_name
from headwater.acquire.ports import BlockSource
from headwater.formats.sources import Bad
from headwater.model.errors import AcquireError
from headwater.model.kinds import GapReason


@dataclass(frozen=True, slots=True)
class Standing:
    """What an imaging begins with: nothing, or what an interrupted one left. ``folder`` holds its furthest state."""

    begun: str
    set_id: bytes
    checkpoint: Checkpoint
    bad: tuple[Bad, ...]
    errors: int
    sessions: tuple[Mapping[str, Any], ...]
    folder: Path

    @staticmethod
    def new(now: str, set_id: bytes) -> Standing:
        """An imaging that begins."""
        return Standing(now, set_id, Checkpoint(0, 0, 0), (), 0, (), Path())


def standing(plan: Plan, source: BlockSource) -> Standing:
    """What the sidecars of the destinations say; the furthest checkpoint whose files are there leads.

    Raises:
        AcquireError: HW2025 there is nothing to go on with, or it is an image of something else.
    """
    found: list[Standing] = []
    faults: list[str] = []
    for folder in plan.folders:
        path = sidecar.sidecar_path(folder, plan.stem)
        try:
            document = sidecar.read(path)
            if sidecar.signed_by(document) is None:
                raise AcquireError("HW2029", str(path), what="its signature does not verify")
            fault = _differs(document, plan, source)
            if fault:
                faults.append(f"{path}: {fault}")
            else:
                found.append(_standing(document, folder))
        except (KeyError, ValueError, TypeError, IndexError) as error:
            faults.append(f"{path}: {error!r}")
        except AcquireError as error:
            faults.append(error.text("en"))
    if not found:
        raise AcquireError("HW2025", str(plan.folder / plan.stem), what="; ".join(faults))
    return max(found, key=lambda one: one.checkpoint.done)


def _differs(document: Mapping[str, Any], plan: Plan, source: BlockSource) -> str:
    """Why the sidecar belongs to another image, or to one that is finished; '' where it fits."""
    image, origin = document["image"], document["source"]
    if document["state"] != sidecar.INCOMPLETE:
        return f"the image is {document['state']}"
    wanted = {
        "format": plan.format, "level": plan.level, "segment_size": plan.segment, "stem": plan.stem,
        "block": plan.block, "algorithms": list(plan.digests), "fields": {k: plain_name(v) for k, v in plan.fields.items()},
        "sector_size": source.sector_size,
    }  # fmt: skip
    for key, value in wanted.items():
        if image.get(key) != value:
            return f"{key} was {image.get(key)}, is now {value}"
    if int(origin["size"]) != source.size:
        return f"the source had {origin['size']} bytes, has now {source.size}"
    for key in ("serial", "serial_number", "wwn", "wwid"):
        before, now = origin["facts"].get(key), source.facts.get(key)
        if before and now and before != now:
            return f"the source's {key} was {before}, is now {now}"
    return ""


def _standing(document: Mapping[str, Any], folder: Path) -> Standing:
    point = document["checkpoint"]
    return Standing(
        begun=str(document["times"]["begun"]),
        set_id=bytes.fromhex(document["image"]["set_id"]),
        checkpoint=Checkpoint(int(point["done"]), int(point["segment"]), int(point["position"])),
        bad=tuple((int(b[0]), int(b[1]), GapReason(b[2]), str(b[3])) for b in document["bad"]),
        errors=int(document["read_errors"]),
        sessions=tuple(document["times"]["sessions"]),
        folder=folder,
    )


def level_out(plan: Plan, stand: Standing, name: Callable[[int], str]) -> None:
    """Bring every destination to the leading one's checkpoint: names back to parts, files there, none too short.

    Raises:
        AcquireError: HW2025 a file is missing or shorter than the checkpoint says.
    """
    names = [name(number) for number in range(1, stand.checkpoint.segment + 1)]
    for folder in plan.folders:
        rename_back(folder, names)
        number = len(names) + 1
        while name(number) not in names and (beyond := folder / (name(number) + PART)).exists():
            beyond.unlink()  # begun behind the checkpoint: it is read again
            number += 1
    _whole(stand.folder, names, stand.checkpoint.position)
    lead = [stand.folder / (n + PART) for n in names]
    for folder in plan.folders:
        if folder == stand.folder:
            continue
        for index, path in enumerate(lead):
            other = folder / path.name
            last = index == len(lead) - 1
            if not other.exists() or (not last and other.stat().st_size != path.stat().st_size) or last:
                shutil.copyfile(path, other)


def _whole(folder: Path, names: Sequence[str], position: int) -> None:
    for number, name in enumerate(names, 1):
        path = folder / (name + PART)
        if not path.exists():
            raise AcquireError("HW2025", os.fspath(path), what="missing")
        if number == len(names) and path.stat().st_size < position:
            raise AcquireError("HW2025", os.fspath(path), what=f"shorter than {position} bytes")
