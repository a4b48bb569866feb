# SPDX-License-Identifier: Apache-2.0
"""The ports: what rooms are handed by the corridor instead of importing each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from headwater.model.kinds import GapReason
from headwater.model.nouns import Citation, Finding, Rule, Tally


@runtime_checkable
class ByteSource(Protocol):
    """Bytes that can be read at an offset and never written: an image, a partition, a file in a file system.

    ``pread`` returns exactly ``length`` bytes, fewer only at the end; bytes that cannot be read are returned as
    zeros and listed in ``bad`` afterwards (a checksum error, a missing segment), so that nothing is silently lost.
    """

    @property
    def size(self) -> int: ...

    def pread(self, offset: int, length: int) -> bytes: ...

    @property
    def bad(self) -> Sequence[tuple[int, int, GapReason, str]]:
        """(offset, length, reason, detail) of ranges met so far that could not be read."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Visit:
    """A login of our own on a server: ``address port`` as the server saw us, and between which times (UTC ns) it came."""

    origin: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a table says that an address belongs: ISO country ("" where it states none), millionths of a degree, town.

    ``table`` and ``sha256``: the name and digest of the table that says it.
    """

    country: str
    latitude: int | None = None  # north positive
    longitude: int | None = None  # east positive
    town: str = ""
    table: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """The part of the case's settings that detectors may use."""

    zone: str = "UTC"  # of the first item: where an event's clock is not known
    trusted_proxies: tuple[str, ...] = ()
    usual_hours: tuple[int, int] = (7, 22)  # local hours in which a login is not unusual
    values: Mapping[str, str] = field(default_factory=dict)
    zones: Mapping[str, str] = field(default_factory=dict)  # by clock: of each item, and of each container on it
    visits: tuple[Visit, ...] = ()  # our own logins on servers, by the ledger
    places: Mapping[str, Place] = field(default_factory=dict)  # by address, of tables that the person gave


class Events(Protocol):
    """The event store as a detector sees it. Frames are Polars lazy frames, typed Any so that model needs no engine.

    Every frame has the header columns of :data:`headwater.model.records.HEADER` and ``ts`` (UTC ns after the case's
    clock assumptions); own fields under :func:`headwater.model.records.own_column`. Order: by (source, path, offset,
    ordinal) within a feed unless the caller sorts.
    """

    def feeds(self) -> Sequence[str]:
        """The feeds that hold at least one event."""
        ...

    def scan(
        self,
        *,
        kinds: Sequence[str] | None = None,
        feeds: Sequence[str] | None = None,
        columns: Sequence[str] = (),
    ) -> Any:
        """Events of these kinds and feeds (all when None) with the header and the named own columns.

        A column that no chosen feed has is there and null.
        """
        ...

    def columns(self, feed: str) -> Sequence[str]:
        """All columns that a feed has."""
        ...

    def cite(self, rows: Any, claims: Sequence[str], limit: int = 200) -> tuple[Citation, ...]:
        """Citations for the rows of a frame: the first and last ``limit`` / 2 by time, claiming these columns."""
        ...

    def tally(self, where: Mapping[str, str]) -> Tally:
        """Count the events that match these equalities."""
        ...

    def gaps(self) -> Any:
        """The gaps: source, path, feed, offset, length, reason, detail."""
        ...


class Detector(Protocol):
    """A detector in code: a module with ``RULE`` and ``detect``; pure, no I/O, yields findings in a stable order."""

    RULE: Rule

    def detect(self, events: Events, settings: Settings) -> Iterator[Finding]: ...
