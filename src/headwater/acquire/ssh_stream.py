# SPDX-License-Identifier: Apache-2.0
"""The output of a command on a server, handed from the protocol's thread to the reader's, with a bounded read-ahead."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Any

from headwater.acquire.system_files import inert_text

READ_AHEAD = 16 << 20  # bytes held for a reader that is slower than the wire
_NOISE_MOST = 256 << 10  # what a login shell may print before our marker
_ERRORS_MOST = 512


class ConnectionLost(OSError):
    """The connection, or the command on it, ended before its work was done."""


class Stream:
    """The output of one command, byte by byte, with a bounded read-ahead. Made by :meth:`Session.stream`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, marker: bytes) -> None:
        self._loop = loop
        self._marker: bytes | None = marker
        self._noise = bytearray()
        self._parts: deque[bytes] = deque()
        self._held = 0
        self._ready = threading.Condition()
        self._paused = False
        self._ended = False
        self._errors = bytearray()
        self.channel: Any = None
        self.status: int | None = None  # the command's own exit status; None where it was killed or the line was cut

    @property
    def errors(self) -> str:
        """The end of what the command printed on its error output, inert."""
        return inert_text(bytes(self._errors[-_ERRORS_MOST:]))

    def read_into(self, buffer: memoryview, seconds: float) -> int:
        """At least one byte into ``buffer``; 0 at the end.

        Raises:
            ConnectionLost: nothing came for ``seconds``, or the line was cut.
        """
        with self._ready:
            if not self._ready.wait_for(lambda: self._held or self._ended, seconds):
                raise ConnectionLost(f"nothing came for {seconds:g} s")
            if not self._held:
                if self.status is None:
                    raise ConnectionLost("the command ended without saying how")
                return 0
            done = 0
            while self._parts and done < len(buffer):
                part = self._parts[0]
                room = len(buffer) - done
                if len(part) <= room:
                    self._parts.popleft()
                    piece = part
                else:
                    piece, self._parts[0] = part[:room], part[room:]
                buffer[done : done + len(piece)] = piece
                done += len(piece)
            self._held -= done
            resume = self._paused and self._held < READ_AHEAD // 2
            if resume:
                self._paused = False
        if resume:
            self._loop.call_soon_threadsafe(self._resume)
        return done

    def say(self, words: bytes) -> None:
        """Further lines for the command's standard input."""
        self._loop.call_soon_threadsafe(self._say, words)

    def cancel(self) -> None:
        """Give the command up; what is still on its way is thrown away."""
        with self._ready:
            self._parts.clear()
            self._held, self._ended = 0, True
            self._ready.notify_all()
        self._loop.call_soon_threadsafe(self._abort)

    # ------------------------------------------------------------------ called in the protocol's thread

    def _say(self, words: bytes) -> None:
        if self.channel is not None and not self.channel.is_closing():
            self.channel.write(words)

    def _resume(self) -> None:
        # not is_closing(): our side of the channel is closed from the start, the other still sends
        if self.channel is not None and not self._ended:
            self.channel.resume_reading()

    def _abort(self) -> None:
        if self.channel is not None:
            self.channel.abort()

    def take(self, data: bytes, is_error: bool) -> None:
        """Bytes from the server."""
        if is_error:
            self._errors += data
            del self._errors[:-_ERRORS_MOST]
            return
        if self._marker is not None:
            data = self._without_noise(data)
        if not data:
            return
        with self._ready:
            if self._ended:
                return
            self._parts.append(data)
            self._held += len(data)
            if self._held >= READ_AHEAD and not self._paused:
                self._paused = True
                self.channel.pause_reading()
            self._ready.notify_all()

    def _without_noise(self, data: bytes) -> bytes:
        """What stands behind the marker, once it has come."""
        assert self._marker is not None
        self._noise += data
        at = self._noise.find(self._marker)
        if at < 0:
            del self._noise[:-_NOISE_MOST]
            return b""
        rest = bytes(self._noise[at + len(self._marker) :])
        self._marker, self._noise = None, bytearray()
        return rest

    def end(self) -> None:
        """No more bytes will come."""
        with self._ready:
            self._ended = True
            self._ready.notify_all()
