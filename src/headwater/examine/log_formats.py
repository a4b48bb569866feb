# SPDX-License-Identifier: Apache-2.0
"""Access formats as a server's own configuration states them: nginx ``log_format``, Apache ``LogFormat``.

:func:`declared` reads the configuration texts of one system, :func:`shape_of` makes a format string a shape of the line
engine: one regex over a string column, whose groups become the fields of Sigma's webserver taxonomy. What a format
names that the taxonomy does not know keeps the server's own name (``upstream_addr``, ``L``).

Formats: https://nginx.org/en/docs/http/ngx_http_log_module.html, https://httpd.apache.org/docs/2.4/mod/mod_log_config.html
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import re2

from headwater.examine.line_blocks import Lines
from headwater.examine.lines import Context, Cut, Shape
from headwater.examine.web_values import columns_of
from headwater.formats.patterns import lazy_regex

_MOST_FORMAT = 8192  # characters; a longer format is no format that a person wrote
_MOST_FORMATS = 32
_MOST_LOGS = 1024  # of one configuration
_MOST_LINE = 1 << 16  # bytes of a line that a derived regex is tried on

# The field of a variable; what is not here keeps the server's own name.
NGINX = {
    "remote_addr": "src_ip", "binary_remote_addr": "", "remote_user": "user", "http_x_forwarded_for": "x-forwarded-for",
    "proxy_add_x_forwarded_for": "x-forwarded-for", "request": "request", "request_method": "cs-method",
    "request_uri": "cs-uri", "uri": "cs-uri-stem", "document_uri": "cs-uri-stem", "args": "cs-uri-query",
    "query_string": "cs-uri-query", "server_protocol": "cs-version", "status": "sc-status", "body_bytes_sent": "sc-bytes",
    "bytes_sent": "bytes_sent", "http_referer": "cs-referer", "http_user_agent": "cs-user-agent", "host": "cs-host",
    "http_host": "cs-host", "http_cookie": "cs-cookie", "request_time": "time-taken", "time_local": "@clf",
    "time_iso8601": "@iso", "msec": "@seconds",
}  # fmt: skip
APACHE = {
    "h": "src_ip", "a": "src_ip", "{c}a": "src_ip", "l": "ident", "u": "user", "t": "@bracketed", "r": "request", "s": "sc-status",
    "b": "sc-bytes", "B": "sc-bytes", "O": "bytes_sent", "I": "bytes_received", "D": "time-taken-us", "T": "time-taken",
    "m": "cs-method", "U": "cs-uri-stem", "q": "@query", "H": "cs-version", "v": "cs-host", "V": "cs-host", "f": "file_path",
    "{host}i": "cs-host", "{referer}i": "cs-referer", "{user-agent}i": "cs-user-agent", "{cookie}i": "cs-cookie",
    "{x-forwarded-for}i": "x-forwarded-for", "P": "pid", "A": "dst_ip", "p": "s-port", "{sec}t": "@seconds", "{usec}t": "@usec",
    "{msec}t": "@msec",
}  # fmt: skip
STANDARD = frozenset(
    {
        '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"',
        r"%h %l %u %t \"%r\" %>s %b",
        r"%h %l %u %t \"%r\" %>s %O",
        r"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"",
        r"%h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"",
    }
)
_NGINX_FORMAT = lazy_regex(
    r"""(?m)^[^#\n]*?\blog_format\s+([\w.-]+)((?:\s+(?:escape=\w+|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))+)\s*;"""
)
_NGINX_LOG = lazy_regex(r"(?m)(?:^|[;{}])[ \t]*access_log\s+([^\s;]{1,1024})(?:\s+([\w.-]+))?[^;\n]*(?=;)")
_QUOTED = lazy_regex(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""")
_APACHE_FORMAT = lazy_regex(r"""(?mi)^[ \t]*LogFormat[ \t]+(?:"((?:[^"\\]|\\.)*)"|(\S+))(?:[ \t]+([\w.-]+))?[ \t]*$""")
_APACHE_LOG = lazy_regex(
    r"""(?mi)^[ \t]*(?:CustomLog|TransferLog)[ \t]+(?:"([^"\n]{1,1024})"|(\S{1,1024}))(?:[ \t]+(?:"((?:[^"\\]|\\.)*)"|([\w.-]+)))?"""
)
_PIPED = lazy_regex(
    r"\|\$?\S+(?:\s+-\S+)*(?:\s+[0-9]+)?\s+(/\S+)"
)  # rotatelogs, cronolog: the first path behind the program
_OPEN = lazy_regex(r"%[A-Za-z]|\$\{?\w+\}?")  # what of a log's path is known only when it is written
_APACHE_TOKEN = lazy_regex(r"%(?:!?[0-9,]+)?[<>]?(\{[^}]*\})?(\^?[A-Za-z%]{1,3}?)(?![A-Za-z]*\^)")


@dataclass(frozen=True, slots=True)
class Format:
    """One stated format: ``server`` is nginx or apache, ``escape`` nginx's escape parameter."""

    server: str
    text: str
    escape: str = "default"

    @property
    def json(self) -> bool:
        return self.text.lstrip().startswith("{") and '"' in self.text


@dataclass(frozen=True, slots=True)
class Declared:
    """The formats that a system's configuration states, in order, and which log each is written to."""

    formats: tuple[Format, ...]
    logs: Mapping[str, Format]

    def of(self, path: str) -> Format | None:
        """The format of a log by its path, or where only that fits by its last name, rotations included."""
        stated = self.named(path)
        if stated is not None:
            return stated
        names = {log.rpartition("/")[2]: form for log, form in self.logs.items()}
        for tail in _less_rotation(path):
            if tail.rpartition("/")[2] in names:
                return names[tail.rpartition("/")[2]]
        return None

    def named(self, path: str) -> Format | None:
        """The format of a log that the configuration names: by its path, rotations and what stands open in it included."""
        for tail in _less_rotation(path):
            if tail in self.logs:
                return self.logs[tail]
        for log, form in self.logs.items():
            if not log.startswith("/") and any(tail.endswith("/" + log) for tail in _less_rotation(path)):
                return form  # below the server's own root
            if _OPEN.search(log) and _opened(log).fullmatch(path):
                return form
        return None


@functools.lru_cache(maxsize=_MOST_LOGS)
def _opened(log: str) -> Any:
    """A path that is known only when it is written, as an expression of linear cost: the configuration is evidence too."""
    return re2.compile("[^/]*".join(re2.escape(part) for part in _OPEN.split(log)))


def _less_rotation(path: str) -> tuple[str, ...]:
    return (path, re.sub(r"(?:[.-][0-9]{1,10}(?:-[0-9]+)?)+$", "", path))


def _nginx(text: str, formats: dict[str, Format]) -> None:
    for match in _NGINX_FORMAT.finditer(text):
        parts = [(a or b) for a, b in _QUOTED.findall(match.group(2))]
        escape = re.search(r"escape=(\w+)", match.group(2).partition("'")[0])
        whole = re.sub(r"\\(['\"\\])", r"\1", "".join(parts))
        formats["nginx " + match.group(1)] = Format(
            "nginx", whole[:_MOST_FORMAT], escape.group(1) if escape else "default"
        )


def _apache(text: str, formats: dict[str, Format]) -> None:
    for quoted, bare, name in _APACHE_FORMAT.findall(text):
        formats["apache " + (name or "-")] = Format("apache", (quoted or bare)[:_MOST_FORMAT])


_COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)
_COMMON = r"%h %l %u %t \"%r\" %>s %b"


def _logs(text: str, formats: Mapping[str, Format]) -> Iterator[tuple[str, Format]]:
    for where, name in _NGINX_LOG.findall(text):
        if where == "off" or where.startswith(("syslog:", "memory:")):
            continue
        if name and "=" not in name and "nginx " + name in formats:
            yield where, formats["nginx " + name]
        elif name in ("", "combined", "buffer", "gzip", "flush", "if"):
            yield where, Format("nginx", _COMBINED)
    for quoted, bare, own, name in _APACHE_LOG.findall(text):
        where = re.sub(r"\$\{APACHE_LOG_DIR\}", "/var/log/apache2", quoted or bare)
        if where.startswith("|"):
            piped = _PIPED.match(where)
            if piped is None:
                continue
            where = piped.group(1)
        form = Format("apache", own[:_MOST_FORMAT]) if own else formats.get("apache " + (name or "-"))
        if form is None and not own:
            form = Format(
                "apache", _COMMON
            )  # what a server writes that was told nothing, or a name that it does not know
        if form is not None:
            yield where, form


def declared(texts: Mapping[str, str]) -> Declared:
    """What the configuration texts of one system state; later statements of one name win, as in the servers."""
    return _declared(frozenset(texts.items()))


@functools.lru_cache(maxsize=8)  # a task asks for each of its files
def _declared(items: frozenset[tuple[str, str]]) -> Declared:
    texts = dict(items)
    formats: dict[str, Format] = {}
    for path in sorted(texts):
        _nginx(texts[path], formats)
        _apache(texts[path], formats)
    logs: dict[str, Format] = {}
    for path in sorted(texts):
        logs.update(_logs(texts[path], formats))
    logs = dict(list(logs.items())[:_MOST_LOGS])
    every = dict.fromkeys([*formats.values(), *(form for form in logs.values() if form.text not in STANDARD)])
    return Declared(tuple(every)[:_MOST_FORMATS], logs)


Token = tuple[str, str]  # ("text", literal) or ("value", field)


def tokens(form: Format) -> list[Token]:
    """A format string as literal texts and fields, in order."""
    return list(_nginx_tokens(form.text) if form.server == "nginx" else _apache_tokens(form.text))


def _nginx_tokens(text: str) -> Iterator[Token]:
    at = 0
    for match in re.finditer(r"\$(?:\{(\w+)\}|(\w+))", text):
        if match.start() > at:
            yield "text", text[at : match.start()]
        name = match.group(1) or match.group(2)
        yield "value", NGINX.get(name, name)
        at = match.end()
    if at < len(text):
        yield "text", text[at:]


def _apache_tokens(text: str) -> Iterator[Token]:
    text = re.sub(r'\\(["\\])', r"\1", text).replace(r"\t", "\t")
    at = 0
    for match in _APACHE_TOKEN.finditer(text):
        if match.start() > at:
            yield "text", text[at : match.start()]
        at = match.end()
        argument, letter = match.group(1) or "", match.group(2)
        if letter == "%":
            yield "text", "%"
            continue
        yield "value", _apache_field(argument, letter)
    if at < len(text):
        yield "text", text[at:]


def _apache_field(argument: str, letter: str) -> str:
    name = argument.lower() + letter
    if letter == "t" and argument:
        when = re.sub(r"^\{(?:begin|end):", "{", argument)
        return APACHE.get(when.lower() + "t", "@strftime " + when.strip("{}"))
    if letter == "T" and argument:
        return {"{us}T": "time-taken-us", "{ms}T": "time-taken-ms"}.get(argument.lower() + "T", "time-taken")
    return APACHE.get(name) or (APACHE.get(letter, letter) if not argument else argument.strip("{}").lower())


_OF_TIME = {
    "@clf": r"[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)? [+-][0-9]{4}",
    "@bracketed": r"\[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)? [+-][0-9]{4}\]",
    "@iso": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:Z|[+-][0-9]{2}:?[0-9]{2})",
    "@seconds": r"[0-9]{9,11}(?:\.[0-9]{1,9})?",
    "@msec": r"[0-9]{12,14}",
    "@usec": r"[0-9]{15,17}",
    "sc-status": r"[0-9]{3}|-",
    "@query": r'(?:\?(?:[^"\\\s]|\\.)*)?',
}
_SPOKEN = ("request", "cs-user-agent", "cs-referer", "cs-cookie", "x-forwarded-for", "user")


def _value(field: str, before: str, behind: str, last: bool) -> str:
    """What a variable's text may be, by its kind and by what stands around it."""
    if field in _OF_TIME:
        return _OF_TIME[field]
    if field.startswith("upstream_") and not field.startswith(
        ("upstream_http_", "upstream_cookie_", "upstream_trailer_")
    ):
        return r"[^\s,]*(?:(?:, | : )[^\s,]+)*"  # one for each server that was asked
    if before.endswith('"') and behind.startswith('"'):
        return r'(?:[^"\\]|\\.)*'
    if before.endswith("[") and behind.startswith("]"):
        return r"[^\]]*"
    if last:
        return ".*"
    if not behind or field in _SPOKEN or field.startswith(("http_", "upstream_", "@strftime")):
        return ".*?"
    return f"[^{re.escape(behind[0])}]*"


@functools.lru_cache(maxsize=64)
def pattern_of(form: Format) -> tuple[str, tuple[str, ...]] | None:
    """The regex of a format with groups ``g0`` … and the fields of those; None where it states no request, or nothing that shows one.

    A format that states no time gives rows without one, which stand in the order of the file.
    """
    parts = tokens(form)
    if not 2 <= len(parts) <= 200:
        return None
    out: list[str] = ["^"]
    fields: list[str] = []
    for k, (what, text) in enumerate(parts):
        if what == "text":
            out.append(re.escape(text).replace("/", "/") if k + 1 < len(parts) else re.escape(text.rstrip()) + r"\s*")
            continue
        before = parts[k - 1][1] if k and parts[k - 1][0] == "text" else ""
        behind = parts[k + 1][1] if k + 1 < len(parts) and parts[k + 1][0] == "text" else ""
        out.append(f"(?P<g{len(fields)}>{_value(text, before, behind, k + 1 == len(parts))})")
        fields.append(text)
    if not {"request", "cs-uri", "cs-uri-stem"} & set(fields) or not {"src_ip", "sc-status", *_OF_TIME} & set(fields):
        return None
    return "".join(out) + "$", tuple(fields)


def own_fields(form: Format) -> dict[str, type[pl.String]]:
    """The fields of a format that the common grammar does not have."""
    made = pattern_of(form)
    return {f: pl.String for f in (made[1] if made else ()) if f and not f.startswith("@")}


@functools.lru_cache(maxsize=64)
def shape_of(form: Format) -> Shape | None:
    """A shape for the lines of one format; None where the format cannot tell one line from another."""
    made = pattern_of(form)
    if made is None:
        return None
    pattern, fields = made
    escaped = form.escape == "json"

    def shape(lines: Lines, context: Context) -> Cut:
        may = np.flatnonzero(lines.end - lines.start <= _MOST_LINE)
        if not len(may):
            return Cut.none(lines)
        found = lines.take(may).text().str.extract_groups(pattern).struct.unnest()
        there = found.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
        fits = np.zeros(len(lines), dtype=np.bool_)
        fits[may[there.to_numpy()]] = True
        if not fits.any():
            return Cut.none(lines)
        groups = found.filter(there)
        return Cut(fits, columns_of(list(zip(fields, groups.iter_columns())), escaped))

    return shape
