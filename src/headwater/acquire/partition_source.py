# SPDX-License-Identifier: Apache-2.0
"""One partition of a block source, as a block source."""

from __future__ import annotations

from collections.abc import Mapping

from headwater.acquire.ports import BlockSource, UnreadableError


class PartitionSource:
    """``length`` bytes of another source from ``offset``; offsets of failures count in the partition."""

    def __init__(self, source: BlockSource, offset: int, length: int, name: str) -> None:
        self._source = source
        self._offset = offset
        self.name = f"{source.name}!{name}"
        self.size = max(0, min(length, source.size - offset))
        self.sector_size = source.sector_size
        self.live = source.live
        self.facts: Mapping[str, str] = dict(source.facts) | {
            "partition": name, "partition_offset": str(offset), "partition_length": str(length),
            "medium_size": str(source.size),
        }  # fmt: skip

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """See :meth:`BlockSource.read_into`."""
        length = min(len(buffer), max(0, self.size - offset))
        if not length:
            return 0
        try:
            return self._source.read_into(self._offset + offset, buffer[:length])
        except UnreadableError as error:
            raise UnreadableError(offset, length, error.strerror or "I/O error", vanished=error.vanished) from error

    def close(self) -> None:
        """Close the whole source."""
        self._source.close()
