# SPDX-License-Identifier: Apache-2.0
"""A disk of a server reached over SSH as a block source: read there by ``dd``, written nowhere but here.

1. Sequential reading is one long ``dd`` whose output is read ahead; a single range is one short ``dd``.
2. When the line is lost, it is made anew a bounded number of times, it is checked that the same medium answers, and
   reading goes on at the exact offset. What came before was authenticated by SSH and stays.
3. When ``dd`` meets a range that it cannot read, that very range is asked for once more by itself; if it fails again it
   is an :class:`UnreadableError`, which imaging narrows down to sectors.
4. All of it is in the journal: connections, losses, gaps, rates.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headwater.acquire.clock_reference import ClockReading, from_round_trip, plain
from headwater.acquire.device_answers import nothing
from headwater.acquire.devices import block_devices
from headwater.acquire.environment import Environment, Medium, describe
from headwater.acquire.ports import UnreadableError
from headwater.acquire.ssh_journal import Journal
from headwater.acquire.ssh_login import LOGIN_TRACES, SUDO_TRACES, Access
from headwater.acquire.ssh_scripts import (
    Probe,
    environment_of_answer,
    environment_script,
    holders_script,
    is_gone,
    probe_of,
    probe_script,
    read_script,
)
from headwater.acquire.ssh_session import Session, Target, target_of
from headwater.acquire.ssh_stream import ConnectionLost, Stream
from headwater.acquire.system_files import NotRecorded, SentFiles, recorded
from headwater.model.errors import AcquireError
from headwater.model.nouns import Text

ATTEMPTS = 6
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 30.0
_CLOCK_ASKED = 8
_HOLDERS_SECONDS = 30.0


class SshSource:
    """See :class:`headwater.acquire.ports.BlockSource`. ``journal`` tells of the connection, for the ledger.

    ``live`` is True unless a person states that nothing writes to the medium (a rescue system, an unmounted volume).
    ``size`` may be stated where the server cannot tell it.
    """

    def __init__(
        self,
        url: str,
        access: Access | None = None,
        *,
        live: bool = True,
        size: int | None = None,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Log in and learn what the source is.

        Raises:
            UsageError: HW2063, no SSH address.
            AcquireError: HW2001 missing; HW2007 neither file nor device; HW2064 to HW2066 no login; HW2067 it cannot be
                read there; HW2068 its size cannot be learnt.
        """
        self.target: Target = target_of(url)
        self.name = str(self.target)
        self.live = live
        self.journal = Journal()
        self._access = access or Access()
        self._attempts, self._sleep = attempts, sleep
        self._stream: Stream | None = None
        self._at = self._next = 0
        self._session = Session(self.target, self._access)
        try:
            self._session.connect()
            self._probe = self._ask_probe()
            self.size = self._probe.size if size is None else size
            self._check(size)
            self.sector_size = self._probe.sector
            self.clock: ClockReading | NotRecorded = self._ask_clock()
            self.environment, self.traces = self._ask_environment()
            self._boot = self._boot_id()
        except ConnectionLost as error:
            self._session.close()
            raise AcquireError("HW2064", self.name, what=str(error)) from error
        except BaseException:
            self._session.close()
            raise
        self.journal.note("connected", 0, **self._session.facts())
        self.facts: Mapping[str, str] = self._facts()

    # ------------------------------------------------------------------ what it is

    def _ask_probe(self) -> Probe:
        done = self._session.run(probe_script(self.target.path))
        found = probe_of(done.output)
        if found is None:
            raise AcquireError("HW2067", self.name, what=done.errors or "its shell is no POSIX sh")
        return found

    def _check(self, stated: int | None) -> None:
        probe = self._probe
        if probe.kind == "missing":
            raise AcquireError("HW2001", self.name)
        if probe.kind == "other":
            raise AcquireError("HW2007", self.name, what="neither a file nor a block device")
        if not probe.readable:
            raise AcquireError("HW2067", self.name, what="permission denied")
        if stated is None and probe.size < 0:
            raise AcquireError("HW2068", self.name)

    def _ask_clock(self) -> ClockReading | NotRecorded:
        """The server's clock against ours: of several askings the one with the shortest round trip."""
        best: ClockReading | NotRecorded = NotRecorded("nothing was asked")
        for done in self._session.rounds(b"date +%s.%N 2>/dev/null || echo", _CLOCK_ASKED):
            found = from_round_trip(done.output, self.target.host, done.before, done.after)
            if isinstance(best, NotRecorded) or (
                isinstance(found, ClockReading) and found.uncertainty_ns < best.uncertainty_ns
            ):
                best = found
        return best

    def _ask_environment(self) -> tuple[Environment, tuple[str, ...]]:
        contents, links, traces, said = self._asked(*environment_script(), self._access.stall_seconds)
        self.journal.note("environment", 0, complete=said)
        _, held, _, seen = self._asked(*holders_script(self.target.path), _HOLDERS_SECONDS)
        self.journal.note("open files", 0, complete=seen)
        links.update(held)
        files = SentFiles(contents, links)
        devices = block_devices(files)
        name = self._probe.name if self._probe.name in devices else None
        record = describe(
            files, self.target.path, devices, name,
            size=self.size,
            medium=Medium(NotRecorded("not looked at over SSH; the image tells")),
            answers=nothing("not asked over SSH"),
            claimed=NotRecorded("not asked over SSH"),
            here=False,
        )  # fmt: skip
        return record, tuple(traces)

    def _asked(
        self, script: bytes, marker: bytes, seconds: float
    ) -> tuple[dict[str, bytes], dict[str, str], Sequence[str], str]:
        """An answer of records and whether it came to its end; a server that gives none can still be imaged."""
        try:
            done = self._session.run(script, seconds)
        except ConnectionLost as error:
            if not self._session.alive:
                raise
            return {}, {}, (), f"no: {error}"
        contents, links, traces, whole = environment_of_answer(done.output, marker)
        return contents, links, traces, "yes" if whole else f"no: {done.errors}"

    def _left(self) -> tuple[tuple[str, Text], ...]:
        """What the login leaves, and sudo where it is used."""
        return LOGIN_TRACES + SUDO_TRACES if self._access.sudo else LOGIN_TRACES

    def _boot_id(self) -> str:
        return str(recorded(self.environment.system.get("boot_id", "")))

    def _facts(self) -> dict[str, str]:
        traces = [f"{path}: {said.zh} · {said.en}" for path, said in self._left() if path in self.traces]
        clock = self.clock.words() if isinstance(self.clock, ClockReading) else f"not recorded: {self.clock.reason}"
        return {
            **self.environment.facts(),
            "source": self.name,
            "kind": f"{self.environment.kind} over SSH",
            "reading": f"dd on the server, through its page cache; byte flags: {'yes' if self._probe.byte_flags else 'no'}",
            "server_clock": clock,
            "login_traces": "; ".join(traces) or "none of the known places exists",
            **self._session.facts(),
        }

    def record(self) -> dict[str, Any]:
        """Everything for the ledger: the environment, the server's clock, the login's traces, the journal so far."""
        traces = [{"path": p, "zh": t.zh, "en": t.en} for p, t in self._left() if p in self.traces]
        return {
            "environment": self.environment.plain(),
            "clock": plain(self.clock),
            "login_traces": traces,
            "journal": self.journal.plain(),
        }

    # ------------------------------------------------------------------ reading

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """See :meth:`BlockSource.read_into`."""
        wanted = min(len(buffer), max(0, self.size - offset))
        done = 0
        losses = 0
        while done < wanted:
            try:
                part = buffer[done:wanted]
                done += (
                    self._sequential(offset + done, part) if offset == self._next else self._single(offset + done, part)
                )
                losses = 0
            except _Short as short:
                done += short.came - short.came % self.sector_size
                self._forget()
                losses += 1
                self._restore(offset + done, wanted - done, losses, str(short))
        self._next = offset + done
        return done

    def _sequential(self, offset: int, buffer: memoryview) -> int:
        """1. From the running dd, started anew where it does not stand at ``offset``; 3. where it ends early."""
        if self._stream is None or self._at != offset:
            self._forget()
            self._stream = self._start(offset, self.size - offset)
        came = self._fill(self._stream, buffer)
        self._at = offset + came
        if came == len(buffer):
            return came
        self._forget()
        return self._single(offset, buffer)

    def _single(self, offset: int, buffer: memoryview) -> int:
        """One range by a dd of its own.

        Raises:
            UnreadableError: dd says that it cannot be read, or that the source is gone.
        """
        self._forget()
        stream = self._start(offset, len(buffer))
        try:
            came = self._fill(stream, buffer)
        finally:
            stream.cancel()
        if came == len(buffer):
            return came
        if not stream.status:
            self.journal.note("ended early", offset + came)
            raise UnreadableError(
                offset, len(buffer), f"the source ends at {offset + came} of {self.size}", vanished=True
            )
        gone = is_gone(stream.errors)
        self.journal.note("gone" if gone else "unreadable", offset, length=str(len(buffer)), said=stream.errors)
        raise UnreadableError(offset, len(buffer), stream.errors or f"dd exit status {stream.status}", vanished=gone)

    def _start(self, offset: int, length: int) -> Stream:
        """A dd on the server, its bytes before ``offset`` thrown away."""
        read = read_script(self.target.path, offset, length, self._probe.byte_flags)
        try:
            stream = self._session.stream(read.script)
            if read.before:
                self._fill(stream, memoryview(bytearray(read.before)))
        except (ConnectionLost, _Short) as error:
            raise _Short(0, str(error)) from error  # none of the wanted bytes came
        return stream

    def _fill(self, stream: Stream, buffer: memoryview) -> int:
        """Bytes from a stream until the buffer is full or the stream ends.

        Raises:
            _Short: the line was lost; what came till then is in the buffer.
        """
        done = 0
        while done < len(buffer):
            began = time.monotonic()
            try:
                count = stream.read_into(buffer[done:], self._access.stall_seconds)
            except ConnectionLost as error:
                raise _Short(done, str(error)) from error
            self.journal.took(count, time.monotonic() - began)
            if not count:
                break
            done += count
        return done

    def _forget(self) -> None:
        if self._stream is not None:
            self._stream.cancel()
            self._stream = None

    # ------------------------------------------------------------------ 2. the line

    def _restore(self, offset: int, length: int, losses: int, why: str) -> None:
        """A new connection to the same medium, after waiting longer each time.

        Raises:
            UnreadableError: with ``vanished``, after the last attempt, or where another medium answers.
        """
        self.journal.note("lost", offset, said=why)
        began = time.monotonic()
        for attempt in range(losses, self._attempts + 1):
            self._session.drop()
            self._sleep(min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (attempt - 1)))
            try:
                self._session.connect()
                self._same(offset, length)
            except (AcquireError, ConnectionLost) as error:
                if isinstance(error, AcquireError) and error.code in {"HW2065", "HW2066"}:
                    raise UnreadableError(offset, length, str(error), vanished=True) from error
                self.journal.note("attempt failed", offset, attempt=str(attempt), said=str(error))
                continue
            gap = f"{time.monotonic() - began:.3f}"
            self.journal.note("reconnected", offset, attempt=str(attempt), gap_seconds=gap)
            return
        raise UnreadableError(
            offset, length, f"connection lost, {self._attempts} attempts failed: {why}", vanished=True
        )

    def _same(self, offset: int, length: int) -> None:
        """That what answers now is what answered before: after a restart /dev/sdb may be another disk."""
        before, was = self._probe, self.environment
        probe = self._ask_probe()
        now, _ = self._ask_environment()
        ident = [(d.number, d.serial, d.wwid, d.model) if (d := e.device) else None for e in (was, now)]
        if (before.kind, before.size, before.name) != (probe.kind, probe.size, probe.name) or ident[0] != ident[1]:
            self.journal.note("another medium", offset)
            raise UnreadableError(offset, length, "another medium answers under this name", vanished=True)
        boot = str(recorded(now.system.get("boot_id", "")))
        if boot != self._boot:
            self.journal.note("server was restarted", offset, boot_id=boot)
            self._boot = boot

    def close(self) -> None:
        """Log out."""
        self._forget()
        self._session.close()


class _Short(Exception):
    """The line was lost after ``came`` bytes of what was asked for."""

    def __init__(self, came: int, why: str) -> None:
        super().__init__(why)
        self.came = came
