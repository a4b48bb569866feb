# SPDX-License-Identifier: Apache-2.0
"""Columns of texts as a web server's access format named them, made into header and taxonomy columns.

A field that begins with ``@`` is a time or a part of one; ``-`` and the empty text are no value, as both servers write it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

from headwater.examine.web_lines import OWN
from headwater.model.kinds import EventKind, Outcome, TimeBasis
from headwater.model.records import own_column

_ADDRESS = r"^(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F.]*)$"
_REQUEST = r"^(?P<method>[A-Z][A-Z_-]*) (?P<uri>\S.*?)(?: (?P<version>HTTP/[0-9.]+))?$"
HEADERS = frozenset({"src_ip", "user", "dst_ip", "pid", "file_path", "host", "process", "command_line"})


def _unescaped(text: str | None) -> str | None:
    if text is None or "\\" not in text:
        return text
    try:
        return str(json.loads(f'"{text}"')).encode("utf-8", "backslashreplace").decode()
    except ValueError:
        return text


def _whole(text: pl.Series) -> pl.Series:
    return text.cast(pl.Int64, strict=False)


def _nanoseconds(field: str, text: pl.Series) -> pl.Series:
    """Nanoseconds since 1970 of a column of stated times; null where a text is none."""
    if field == "@seconds":
        whole = _whole(text.str.extract(r"^([0-9]+)", 1))
        part = text.str.extract(r"\.([0-9]+)", 1).fill_null("0").str.pad_end(9, "0").str.slice(0, 9)
        return _held(whole, 1_000_000_000) + _whole(part)
    if field in ("@msec", "@usec"):
        return _held(_whole(text), 1_000_000 if field == "@msec" else 1_000)
    if field in ("@clf", "@bracketed"):
        bare = text.str.strip_chars("[]").str.replace(r"[.,][0-9]+", "")
        return _moments(bare, "%d/%b/%Y:%H:%M:%S %z")
    if field == "@iso":
        return _moments(
            text.str.replace(r"Z$", "+00:00").str.replace(r"([+-]\d\d)(\d\d)$", "$1:$2"), "%Y-%m-%dT%H:%M:%S%:z"
        )
    return _moments(text, field.removeprefix("@strftime "))


def _moments(text: pl.Series, form: str) -> pl.Series:
    try:
        stated = text.str.to_datetime(form, strict=False, time_unit="us").cast(pl.Int64)
    except (
        pl.exceptions.PolarsError,
        ValueError,
    ):  # a strftime that the engine does not know: the text is kept instead
        return pl.Series([None] * len(text), dtype=pl.Int64)
    return _held(stated, 1_000)


def _held(units: pl.Series, scale: int) -> pl.Series:
    """Whole units as nanoseconds; null beyond 2262, where 64 bits of these end."""
    return units.set((units.abs() > ((1 << 63) - 1) // scale - 1).fill_null(False), None) * scale


def _request(text: pl.Series) -> dict[str, pl.Series]:
    parts = text.str.extract_groups(_REQUEST).struct.unnest()
    method, uri = parts["method"], parts["uri"]
    columns = {"cs-method": method, "cs-version": parts["version"], "request": text.set(method.is_not_null(), None)}
    return columns | _uri(uri)


def _uri(uri: pl.Series) -> dict[str, pl.Series]:
    return {
        "cs-uri": uri,
        "cs-uri-stem": uri.str.extract(r"^([^?]*)", 1),
        "cs-uri-query": uri.str.extract(r"\?(.*)$", 1),
    }


def _peer(text: pl.Series) -> dict[str, pl.Series]:
    bare = text.str.replace(r"^([0-9.]+):[0-9]+$|^\[([0-9a-fA-F:.]+)\](?::[0-9]+)?$", "$1$2")
    is_address = bare.str.contains(_ADDRESS).fill_null(False)
    return {"src_ip": bare.set(~is_address, None), "rhost": text.set(is_address, None)}


def _one(field: str, text: pl.Series) -> dict[str, pl.Series]:
    if field == "request":
        return _request(text)
    if field == "cs-uri":
        return _uri(text)
    if field == "src_ip":
        return _peer(text)
    if field == "@query":
        return {"cs-uri-query": text.str.strip_prefix("?")}
    if field == "time-taken-us":
        return {"time-taken-us": text}
    if field in ("sc-status", "sc-bytes", "pid"):
        return {field: _whole(text)}
    return {field if field in HEADERS else own_column(field): text}


def columns_of(named: Sequence[tuple[str, pl.Series]], escaped: bool) -> dict[str, pl.Series]:
    """Header and own columns from (field, texts), in the order of the format; the first of one name wins.

    ``escaped``: the texts are insides of JSON strings.
    """
    columns: dict[str, pl.Series] = {}
    height = len(named[0][1]) if named else 0
    time: pl.Series | None = None
    zoned = True
    for field, text in named:
        if not field:
            continue
        if escaped and text.str.contains("\\", literal=True).any():
            text = pl.Series([_unescaped(t) for t in text.to_list()], dtype=pl.String)
        text = text.set((text == "-") | (text == ""), None)
        if field.startswith("@") and field != "@query":
            if time is None:
                time = _nanoseconds(field, text)
                zoned = not field.startswith("@strftime") or "%z" in field
            continue
        for name, values in _one(field, text).items():
            if name in columns and columns[name].null_count() < height:
                continue
            columns[name] = values
    return columns | _head(columns, time, zoned, height)


def _head(columns: dict[str, pl.Series], time: pl.Series | None, zoned: bool, height: int) -> dict[str, pl.Series]:
    head: dict[str, Any] = {"kind": pl.Series([str(EventKind.WEB_REQUEST)] * height, dtype=pl.String)}
    basis = str(TimeBasis.ZONE_GIVEN if zoned else TimeBasis.ZONE_ASSUMED)
    if time is None:
        time = pl.Series([None] * height, dtype=pl.Int64)
    head["t_recorded"] = time
    stated = pl.Series([basis] * height, dtype=pl.String)
    head["t_basis"] = stated.set(time.is_null(), str(TimeBasis.NONE))
    status = columns.get("sc-status")
    if status is not None:
        good = pl.Series([str(Outcome.SUCCESS)] * height, dtype=pl.String)
        head["outcome"] = good.set((status >= 400).fill_null(False), str(Outcome.FAILURE)).set(status.is_null(), None)
    return head


FIELDS = {**OWN, "time-taken-us": pl.String, "time-taken-ms": pl.String, "cs-cookie": pl.String, "s-port": pl.String}
