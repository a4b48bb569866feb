# SPDX-License-Identifier: Apache-2.0
"""Rules of sudo as they stand (linux.sudoers).

Reads:  /etc/sudoers and /etc/sudoers.d/*.
Time:   none; the files state no time.
Format: sudoers(5), https://www.sudo.ws/docs/man/sudoers.man/; one event per logical line, continued lines joined.
Limits: aliases are not expanded; a file that sudo would refuse (wrong mode, name with a dot) is read all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._text import Line, lines
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "linux.sudoers"
VERSION = 1
READS = ("/etc/sudoers", "/etc/sudoers.d/*", "/usr/local/etc/sudoers", "/usr/local/etc/sudoers.d/*")
_LIMIT = 1 << 16
_INCLUDE = lazy_regex(r"[#@]include(?:dir)?\s+(.+)")
_SETTING = lazy_regex(r"Defaults\b|(?:User|Runas|Host|Cmnd|Cmd)_Alias\b")
_RUNAS = lazy_regex(r"\(([^)]*)\)\s*(.*)", re.DOTALL)


def _words(text: str) -> list[str]:
    """Words parted by blanks; quotes, backslashes and commas hold a list of names together."""
    words: list[str] = [""]
    quoted = held = False
    for char in text.strip():
        if char in " \t" and not quoted and not held:
            if words[-1] and not words[-1].endswith(","):
                words.append("")
            continue
        if char == "," and not words[-1] and len(words) > 1:
            words.pop()
        quoted ^= char == '"' and not held
        held = char == "\\" and not held
        words[-1] += char
    return words


def _event(offset: int, length: int, text: str, path: str) -> Event | None:
    """What one logical line says; None where it is none of the forms of sudoers(5)."""
    fields: dict[str, Value] = {"rule": text}
    user: str | None = None
    include = _INCLUDE.fullmatch(text)
    if include:
        fields |= {"entry": "include", "include": include.group(1).strip('"')}
    elif _SETTING.match(text):
        fields["entry"] = "defaults" if text.startswith("Defaults") else "alias"
        fields["nopasswd"] = bool(re.search(r"!\s*authenticate\b", text))
    else:
        left, _, right = text.partition("=")
        words = _words(left)
        right = right.strip()
        if len(words) != 2 or not right:
            return None
        user = words[0]
        runas = _RUNAS.match(right)
        commands = runas.group(2) if runas else right
        fields |= {"entry": "rule", "hosts": words[1], "runas": runas.group(1).strip() if runas else None}
        fields |= {"commands": commands, "nopasswd": bool(re.search(r"\bNOPASSWD\s*:", text))}
    return Event(offset, length, EventKind.STATE_SUDO, user=user, file_path=path, fields=fields)


def _logical(file: File) -> Iterator[Line | Gap]:
    """Lines joined where one ends in a backslash."""
    held: Line | None = None
    for line in lines(file):
        if isinstance(line, Gap):
            if held:
                yield held
            held = None
            yield line
            continue
        if held:
            line = Line(held.offset, held.length + line.length, held.raw[:-1] + line.raw)
        if line.raw.endswith(b"\\") and len(line.raw) < _LIMIT:
            held = line
        else:
            held = None
            yield line
    if held:
        yield held


def parse(file: File) -> Iterator[Record]:
    path = file_layer(file.path)
    for line in _logical(file):
        if isinstance(line, Gap):
            yield line
            continue
        text = line.text.strip()
        if not text:
            yield Skip(line.offset, line.length, "blank line")
        elif text.startswith("#") and not _INCLUDE.fullmatch(text) and not re.match(r"#-?\d+\s+\S", text):
            yield Skip(line.offset, line.length, "comment")
        else:
            made = _event(line.offset, line.length, re.sub(r"(?<!\s)\s+#(?!\d).*$", "", text), path)
            yield made or Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, "no rule of sudoers")
