# SPDX-License-Identifier: Apache-2.0
"""Lines that are one JSON object each, for the line engine.

A picker says what a line's object means, as a mapping from header and own column names to values, or None where the object
is not of its kind; its lines are then gaps. Objects are read by orjson where that reads them as the standard library's ``json``
does, else by that, within the engine's limit of a line's length; nesting that is too deep, and numbers with thousands of
digits, are not of its kind either.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import polars as pl

from headwater.examine.batch import HEAD_SCHEMA, printable
from headwater.examine.filled import filled
from headwater.examine.line_blocks import Lines
from headwater.examine.line_views import Ints
from headwater.examine.lines import Context, Cut, Shape
from headwater.formats.patterns import lazy_regex
from headwater.model.records import Value
from headwater.model.times import from_rfc3339

Picker = Callable[[Mapping[str, Any]], Mapping[str, Value] | None]
RowPicker = Callable[[dict[str, Any]], tuple[Any, ...] | None]
_MOST = (1 << 63) - 1
_TEXT = 8192
_LONG = lazy_regex(r"[0-9]{18}")  # digits enough for a number that orjson would round
_DIGITS = bytes(48 if 48 <= n <= 57 else 32 for n in range(256))
_RUN = b"0" * 18
_TEXTS, _TEXT_ONLY = {str, type(None)}, {str}
_compactly = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_BYTE = lazy_regex(r"(?<!\\)((?:\\\\)*)\\x(?=[0-9a-f]{2})")


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


def json_rows(pick: RowPicker, names: Sequence[str], own: Mapping[str, Any]) -> Shape:
    """As :func:`json_shape` with a picker that gives the values of ``names`` in order, texts as they stand: :func:`word` is done to
    whole columns."""
    types = {**HEAD_SCHEMA, **own}

    def shape(lines: Lines, context: Context) -> Cut:
        rows = np.flatnonzero(lines.data[lines.start] == 123)
        fits = np.zeros(len(lines), dtype=np.bool_)
        picked: list[tuple[Any, ...]] = []
        for row, text, short in zip(rows.tolist(), lines.take(rows).text().to_list(), _short_numbers(lines, rows)):
            said = _quickly(text) if short else None
            if said is None:
                said = _object(text)
            found = None if said is None else pick(said)
            if found is not None:
                fits[row] = True
                picked.append(found)
        if not picked:
            return Cut.none(lines)
        return Cut(fits, {n: _typed(values, types[n]) for n, values in zip(names, zip(*picked))})

    return shape


def _short_numbers(lines: Lines, rows: Ints) -> list[bool]:
    """Which lines have no run of digits that is long enough for a number that orjson would round; looked for in the whole block."""
    marked = lines.data.tobytes().translate(_DIGITS)
    at = marked.find(_RUN)
    if at < 0:
        return [True] * len(rows)
    found = []
    while at >= 0:
        found.append(at)
        at = marked.find(_RUN, at + len(_RUN))
    places = np.array(found, dtype=np.int64)
    low, high = lines.start[rows], lines.end[rows]
    # a run may be found up to its length behind its beginning, and a little further where two meet
    some = np.searchsorted(places, high) > np.searchsorted(places, low)
    short: list[bool] = (~some).tolist()
    return short


def _quickly(text: str) -> dict[str, Any] | None:
    try:
        said = orjson.loads(text)
    except ValueError:
        return None  # the other way may take it
    return said if type(said) is dict else None


def _typed(values: Sequence[Any], dtype: Any) -> pl.Series:
    if dtype != pl.String:
        return _column(list(values), dtype)
    kinds = set(map(type, values))
    if kinds <= {type(None)}:
        return filled(None, len(values), dtype)
    if not kinds <= _TEXTS:
        values = [v if type(v) is str else None for v in values]
    try:
        series = pl.Series(values, dtype=dtype)
    except UnicodeEncodeError:
        return pl.Series([printable(v[:_TEXT]) if v else None for v in values], dtype=dtype)
    sizes = series.str.len_bytes()
    if (sizes > _TEXT).any():
        series = series.str.head(_TEXT)
    return series.set(sizes == 0, None) if sizes.min() == 0 else series


def _column(values: list[Value], dtype: Any) -> pl.Series:
    """The values that are of the column's type; nulls where they are not."""
    if dtype == pl.String and set(map(type, values)) <= _TEXTS:
        try:
            return pl.Series(values, dtype=dtype)
        except UnicodeEncodeError:  # half a surrogate pair, which only the slow way can write
            pass
    return pl.Series([_fit(value, dtype) for value in values], dtype=dtype)


def _picked(pick: Picker, text: str) -> Mapping[str, Value] | None:
    said = _object(text)
    return None if said is None else pick(said)


def _object(text: str) -> dict[str, Any] | None:
    """The object that a line is."""
    said = _read(text)
    if said is None and "\\x" in text:  # bytes that were no UTF-8 came as \xNN, which JSON does not know
        said = _read(_BYTE.sub(r"\1\\\\x", text))
    return said if type(said) is dict else None


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
    if type(value) is not list:
        return None
    if not set(map(type, value[:100])) <= _TEXT_ONLY:
        value = [str(v) for v in value[:100]]
    return word(joint.join(value[:100]))


def compact(value: Any) -> str | None:
    """An object or list as JSON text, cut at 8,192 characters; None for nothing."""
    return word(_compactly(value)) if value else None


def moment(value: Any) -> int | None:
    """Nanoseconds of an RFC 3339 text that states its offset; None where it is none."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    if len(value) == 27 and value[19] == "." and value[26] == "Z":  # microseconds, as Go writes them
        minute, digits = _minute(value[:17]), value[17:19] + value[20:26]
        if minute is not None and digits < "6" and digits.isdigit() and digits.isascii():
            return minute + int(digits) * 1000
    try:
        return from_rfc3339(value.replace("Z", "+00:00"))
    except (ValueError, OverflowError):
        return None


@functools.lru_cache(maxsize=4096)
def _minute(text: str) -> int | None:
    """Nanoseconds of ``2026-03-02T11:22:``, UTC; None where that is none."""
    try:
        return from_rfc3339(text + "00+00:00")
    except (ValueError, OverflowError):
        return None
