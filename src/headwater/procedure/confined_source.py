# SPDX-License-Identifier: Apache-2.0
"""A medium as a block source that is parsed in a confined child: what is imaged from a container stays outside.

The child streams the medium's bytes from an offset; a thread here takes them under a bound. Reading on where the last
read ended costs nothing more; reading elsewhere starts a new stream, except within what was last handed over, so that
narrowing down a bad range inside a block asks the child for nothing.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from headwater.acquire.ports import UnreadableError
from headwater.confine.pool import Limits, Message, Pool, Task
from headwater.procedure.child_open import STEP

_AHEAD = 8  # pieces of 1 MiB that may wait
_KEPT = 18  # pieces kept behind: more than the largest block of an imaging


class _Piece(NamedTuple):
    at: int
    data: bytes
    bad: list[list[Any]]


class _Left(Exception):
    """Nobody wants the rest of this stream."""


class _Stream:
    """One reading from an offset on, in a child of its own."""

    def __init__(self, args: Mapping[str, Any], fds: tuple[int, ...], limits: Limits, offset: int) -> None:
        self._task = Task(
            f"stream-{offset}", "headwater.procedure.child_open:stream", dict(args) | {"offset": offset}, fds
        )
        self._limits = limits
        self._pieces: queue.Queue[_Piece | str] = queue.Queue(_AHEAD)
        self._over = threading.Event()
        self.at = offset
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        why = ""
        expected = self.at

        def take(message: Message) -> None:
            nonlocal expected, why
            if "error" in message.header:
                why = str(message.header["error"])
            elif message.header.get("at") == expected:
                expected += len(message.blob)
                self._put(_Piece(int(message.header["at"]), message.blob, message.header["bad"]))

        try:
            with Pool(1, self._limits) as pool:
                for outcome in pool.run([self._task], take):
                    if outcome.status != "done":
                        why = f"{outcome.status}: {outcome.detail}"
            self._put(why or "the medium ended")
        except _Left:
            pass
        except Exception as error:  # whoever waits for the next piece is told
            self._pieces.put(f"{type(error).__name__}: {error}")

    def _put(self, item: _Piece | str) -> None:
        while True:
            if self._over.is_set():
                raise _Left
            try:
                self._pieces.put(item, timeout=0.5)
            except queue.Full:
                continue
            return

    def next(self) -> _Piece:
        """The next piece.

        Raises:
            UnreadableError: there is none; the child ended badly.
        """
        item = self._pieces.get()
        if isinstance(item, str):
            raise UnreadableError(self.at, STEP, item, vanished=True)
        self.at = item.at + len(item.data)
        return item

    def stop(self) -> None:
        """End the child."""
        self._over.set()
        self._thread.join()


class ConfinedMedium:
    """See :class:`headwater.acquire.ports.BlockSource`. ``args``: of the child's functions; ``fds`` stay the caller's."""

    live = False

    def __init__(
        self,
        name: str,
        described: Mapping[str, Any],
        args: Mapping[str, Any],
        fds: tuple[int, ...],
        limits: Limits,
        facts: Mapping[str, str],
    ) -> None:
        self.name = name
        self.size = int(described["size"])
        self.sector_size = int(described["sector_size"])
        self.facts = facts
        self._args, self._fds, self._limits = args, fds, limits
        self._stream: _Stream | None = None
        self._kept: deque[_Piece] = deque(maxlen=_KEPT)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """See :meth:`headwater.acquire.ports.BlockSource.read_into`."""
        length = min(len(buffer), max(0, self.size - offset))
        done = 0
        while done < length:
            piece = self._piece(offset + done)
            inside = offset + done - piece.at
            take = min(length - done, len(piece.data) - inside)
            for at, size, detail in piece.bad:
                if at < offset + done + take and offset + done < at + size:
                    raise UnreadableError(offset, length, str(detail))
            buffer[done : done + take] = memoryview(piece.data)[inside : inside + take]
            done += take
        return done

    def _piece(self, offset: int) -> _Piece:
        kept = list(self._kept)
        for piece in kept[::-1]:
            if piece.at <= offset < piece.at + len(piece.data):
                return piece
        if self._stream is None or self._stream.at != offset:
            self.close()
            self._stream = _Stream(self._args, self._fds, self._limits, offset)
        fresh: _Piece = self._stream.next()
        self._kept.append(fresh)
        return fresh

    def close(self) -> None:
        """End the child."""
        if self._stream is not None:
            self._stream.stop()
            self._stream = None
        self._kept.clear()
