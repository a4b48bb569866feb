# SPDX-License-Identifier: Apache-2.0
"""Block sources that fail as disks, cables and connections do. For tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from headwater.acquire.ports import UnreadableError


class FailingSource:
    """``data`` with sectors that cannot be read; ``gone_at``: reads that reach this offset find the source vanished."""

    def __init__(
        self, data: bytes, bad: frozenset[int] = frozenset(), *, gone_at: int | None = None, sector: int = 512
    ) -> None:
        self.name = "failing"
        self.size = len(data)
        self.sector_size = sector
        self.live = False
        self.facts: Mapping[str, str] = {"serial": "S1"}
        self.data = data
        self.bad = bad
        self.gone_at = gone_at
        self.tries: dict[int, int] = {}
        self.heals_after: int | None = None
        self.on_read: Callable[[int], None] | None = None

    def read_into(self, offset: int, buffer: memoryview) -> int:
        length = min(len(buffer), self.size - offset)
        if self.on_read is not None:
            self.on_read(offset)
        if self.gone_at is not None and offset + length > self.gone_at:
            raise UnreadableError(offset, length, "No such device", vanished=True)
        first, last = offset // self.sector_size, (offset + length - 1) // self.sector_size
        for sector in range(first, last + 1):
            if sector in self.bad:
                self.tries[sector] = self.tries.get(sector, 0) + (first == last)
                if self.heals_after is None or self.tries[sector] <= self.heals_after:
                    buffer[:length] = b"\xee" * length  # what a failed read leaves behind counts for nothing
                    raise UnreadableError(offset, length, "Input/output error")
        data = self.data[offset : offset + length]
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        pass
