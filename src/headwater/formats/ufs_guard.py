# SPDX-License-Identifier: Apache-2.0
"""UFS as The Sleuth Kit can bear it: inodes whose size no volume could hold are shown with none, and said to be.

The Sleuth Kit walks as many blocks of a file as its size says before it gives the file's name, so that one broken or
hostile inode would keep it busy for years. Layout: struct fs and struct ufs1_dinode, ufs2_dinode of 4.4BSD and FreeBSD.
"""

from __future__ import annotations

import bisect
import struct

import numpy as np

from headwater.formats.sources import LaidOver
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

# (where the superblock may begin, size of an inode, where in it its size stands)
_FORMS = {"ufs1": ((8192,), 128, 8), "ufs2": ((65536, 262144), 256, 16)}
_MAGIC = {"ufs1": 0x00011954, "ufs2": 0x19540119}
_GROUPS_MOST = 1 << 20
_STEP = 1 << 20
_SPARSE = 1 << 32  # a file may be larger than its volume where it has holes: up to four times and 4 GiB
_TOLD = 1000
_BENT_MOST = 1_000_000


class Sized(LaidOver):
    """A volume whose inodes say sizes that can be; ``gaps``: those that did not.

    Raises:
        ValueError: nothing but such inodes.
    """

    def __init__(self, source: ByteSource, kind: str) -> None:
        super().__init__(source)
        self._places: list[int] = []
        self.gaps: list[Gap] = []
        starts, inode, place = _FORMS[kind]
        for start in starts:
            raw = source.pread(start, 1376)
            for order in "<>":
                if len(raw) == 1376 and struct.unpack_from(f"{order}I", raw, 1372)[0] == _MAGIC[kind]:
                    self._look(raw, order, inode, place, kind == "ufs1")
                    self._places.sort()
                    return

    def _look(self, raw: bytes, order: str, inode: int, place: int, old: bool) -> None:
        table, offset, mask = struct.unpack_from(f"{order}I4xIi", raw, 16)
        groups, _, fragment = struct.unpack_from(f"{order}III", raw, 44)
        inodes, blocks = struct.unpack_from(f"{order}II", raw, 184)
        if not 512 <= fragment <= 65536 or not blocks or inodes > 1 << 24:
            return
        most = self._source.size * 4 + _SPARSE
        for group in range(min(groups, _GROUPS_MOST, self._source.size // (blocks * fragment) + 1)):
            skew = offset * (group & ~mask) if old else 0
            at = (group * blocks + skew + table) * fragment
            for begin in range(at, at + inodes * inode, _STEP):
                data = self._source.pread(begin, min(_STEP, at + inodes * inode - begin))
                sizes = np.frombuffer(data[: len(data) // inode * inode], f"{order}u8")[place // 8 :: inode // 8]
                for index in np.flatnonzero(sizes > np.uint64(most)).tolist():
                    self._places.append(begin + index * inode + place)
                    if len(self._places) > _BENT_MOST:
                        raise ValueError("more inodes with impossible sizes than a volume has by chance")
                    if len(self.gaps) < _TOLD:
                        what = f"an inode says a size of {int(sizes[index])} bytes, which this volume cannot hold; shown without content"
                        self.gaps.append(Gap(begin + index * inode, inode, GapReason.NOT_THIS_FORMAT, what))

    def pread(self, offset: int, length: int) -> bytes:
        data = self._source.pread(offset, length)
        first = bisect.bisect_left(self._places, offset - 7)
        last = bisect.bisect_right(self._places, offset + len(data) - 1)
        if first >= last:
            return data
        held = bytearray(data)
        for at in self._places[first:last]:
            low, high = max(at, offset), min(at + 8, offset + len(data))
            held[low - offset : high - offset] = bytes(high - low)
        return bytes(held)
