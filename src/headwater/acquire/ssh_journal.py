# SPDX-License-Identifier: Apache-2.0
"""The journal of a connection: when it was made and lost, the rate, the longest silences; bounded, for the ledger."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

_ENTRIES_MOST = 2_000
_RATE_EVERY = 60.0
_SILENCE = 5.0


class Journal:
    """``entries``: [{time, what, offset, …}], offsets on the source in bytes; rates once a minute."""

    def __init__(self) -> None:
        self.entries: list[dict[str, str]] = []
        self.left_out = 0
        self.bytes = 0
        self.longest_silence = 0.0
        self._began = self._told = time.monotonic()
        self._told_bytes = 0

    def note(self, what: str, offset: int, **more: str) -> None:
        """One entry, with the time of this machine's clock."""
        if len(self.entries) >= _ENTRIES_MOST:
            self.left_out += 1
            return
        now = datetime.now(UTC)
        self.entries.append({"time": f"{now:%Y-%m-%dT%H:%M:%S.%f}Z", "what": what, "offset": str(offset), **more})

    def took(self, count: int, waited: float) -> None:
        """Bytes that came, after so many seconds of waiting."""
        self.bytes += count
        self.longest_silence = max(self.longest_silence, waited)
        if waited > _SILENCE:
            self.note("silence", self.bytes, seconds=f"{waited:.3f}")
        now = time.monotonic()
        if now - self._told >= _RATE_EVERY:
            rate = (self.bytes - self._told_bytes) / (now - self._told)
            self.note("rate", self.bytes, bytes_per_second=f"{rate:.0f}")
            self._told, self._told_bytes = now, self.bytes

    def plain(self) -> dict[str, Any]:
        """The journal as JSON values."""
        seconds = time.monotonic() - self._began
        return {
            "bytes": str(self.bytes),
            "seconds": f"{seconds:.3f}",
            "bytes_per_second": f"{self.bytes / seconds if seconds else 0:.0f}",
            "longest_silence_seconds": f"{self.longest_silence:.3f}",
            "left_out": str(self.left_out),
            "entries": list(self.entries),
        }
