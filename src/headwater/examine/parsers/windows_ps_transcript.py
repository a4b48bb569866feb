# SPDX-License-Identifier: Apache-2.0
"""PowerShell sessions as Start-Transcript and the policy of that name wrote them down (windows.ps_transcript).

Reads:  PowerShell_transcript.HOST.RANDOM.TIME.txt, wherever the policy or the user put it; any language of Windows.
Time:   whole seconds by the host's own clock and zone: of the session's beginning and end, and of a command where invocation
        headers are on; a command without one has none.
Format: blocks between lines of 22 asterisks, then prompts with what was typed and its output, about_Transcripts (PowerShell 5.1).
Limits: what a program writes past PowerShell's own output is missing; a line of output that looks like a prompt counts as one;
        another prompt function hides commands in the output before them; UTF-8 only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from headwater.examine.parsers._text import Line, lines
from headwater.examine.parsers._when import NONE, When, iso
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Gap, Record, Value

FEED = "windows.ps_transcript"
VERSION = 1
READS = ("/PowerShell_transcript.*.txt",)
_STARS = lazy_regex(r"\ufeff?\*{22}\s*\Z")
_TIME = lazy_regex(r"[^:]{1,60}: ?(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)\s*\Z")
_PROMPT = lazy_regex(r"(?:\[[^\]]{1,100}\]: ?)?PS ?([^>]{0,260})> ?(.*)\Z", re.DOTALL)
_ACCOUNT = lazy_regex(r"[^:]{1,60}: ?([^\\\s]{1,60}\\\S.*)\Z")
_MACHINE = lazy_regex(r"[^:]{1,60}: ?(\S+) \(Microsoft Windows")
_PROGRAM = lazy_regex(r"[^:]{1,60}: ?([A-Za-z]:\\.*)\Z")
_NUMBER = lazy_regex(r"[^:]{1,60}: ?(\d{1,10})\s*\Z")
_BLOCK_MOST = 64  # lines
_OUTPUT = 1 << 14  # characters


def recognise(head: bytes) -> bool:
    return head.startswith((b"\xef\xbb\xbf" + b"*" * 22, b"*" * 22)) and b"PSVersion: " in head


@dataclass(slots=True)
class _Open:
    """The record that lines are being added to."""

    offset: int
    length: int = 0
    kind: EventKind = EventKind.LOG_MESSAGE
    when: When = NONE
    command: str | None = None
    folder: str | None = None
    block: list[str] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    size: int = 0

    def take(self, line: Line) -> None:
        self.length = line.offset + line.length - self.offset

    def say(self, text: str) -> None:
        if self.size < _OUTPUT:
            self.output.append(text[: _OUTPUT - self.size])
        self.size += len(text) + 1


@dataclass(slots=True)
class _Session:
    """What the header of the session says, for the commands in it."""

    user: str | None = None
    host: str | None = None
    pid: int | None = None
    program: str | None = None

    def read(self, block: list[str]) -> None:
        for text in block:
            account, machine, program = _ACCOUNT.match(text), _MACHINE.match(text), _PROGRAM.match(text)
            number = _NUMBER.match(text)
            if program:
                self.program = program.group(1)
            elif account:
                self.user = self.user or account.group(1)
            elif machine:
                self.host = machine.group(1)
            elif number and len(number.group(1)) < 14 and self.program and self.pid is None:
                self.pid = int(number.group(1))


def _moment(block: list[str]) -> When:
    for text in block:
        match = _TIME.match(text)
        if match:
            return iso("{}-{}-{} {}:{}:{}".format(*match.groups()))
    return NONE


def parse(file: File) -> Iterator[Record]:
    record: _Open | None = None
    session = _Session()
    inside = False
    for line in lines(file):
        if isinstance(line, Gap):
            if record:
                yield _event(record, session, file.path)
            record, inside = None, False
            yield line
            continue
        text = line.text
        stars = _STARS.match(text)
        prompt = None if inside or stars else _PROMPT.match(text)
        follows = prompt and record and record.command is None and not record.output and _timed_only(record)
        if (stars and not inside) or (prompt and not follows):
            if record:
                yield _event(record, session, file.path)
            record = _Open(line.offset)
        if record is None:
            yield Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, "text before the first block or prompt")
            continue
        record.take(line)
        if stars:
            inside = not inside
            if not inside:
                _closed(record, session)
        elif inside and len(record.block) < _BLOCK_MOST:
            record.block.append(text)
        elif prompt:
            record.kind, record.folder, record.command = EventKind.COMMAND_HISTORY, prompt.group(1), prompt.group(2)
        else:
            record.say(text)
            inside = inside and len(record.block) < _BLOCK_MOST
    if record:
        yield _event(record, session, file.path)


def _timed_only(record: _Open) -> bool:
    return len(record.block) == 1 and record.when[0] is not None


def _closed(record: _Open, session: _Session) -> None:
    """The end of a block: its time, and who and where if it begins a session."""
    record.when = _moment(record.block)
    if len(record.block) > 4:
        session.user = session.host = session.pid = session.program = None
        session.read(record.block)


def _event(record: _Open, session: _Session, path: str) -> Event:
    said: dict[str, Value] = {
        "shell": "powershell",
        "folder": record.folder or None,
        "output": "\n".join(record.output).strip() or None,
        "output_cut": True if record.size > _OUTPUT else None,
        "message": "\n".join(record.block) if record.command is None and record.block else None,
        "transcript": file_layer(path),
    }
    return Event(
        record.offset, record.length, record.kind, record.when[0], record.when[1], "typed" if record.command is not None else "logged",
        user=session.user, host=session.host, pid=session.pid, process=session.program, command_line=record.command,
        fields={k: v for k, v in said.items() if v is not None},
    )  # fmt: skip
