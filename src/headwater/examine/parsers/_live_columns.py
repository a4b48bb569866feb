# SPDX-License-Identifier: Apache-2.0
"""Rows of a table by one regex over whole columns: outputs that may have millions of rows (find, lsof, maps)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl

from headwater.examine.filled import filled
from headwater.examine.line_blocks import Lines
from headwater.examine.lines import Context, Cut, Shape, groups
from headwater.examine.parsers._live import TAKEN, captured
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.records import File

Columns = dict[str, pl.Series]
Finish = Callable[[pl.DataFrame, File], Columns]


def numbered(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """These columns as whole numbers; what is none, or does not fit, is null."""
    return frame.with_columns(pl.col(n).cast(pl.Int64, strict=False) for n in names)


def table(pattern: str, kind: EventKind, finish: Finish, taken: bool = True) -> Shape:
    """A shape over whole lines; ``finish`` makes columns of the groups; ``taken``: rows have the capture's time."""

    def shape(lines: Lines, context: Context) -> Cut:
        every = np.ones(len(lines), dtype=np.bool_)
        fits, found = groups(lines, lines.start, every, pattern)
        if not fits.any():
            return Cut.none(lines)
        columns: dict[str, Any] = dict(finish(found, context.file))
        size = found.height
        columns.setdefault("kind", filled(str(kind), size))
        columns.setdefault("t_basis", filled(str(TimeBasis.NONE), size))
        if taken:
            ns, basis = captured(context.file)
            columns["t_recorded"] = filled(ns, size, pl.Int64)
            columns["t_basis"] = filled(str(basis), size)
            columns["t_kind"] = filled(TAKEN if ns is not None else "logged", size)
        return Cut(fits, columns)

    return shape
