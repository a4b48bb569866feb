# SPDX-License-Identifier: Apache-2.0
"""What YARA rules match in the bytes of a file or of a medium; feed ``yara.match``, kind ``state.match``.

For each rule that matches there is one row on all bytes that were looked at together (``pattern`` is empty,
``matches`` counts), then one row for each place where one of its patterns stands: offset and length are those of the
pattern, ``matched`` shows its bytes. Ordinals count from :data:`MATCH` in each file, which no other row has.

A file is looked at whole up to :data:`WHOLE_MOST` bytes. Larger ones, media without a file system and unallocated space
are looked at in windows that overlap: there a rule sees the window as if it were the file, so what it says of sizes,
positions and combinations holds of the window alone, and ``window`` tells where that begins. Windows of zeros are passed
over. A scan that takes too long is tried once more without the rules that the compiler called slow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import yara_x

from headwater.examine import yara_held
from headwater.examine.batch import HEAD_SCHEMA, printable
from headwater.model.kinds import EventKind, GapReason, TimeBasis
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

FEED = "yara.match"
VERSION = 1
MATCH = 1 << 31  # ordinals from here on are matches of rules
WHOLE_MOST = 64 << 20  # bytes of a file that is looked at as a whole
WINDOW = 32 << 20
OVERLAP = 64 << 10
EACH_MOST = 8  # places told of one pattern in one file or window
RULE_MOST = 64  # of one rule
FILE_MOST = 2_000  # rows of one file; what is beyond is a gap that says so
_SHOWN = 160  # bytes of a match that are shown

Row = dict[str, Any]


@dataclass(slots=True)
class Scanned:
    """What the rules match in one file: rows for :func:`frame`, gaps, and how many bytes were looked at."""

    rows: list[Row] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    size: int = 0


def scan(
    source: ByteSource, name: str, start: int, length: int, *, windows: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Scanned:  # fmt: skip
    """Look at ``length`` bytes from ``start``; ``name`` is the file's path, for rules that ask for it.

    ``windows``: in windows whatever the size, as a medium is. Row offsets count from the beginning of the source.
    """
    done = Scanned()
    whole = not windows and length <= WHOLE_MOST
    step = length if whole else WINDOW
    seen: set[tuple[str, str, str, int]] = set()
    at = start
    while at < start + length:
        size = min(step, start + length - at)
        data = source.pread(at, size)
        if not _zeros(data):
            _window(done, data, at, name, whole, seen)
        done.size += len(data)
        if progress is not None:
            progress(size)
        if len(data) < size or at + size >= start + length:
            break
        at += size - OVERLAP
    return done


def _zeros(data: bytes) -> bool:
    """Whether there is nothing but zeros; compared as memory, which ends at the first that differs."""
    return not data or (data[0] == 0 and data == bytes(len(data)))


def _window(done: Scanned, data: bytes, at: int, name: str, whole: bool, seen: set[tuple[str, str, str, int]]) -> None:
    results, late = yara_held.results(data, name)
    if results is None:
        done.gaps.append(Gap(at, len(data), GapReason.INCOMPLETE, "yara: the rules took too long"))
        return
    if late:
        why = "yara: rules that may be slow took too long here; the others were tried"
        done.gaps.append(Gap(at, len(data), GapReason.INCOMPLETE, why))
    for rule in sorted(results, key=lambda r: (r.namespace, r.identifier)):
        rows = list(_rows(rule, data, at, None if whole else at, seen))
        if len(done.rows) + len(rows) > FILE_MOST:
            done.gaps.append(Gap(at, len(data), GapReason.LIMIT, f"yara: more than {FILE_MOST} matches are not told"))
            return
        for row in rows:
            done.rows.append(row | {"ordinal": MATCH + len(done.rows)})


def _rows(
    rule: yara_x.Rule, data: bytes, at: int, window: int | None, seen: set[tuple[str, str, str, int]]
) -> Iterator[Row]:
    meta = {str(k).lower(): v for k, v in rule.metadata}
    card: Row = {
        "rule": rule.identifier, "rule_file": rule.namespace, "tags": ",".join(rule.tags) or None, "window": window,
        "author": _said(meta, "author"), "description": _said(meta, "description", "desc", "info"),
        "severity": _said(meta, "severity", "score", "threat_level"), "stage": _said(meta, "stage"),
        "technique": _said(meta, "technique", "mitre_attack", "mitre_att", "attack"),
    }  # fmt: skip
    places: list[tuple[int, int, str, int | None]] = []
    total = 0
    for pattern in rule.patterns:
        found = [
            m
            for m in pattern.matches
            if (rule.namespace, rule.identifier, pattern.identifier, at + m.offset) not in seen
        ]
        total += len(found)
        places.extend((m.offset, m.length, pattern.identifier, m.xor_key) for m in found[:EACH_MOST])
    if window is not None and rule.patterns and not total:
        return  # all of it stood in the part that the window before had as well
    yield card | {"offset": at, "length": len(data), "matches": total}
    for offset, length, pattern_name, key in sorted(places)[:RULE_MOST]:
        if window is not None:
            seen.add((rule.namespace, rule.identifier, pattern_name, at + offset))
        yield card | {
            "offset": at + offset, "length": length, "pattern": pattern_name, "xor_key": key or None,
            "matched": shown(data[offset : offset + min(length, _SHOWN)], key or 0),
        }  # fmt: skip


def _said(meta: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        if meta.get(name) not in (None, ""):
            return printable(str(meta[name]))[:300]
    return None


def shown(data: bytes, key: int = 0) -> str:
    """Matched bytes as text on one line: what is not printable ASCII as ``\\xNN``; text of two bytes a letter as its letters."""
    if key:
        data = bytes(b ^ key for b in data)
    if len(data) >= 4 and len(data) % 2 == 0 and not any(data[1::2]):
        data = data[::2]
    return "".join(chr(b) if 32 <= b < 127 and b != 92 else f"\\x{b:02x}" for b in data)


OWN: dict[str, Any] = {
    "rule": pl.String, "rule_file": pl.String, "tags": pl.String, "author": pl.String, "description": pl.String,
    "severity": pl.String, "stage": pl.String, "technique": pl.String, "pattern": pl.String, "matched": pl.String,
    "xor_key": pl.Int64, "matches": pl.Int64, "window": pl.Int64,
}  # fmt: skip


def frame(rows: Sequence[Row], paths: Sequence[str]) -> pl.DataFrame:
    """Rows of :func:`scan`, each with its ``file_path``, as events; ``paths`` are those of the files with their layers."""
    fixed = {"t_basis": str(TimeBasis.NONE), "t_kind": "state", "kind": str(EventKind.STATE_MATCH)}
    columns: dict[str, pl.Series] = {}
    for name, dtype in {**HEAD_SCHEMA, **OWN}.items():
        columns[name] = pl.Series(name, [fixed.get(name, row.get(name)) for row in rows], dtype=dtype)
    shown_paths = [None if r.get("file_path") is None else printable(str(r["file_path"])) for r in rows]
    columns["file_path"] = pl.Series("file_path", shown_paths, dtype=pl.String)
    return pl.DataFrame(columns).with_columns(pl.Series("path", paths, dtype=pl.String))
