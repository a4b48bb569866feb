# SPDX-License-Identifier: Apache-2.0
"""What was run on a server, word for word: each script with its digest, when it began and ended, how, and what it printed.

Whoever reads the record years later can see that nothing else was done there, and do it again on a machine of their own.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from headwater.acquire.memory_reading import Flow
from headwater.acquire.ssh_session import Finished
from headwater.model.times import rfc3339

_LISTED = 64  # scripts of one visit; the others are counted
_SHOWN = 4_000  # bytes of a script; its digest is of all of it


class Shell(Protocol):
    """Runs scripts of sh on the server; see :class:`headwater.acquire.ssh_session.Session`."""

    def run(self, script: bytes, seconds: float | None = None) -> Finished: ...

    def stream(self, script: bytes) -> Flow: ...


@dataclass(slots=True)
class Ran:
    """One script. Times by this machine's clock, ns since 1970; ``ended``, ``exit`` None where it was not waited for."""

    script: str
    sha256: str
    began: int
    ended: int | None = None
    exit: int | None = None
    output: int = 0
    output_sha256: str = ""

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "script": self.script, "sha256": self.sha256, "began": rfc3339(self.began), "ended": rfc3339(self.ended),
            "exit": self.exit, "output_bytes": str(self.output), "output_sha256": self.output_sha256 or None,
        }  # fmt: skip


class NotedFlow:
    """A flow whose end is noted; its bytes are counted, and digested by whoever keeps them."""

    def __init__(self, flow: Flow, row: Ran) -> None:
        self._flow, self._row = flow, row

    @property
    def status(self) -> int | None:
        """See :class:`headwater.acquire.memory_reading.Flow`."""
        return self._flow.status

    @property
    def errors(self) -> str:
        """See :class:`headwater.acquire.memory_reading.Flow`."""
        return self._flow.errors

    def read_into(self, buffer: memoryview, seconds: float) -> int:
        """See :class:`headwater.acquire.memory_reading.Flow`."""
        got = self._flow.read_into(buffer, seconds)
        self._row.output += got
        if not got:
            self._row.ended, self._row.exit = time.time_ns(), self._flow.status
        return got

    def cancel(self) -> None:
        """See :class:`headwater.acquire.memory_reading.Flow`."""
        self._flow.cancel()
        if self._row.ended is None:
            self._row.ended = time.time_ns()


@dataclass(slots=True)
class Noting:
    """A shell that keeps a record of what it runs."""

    shell: Shell
    rows: list[Ran] = field(default_factory=list)
    count: int = 0

    def _row(self, script: bytes) -> Ran:
        shown = script[:_SHOWN].decode("utf-8", "backslashreplace")  # our own words, not a stranger's
        row = Ran(shown, hashlib.sha256(script).hexdigest(), time.time_ns())
        self.count += 1
        if len(self.rows) < _LISTED:
            self.rows.append(row)
        return row

    def run(self, script: bytes, seconds: float | None = None) -> Finished:
        """Run a script to its end."""
        row = self._row(script)
        done = self.shell.run(script, seconds)
        row.began, row.ended, row.exit = done.before, done.after, done.status
        row.output, row.output_sha256 = len(done.output), hashlib.sha256(done.output).hexdigest()
        return done

    def stream(self, script: bytes) -> NotedFlow:
        """Start a script."""
        row = self._row(script)
        return NotedFlow(self.shell.stream(script), row)

    def told(self) -> dict[str, Any]:
        """For the ledger."""
        return {"count": self.count, "scripts": [row.plain() for row in self.rows]}
