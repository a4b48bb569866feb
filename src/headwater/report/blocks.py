# SPDX-License-Identifier: Apache-2.0
"""The report between its data and its forms: sections of blocks of pieces, the same for the page and for print.

A piece is the smallest thing that is shown. Its ``kind`` says whose words they are, and so how they must be treated:

====== ===================================================================================
words  the program's own or a sentence's, in both languages
inline as words, on one line in both languages
mark   punctuation between pieces: the Chinese one where Chinese is shown
small  as inline, smaller
data   from evidence or from a person: printed inert, never interpreted
code   as data, in fixed width, may break anywhere: digests, paths, commands
cite   a link to the record with this id; ``text`` is its short label
none   the program's words for a value that is not there (未记载)
good, bad, doubt  the program's words for a verdict
break  a new line
====== ===================================================================================
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from headwater.formats.patterns import lazy_regex
from headwater.model.nouns import Text


@dataclass(frozen=True, slots=True)
class Piece:
    kind: str
    text: Text | str = ""
    target: str = ""


Cell = tuple[Piece, ...]
_PLAIN_ID = lazy_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,79}")
BREAK = Piece("break")


@dataclass(frozen=True, slots=True)
class Heading:
    """``level`` 1 for a section, 2 and 3 within; ``number`` is printed before it; ``target`` is the id it anchors."""

    level: int
    text: Text
    number: str = ""
    target: str = ""
    tail: Cell = ()


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A sentence and what it rests on. ``own``: the examiner's own statement, marked as such."""

    text: Text
    cites: Cell = ()
    own: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """The program's own fixed words about the report's form; ``tone``: plain, stamp, warning."""

    text: Text
    tone: str = "plain"
    data: str = ""  # a person's words after it, printed inert


@dataclass(frozen=True, slots=True)
class Column:
    """``share`` is the column's part of the width."""

    label: Text
    share: int
    right: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    cells: tuple[Cell, ...]
    target: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Fields:
    """Label and value, one under the other."""

    rows: tuple[tuple[Text, Cell], ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Label and value, one after the other in a running line; for records of which there are many."""

    rows: tuple[tuple[Text, Cell], ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """Drawings by language, each of one page's height at most."""

    zh: tuple[str, ...]
    en: tuple[str, ...]
    both: tuple[str, ...]
    alt: Text


@dataclass(frozen=True, slots=True)
class Sign:
    """Places to sign."""

    slots: tuple[tuple[Text, Cell], ...]


Block = Heading | Paragraph | Note | Table | Fields | Facts | Graph | Sign


@dataclass(frozen=True, slots=True)
class Document:
    """The whole report: the head, the sections, and what the page's edge says. In print a list of ``contents`` and the head
    stand on a page of their own; a paper of a few pages goes without it."""

    title: Text
    subtitle: Cell
    head: tuple[Block, ...]
    body: tuple[Block, ...]
    running: Text
    running_data: str
    stamp: Text | None
    issued: int | None
    contents: bool = True


def words(zh: str, en: str) -> Piece:
    return Piece("words", Text(zh, en))


def inline(zh: str, en: str) -> Piece:
    return Piece("inline", Text(zh, en))


def mark(zh: str, en: str) -> Piece:
    return Piece("mark", Text(zh, en))


def said(text: Text) -> Piece:
    return Piece("words", text)


def data(text: str) -> Piece:
    return Piece("data", text)


def code(text: str) -> Piece:
    return Piece("code", text)


def joined(parts: Sequence[Cell], between: Piece = BREAK) -> Cell:
    """The parts in order with a piece between each two."""
    found: list[Piece] = []
    for at, part in enumerate(parts):
        if at:
            found.append(between)
        found.extend(part)
    return tuple(found)


def anchor(name: str) -> str:
    """An id as an anchor: as it is where that is plain, else by its digest."""
    if _PLAIN_ID.fullmatch(name):
        return f"i-{name}"
    return "x-" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:20]
