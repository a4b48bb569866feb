# SPDX-License-Identifier: Apache-2.0
"""Whether a volume says of itself that it is longer than what is here: an image without its last part, a cut copy.

Places: NTFS, the number of sectors at 40 of the boot sector (:mod:`headwater.formats.ntfs_runs`); FAT, Microsoft's
"FAT: General Overview of On-Disk Format" 1.03, BPB_TotSec16 and BPB_TotSec32; exFAT, Microsoft's specification, 3.1.5
VolumeLength; HFS Plus, Apple's TN1150, ``blockSize`` and ``totalBlocks`` of the volume header. ext and XFS tell it where they are read.
"""

from __future__ import annotations

import struct

from headwater.formats.ntfs_runs import parse_boot
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

_MOST = 1 << 62


def stated_size(source: ByteSource, kind: str) -> int:
    """How many bytes the volume says it has; 0 where it does not say, or this kind is not asked."""
    if kind in ("hfsplus", "hfsx"):
        head = source.pread(1024, 48)
        size, count = struct.unpack_from(">II", head, 40) if len(head) == 48 else (0, 0)
        return int(size) * int(count)
    head = source.pread(0, 512)
    if len(head) < 512:
        return 0
    if kind == "ntfs":
        boot = parse_boot(head)
        return boot.sector * boot.sectors if boot is not None else 0
    if kind == "exfat":
        (sectors,), shift = struct.unpack_from("<Q", head, 72), head[108]
        return sectors << shift if 9 <= shift <= 12 else 0
    if kind.startswith("fat"):
        sector, few, many = struct.unpack_from("<H6xH11xI", head, 11)
        return int(sector) * int(few or many)
    return 0


def beyond(source: ByteSource, kind: str) -> tuple[Gap, ...]:
    """The part of a volume that its image lacks."""
    whole = min(stated_size(source, kind), _MOST)
    if whole <= source.size:
        return ()
    lacking = whole - source.size
    text = f"the volume says {whole} bytes; {lacking} of them lie beyond the end of the image"
    return (Gap(source.size, lacking, GapReason.TRUNCATED, text),)
