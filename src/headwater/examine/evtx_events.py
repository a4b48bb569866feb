# SPDX-License-Identifier: Apache-2.0
"""Event records of a block of chunks as one frame: the header, the System fields, and every field of the events' own.

Field names keep their spelling; where two differ by case alone, the spelling that the file has first (or that rules know)
stands for both, because SQL takes them for one column.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from headwater.examine import evtx_meanings
from headwater.examine.batch import HEAD_SCHEMA
from headwater.examine.evtx_columns import Columns, nanoseconds_of
from headwater.examine.filled import filled
from headwater.formats.evtx_binxml import BinXmlError
from headwater.formats.evtx_chunks import ChunkRecords, Found
from headwater.formats.evtx_fields import CHECKSUM, OTHER, RECORD_NUMBER, RECOVERED, TIME, WRITTEN
from headwater.formats.evtx_groups import Block, Groups, Piece
from headwater.formats.evtx_layout import CHUNK, RECORD_HEADER, nanoseconds
from headwater.formats.evtx_templates import Templates
from headwater.formats.evtx_values import filetime_of
from headwater.formats.evtx_walk import Walker
from headwater.model.kinds import TimeBasis
from headwater.model.records import own_column

MOST_NAMES = 1_500  # field names of one file that become columns; those beyond stand together in other_fields
_LONGEST_NAME = 128
INTEGERS = frozenset(
    {
        *("EventID", "EventID_Qualifiers", "Version", "Level", "Task", "Opcode", "EventRecordID"),
        *("Execution_ProcessID", "Execution_ThreadID", "Execution_SessionID"),
    }
)
_MISSING = ("EventID", "Provider_Name", "Computer", "Channel")
# Names that providers spell in more than one way, as Sigma's taxonomy spells them.
_SPELT = (
    "ProcessId", "ParentProcessId", "SessionId", "LogonId", "SubjectUserSid", "TargetUserSid", "UserSid", "ErrorCode",
    "ServiceName", "ImagePath", "CommandLine", "Image", "User", "Hashes", "ProcessName", "Status", "Data", "Binary",
    *(f"param{n}" for n in range(1, 31)),
)  # fmt: skip


@dataclass(slots=True)
class Names:
    """Which spelling stands for a field name in one file."""

    known: dict[str, str] = field(default_factory=lambda: {n.lower(): n for n in _SPELT})
    used: set[str] = field(default_factory=set)

    def column(self, name: str) -> str | None:
        """The column of a field; None where it does not get one of its own."""
        low = name.lower()
        if low in self.used:
            return self.known[low]
        if len(self.used) >= MOST_NAMES or len(name) > _LONGEST_NAME or not name.isprintable() or not low:
            return None
        self.used.add(low)
        return self.known.setdefault(low, name)


@dataclass(slots=True)
class Rows:
    """The records of one block, side by side; ``starts`` are places in the block, ``bases`` those of their chunks."""

    base: int
    chunks: list[ChunkRecords]
    records: list[Found]
    chunk_of: Any
    starts: Any

    @staticmethod
    def of(base: int, chunks: list[ChunkRecords]) -> Rows:
        records = [r for c in chunks for r in c.records]
        chunk_of = np.repeat(np.arange(len(chunks)), [len(c.records) for c in chunks])
        offsets = np.array([r.offset for r in records], dtype=np.int64)
        return Rows(base, chunks, records, chunk_of, offsets + chunk_of * CHUNK)


@dataclass(frozen=True, slots=True)
class Made:
    """The frame, and the records (row numbers of ``Rows``) that could not be read, with the reason."""

    frame: pl.DataFrame
    unread: dict[int, str]


def _walked(
    block: Block, rows: Rows, groups: Groups, templates: Templates
) -> tuple[dict[str, list[Any]], dict[int, str]]:
    """Fields of the records that were left over, by name; and those that cannot be read."""
    more: dict[str, list[Any]] = {}
    unread: dict[int, str] = {}
    for row in np.flatnonzero(groups.left).tolist():
        found = rows.records[row]
        chunk = block.chunk(int(rows.chunk_of[row]))
        try:
            fields = Walker(chunk, templates).record(found.offset, found.size)
        except BinXmlError as error:
            unread[row] = str(error)
            continue
        if not fields:
            unread[row] = "no field"
        for name, text in fields.items():
            more.setdefault(name, []).append((row, text))
    return more, unread


def _without(piece: Piece, left: Any) -> Piece | None:
    """A piece without the rows that the walker read."""
    keep = ~left[piece.rows]
    if keep.all():
        return piece
    if not keep.any():
        return None
    values: dict[str, Any] = {"rows": piece.rows[keep]}
    for name in ("starts", "ends"):
        if hasattr(piece, name):
            values[name] = getattr(piece, name)[keep]
    if hasattr(piece, "parts"):
        values["parts"] = tuple(p if isinstance(p, str) else tuple(a[keep] for a in p) for p in piece.parts)
    plain = {f: getattr(piece, f) for f in piece.__dataclass_fields__}
    return type(piece)(**(plain | values))


def frame_of(block: Block, rows: Rows, templates: Templates, names: Names) -> Made:
    """All records of a block that can be read, in their order."""
    height = len(rows.records)
    sizes = np.array([r.size for r in rows.records], dtype=np.int64)
    groups = Groups(block, templates, rows.starts + RECORD_HEADER, rows.starts + sizes - 4)
    more, unread = _walked(block, rows, groups, templates)
    pieces = groups.pieces
    if groups.left.any():
        pieces = [p for piece in pieces if (p := _without(piece, groups.left)) is not None]
    by_name: dict[str, list[Piece]] = {}
    others: dict[str, list[Piece]] = {}
    for piece in pieces:
        name = names.column(piece.name)
        (others if name is None else by_name).setdefault(name or piece.name, []).append(piece)
    texts: dict[str, list[Any]] = {}
    for label, walked in more.items():
        name = names.column(label)
        if name is None:
            others.setdefault(label, [])
        texts.setdefault(name or label, []).extend(walked)
    columns = Columns(block, height)
    times, timed = columns.times(by_name.pop(TIME, []))
    for row, text in texts.pop(TIME, []):
        found = nanoseconds(filetime_of(text) or 0)
        if found is not None:
            times[row], timed[row] = found, True
    made: dict[str, pl.Series] = {}
    for name in sorted({*by_name, *(t for t in texts if t not in others)}):
        kind = columns.whole_numbers if name in INTEGERS else columns.series
        made[name] = kind(by_name.get(name, []), texts.get(name, []))
    if others:
        made[OTHER] = _folded({n: columns.series(p, texts.get(n, [])) for n, p in sorted(others.items())})
    frame = _framed(rows, sizes, made, times, timed)
    if unread:
        frame = frame.filter(~pl.Series(np.isin(np.arange(height), list(unread))))
    return Made(frame, unread)


def _folded(columns: dict[str, pl.Series]) -> pl.Series:
    """Fields without a column of their own, as lines ``name=value``."""
    lines = [pl.concat_str(pl.lit(f"{n!s}="), pl.lit(s)) for n, s in columns.items()]
    return pl.select(pl.concat_str(lines, separator="\n", ignore_nulls=True).replace("", None)).to_series()


def _framed(rows: Rows, sizes: Any, made: dict[str, pl.Series], times: Any, timed: Any) -> pl.DataFrame:
    height = len(rows.records)
    written, sensible = nanoseconds_of(np.array([r.written for r in rows.records], dtype=np.uint64))
    fixed = {
        "offset": pl.Series(rows.starts + rows.base, dtype=pl.Int64),
        "length": pl.Series(sizes, dtype=pl.Int64),
        "t_recorded": pl.Series(np.where(timed, times, written)).set(pl.Series(~(timed | sensible)), None),
        RECORD_NUMBER: pl.Series([min(r.number, (1 << 63) - 1) for r in rows.records], dtype=pl.Int64),
    }
    differs = timed & sensible & (written != times)
    if differs.any():
        fixed[WRITTEN] = pl.Series(written).set(pl.Series(~differs), None)
    recovered = np.array([r.recovered for r in rows.records], dtype=bool)
    if recovered.any():
        fixed[RECOVERED] = pl.Series(recovered)
    wrong = np.array([c.checksum_wrong for c in rows.chunks], dtype=bool)[rows.chunk_of]
    if wrong.any():
        fixed[CHECKSUM] = pl.Series(wrong)
    own = {own_column(name): series for name, series in made.items()}
    for name in _MISSING:
        dtype = pl.Int64 if name in INTEGERS else pl.String
        own.setdefault(name, filled(None, height, dtype))
    frame = pl.DataFrame([s.alias(n) for n, s in (fixed | own).items()])
    return headed(frame, {name.lower(): own_column(name) for name in made})


def headed(frame: pl.DataFrame, places: dict[str, str]) -> pl.DataFrame:
    """The frame with its header columns in front."""
    fields = evtx_meanings.Fields(places)
    provider, number = pl.col("Provider_Name"), pl.col("EventID")
    frame = frame.with_columns(evtx_meanings.kinds(provider, number, fields).alias("kind"))
    timed = pl.col("t_recorded").is_not_null()
    said: dict[str, pl.Expr] = {
        "t_basis": pl.when(timed).then(pl.lit(TimeBasis.UTC.value)).otherwise(pl.lit(TimeBasis.NONE.value)),
        "t_kind": pl.lit("logged"),
        "outcome": evtx_meanings.outcomes(pl.col("kind")),
        "host": pl.col("Computer"),
        "event_code": number.cast(pl.String),
        "provider": provider,
        "ordinal": pl.lit(0, dtype=pl.Int64),
    }
    said |= evtx_meanings.header(fields, provider, number, pl.col("kind"))
    frame = frame.with_columns(e.alias(n).cast(HEAD_SCHEMA[n]) for n, e in said.items())
    return frame.select(*HEAD_SCHEMA, *(c for c in frame.columns if c not in HEAD_SCHEMA))


def empty() -> pl.DataFrame:
    return pl.DataFrame(schema=HEAD_SCHEMA)
