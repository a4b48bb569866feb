# SPDX-License-Identifier: Apache-2.0
"""Lines that are one JSON object each, for the line engine.

A picker says what a line's object means, as a mapping from header and own column names to values, or None where the object
is not of its kind; its lines are then gaps. Objects are read by orjson where that reads them as the standard library's ``json``
does, else by that, within the engine's limit of a line's length; nesting that is too deep, and numbers with thousands of
digits, are not of its kind either.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson
import polars as pl

from headwater.examine.batch import HEAD_SCHEMA, printable
from headwater.examine.line_blocks import Lines
from headwater.examine.lines import Context, Cut, Shape
from headwater.model.records import Value
from headwater.model.times import from_rfc3339

Picker = Callable[[Mapping[str, Any]], Mapping[str, Value] | None]
_MOST = (1 << 63) - 1
_TEXT = 8192
_LONG = re.compile(r"[0-9]{18}")  # digits enough for a number that orjson would round
_TEXTS = {str, type(None)}
_BYTE = re.compile(r"(?<!\\)((?:\\\\)*)\\x(?=[0-9a-f]{2})")


def json_shape(pick: Picker, own: Mapping[str, Any]) -> Shape:
    """A shape over lines that begin with ``{``."""
    types = {**HEAD_SCHEMA, **own}

    def shape(lines: Lines, context: Context) -> Cut:
        rows = np.flatnonzero(lines.data[lines.start] == 123)
        fits = np.zeros(len(lines), dtype=np.bool_)
        picked: list[Mapping[str, Value]] = []
        for row, text in zip(rows.tolist(), lines.take(rows).text().to_list()):
            found = _picked(pick, text)
            if found is not None:
                fits[row] = True
                picked.append(found)
        if not picked:
            return Cut.none(lines)
        names = dict.fromkeys(name for found in picked for name in found)
        return Cut(fits, {name: _column([found.get(name) for found in picked], types[name]) for name in names})

    return shape


def _column(values: list[Value], dtype: Any) -> pl.Series:
    """The values that are of the column's type; nulls where they are not."""
    if dtype == pl.String and set(map(type, values)) <= _TEXTS:
        try:
            return pl.Series(values, dtype=dtype)
        except UnicodeEncodeError:  # half a surrogate pair, which only the slow way can write
            pass
    return pl.Series([_fit(value, dtype) for value in values], dtype=dtype)


def _picked(pick: Picker, text: str) -> Mapping[str, Value] | None:
    said = _read(text)
    if said is None and "\\x" in text:  # bytes that were no UTF-8 came as \xNN, which JSON does not know
        said = _read(_BYTE.sub(r"\1\\\\x", text))
    return pick(said) if isinstance(said, dict) else None


def _read(text: str) -> Any:
    try:
        if not _LONG.search(text):
            return orjson.loads(text)
    except ValueError:
        pass  # what orjson refuses (NaN, half a surrogate pair) the other may take
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _fit(value: Value, dtype: Any) -> Value:
    """The value where it is of the column's type; a null where it is not."""
    if dtype == pl.Int64:
        return value if isinstance(value, int) and -_MOST <= value <= _MOST else None
    if dtype == pl.Boolean:
        return value if isinstance(value, bool) else None
    if type(value) is str and value.isascii():
        return value
    return None if value is None else printable(str(value))


def inner(said: Mapping[str, Any], *keys: str) -> Any:
    """What stands under nested keys, or None."""
    here: Any = said
    for key in keys:
        if type(here) is not dict:
            return None
        here = here.get(key)
    return here


def word(value: Any) -> str | None:
    """A text that says something, cut at 8,192 characters."""
    return value[:_TEXT] if isinstance(value, str) and value else None


def words(value: Any, joint: str = " ") -> str | None:
    """A list of texts as one, of at most a hundred items."""
    return word(joint.join(str(v) for v in value[:100])) if isinstance(value, list) else None


def compact(value: Any) -> str | None:
    """An object or list as JSON text, cut at 8,192 characters; None for nothing."""
    return word(json.dumps(value, ensure_ascii=False, separators=(",", ":"))) if value else None


def moment(value: Any) -> int | None:
    """Nanoseconds of an RFC 3339 text that states its offset; None where it is none."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        return from_rfc3339(value.replace("Z", "+00:00"))
    except (ValueError, OverflowError):
        return None
