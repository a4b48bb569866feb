# SPDX-License-Identifier: Apache-2.0
"""Parts of one feed that have the same columns, as one frame: which kinds they hold, and the small ones read once and kept.

Sixty questions are put to the events of a server, most of them to a few kinds. A part that holds none of these is not
opened again; and to read a small part anew for each question cost more than all the answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from headwater.model.errors import StoreError

KEPT = 192 << 20  # bytes of frames that one store holds in memory
_CELL = 16  # bytes of a value at least, before its text


class Room:
    """How many bytes may still be kept."""

    def __init__(self, size: int | None = None) -> None:
        self.left = KEPT if size is None else size


class Group:
    """Parts of one schema, in order."""

    def __init__(self, schema: Mapping[str, Any], parts: Sequence[Path], room: Room) -> None:
        self.schema = dict(schema)
        self.parts = tuple(parts)
        self._room = room
        self._held: dict[Path, tuple[frozenset[str], int]] = {}
        self._frame: pl.DataFrame | None = None
        self._tried = False

    def lazy(self, kinds: frozenset[str] | None, ts: pl.Expr) -> pl.LazyFrame | None:
        """The events of these kinds with all their columns and ``ts``; None where the group has none of them.

        Raises:
            StoreError: HW5001, a part cannot be read.
        """
        parts = self.parts if kinds is None else tuple(p for p in self.parts if kinds & self._facts(p)[0])
        if not parts:
            return None
        kept = self._kept(ts)
        frame = scanned(parts).with_columns(ts) if kept is None else kept.lazy()
        if kinds is None or all(self._facts(p)[0] <= kinds for p in (self.parts if kept is not None else parts)):
            return frame
        return frame.filter(pl.col("kind").is_in(sorted(kinds)))

    def _facts(self, part: Path) -> tuple[frozenset[str], int]:
        """The kinds that a part holds, and how many rows."""
        found = self._held.get(part)
        if found is None:
            column = _read(part, ["kind"])["kind"]
            found = self._held[part] = frozenset(column.unique().to_list()), len(column)
        return found

    def _kept(self, ts: pl.Expr) -> pl.DataFrame | None:
        """All parts as one frame in memory; None where that is too much."""
        if not self._tried:
            self._tried = True
            least = sum(self._facts(p)[1] for p in self.parts) * (len(self.schema) + 1) * _CELL
            if least <= self._room.left:
                frame = pl.concat([_read(p) for p in self.parts]).with_columns(ts)
                size = int(frame.estimated_size())
                if size <= self._room.left:
                    self._room.left -= size
                    self._frame = frame
        return self._frame


def scanned(parts: Sequence[Path]) -> pl.LazyFrame:
    """Parts of one schema as they stand on disk."""
    return pl.scan_parquet(list(parts), hive_partitioning=False, glob=False)


def _read(part: Path, columns: list[str] | None = None) -> pl.DataFrame:
    try:
        return pl.read_parquet(part, columns=columns, hive_partitioning=False, glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StoreError("HW5001", str(part), what=error) from error
