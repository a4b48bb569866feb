# SPDX-License-Identifier: Apache-2.0
"""Commands that other programs run at their own occasions, as they stand (linux.hook).

Reads:  /etc/apt/apt.conf and apt.conf.d/* (Pre-Invoke and the like), /etc/logrotate.conf and logrotate.d/* (scripts),
        /etc/update-motd.d/*, /etc/xdg/autostart/*.desktop and those of accounts, NetworkManager's and ifupdown's scripts.
Time:   none; the files state no time.
Format: apt.conf(5), logrotate(8), Desktop Entry Specification; a script of the other places is one event.
Limits: whether and when a hook ran is not said here; in apt's files ``#include`` is shown, not followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._scripts import whole_script
from headwater.examine.parsers._settings import Joined, joined
from headwater.examine.parsers._text import user_of
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Record, Skip, Value

FEED = "linux.hook"
VERSION = 2
READS = (
    "/etc/apt/apt.conf",
    "/etc/apt/apt.conf.d/*",
    "/etc/logrotate.conf",
    "/etc/logrotate.d/*",
    "/etc/update-motd.d/*",
    "/etc/xdg/autostart/*.desktop",
    "/.config/autostart/*.desktop",
    "/etc/NetworkManager/dispatcher.d/**",
    "/etc/network/if-*.d/*",
    "/etc/dhcp/dhclient-*-hooks.d/*",
    "/etc/ppp/ip-*.d/*",
)
_HOOK = lazy_regex(r"(?:Pre|Post)-(?:Invoke|Install-Pkgs)(?:-Success|-Stats)?|Pre-Install-Pkgs", re.IGNORECASE)
_QUOTED = lazy_regex(r'"((?:[^"\\]|\\.)*)"')
# The word may stand behind the brace of its line, and the script may begin on the line of the word (logrotate 3.21, config.c).
_SCRIPT = lazy_regex(
    r"(?:[^#]*\{\s*)?(?P<word>prerotate|postrotate|firstaction|lastaction|preremove)(?:\s+(?P<rest>.*))?", re.DOTALL
)
_ENDS = lazy_regex(r"endscript(?:\s|$)")
_MOST = 1 << 16


def parse(file: File) -> Iterator[Record]:
    path = file_layer(file.path)
    if "/apt/apt.conf" in path:
        yield from _statements(file, path)
    elif "/logrotate" in path:
        yield from _rotations(file, path)
    elif path.endswith(".desktop"):
        yield from _desktop(file, path)
    else:
        mechanism = "motd" if "/update-motd.d/" in path else "network-script"
        yield from whole_script(file, EventKind.STATE_SETTING, {"mechanism": mechanism})


def _setting(first: Joined, end: int, path: str, command: str | None, fields: dict[str, Value]) -> Event:
    own = {k: v for k, v in fields.items() if v is not None}
    length = end - first.offset
    return Event(first.offset, length, EventKind.STATE_SETTING, command_line=command, file_path=path, fields=own)


def _statements(file: File, path: str) -> Iterator[Record]:
    """apt's statements, each with all lines from its name to the semicolon that closes it."""
    first: Joined | None = None
    text, end, depth = "", 0, 0
    for line in joined(file, b"/", join=False):
        if not isinstance(line, Joined):
            if first is not None:
                yield _apt(first, end, path, text)
            first, text, depth = None, "", 0
            yield line
            continue
        if line.text.lstrip().startswith("#"):
            known = re.match(r"\s*(#(?:include|clear))\s+(.*)", line.text)
            if first is not None:
                yield _apt(first, end, path, text)
            first, text, depth = None, "", 0
            if known:
                fields: dict[str, Value] = {"mechanism": "apt", "setting": known[1], "value": known[2]}
                yield _setting(line, line.offset + line.length, path, None, fields)
            else:
                yield Skip(line.offset, line.length, "comment")
            continue
        first = first or line
        text, end = f"{text}\n{line.text}" if text else line.text, line.offset + line.length
        bare = _QUOTED.sub("", line.text.partition(" //")[0])
        depth += bare.count("{") - bare.count("}")
        if (depth <= 0 and bare.rstrip().endswith((";", "}"))) or len(text) > _MOST:
            yield _apt(first, end, path, text)
            first, text, depth = None, "", 0
    if first is not None:
        yield _apt(first, end, path, text)


def _apt(first: Joined, end: int, path: str, text: str) -> Event:
    name = re.split(r"[\s{]", text.strip(), maxsplit=1)[0]
    commands = _QUOTED.findall(text) if _HOOK.search(text) else []
    command = "\n".join(re.sub(r"\\(.)", r"\1", c) for c in commands) or None
    return _setting(first, end, path, command, {"mechanism": "apt", "setting": name, "value": text.strip()})


def _rotations(file: File, path: str) -> Iterator[Record]:
    """logrotate's lines; a script from its opening word to ``endscript`` is one event. Blank lines cut it in two."""
    first: Joined | None = None
    held: list[str] = []
    end = 0
    for line in joined(file, join=False):
        if not isinstance(line, Joined):
            if first is not None:
                yield _script(first, end, path, held)
                first = None
            yield line
            continue
        word = line.text.strip()
        opens = _SCRIPT.fullmatch(word) if first is None else None
        if first is None and opens is None:
            yield _setting(line, line.offset + line.length, path, None, {"mechanism": "logrotate", "value": word})
            continue
        if opens is not None:
            first, held = line, [opens["word"], opens["rest"] or ""]
        else:
            held.append(line.text)
        end = line.offset + line.length
        if first is not None and (_ENDS.match(word) or len(held) > 2000):
            yield _script(first, end, path, held)
            first = None
    if first is not None:
        yield _script(first, end, path, held)


def _script(first: Joined, end: int, path: str, held: list[str]) -> Event:
    body = [t.strip() for t in held[1:] if t.strip() and not _ENDS.match(t.strip())]
    opening = first.text.strip()
    fields: dict[str, Value] = {
        "mechanism": "logrotate",
        "setting": held[0],
        "value": opening if opening != held[0] else None,
    }
    return _setting(first, end, path, "\n".join(body)[:_MOST] or None, fields)


def _desktop(file: File, path: str) -> Iterator[Record]:
    user = user_of(file.path)
    for line in joined(file, join=False):
        if not isinstance(line, Joined):
            yield line
            continue
        name, _, value = line.text.partition("=")
        run = name.strip() in ("Exec", "TryExec")
        fields: dict[str, Value] = {"mechanism": "autostart", "setting": name.strip(), "value": value.strip() or None}
        yield Event(
            line.offset, line.length, EventKind.STATE_SETTING, user=user, file_path=path,
            command_line=value.strip() if run else None, fields={k: v for k, v in fields.items() if v is not None},
        )  # fmt: skip
