# SPDX-License-Identifier: Apache-2.0
"""Memory of a running server into a LiME file: range by range, digested on the way, over a line that may be lost.

1. One ``dd`` for each piece that kcore shows; its bytes go to the file and the digests in order.
2. A page that cannot be read is zeros in the file and listed; what no segment shows is left out of the file and listed.
3. A lost line is made anew a bounded number of times. Another boot answers: its memory is another memory, reading ends there.
4. Memory changes while it is read: the image shows each page at its own moment, between the first byte and the last.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from headwater.acquire.memory_layout import Piece
from headwater.acquire.ssh_scripts import read_script
from headwater.acquire.ssh_stream import ConnectionLost
from headwater.acquire.system_files import inert_text
from headwater.formats.lime import header
from headwater.model.errors import AcquireError
from headwater.model.kinds import GapReason

_PIECE = 1 << 20
_PAGE = 4096
_APART = 64 << 10
_BAD_MOST = 4096
_FIRST_WAIT, _ATTEMPTS = 1.0, 5
_STALL = 120.0
_ALGORITHMS = ("sha256", "md5", "sha1")
_ZEROS = bytes(_PIECE)


class Flow(Protocol):
    """A running script's output; see :class:`headwater.acquire.ssh_stream.Stream`."""

    @property
    def status(self) -> int | None: ...

    @property
    def errors(self) -> str: ...

    def read_into(self, buffer: memoryview, seconds: float) -> int: ...

    def cancel(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Line:
    """The way to the server. ``stream`` starts a script; ``again`` makes a lost line anew and gives the boot id it finds there."""

    stream: Callable[[bytes], Flow]
    again: Callable[[], str]
    boot: str


@dataclass(slots=True)
class Taken:
    """What was written. ``bad``: (offset in the file, length, reason, detail); ``missing``: (address, size) that kcore hides."""

    digests: dict[str, str] = field(default_factory=dict)
    size: int = 0
    ranges: int = 0
    ram: int = 0
    zeros: int = 0
    bad: list[tuple[int, int, str, str]] = field(default_factory=list)
    missing: list[tuple[int, int]] = field(default_factory=list)
    events: list[dict[str, str]] = field(default_factory=list)
    stopped: str = ""


class _Stopped(Exception):
    """Reading ends here; what was written stays."""


class MemoryReader:
    """Reads the pieces of one server's memory into one file."""

    def __init__(
        self, line: Line, kcore: str, *, byte_flags: bool,
        tell: Callable[[int, int], None], sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self._line, self._kcore, self._flags = line, kcore, byte_flags
        self._tell, self._sleep = tell, sleep
        self._hashes = {n: hashlib.new(n, usedforsecurity=False) for n in _ALGORITHMS}
        self._pool = ThreadPoolExecutor(len(_ALGORITHMS))
        self._file: Any = None
        self._total = 0
        self.taken = Taken()

    def read(self, pieces: Sequence[Piece], path: Path) -> Taken:
        """All pieces, in order, into a new file, which is durable at the end.

        Raises:
            AcquireError: HW2176 the file is there already; HW2022 it cannot be written.
        """
        shown = [p for p in pieces if p.offset is not None]
        self.taken.missing = [(p.start, p.size) for p in pieces if p.offset is None]
        self._total = sum(p.size for p in shown)
        try:
            with open(path, "xb", buffering=0) as self._file:
                try:
                    for piece in shown:
                        self._range(piece)
                except _Stopped as stopped:
                    self.taken.stopped = str(stopped)
                os.fsync(self._file.fileno())
                os.fchmod(self._file.fileno(), 0o444)
        except FileExistsError as error:
            raise AcquireError("HW2176", str(path)) from error
        except OSError as error:
            raise AcquireError("HW2022", str(path), what=error.strerror or str(error)) from error
        finally:
            self._pool.shutdown()
        self.taken.digests = {n: h.hexdigest() for n, h in self._hashes.items()}
        return self.taken

    def _put(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        if len(view) < _APART:
            for each in self._hashes.values():
                each.update(view)
        else:  # OpenSSL's digests release the interpreter's lock
            list(self._pool.map(lambda each: each.update(view), self._hashes.values()))
        while view:
            view = view[self._file.write(view) :]
        self.taken.size += len(data)

    def _range(self, piece: Piece) -> None:
        """One range: its header, then its bytes, whatever happens to the line in between."""
        assert piece.offset is not None
        self._put(header(piece.start, piece.size))
        self.taken.ranges += 1
        done, losses = 0, 0
        while done < piece.size:
            try:
                came, said = self._dd(piece.offset + done, piece.size - done, self._took)
                done += came
                losses = 0 if came else losses
                if done < piece.size:
                    done += self._around(piece.offset + done, piece.size - done, said)
            except _Lost as lost:
                done += lost.came
                losses = 1 if lost.came else losses + 1
                self._restore(losses, str(lost))

    def _took(self, data: memoryview) -> None:
        self._put(data)
        self.taken.ram += len(data)
        if len(data) == _PIECE and data == _ZEROS:
            self.taken.zeros += len(data)
        self._tell(self.taken.ram, self._total)

    def _dd(self, offset: int, length: int, take: Callable[[memoryview], None]) -> tuple[int, str]:
        """(bytes that came in order, what dd said where they are fewer than asked for).

        Raises:
            _Lost: the line was lost; with how many bytes were taken.
        """
        read = read_script(self._kcore, offset, length, self._flags)
        came, before = 0, read.before
        buffer = memoryview(bytearray(_PIECE))
        try:
            flow = self._line.stream(read.script)
        except ConnectionLost as error:
            raise _Lost(0, str(error)) from error
        try:
            while came < length:
                filled = 0
                while filled < len(buffer):  # whole pieces, so that a stretch of zeros is known as one
                    got = flow.read_into(buffer[filled:], _STALL)
                    if not got:
                        break
                    filled += got
                data = buffer[min(before, filled) : filled]
                before -= min(before, filled)
                data = data[: length - came]
                if data:
                    take(data)
                    came += len(data)
                if filled < len(buffer):
                    break
        except ConnectionLost as error:
            raise _Lost(came, str(error)) from error
        finally:
            flow.cancel()
        return came, flow.errors or f"dd exit status {flow.status}"

    def _around(self, offset: int, length: int, said: str) -> int:
        """Past a page that cannot be read: up to one MiB, page by page; returns how far."""
        done, limit = 0, min(length, _PIECE)
        while done < limit:
            size = min(_PAGE, limit - done)
            came, why = self._dd(offset + done, size, self._took)
            if came < size:
                if len(self.taken.bad) >= _BAD_MOST:
                    raise _Stopped(f"more than {_BAD_MOST} pages cannot be read: {said}")
                self.taken.bad.append((self.taken.size, size - came, GapReason.UNREADABLE.value, inert_text(why)))
                self._put(bytes(size - came))
            done += size
        return done

    def _restore(self, losses: int, why: str) -> None:
        """Step 3.

        Raises:
            _Stopped: after the last attempt, or where another boot answers.
        """
        self._event("lost", why)
        for attempt in range(losses, _ATTEMPTS + 1):
            self._sleep(_FIRST_WAIT * 2 ** (attempt - 1))
            try:
                boot = self._line.again()
            except (AcquireError, ConnectionLost) as error:
                self._event("attempt failed", str(error))
                continue
            if boot != self._line.boot:
                raise _Stopped("the server was restarted: what it holds now is another memory")
            self._event("reconnected", "")
            return
        raise _Stopped(f"connection lost, {_ATTEMPTS} attempts failed: {why}")

    def _event(self, what: str, said: str) -> None:
        if len(self.taken.events) < 1000:
            now = f"{time.time_ns()}"
            self.taken.events.append({"time_ns": now, "what": what, "said": said, "ram": str(self.taken.ram)})


class _Lost(Exception):
    """The line was lost after ``came`` bytes of what was asked for were taken."""

    def __init__(self, came: int, why: str) -> None:
        super().__init__(why)
        self.came = came
