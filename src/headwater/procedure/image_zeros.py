# SPDX-License-Identifier: Apache-2.0
"""Which zeros of an image lie where a file system says that something is: wiped content, trim, or never written.

The file systems are read in a confined child; what it sends are numbers, compared here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headwater.acquire.image_files import open_files
from headwater.confine.pool import Message, Pool, Task
from headwater.model.errors import HeadwaterError
from headwater.procedure.intake import Held, call

_LISTED = 10_000  # ranges per volume
_EXTENTS = 4 << 20  # per volume: 64 MiB of numbers


def allocated_zeros(
    pool: Pool, folder: Path, names: Sequence[str], zeros: Sequence[tuple[int, int]], *, e01: bool
) -> dict[str, Any]:
    """Per volume the zeros that are allocated, for the sidecar; ``reason`` where nothing can be said."""
    extents: dict[str, list[bytes]] = {}
    held: dict[str, int] = {}

    def take(message: Message) -> None:
        name = str(message.header.get("volume", ""))
        held[name] = held.get(name, 0) + len(message.blob) // 16
        if held[name] <= _EXTENTS:
            extents.setdefault(name, []).append(bytes(message.blob))

    files = open_files(folder, names)
    try:
        task = Task(
            "allocated-zeros", "headwater.procedure.child_image:allocated",
            {"files": Held((), tuple(files)).args(), "e01": e01}, tuple(f.fd for f in files), wall=3600.0,
        )  # fmt: skip
        result = call(pool, task, take)
    except HeadwaterError as error:  # the image stands without this: what is not known is said
        return {"volumes": [], "reason": error.text("en")}
    finally:
        for file in files:
            file.close()
    volumes = []
    for name, kind, reason in result["volumes"]:
        ranges = _common(b"".join(extents.get(name, [])), zeros)
        row: dict[str, Any] = {"volume": name, "file_system": kind, "reason": reason}
        if held.get(name, 0) > _EXTENTS:
            row["reason"] = f"only the first {_EXTENTS} extents were compared"
        row |= {"bytes": sum(n for _, n in ranges), "ranges": [list(r) for r in ranges[:_LISTED]]}
        row["more"] = max(0, len(ranges) - _LISTED)
        volumes.append(row)
    return {"volumes": volumes, "reason": str(result.get("reason", ""))}


def _common(packed: bytes, zeros: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The overlaps of allocated extents with ranges of zeros, by offset, joined where they touch."""
    if not packed or not zeros:
        return []
    import numpy as np  # not where no file system told anything

    pairs = np.frombuffer(packed, "<u8").reshape(-1, 2).astype(np.int64)
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    found: list[tuple[int, int]] = []
    at = 0
    for start, length in zip(pairs[:, 0].tolist(), pairs[:, 1].tolist()):
        end = start + length
        while at < len(zeros) and sum(zeros[at]) <= start:
            at += 1
        here = at
        while here < len(zeros) and zeros[here][0] < end:
            low, high = max(start, zeros[here][0]), min(end, sum(zeros[here]))
            if found and found[-1][0] + found[-1][1] >= low:
                found[-1] = (found[-1][0], max(sum(found[-1]), high) - found[-1][0])
            elif low < high:
                found.append((low, high - low))
            here += 1
    return found
