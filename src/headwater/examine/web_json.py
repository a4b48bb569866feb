# SPDX-License-Identifier: Apache-2.0
"""Access lines written as one JSON object each: nginx's escape=json formats, Apache's, Caddy's, Traefik's.

Keys are recognised by the names in use; where the configuration states which variable a key holds, that comes first.
Keys that mean nothing here are kept together as JSON in ``extra``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import polars as pl

from headwater.examine.batch import printable
from headwater.examine.line_blocks import Lines
from headwater.examine.lines import Context, Cut, Shape
from headwater.examine.log_formats import NGINX, Format, tokens
from headwater.examine.web_values import columns_of
from headwater.formats.patterns import lazy_regex

_KEYS: dict[str, str] = {
    **{name: field for name, field in NGINX.items() if field and not field.startswith("@")},
    **dict.fromkeys(("remote_ip", "client_ip", "clientip", "client", "ip", "remote_host", "clienthost", "remoteip"), "src_ip"),
    **dict.fromkeys(("user", "auth", "remote_user", "clientusername"), "user"),
    **dict.fromkeys(("x_forwarded_for", "xff", "http_x_forwarded", "x-forwarded-for", "forwarded_for"), "x-forwarded-for"),
    **dict.fromkeys(("method", "verb", "http_method", "requestmethod"), "cs-method"),
    **dict.fromkeys(("url", "path", "requestpath", "uri_path", "request_url", "uri"), "cs-uri"),
    **dict.fromkeys(("status_code", "response", "code", "response_code", "downstreamstatus"), "sc-status"),
    **dict.fromkeys(("size", "bytes", "body_bytes", "downstreamcontentsize"), "sc-bytes"),
    **dict.fromkeys(("referer", "referrer", "http_referrer"), "cs-referer"),
    **dict.fromkeys(("agent", "user_agent", "ua", "useragent", "http_useragent"), "cs-user-agent"),
    **dict.fromkeys(("domain", "vhost", "server_name", "requesthost", "requestaddr"), "cs-host"),
    **dict.fromkeys(("protocol", "proto", "http_version", "requestprotocol"), "cs-version"),
    **dict.fromkeys(("duration", "responsetime", "response_time", "request_duration"), "time-taken"),
    **dict.fromkeys(("query", "query_string", "args"), "cs-uri-query"),
}  # fmt: skip
_TIMES = ("@timestamp", "time_iso8601", "msec", "ts", "timestamp", "time", "time_local", "starttime", "date")
_SPLIT = lazy_regex(r'"([^"\\]{1,64})"\s*:\s*"?$')
_MOST_LINE = 1 << 18
_MOST_PLANS, _MOST_KEYS = 256, 4096  # sets of keys that are remembered, and letters of one of them
_LONG_NUMBER = "[0-9]{19}"
_DEEP = 100  # so many brackets cannot be deeper than either reader goes
_SECONDS = lazy_regex(r"[0-9]{9,11}(?:\.[0-9]+)?")
_MILLISECONDS = lazy_regex(r"[0-9]{13}")
_ISO = lazy_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:?[0-9]{2})")
_FRACTION = lazy_regex(r"\.[0-9]+")
_dumped = json.JSONEncoder(ensure_ascii=False).encode
_CLF = lazy_regex(r"\[?[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:")


def keys_of(form: Format) -> dict[str, str]:
    """Which field each key of a JSON format holds, by the variables behind the keys."""
    found, before = {}, ""
    for what, text in tokens(form):
        match = _SPLIT.search(before) if what == "value" else None
        if match:
            found[match.group(1).lower()] = text
        before = text if what == "text" else ""
    return found


def _flat(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry with the objects of Caddy (``request``) and of shippers laid flat, one step deep."""
    flat: dict[str, Any] = {}
    for key, value in entry.items():
        if isinstance(value, dict):
            for inner, said in value.items():
                flat.setdefault(str(inner), said)
        else:
            flat[key] = value
    return flat


def _entry(text: str, quick: bool = False) -> dict[str, Any] | None:
    """The object that a text is, laid flat; None where it is none.

    ``quick``: no number in it has nineteen digits, and it is not deep. A quick reader makes fractions of whole
    numbers beyond 64 bits; what it refuses (half a surrogate pair, NaN) the exact one is asked about, so that both ways say the same.
    """
    try:
        found = orjson.loads(text) if quick else json.loads(text)
    except (ValueError, RecursionError):
        return _entry(text) if quick else None
    return _flat(found) if isinstance(found, dict) else None


def _stated(value: Any) -> str | None:
    if isinstance(value, str):
        return printable(value)
    if value is None or isinstance(value, bool):
        return None if value is None else str(value).lower()
    if isinstance(value, dict | list):
        return printable(_dumped(value)[:8192])
    return str(value)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a set of keys holds: every key with its field, and the keys that may hold the time, the likeliest first."""

    fields: tuple[tuple[str, str], ...]
    times: tuple[str, ...]


class _Plans:
    """Plans by the keys of an entry: a log has few sets of keys, and each is thought about once."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = known
        self._made: dict[tuple[str, ...], _Plan] = {}

    def of(self, entry: Mapping[str, Any]) -> _Plan:
        keys = tuple(entry)
        found = self._made.get(keys)
        if found is None:
            found = self._plan(keys)
            if len(self._made) >= _MOST_PLANS:
                self._made.clear()
            if sum(map(len, keys)) + len(keys) <= _MOST_KEYS:
                self._made[keys] = found
        return found

    def _plan(self, keys: tuple[str, ...]) -> _Plan:
        lower = {key: key.lower() for key in keys}
        fields = tuple((k, self._known.get(lower[k]) or _KEYS.get(lower[k], "")) for k in keys)
        named = [k for k in keys if self._known.get(lower[k], "").startswith("@")]
        return _Plan(fields, (*named, *(k for name in _TIMES for k in keys if lower[k] == name)))


def _time(entry: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[str, str, str] | None:
    """Key, kind of time and text of the entry's time."""
    for key in keys:
        text = str(entry[key])
        if _SECONDS.fullmatch(text):
            return key, "@seconds", text
        if _MILLISECONDS.fullmatch(text):
            return key, "@msec", text
        if _CLF.match(text):
            return key, "@clf", text
        if _ISO.fullmatch(text):
            return key, "@iso", _FRACTION.sub("", text)
    return None


def _fields(entry: dict[str, Any], plan: _Plan) -> dict[str, str | None] | None:
    """The fields of one entry; None where it is no request."""
    time = _time(entry, plan.times)
    out: dict[str, str | None] = {time[1]: time[2]} if time else {}
    at = time[0] if time else None
    rest: dict[str, Any] = {}
    for key, name in plan.fields:
        if name == "@query":  # Apache's %q, with the mark that it begins with
            out.setdefault("cs-uri-query", (_stated(entry[key]) or "").removeprefix("?") or None)
        elif name and name not in out:
            if key != at and name[0] != "@":
                out[name] = _stated(entry[key])
        elif key != at and name[:1] != "@":
            rest[key] = entry[key]
    if rest:
        out["extra"] = printable(_dumped(rest)[:65_536])
    if "cs-uri" in out and not str(out["cs-uri"]).startswith(("/", "http", "*")):
        return None
    asked = "request" in out or "cs-uri" in out or "cs-uri-stem" in out
    return out if asked and ("sc-status" in out or "src_ip" in out) else None


def _request(text: str, quick: bool, plans: _Plans) -> dict[str, str | None] | None:
    """The fields of one line; None where it is no request."""
    entry = _entry(text, quick)
    try:
        return _fields(entry, plans.of(entry)) if entry is not None else None
    except RecursionError:  # just shallow enough to be read, too deep to be written out again
        return None


def json_shape(known: Mapping[str, str]) -> Shape:
    """A shape for JSON lines; ``known`` says by the configuration which field a key holds."""

    def shape(lines: Lines, context: Context) -> Cut:
        plans = _Plans(known)
        first = lines.data[np.minimum(lines.start, len(lines.data) - 1)]
        may = np.flatnonzero((first == 123) & (lines.end - lines.start <= _MOST_LINE))
        made: list[dict[str, str | None]] = []
        fits = np.zeros(len(lines), dtype=np.bool_)
        texts = lines.take(may).text()
        quick = ~texts.str.contains(_LONG_NUMBER) & (texts.str.count_matches(r"[\[{]") <= _DEEP)
        for row, text, small in zip(may.tolist(), texts.to_list(), quick.to_list()):
            fields = _request(text, small, plans)
            if fields is not None:
                fits[row] = True
                made.append(fields)
        if not made:
            return Cut.none(lines)
        names = dict.fromkeys(name for fields in made for name in fields)
        return Cut(fits, _merged({n: pl.Series([f.get(n) for f in made], dtype=pl.String) for n in names}))

    return shape


def _merged(texts: dict[str, pl.Series]) -> dict[str, pl.Series]:
    """The columns; where rows state their times differently, each row has its own."""
    times = [n for n in texts if n.startswith("@")]
    plain = [(n, s) for n, s in texts.items() if not n.startswith("@")]
    parts = [columns_of([(n, texts[n]), *plain], False) for n in times] or [columns_of(plain, False)]
    columns = parts[0]
    for other in parts[1:]:
        here = other["t_recorded"].is_not_null()
        for name in ("t_recorded", "t_basis"):
            columns[name] = other[name].zip_with(here, columns[name])
    return columns


def json_share(head: bytes) -> float:
    """Which share of the lines at a file's beginning are requests written as JSON."""
    lines = [line for line in head.split(b"\n")[:20] if line.strip()]
    if len(lines) > 1 and not head.endswith(b"\n"):
        lines.pop()
    if not lines or not lines[0].startswith(b"{"):
        return 0.0
    entries = [_entry(line.decode("utf-8", "replace")) for line in lines]
    plans = _Plans({})
    requests = [
        e
        for e in entries
        if e and (f := _fields(e, plans.of(e))) and ("request" in f or "cs-method" in f) and "sc-status" in f
    ]
    return len(requests) / len(lines)
