# SPDX-License-Identifier: Apache-2.0
"""What runs in a confined child to verify an image: its digests, its chunks' checksums, what is damaged in it.

Kept light: nothing of the examination is loaded.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headwater.acquire.blocks import Pool as Buffers
from headwater.acquire.stages import Stages
from headwater.formats.hashing import hash_source
from headwater.formats.media import Medium, RawMedium, open_medium, read_into
from headwater.formats.opened import OpenFile
from headwater.formats.sources import FileSource
from headwater.model.errors import HeadwaterError
from headwater.model.paths import decode_name

Message = tuple[dict[str, Any], bytes]
_LISTED = 1_000
_BLOCK, _BLOCKS = 4 << 20, 4
_STEP = 32 << 20  # bytes between two words of progress
ACQUISITION = "a read error noted at acquisition"  # as formats.e01 words it


def open_files(args: Mapping[str, Any], fds: Sequence[int]) -> list[OpenFile]:
    """The descriptors of an image as open files, with the names and sizes that came with the task."""
    pairs = zip(fds, args["files"], strict=True)
    return [OpenFile(fd, os.fsdecode(decode_name(name)), size) for fd, (name, size) in pairs]


def check(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """Digests of an image, and what is damaged in it; see :mod:`headwater.procedure.image_check`."""
    files = open_files(args, fds)
    try:
        medium: Medium = RawMedium(files) if args["raw"] else open_medium(files)
    except HeadwaterError as error:
        yield {"error": {"code": error.code, "where": error.where, "names": error.names}}, b""
        return
    size = medium.size if args["source_size"] is None else min(medium.size, int(args["source_size"]))
    held: list[str] = []
    beside = threading.Thread(target=_digest_files, args=(files, held), daemon=True)
    if args["hold_files"]:
        beside.start()
    wanted = dict.fromkeys(("sha256", *args["algorithms"], *medium.stated))
    stages = Stages(Buffers(_BLOCKS, _BLOCK), tuple(wanted), mark=False)
    told = 0
    for offset in range(0, size, _BLOCK):
        block = stages.free()
        block.offset = offset
        block.length = read_into(medium, offset, block.view[: min(_BLOCK, size - offset)])
        stages.put(block)
        if offset - told >= _STEP:
            told = offset
            yield {"progress": offset, "total": size}, b""
    stages.drain()
    behind = medium.pread(size, medium.size - size)
    if args["hold_files"]:
        beside.join()
    noted = [b for b in medium.bad if b[3] == ACQUISITION]
    damage = [f"{length} bytes from {at}: {detail}" for at, length, _, detail in medium.bad if detail != ACQUISITION]
    yield {
        "result": {
            "kind": medium.kind, "size": medium.size, "files": len(files), "stated": dict(medium.stated),
            "source": stages.hexdigests(), "medium": stages.hexdigests(behind), "held": held,
            "noted": [[at, length] for at, length, _, _ in noted[:_LISTED]], "damage": damage[:_LISTED],
            "warnings": [f"{w.detail}" for w in medium.warnings][:_LISTED],
        }
    }, b""  # fmt: skip


def _digest_files(files: Sequence[OpenFile], held: list[str]) -> None:
    for file in files:
        held.append(hash_source(FileSource(file))["sha256"])
