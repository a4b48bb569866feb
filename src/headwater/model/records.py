# SPDX-License-Identifier: Apache-2.0
"""What a parser is given and what it says: File in; Event, Gap, Skip and Count out.

An event is identified by where it stands (evidence number, path, offset, ordinal); a parser knows only offsets, the
harness that called it knows the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from headwater.model.kinds import EventKind, GapReason, Outcome, TimeBasis

Value = str | int | float | bool | None

# The header that every event has, as it stands in the store: name and physical type. Order is the column order.
HEADER: tuple[tuple[str, str], ...] = (
    ("t_recorded", "i64"),
    ("t_basis", "str"),
    ("t_kind", "str"),
    ("clock", "str"),
    ("kind", "str"),
    ("outcome", "str"),
    ("host", "str"),
    ("user", "str"),
    ("src_ip", "str"),
    ("dst_ip", "str"),
    ("pid", "i64"),
    ("process", "str"),
    ("command_line", "str"),
    ("file_path", "str"),
    ("hash", "str"),
    ("event_code", "str"),
    ("provider", "str"),
    ("feed", "str"),
    ("source", "i64"),
    ("path", "str"),
    ("offset", "i64"),
    ("length", "i64"),
    ("ordinal", "i64"),
)

# A source's own field whose name (in any case) is a header column's keeps its name behind this prefix.
OWN_PREFIX = "own."
_HEADER_NAMES = frozenset(name for name, _ in HEADER) | {"ts"}


def own_column(name: str) -> str:
    """The column in which a source's own field ``name`` is stored."""
    return OWN_PREFIX + name if name.lower() in _HEADER_NAMES else name


@dataclass(frozen=True, slots=True)
class Facts:
    """What the case knows about the host a file came from; parsers may use it, never the clock or environment."""

    host: str | None = None
    zone: str = "UTC"
    year: int | None = None  # the examiner's word for the year of the last line, above any inference
    # small texts of the same system that parsers asked for with CONTEXT, by path in its tree
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class File:
    """Bytes of one layer of evidence, as a parser sees them.

    ``pread(offset, length)`` returns exactly the bytes there (short only at the end) and raises OSError where they
    are unreadable. ``path`` is in the grammar of :mod:`headwater.model.paths`.
    """

    path: str
    size: int
    pread: Callable[[int, int], bytes]
    mtime_ns: int | None = None
    facts: Facts = field(default_factory=Facts)
    # the stretches of it that are stored, (offset, length) in order: between them are holes; None where that is not known
    held: tuple[tuple[int, int], ...] | None = None
    # the files beside it that its parser asked for with BESIDE and that are there, by path
    beside: Mapping[str, File] = field(default_factory=dict)

    @staticmethod
    def of(data: bytes, path: str = "/file", mtime_ns: int | None = None, facts: Facts | None = None) -> File:
        """A file over bytes in memory."""
        return File(path, len(data), lambda at, n: data[at : at + n], mtime_ns, facts or Facts())


@dataclass(frozen=True, slots=True)
class Event:
    """One recorded happening, with the source's own field names in ``fields`` and a small common header.

    Several events may stand on the same bytes; they then follow each other and get ordinals 0, 1, 2 … in order.
    ``t_recorded``: nanoseconds since 1970 as ``t_basis`` says; None where the record states no time.
    """

    offset: int
    length: int
    kind: EventKind
    t_recorded: int | None = None
    t_basis: TimeBasis = TimeBasis.NONE
    t_kind: str = "logged"
    outcome: Outcome | None = None
    host: str | None = None
    user: str | None = None
    src_ip: str | None = None
    dst_ip: str | None = None
    pid: int | None = None
    process: str | None = None
    command_line: str | None = None
    file_path: str | None = None
    hash: str | None = None
    event_code: str | None = None
    provider: str | None = None
    fields: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes that yielded no event, and why."""

    offset: int
    length: int
    reason: GapReason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Skip:
    """Bytes that by their format say nothing: a comment, a blank line, a header, padding."""

    offset: int
    length: int
    reason: str


@dataclass(frozen=True, slots=True)
class Count:
    """For containers: how many records the container declares, and how many bytes are slack.

    The law for a container: events of ordinal 0 + ``lost`` records = ``declared``.
    """

    declared: int
    lost: int = 0
    slack: int = 0


Record = Event | Gap | Skip | Count
