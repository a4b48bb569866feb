# SPDX-License-Identifier: Apache-2.0
"""The SSH server's settings as they stand, with their Match block (linux.sshd_config).

Reads:  /etc/ssh/sshd_config, /etc/ssh/sshd_config.d/*.
Time:   none; the files state no time.
Format: sshd_config(5); ``effective`` says whether a value is the first one of its keyword in the order in which sshd reads,
        Include being followed where the included files are at hand; the first value counts.
Limits: the server that runs may have read an earlier state of the file, or another file by its option -f; compiled-in
        values are not shown; values under Match and keywords that may be repeated have no ``effective``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from headwater.examine.parsers._text import Line, lines
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "linux.sshd_config"
VERSION = 1
READS = ("/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*.conf")
CONTEXT = ("/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*.conf")
_LINE = lazy_regex(r"\s*([A-Za-z][A-Za-z0-9]*)(?:\s*=\s*|\s+)(.*?)\s*")
_REPEATED = frozenset("acceptenv allowgroups allowusers denygroups denyusers hostkey include listenaddress port setenv subsystem".split())  # fmt: skip  # noqa: E501, SIM905
_MAIN = "/etc/ssh/sshd_config"
_MOST_DEPTH = 16  # servconf.h, SERVCONF_MAX_DEPTH
_MOST_LINES = 20_000


def _words(text: str) -> tuple[str, str] | None:
    match = _LINE.fullmatch(text)
    return (match[1], match[2].strip('"')) if match else None


def _order(context: Mapping[str, str], path: str, depth: int, found: list[tuple[str, int, str]]) -> bool:
    """Appends (path, number of the line, keyword) of what stands outside Match, in sshd's order; whether a Match began."""
    matched = False
    for number, text in enumerate(context.get(path, "").split("\n")):
        words = _words(text)
        if words is None or len(found) >= _MOST_LINES:
            continue
        keyword = words[0].lower()
        if keyword == "match":
            matched = words[1].lower() != "all"
        elif keyword == "include" and depth < _MOST_DEPTH and not matched:
            found.append((path, number, keyword))  # counted, so that files of nothing but Include stay within the bound
            for glob in words[1].split()[:100]:
                whole = glob if glob.startswith("/") else f"/etc/ssh/{glob}"
                pattern = re.compile(re.escape(whole).replace(r"\*", "[^/]*").replace(r"\?", "[^/]"))
                for name in sorted(n for n in context if pattern.fullmatch(n)):
                    _order(context, name, depth + 1, found)
        elif not matched:
            found.append((path, number, keyword))
    return matched


def _first(context: Mapping[str, str]) -> dict[str, tuple[str, int]]:
    """The place of the value that counts, by keyword."""
    found: list[tuple[str, int, str]] = []
    _order(context, _MAIN, 0, found)
    first: dict[str, tuple[str, int]] = {}
    for path, number, keyword in found:
        first.setdefault(keyword, (path, number))
    return first


def parse(file: File) -> Iterator[Record]:
    path = file_layer(file.path)
    first = _first(file.facts.context) if path in file.facts.context and _MAIN in file.facts.context else None
    match: str | None = None
    number = -1
    for line in lines(file):
        number += 1
        words = None if isinstance(line, Gap) else _words(line.text)
        if isinstance(line, Gap):
            yield line
        elif not line.raw.strip() or line.raw.lstrip().startswith(b"#"):
            yield Skip(line.offset, line.length, "comment" if line.raw.strip() else "blank line")
        elif words is None:
            yield _event(line, path, line.text.strip(), None, match, None)
        else:
            keyword, value = words
            if keyword.lower() == "match":
                match = None if value.lower() == "all" else value
            counts = first is not None and match is None and keyword.lower() not in (*_REPEATED, "match")
            place = first.get(keyword.lower()) if first and counts else None
            yield _event(line, path, keyword, value, match, (place == (path, number)) if counts else None)


def _event(line: Line, path: str, keyword: str, value: str | None, match: str | None, first: bool | None) -> Event:
    fields: dict[str, Value] = {
        "mechanism": "sshd",
        "setting": keyword,
        "value": value,
        "match": match if keyword.lower() != "match" else None,
        "effective": first,
    }
    runs = keyword.lower() in ("authorizedkeyscommand", "authorizedprincipalscommand", "forcecommand", "subsystem")
    return Event(
        line.offset, line.length, EventKind.STATE_SETTING, command_line=value if runs else None, file_path=path,
        fields={k: v for k, v in fields.items() if v is not None},
    )  # fmt: skip
