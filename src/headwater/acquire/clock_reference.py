# SPDX-License-Identifier: Apache-2.0
"""A clock measured against a reference: how far it was ahead, how surely, by which reference, and how that was read.

Three ways: a person reads a reference clock and says when; one SNTP question to a server that the person names
(RFC 4330 / RFC 5905, section 14, with random bytes for a transmit timestamp, so
that an answer can only come from who saw the question); a server's own clock through an SSH command, bounded by the
round trip. What could not be measured is :class:`NotRecorded`, with the reason; nothing is assumed to be right.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from headwater.acquire.system_files import NotRecorded, inert_text, recorded
from headwater.formats.patterns import lazy_regex
from headwater.model.errors import UsageError

_NTP_EPOCH = 2_208_988_800  # seconds from 1900 to 1970
_ERA = 1 << 32
_NS = 1_000_000_000
_PORT = 123
_SECONDS = 3.0
_PACKET = struct.Struct(">BBbb11I")
_STEP_NS = 5_000_000  # the clock itself was set meanwhile when wall and monotonic time disagree by more


@dataclass(frozen=True, slots=True)
class ClockReading:
    """``ahead_ns``: how far the measured clock was ahead of the reference; ``uncertainty_ns``: ± around it.

    ``clock``: whose clock was measured; ``reference``: against what; ``method``: ``person``, ``sntp`` or ``ssh``;
    ``at``: the measured clock's own time of the reading, RFC 3339.
    """

    clock: str
    reference: str
    method: str
    at: str
    ahead_ns: int
    uncertainty_ns: int
    detail: str = ""

    def plain(self) -> dict[str, Any]:
        """The record as JSON values; nanoseconds as text, since they pass 2^53."""
        return {
            "clock": self.clock,
            "reference": self.reference,
            "method": self.method,
            "at": self.at,
            "ahead_ns": str(self.ahead_ns),
            "uncertainty_ns": str(self.uncertainty_ns),
            "detail": self.detail,
        }

    def words(self) -> str:
        """The reading in one line: ``+0.012345 s ± 0.001000 s against …``."""
        return (
            f"{self.ahead_ns / _NS:+.6f} s ± {self.uncertainty_ns / _NS:.6f} s against {self.reference} ({self.method})"
        )


def plain(reading: ClockReading | NotRecorded) -> Any:
    """A reading, or why there is none, as JSON values."""
    return reading.plain() if isinstance(reading, ClockReading) else recorded(reading)


_STATED = lazy_regex(r"(?P<read>\S+?)@(?P<own>\S+)(?:\s+(?P<name>.+))?\Z", re.DOTALL)


def by_person(text: str) -> ClockReading:
    """``REFERENCE-TIME@OWN-TIME [NAME OF THE REFERENCE]``: what it showed, and what this machine showed then.

    Both in ISO 8601 with their offset from UTC. The uncertainty is one unit of the last place of each, and half a
    second of the person's eye and hand.

    Raises:
        UsageError: HW2062, a time cannot be read or states no offset.
    """
    found = _STATED.match(text.strip())
    if found is None:
        raise UsageError("HW2062", what=text)
    read, own = _stated(found["read"], text), _stated(found["own"], text)
    name = inert_text((found["name"] or "").strip())
    unit = _unit(found["read"]) + _unit(found["own"]) + _NS // 2
    ahead = _ns(own) - _ns(read)
    return ClockReading("this machine", name or "a reference read by a person", "person", _text(_ns(own)), ahead, unit)


def _stated(text: str, whole: str) -> datetime:
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError("HW2062", what=whole) from error
    if value.tzinfo is None:
        raise UsageError("HW2062", what=whole)
    return value.astimezone(UTC)


def _unit(text: str) -> int:
    """One unit of the last place that a stated time has: a minute, a second, or less."""
    clock = re.sub(r"(Z|[+-]\d\d:?\d\d)\Z", "", text.partition("T")[2])
    fraction = re.search(r"[.,](\d+)\Z", clock)
    if fraction:
        return int(_NS // 10 ** min(9, len(fraction[1])))
    return _NS if re.fullmatch(r"\d\d:?\d\d:?\d\d", clock) else 60 * _NS


def _ns(value: datetime) -> int:
    delta = value - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * _NS + delta.microseconds * 1000


def _text(ns: int) -> str:
    seconds, rest = divmod(ns, _NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


# ------------------------------------------------------------------ SNTP


def by_sntp(
    server: str, *, seconds: float = _SECONDS, wall: Callable[[], int] = time.time_ns
) -> ClockReading | NotRecorded:
    """One question to ``HOST[:PORT]``, one answer within ``seconds``; an answer that does not fit is said, not used.

    Raises:
        UsageError: HW2062, the name of the server cannot be used.
    """
    host, port = _server(server)
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except OSError as error:
        return NotRecorded(f"{host}: {error.strerror or error}")
    nonce = os.urandom(8)
    question = _PACKET.pack(4 << 3 | 3, 0, 0, 0, *([0] * 9), *struct.unpack(">2I", nonce))
    with socket.socket(address[0], socket.SOCK_DGRAM) as link:
        try:
            link.connect(address[4])  # the kernel then takes answers from this address and port alone
            before, began = wall(), time.monotonic_ns()
            link.send(question)
            answer = _answer(link, nonce, began + int(seconds * _NS))
            after, ended = wall(), time.monotonic_ns()
        except TimeoutError:
            return NotRecorded(f"{host} gave no fitting answer within {seconds:g} s")
        except OSError as error:
            return NotRecorded(f"{host}: {error.strerror or error}")
    if abs((after - before) - (ended - began)) > _STEP_NS:
        return NotRecorded("this machine's clock was set while it was measured")
    return judge(answer, inert_text(server), before, after)


def _server(text: str) -> tuple[str, int]:
    bare = re.fullmatch(r"\[([0-9A-Fa-f:.%\w]+)\](?::(\d{1,5}))?|([^\s:\[\]/]+)(?::(\d{1,5}))?|([0-9A-Fa-f:]+)", text)
    if bare is None:
        raise UsageError("HW2062", what=text)
    port = int(bare[2] or bare[4] or _PORT)
    if not 0 < port < 65_536:
        raise UsageError("HW2062", what=text)
    return bare[1] or bare[3] or bare[5], port


def _answer(link: socket.socket, nonce: bytes, until: int) -> bytes:
    """The first datagram that answers our question; others are passed over until the time is up."""
    for _ in range(16):
        left = (until - time.monotonic_ns()) / _NS
        if left <= 0:
            break
        link.settimeout(left)
        data = link.recv(1024)
        if len(data) >= 48 and data[24:32] == nonce:
            return data[:48]
    raise TimeoutError


def judge(answer: bytes, server: str, before: int, after: int) -> ClockReading | NotRecorded:
    """The reading from an answer of 48 bytes; ``before`` and ``after``: our clock when asking and when answered, ns.

    The offset is RFC 5905's θ with its sign turned; the uncertainty is half the delay, plus what the server says of
    its own: root dispersion, half the root delay, its precision.
    """
    head, stratum, _, precision, delay, dispersion, name, *stamps = _PACKET.unpack(answer)
    if head & 7 != 4:
        return NotRecorded(f"{server}: not a server's answer (mode {head & 7})")
    if stratum == 0:
        return NotRecorded(f"{server} declines: {inert_text(struct.pack('>I', name).rstrip(b'%c' % 0))}")
    if head >> 6 == 3 or stratum > 15:
        return NotRecorded(f"{server} says that its own clock is not set")
    received, sent = _stamp(stamps[4], stamps[5], before), _stamp(stamps[6], stamps[7], before)
    if not (stamps[6] or stamps[7]) or sent < received:
        return NotRecorded(f"{server}: an answer without a usable time")
    round_trip = (after - before) - (sent - received)
    if round_trip < 0:
        return NotRecorded(f"{server}: it claims to have worked longer than we waited")
    ahead = ((before - received) + (after - sent)) // 2
    own = _short(dispersion) + _short(delay) // 2 + (int(2.0**precision * _NS) if -40 < precision <= 0 else _NS)
    words = f"stratum {stratum}, delay {round_trip / _NS:.6f} s, root delay {_short(delay) / _NS:.6f} s"
    return ClockReading("this machine", server, "sntp", _text(after), ahead, round_trip // 2 + own, words)


def _stamp(seconds: int, fraction: int, near: int) -> int:
    """A 64-bit NTP time as ns since 1970, in the era that brings it nearest to ``near`` (the field wraps in 2036)."""
    value = (seconds - _NTP_EPOCH) * _NS + (fraction * _NS >> 32)
    era = _ERA * _NS
    return value + round((near - value) / era) * era


def _short(value: int) -> int:
    """A 16.16 fixed-point NTP interval in ns."""
    return value * _NS >> 16


# ------------------------------------------------------------------ a server's clock


def from_round_trip(printed: bytes, host: str, before: int, after: int) -> ClockReading | NotRecorded:
    """A server's clock against ours, from what its ``date +%s.%N`` printed between ``before`` and ``after`` (our ns).

    A ``date`` without ``%N`` (busybox) tells whole seconds: the middle of that second is taken, ± half a second more.
    """
    found = re.fullmatch(rb"\s*(\d{1,12})\.?(\d{9})?(?:%?N)?\s*", printed[:64])
    if found is None or after < before:
        return NotRecorded(
            f"{host}: date printed {inert_text(printed[:64])}" if printed else f"{host}: date printed nothing"
        )
    coarse = 0 if found[2] else _NS // 2
    theirs = int(found[1]) * _NS + int(found[2] or 0) + coarse
    middle = (before + after) // 2
    detail = "" if found[2] else "whole seconds only"
    return ClockReading(
        host, "this machine", "ssh", _text(theirs), theirs - middle, (after - before) // 2 + coarse, detail
    )
