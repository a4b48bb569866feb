# SPDX-License-Identifier: Apache-2.0
"""Commands as shells and database clients remember them (linux.history).

Reads:  .bash_history, .zsh_history, fish_history, .sh_history, .mysql_history, .psql_history and any other .*_history.
Time:   UTC seconds where the shell wrote them (HISTTIMEFORMAT, EXTENDED_HISTORY, fish, lftp); otherwise none.
Format: bash(1) HISTORY, zshoptions(1) EXTENDED_HISTORY, fish-doc history, libedit history(5) octal escapes.
Limits: written when a shell ends, in that order (node's and mongosh's newest first); the owner can edit it, and a killed shell
        writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from headwater.examine.parsers._text import Line, lines, name_of, user_of
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "linux.history"
VERSION = 2
READS = (
    "/.bash_history*",
    "/.zsh_history*",
    "/.zhistory",
    "/.histfile",
    "/fish_history",
    "/.sh_history",
    "/.ash_history",
    "/.history",
    "/.mysql_history",
    "/.mariadb_history",
    "/.psql_history",
    "/.sqlite_history",
    "/.rediscli_history",
    "/.python_history",
    "/.node_repl_history",
    "/.dbshell",
    "/mongosh_repl_history",
    "/.irb_history",
    "/.gdb_history",
    "/.*_history",
    "/cqlsh_history",
    "/rl_history",
    "/python_history",
    "/bash_history",
    "/zsh_history",
)
_LIMIT = 1 << 16  # bytes of one command over several lines
_STAMP = lazy_regex(rb"#(\d{9,11})[ \t]*\Z")
_EXTENDED = lazy_regex(rb": +(\d{1,11}):(\d{1,9});", re.DOTALL)
_SECONDS = lazy_regex(rb"(\d{9,11}):")
_FISH = lazy_regex(rb"- cmd: ?(.*)", re.DOTALL)
_WHEN = lazy_regex(rb"\s+when: (\d{1,11})\s*\Z")
_HEREDOC = lazy_regex(r"<<-?\s*(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\1")
# Programs whose histories hold a command per line, by the beginning of the file's name.
_CLIENTS = {
    **{
        name: name
        for name in (
            "irb",
            "pry",
            "gdb",
            "php",
            "sqlplus",
            "influx",
            "scala",
            "cqlsh",
            "mongosh",
            "octave",
            "lftp",
            "beeline",
        )
    },
    "dbshell": "mongo",
    "mongo": "mongo",
    "node": "node",
}
_LIBEDIT = b"_HiStOrY_V2_"


def recognise(head: bytes) -> bool:
    """The three dialects that show themselves by their first lines."""
    return bool(
        re.match(rb"#\d{10}\n[^\n#]", head)
        or re.match(rb": \d{10}:\d+;", head)
        or re.match(rb"- cmd: .*\n  when: \d+", head)
    )


@dataclass(slots=True)
class _Command:
    """A command that is being gathered from one or more lines."""

    offset: int
    end: int
    raw: bytes | None
    seconds: int | None = None
    elapsed: int | None = None
    paths: str | None = None

    def take(self, line: Line, joint: bytes = b"\n") -> None:
        self.raw = line.raw if self.raw is None else self.raw + joint + line.raw
        self.end = line.offset + line.length


def _event(command: _Command, shell: str | None, index: int, user: str | None, path: str) -> Event:
    raw = command.raw
    fields: dict[str, Value] = {"shell": shell, "index": index, "elapsed": command.elapsed, "paths": command.paths}
    if raw is None:
        fields["no_command"] = True  # a time line whose command is gone: somebody edited the file
    return Event(
        command.offset,
        command.end - command.offset,
        EventKind.COMMAND_HISTORY,
        t_recorded=None if command.seconds is None else command.seconds * 1_000_000_000,
        t_basis=TimeBasis.NONE if command.seconds is None else TimeBasis.UTC,
        user=user,
        command_line=None if raw is None else raw.decode("utf-8", "surrogateescape"),
        file_path=path,
        fields={k: v for k, v in fields.items() if v is not None},
    )


class _Reading:
    """Whether a shell would go on reading after a line: an open quote, a trailing backslash, an open here-document."""

    __slots__ = ("ends", "quote")

    def __init__(self) -> None:
        self.quote = ""
        self.ends: str | None = None

    def goes_on(self, text: str) -> bool:
        """Take one more line of the command; each character is looked at once."""
        if self.ends is not None:
            if text.lstrip("\t") == self.ends:
                self.ends = None
            return self.ends is not None
        at = 0
        while at < len(text):
            char = text[at]
            if char == "\\" and self.quote != "'":
                if at + 1 >= len(text):
                    return True
                at += 1
            elif self.quote:
                self.quote = "" if char == self.quote else self.quote
            elif char in "'\"":
                self.quote = char
            at += 1
        here = _HEREDOC.search(text)
        if not self.quote and here:
            self.ends = here.group(2)
        return bool(self.quote or self.ends)


def _bash(file: File) -> Iterator[_Command | Gap | Skip]:
    """``#seconds`` lines, each followed by its command; the command may run over several lines."""
    command: _Command | None = None
    reading = _Reading()
    more = False
    for line in lines(file):
        stamp = None if isinstance(line, Gap) else _STAMP.match(line.raw)
        if isinstance(line, Gap) or stamp or not more:
            if command:
                yield command
            command, more = None, False
        if isinstance(line, Gap):
            yield line
        elif stamp:
            command = _Command(line.offset, line.offset + line.length, None, int(stamp.group(1)))
            reading, more = _Reading(), True
        elif command:
            command.take(line)
            more = len(command.raw or b"") < _LIMIT and reading.goes_on(line.text)
        else:
            yield from _plain_line(line)
    if command:
        yield command


def _plain_line(line: Line) -> Iterator[_Command | Skip]:
    if line.raw.strip():
        yield _Command(line.offset, line.offset + line.length, line.raw)
    else:
        yield Skip(line.offset, line.length, "blank line")


def _plain(file: File) -> Iterator[_Command | Gap | Skip]:
    """One command per line; libedit marks its files and writes blanks and others as ``\\ooo``."""
    octal = False
    for line in lines(file):
        if isinstance(line, Gap):
            yield line
        elif line.offset == 0 and line.raw == _LIBEDIT:
            octal = True
            yield Skip(0, line.length, "header")
        elif octal:
            raw = re.sub(rb"\\([0-3][0-7]{2})", lambda m: bytes([int(m.group(1), 8)]), line.raw)
            yield from _plain_line(Line(line.offset, line.length, raw))
        else:
            yield from _plain_line(line)


def _unmetafied(raw: bytes) -> bytes:
    """zsh writes some bytes as 0x83 and the byte with bit 5 turned over (zsh Src/utils.c, unmetafy)."""
    return re.sub(rb"\x83(.)", lambda m: bytes([m.group(1)[0] ^ 0x20]), raw, flags=re.DOTALL)


def _zsh(file: File) -> Iterator[_Command | Gap | Skip]:
    """``: seconds:elapsed;command``; a backslash at a line's end stands for a line feed in the command."""
    command: _Command | None = None
    for line in lines(file):
        if isinstance(line, Gap):
            if command:
                yield command
            command = None
            yield line
            continue
        here = Line(line.offset, line.length, _unmetafied(line.raw))
        if command and command.raw and command.raw.endswith(b"\\") and len(command.raw) < _LIMIT:
            command.raw = command.raw[:-1]
            command.take(here)
            continue
        if command:
            yield command
        command = None
        head = _EXTENDED.match(here.raw)
        if head:
            rest = here.raw[head.end() :]
            command = _Command(line.offset, line.offset + line.length, rest, int(head[1]), int(head[2]))
        else:
            for found in _plain_line(here):
                if isinstance(found, _Command):
                    command = found
                else:
                    yield found
    if command:
        yield command


def _fish(file: File) -> Iterator[_Command | Gap | Skip]:
    """fish's own file: ``- cmd:``, ``when:`` and ``paths:`` lines; ``\\n`` and ``\\\\`` are escapes."""
    command: _Command | None = None
    for line in lines(file):
        if isinstance(line, Gap):
            if command:
                yield command
            command = None
            yield line
            continue
        head = _FISH.match(line.raw)
        if head:
            if command:
                yield command
            text = re.sub(rb"\\(.)", lambda m: b"\n" if m.group(1) == b"n" else m.group(1), head.group(1))
            command = _Command(line.offset, line.offset + line.length, text)
        elif command and line.raw[:1] == b" ":
            command.end = line.offset + line.length
            when = _WHEN.match(line.raw)
            if when:
                command.seconds = int(when.group(1))
            elif line.raw.startswith(b"    - ") and len(command.paths or "") < _LIMIT:
                path = line.text[6:]
                command.paths = path if command.paths is None else f"{command.paths}\n{path}"
        else:
            if command:
                yield command
            command = None
            yield from _plain_line(line)
    if command:
        yield command


def _psql(file: File) -> Iterator[_Command | Gap | Skip]:
    """As psql keeps them: a line feed within a command is written as 0x01 (src/bin/psql/input.c, NL_IN_HISTORY)."""
    for found in _plain(file):
        if isinstance(found, _Command) and found.raw:
            found.raw = found.raw.replace(b"\x01", b"\n")
        yield found


def _lftp(file: File) -> Iterator[_Command | Gap | Skip]:
    """``seconds:command``, as lftp keeps them."""
    for found in _plain(file):
        head = _SECONDS.match(found.raw) if isinstance(found, _Command) and found.raw else None
        if head and isinstance(found, _Command) and found.raw:
            found.seconds, found.raw = int(head[1]), found.raw[head.end() :]
        yield found


_Reader = Callable[[File], Iterator[_Command | Gap | Skip]]


def _dialect(file: File) -> tuple[str | None, _Reader]:
    """Which program wrote the file: by its name, else by its first bytes; None where neither says it."""
    name = name_of(file.path).lstrip(".").lower()
    try:
        head = file.pread(0, 256)
    except OSError:
        head = b""
    for client in ("mysql", "mariadb", "sqlite", "rediscli", "python", "node_repl"):
        if name.startswith(client):
            return client, _plain
    if name.startswith("psql"):
        return "psql", _psql
    if name.startswith("fish") or head.startswith(b"- cmd: "):
        return "fish", _fish
    if "zsh" in name or name in ("zhistory", "histfile") or _EXTENDED.match(head):
        return "zsh", _zsh
    if name == "rl_history" and "/lftp/" in file.path:
        return "lftp", _lftp
    stamped = _STAMP.match(head.partition(b"\n")[0]) is not None
    known = _CLIENTS.get(name.partition("_")[0])
    if known is not None and not stamped:
        return known, _plain
    if name.startswith(("sh", "ash", "ksh", "dash")):
        return "sh", _bash
    shells = stamped or name.startswith("bash") or name == "history" or not name.endswith("history")
    return "bash" if shells else None, _bash


def parse(file: File) -> Iterator[Record]:
    shell, reader = _dialect(file)
    user, path = user_of(file.path), file_layer(file.path)
    index = 0
    for found in reader(file):
        if isinstance(found, _Command):
            yield _event(found, shell, index, user, path)
            index += 1
        else:
            yield found
