# SPDX-License-Identifier: Apache-2.0
"""Decompressed content as a byte source, without a named temporary file and in bounded memory.

Small content stays in memory. Larger content goes to a descriptor that the caller made for it, or, where there is
none, is decompressed anew whenever a reader goes back: parsers read forward, so that is rare.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence

from headwater.formats.compressed import DEFAULT_LIMITS, Decompression, Layer, Limits, decompress
from headwater.formats.sources import Bad
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

MEMORY = 32 << 20  # bytes of content kept in memory


class Spooled:
    """A byte source over decompressed content; ``gap`` says what of the compressed bytes could not be had.

    ``gap`` has its offset and length in the compressed bytes. Closing it closes nothing else: the compressed source
    and the spool descriptor are the caller's.
    """

    def __init__(self, source: ByteSource, layer: Layer, limits: Limits, spool: int | None, memory: int) -> None:
        self._source = source
        self._layer: Layer = layer
        self._limits = limits
        self._memory = memory
        self._spool: int | None = None
        self._window: deque[bytes] = deque()  # the chunks that end at _at, at most _memory bytes of them
        self._held = 0
        self._at = 0
        stream = self._restart()
        for chunk in stream:
            if self._spool is not None:
                _write(self._spool, chunk)
                continue
            self._keep(chunk, drop=spool is None)
            if spool is not None and self._held > memory:
                self._spool = spool
                for held in self._window:
                    _write(spool, held)
                self._window.clear()
        if self._held == self._at and self._spool is None:
            self._window = deque((b"".join(self._window),))
        self._size = stream.total
        self.gap: Gap | None = stream.gap
        self._stream: Decompression | None = None

    def _restart(self) -> Decompression:
        self._window.clear()
        self._held = self._at = 0
        return decompress(self._source, self._layer, self._limits)

    def _keep(self, chunk: bytes, drop: bool) -> None:
        self._window.append(chunk)
        self._held += len(chunk)
        self._at += len(chunk)
        while drop and self._held - len(self._window[0]) >= self._memory:
            self._held -= len(self._window.popleft())

    @property
    def size(self) -> int:
        return self._size

    @property
    def bad(self) -> Sequence[Bad]:
        """Always empty: what could not be decompressed is no part of the content; see ``gap``."""
        return ()

    def pread(self, offset: int, length: int) -> bytes:
        length = min(length, self._size - offset)
        if length <= 0 or offset < 0:
            return b""
        if self._spool is not None:
            return _read(self._spool, offset, length)
        parts: list[bytes] = []
        while length > 0:
            part = self._some(offset, length)
            if not part:
                break
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _some(self, offset: int, length: int) -> bytes:
        """At least one byte from ``offset``, decompressing forward, or anew from the start where it has gone by."""
        if offset < self._at - self._held or (self._stream is None and offset >= self._at):
            self._stream = self._restart()
        while offset >= self._at and self._stream is not None:
            chunk = next(self._stream, b"")
            if not chunk:
                return b""  # the compressed file changed under us; its own source says so
            self._keep(chunk, drop=True)
        start = self._at - self._held
        for chunk in self._window:
            if offset < start + len(chunk):
                return chunk[offset - start : offset - start + length]
            start += len(chunk)
        return b""

    def close(self) -> None:
        self._window.clear()
        self._held = 0
        self._stream = None


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _read(fd: int, offset: int, length: int) -> bytes:
    parts: list[bytes] = []
    while length > 0 and (part := os.pread(fd, length, offset)):
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return b"".join(parts)


def spooled(
    source: ByteSource,
    layer: Layer,
    limits: Limits = DEFAULT_LIMITS,
    spool: int | None = None,
    memory: int = MEMORY,
) -> Spooled:
    """Decompress a source once and make it readable at any offset.

    ``spool``: an empty file's descriptor, open for reading and writing, unlinked by who made it.
    """
    return Spooled(source, layer, limits, spool, memory)
