# SPDX-License-Identifier: Apache-2.0
"""A LiME file as a tree: one file for each range of physical memory, named by its addresses.

``/memory/FIRST-LAST`` in sixteen hexadecimal digits each: an offset in it and FIRST make the physical address. What of the
image is no range, and what a cut image lacks of its last one, is a warning; nothing is made up for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headwater.formats.lime import MAGIC, Range, ranges
from headwater.formats.sources import window
from headwater.formats.trees import Coverage, Entry
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

FOLDER = "/memory"


def is_lime(head: bytes) -> bool:
    """Whether a file that begins with these bytes is an image in LiME's form."""
    return head[:8] == MAGIC.to_bytes(4, "little") + b"\x01\0\0\0"


class LimeTree:
    """The ranges of an image in the order of their addresses. ``key``: the number of the range."""

    kind = "memory"

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._ranges, self._faults = ranges(source)

    @property
    def warnings(self) -> Sequence[Gap]:
        """What of the file is no range; offsets in the file."""
        return tuple(Gap(at, length, reason, why) for at, length, reason, why in self._faults)

    def entries(self) -> Iterator[Entry]:
        """One file for each range: memory has neither times nor owners."""
        for number, each in enumerate(self._ranges):
            last = each.start + each.stated - 1
            path = f"{FOLDER}/{each.start:016x}-{last:016x}"
            yield Entry(
                path, "file", each.size, 0, None, None, 0, True, None, None, None, None, None, None, str(number)
            )

    def _range(self, key: str) -> Range:
        if not key.isdigit() or int(key) >= len(self._ranges):
            raise KeyError(key)
        return self._ranges[int(key)]

    def open(self, key: str) -> ByteSource:
        """The bytes of a range.

        Raises:
            KeyError: this tree never gave it out.
        """
        each = self._range(key)
        return window(self._source, each.offset, each.size)

    def extents(self, key: str) -> tuple[tuple[int, int], ...]:
        """Where the range stands in the file."""
        each = self._range(key)
        return ((each.offset, each.size),)

    def coverage(self) -> Iterator[tuple[int, int, Coverage]]:
        """Every range, and the headers between them."""
        at = 0
        for each in sorted(self._ranges, key=lambda r: r.offset):
            if each.offset > at:
                yield at, each.offset - at, "metadata"
            yield each.offset, each.size, "allocated"
            at = each.offset + each.size
