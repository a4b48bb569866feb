# SPDX-License-Identifier: Apache-2.0
"""Commands typed into PowerShell, as PSReadLine keeps them (windows.ps_history).

Reads:  /Users/U/AppData/Roaming/Microsoft/Windows/PowerShell/PSReadLine/*_history.txt.
Time:   none is written; the file's own times bound the last command.
Format: one command per line, UTF-8; a line that ends in a backtick goes on in the next one (PSReadLine, HistoryFile).
Limits: written as typed, in order, 4,096 commands by default; lines with words such as password are left out since version
        2.0.4; the user can edit the file; other hosts than the console (ISE, remoting) write none or their own.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._text import Line, lines, name_of, user_of
from headwater.model.kinds import EventKind
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Gap, Record, Skip

FEED = "windows.ps_history"
VERSION = 1
READS = ("/PSReadLine/*_history.txt", "/ConsoleHost_history.txt")
_MOST = 1 << 16  # bytes of one command over several lines


def parse(file: File) -> Iterator[Record]:
    held: list[Line] = []
    size = index = 0
    for line in lines(file):
        if isinstance(line, Gap):
            if held:
                yield _event(held, index, file.path)
                held, index = [], index + 1
            yield line
            continue
        if not held and not line.raw.removeprefix(b"\xef\xbb\xbf").strip():
            yield Skip(line.offset, line.length, "blank line")
            continue
        size = line.length if not held else size + line.length
        held.append(line)
        if not line.raw.endswith(b"`") or size > _MOST:
            yield _event(held, index, file.path)
            held, index = [], index + 1
    if held:
        yield _event(held, index, file.path)


def _event(held: list[Line], index: int, path: str) -> Event:
    end = held[-1].offset + held[-1].length
    parts = [line.text.removesuffix("`") for line in held[:-1]] + [held[-1].text]
    return Event(
        held[0].offset, end - held[0].offset, EventKind.COMMAND_HISTORY, t_kind="typed", user=user_of(path),
        command_line="\n".join(parts).removeprefix("\ufeff"), file_path=file_layer(path),
        fields={"shell": "powershell", "index": index, "host_program": name_of(path).removesuffix("_history.txt")},
    )  # fmt: skip
