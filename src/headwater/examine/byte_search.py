# SPDX-License-Identifier: Apache-2.0
"""Byte search: a text or a regular expression in the bytes of a source, read in pieces.

Regular expressions are RE2's over single bytes (each byte a character of Latin-1): time linear in what is read,
whatever the expression. A text is looked for in each encoding in which it can be written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import re2

from headwater.model.nouns import Text

ENCODINGS = ("utf-8", "utf-16-le", "gb18030")
PIECE = 4 << 20
OVERLAP = 64 << 10  # a match that is longer than this may be cut where two pieces meet
CONTEXT = 60  # bytes shown on either side
_MEMORY = 64 << 20  # of one compiled expression


class Bytes(Protocol):
    """What can be looked through: a source, or a file as a parser sees it."""

    @property
    def size(self) -> int: ...

    def pread(self, offset: int, length: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Hit:
    """A match: where, how long, in which encoding (empty: an expression), and the bytes around it.

    ``before``: how many bytes of ``context`` stand before the match.
    """

    offset: int
    length: int
    encoding: str
    context: bytes
    before: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """One compiled way of looking."""

    compiled: re2._Regexp
    encoding: str


class BadPattern(ValueError):
    """What cannot be looked for; ``text`` says why."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.text = Text(zh, en)


def patterns(text: str, *, regex: bool, ignore_case: bool) -> list[Pattern]:
    """What to look for; encodings that give the same bytes are one.

    Raises:
        BadPattern: empty, or not an expression that RE2 takes.
    """
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.case_sensitive = not ignore_case
    options.dot_nl = False
    options.log_errors = False
    options.max_mem = _MEMORY
    wanted: dict[bytes, str] = {}
    if regex:
        wanted[text.encode("utf-8", "surrogateescape")] = ""
    else:
        for encoding in ENCODINGS:
            try:
                wanted.setdefault(re2.escape(text.encode(encoding, "surrogateescape")), encoding)
            except UnicodeEncodeError:
                continue
    if not wanted:
        raise BadPattern("没有一种编码能写出这段文字", "a text that no encoding can write")
    found = []
    for expression, encoding in wanted.items():
        try:
            compiled = re2.compile(expression, options)
        except re2.error as error:
            said = error.args[0] if error.args else ""
            why = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
            raise BadPattern(f"正则表达式有误（{why[:300]}）", f"no expression: {why[:300]}") from error
        if not expression or compiled.search(b"") is not None:
            raise BadPattern("空串也与之相符，处处都会命中", "it matches where nothing stands")
        found.append(Pattern(compiled, encoding))
    return found


def hits(source: Bytes, wanted: Sequence[Pattern], begin: int = 0, end: int | None = None) -> Iterator[Hit]:
    """Matches that begin in [begin, end), each once, by place within a piece and pattern by pattern.

    A source that ends before its stated size ends the search there; what could not be read is in ``source.bad``.
    """
    stop = source.size if end is None else min(end, source.size)
    at = begin
    beyond = [begin] * len(wanted)  # the next match of a pattern begins here or later
    while at < stop:
        data = source.pread(at, PIECE + OVERLAP)
        if not data:
            return
        last = at + len(data) >= source.size
        bound = min(stop, at + len(data) if last else at + PIECE)
        for index, pattern in enumerate(wanted):
            for match in pattern.compiled.finditer(data, max(0, beyond[index] - at)):
                start = at + match.start()
                if start >= bound:
                    break
                beyond[index] = at + match.end()
                left = max(0, match.start() - CONTEXT)
                context = bytes(data[left : min(match.end(), match.start() + 400) + CONTEXT])
                yield Hit(start, match.end() - match.start(), pattern.encoding, context, match.start() - left)
        at += PIECE
