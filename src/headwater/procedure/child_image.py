# SPDX-License-Identifier: Apache-2.0
"""What runs in confined children for imaging: partition tables, file systems' allocation.

Every function is a generator of (header, blob) messages; the last header of each has the key ``result``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headwater.formats.filesystems import open_filesystem
from headwater.formats.media import RawMedium, open_medium
from headwater.formats.sources import physical_ranges
from headwater.formats.volumes import Volume, volumes
from headwater.model.errors import HeadwaterError
from headwater.model.ports import ByteSource
from headwater.procedure.child_image_check import Message, open_files

_AT_ONCE = 16_384  # extents per message


def partitions(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """The volumes of a medium: name, offset, length, type, label."""
    table = volumes(RawMedium(open_files(args, fds)))
    found = [[v.name, v.offset, v.length, v.type, v.label] for v in table.volumes]
    yield {"result": {"kind": table.kind, "volumes": found}}, b""


def allocated(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """What each readable file system of an image holds allocated: (offset, length) on the medium, packed u64 pairs.

    ``result`` names the volumes: name, kind, and why one tells nothing.
    """
    try:
        files = open_files(args, fds)
        medium: ByteSource = open_medium(files) if args["e01"] else RawMedium(files)
    except HeadwaterError as error:
        yield {"result": {"volumes": [], "reason": error.text("en")}}, b""
        return
    told: list[list[str]] = []
    table = volumes(medium)
    whole = Volume("", 0, medium.size, "", "", medium)
    for volume in table.volumes or (whole,):
        tree = open_filesystem(volume.source)
        if tree is None:
            told.append([volume.name, "", "no known file system"])
            continue
        count = 0
        packed: list[bytes] = []
        for offset, length, what in tree.coverage():
            if what != "allocated":
                continue
            for at, size in (
                physical_ranges(volume.source, medium, offset, length) if volume is not whole else ((offset, length),)
            ):
                packed.append(struct.pack("<QQ", at, size))
                count += 1
            if len(packed) >= _AT_ONCE:
                yield {"volume": volume.name}, b"".join(packed)
                packed.clear()
        if packed:
            yield {"volume": volume.name}, b"".join(packed)
        told.append([volume.name, tree.kind, "" if count else "it tells nothing of its allocation"])
    yield {"result": {"volumes": told}}, b""
