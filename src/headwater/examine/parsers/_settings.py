# SPDX-License-Identifier: Apache-2.0
"""Lines of configuration files, a backslash at a line's end joining it with the next; comments and blanks as skips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from headwater.examine.parsers._text import Line, lines
from headwater.model.records import File, Gap, Skip

_MOST = 1 << 16  # bytes of one joined line


@dataclass(frozen=True, slots=True)
class Joined:
    """One logical line: the bytes of all its lines, and their text with the joints as blanks."""

    offset: int
    length: int
    text: str


def joined(file: File, comments: bytes = b"#", join: bool = True) -> Iterator[Joined | Gap | Skip]:
    """The logical lines of a file; ``comments``: bytes any of which begins a comment at a line's first place."""
    held: list[Line] = []
    size = 0
    for line in lines(file):
        if isinstance(line, Gap):
            yield from _closed(held)
            held, size = [], 0
            yield line
            continue
        bare = line.raw.strip()
        if not held and not bare:
            yield Skip(line.offset, line.length, "blank line")
        elif not held and bare[:1] in [comments[k : k + 1] for k in range(len(comments))]:
            yield Skip(line.offset, line.length, "comment")
        else:
            held.append(line)
            size += line.length
            if not (join and line.raw.endswith(b"\\") and size < _MOST):
                yield from _closed(held)
                held, size = [], 0
    yield from _closed(held)


def _closed(held: list[Line]) -> Iterator[Joined | Skip]:
    if held:
        end = held[-1].offset + held[-1].length
        text = " ".join(line.text.removesuffix("\\") for line in held)
        length = end - held[0].offset
        yield Joined(held[0].offset, length, text) if text.strip() else Skip(held[0].offset, length, "blank line")
