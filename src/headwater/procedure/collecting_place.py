# SPDX-License-Identifier: Apache-2.0
"""Where a collection is written, and how much room there is for it."""

from __future__ import annotations

import os
from pathlib import Path

from headwater.acquire.collect_receiving import PART
from headwater.model.errors import AcquireError
from headwater.procedure.corridor import Corridor
from headwater.procedure.scene_items import next_number

ENDING = ".hwcol"
_KEEP_FREE = 1 << 30  # of the disk that the stream is written to


def path_of(out: Path | None, corridor: Corridor, host: str) -> Path:
    """Where the stream goes: ``out``, or in the case under the server's name; no file is written over.

    Raises:
        AcquireError: HW2104.
    """
    plain = "".join(c if c.isalnum() or c in "-_." else "-" for c in host)[:60].strip(".-") or "host"
    folder = corridor.case.absolute() / "acquired"
    stem = folder / f"{plain}-{next_number(corridor):04d}" if out is None else out.absolute()
    stem = stem.with_name(stem.name.removesuffix(ENDING))
    try:
        if out is None:
            folder.mkdir(exist_ok=True)
        for again in range(1, 1000):  # a run that was killed leaves its part, which is kept
            path = stem.with_name(f"{stem.name}{'' if again == 1 else f'-{again}'}{ENDING}")
            taken = [p for p in (path, path.with_name(path.name + PART)) if p.exists()]
            if not taken:
                return path
            if out is not None:
                break
    except OSError as error:
        raise AcquireError("HW2104", str(stem), what=error.strerror or str(error)) from error
    raise AcquireError("HW2104", str(taken[0]), what="it exists already")


def room_for(path: Path, most: int | None) -> int:
    """How many bytes the stream may have.

    Raises:
        AcquireError: HW2104, the disk has no room.
    """
    try:
        held = os.statvfs(path.parent)
    except OSError as error:
        raise AcquireError("HW2104", str(path), what=error.strerror or str(error)) from error
    free = held.f_bavail * held.f_frsize - _KEEP_FREE
    if free < 1 << 20:
        raise AcquireError("HW2104", str(path), what="less than 1 GiB is free")
    return min(free, most) if most else free
