# SPDX-License-Identifier: Apache-2.0
"""Starts the collector and takes its stream in as it comes: digested and written, not looked at.

What a server sends is parsed by nobody here: that is done later, in a confined child. Bounded in bytes, in silence and in
time, so that a server that sends without end or falls silent costs its own collection alone.
"""

from __future__ import annotations

import hashlib
import os
import queue
import select
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from headwater.acquire import collector
from headwater.acquire.ssh_session import Session
from headwater.acquire.ssh_stream import ConnectionLost, Stream
from headwater.acquire.system_files import inert_text
from headwater.model.errors import AcquireError

_PIECE = 1 << 20
PART = ".part"  # of the name of what is not whole yet
_ALGORITHMS = ("sha256",)  # of the stream; each file in it has its own two
_WAITING = 16  # pieces between wire and disk
_SLACK = 64 << 20  # what may come beyond the limit that the collector was told, so that it can end in order
_GREETING_SECONDS = 120.0


class Line(Protocol):
    """A shell at the other end: what it prints, and words for its standard input."""

    @property
    def errors(self) -> str: ...

    def read_into(self, buffer: memoryview, seconds: float) -> int: ...

    def say(self, words: bytes) -> None: ...

    def cancel(self) -> None: ...


class LocalLine:
    """A shell on this machine."""

    def __init__(self, script: bytes) -> None:
        self._process = subprocess.Popen(
            ["sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        assert self._process.stdout is not None
        self._errors = bytearray()
        self._output = self._process.stdout.fileno()
        self._words: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()
        self._teller = threading.Thread(target=self._tell, daemon=True)
        self._teller.start()
        self.say(script)

    def _listen(self) -> None:
        assert self._process.stderr is not None
        while part := os.read(self._process.stderr.fileno(), 4096):
            self._errors += part
            del self._errors[:-512]

    @property
    def errors(self) -> str:
        """The end of what was printed on the error output, inert."""
        return inert_text(bytes(self._errors))

    def read_into(self, buffer: memoryview, seconds: float) -> int:
        """At least one byte; 0 at the end.

        Raises:
            ConnectionLost: nothing came for ``seconds``, or it did not end well.
        """
        if not select.select([self._output], [], [], seconds)[0]:
            raise ConnectionLost(f"nothing came for {seconds:g} s")
        got = os.readv(self._output, [buffer])
        if not got and self._process.wait():
            raise ConnectionLost(f"it ended with exit status {self._process.returncode}: {self.errors}")
        return got

    def say(self, words: bytes) -> None:
        """Words for its standard input; it may print before it has read them all, so nobody waits here."""
        self._words.put(words)

    def _tell(self) -> None:
        assert self._process.stdin is not None
        try:
            while (words := self._words.get()) is not None:
                self._process.stdin.write(words)
                self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass  # it has ended, or was ended; reading tells

    def cancel(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._words.put(None)
        self._teller.join(5)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass  # words that nobody reads any more


@dataclass(frozen=True, slots=True)
class Limits:
    """``most``: bytes of the stream; ``file_most``: of one file; ``silence``, ``seconds``: how long without a byte, and in all."""

    most: int
    file_most: int = 1 << 62
    silence: float = 900.0  # a command may think for ten minutes before it prints
    seconds: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Received:
    """What came. ``ended``: why it ended before its end, empty where it did not. ``form``: ``python`` or ``sh``."""

    path: Path
    size: int
    digests: dict[str, str]
    form: str
    ended: str


def line_of(session: Session | None, *, shell_only: bool = False, sudo: bool = False) -> Line:
    """A shell at the server, or here where there is no session, that is looking for an interpreter."""
    script = collector.start(shell_only=shell_only, sudo=sudo)
    if session is None:
        return LocalLine(script)
    stream: Stream = session.stream(script, more=True)
    return stream


def greeting(line: Line) -> str:
    """Which collector the other end can run: ``python`` or ``sh``.

    Raises:
        AcquireError: HW2102, it answers neither.
    """
    said, room = b"", memoryview(bytearray(2))
    while len(said) < 2:
        got = line.read_into(room[: 2 - len(said)], _GREETING_SECONDS)
        if not got:
            break
        said += bytes(room[:got])
    form = {b"R\n": "python", b"N\n": "sh"}.get(said)
    if form is None:
        raise AcquireError("HW2102", what=line.errors or inert_text(said) or "no answer")
    return form


class Sink:
    """Writes and digests what it is given, on a thread of its own; the file is whole or it is called ``.part``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._part = path.with_name(path.name + PART)
        self._file = self._part.open("xb")
        self._digests = {name: hashlib.new(name, usedforsecurity=False) for name in _ALGORITHMS}
        self._queue: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (piece := self._queue.get()) is not None:
            if self._error is None:
                try:
                    self._file.write(piece)
                except OSError as error:
                    self._error = error
                for digest in self._digests.values():
                    digest.update(piece)

    def put(self, piece: bytes) -> None:
        """Take a piece.

        Raises:
            OSError: an earlier one could not be written.
        """
        if self._error is not None:
            raise self._error
        self._queue.put(piece)

    def end(self) -> dict[str, str]:
        """Everything is on the disk under its name; the digests.

        Raises:
            OSError: it could not be written.
        """
        self._queue.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.chmod(self._part, 0o444)
        os.replace(self._part, self.path)
        return {name: digest.hexdigest() for name, digest in self._digests.items()}

    def drop(self) -> None:
        """Nothing came that is worth keeping."""
        self._queue.put(None)
        self._thread.join()
        self._file.close()
        self._part.unlink(missing_ok=True)


def receive(line: Line, path: Path, form: str, limits: Limits, progress: Callable[[int], None]) -> Received:
    """Take the stream in to its end, or to where a limit or a lost line ends it: what came till then is kept.

    Raises:
        AcquireError: HW2103 nothing came; HW2104 it cannot be written.
    """
    try:
        sink = Sink(path)
    except OSError as error:
        raise AcquireError("HW2104", str(path), what=error.strerror or str(error)) from error
    room, size, ended = memoryview(bytearray(_PIECE)), 0, ""
    deadline = time.monotonic() + limits.seconds
    try:
        while True:
            try:
                got = line.read_into(room, limits.silence)
            except ConnectionLost as error:
                ended = str(error)
                break
            except KeyboardInterrupt:  # what came was taken from a server that may be gone tomorrow
                ended = "interrupted by whoever collects"
                break
            if not got:
                break
            size += got
            sink.put(bytes(room[:got]))
            progress(size)
            if size > limits.most + _SLACK:
                ended = f"more than {limits.most} bytes"
            elif time.monotonic() > deadline:
                ended = f"longer than {limits.seconds:g} s"
            if ended:
                break
        if not size:
            sink.drop()
            raise AcquireError("HW2103", what=ended or line.errors or "it ended at once")
        digests = sink.end()
    except OSError as error:
        raise AcquireError("HW2104", str(path), what=error.strerror or str(error)) from error
    finally:
        line.cancel()
    return Received(path, size, digests, form, ended)
