# SPDX-License-Identifier: Apache-2.0
"""The report as PDF/A-2b by Typst, with embedded fonts and no clock: identical bytes from identical input.

The template is fixed; what it shows comes as one JSON text through ``sys.inputs`` and is only ever set as text, so
nothing from evidence is read as markup. Characters that the embedded fonts lack are printed as ``□U+XXXX``.
https://typst.app/docs/reference/pdf/
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import typst

from headwater.formats.patterns import lazy_regex
from headwater.model.errors import ReportError
from headwater.model.nouns import Text
from headwater.model.voice import LANGUAGES
from headwater.report import inert
from headwater.report.blocks import (
    Block,
    Cell,
    Document,
    Facts,
    Fields,
    Graph,
    Heading,
    Note,
    Paragraph,
    Piece,
    Row,
    Sign,
    Table,
    anchor,
)
from headwater.report.data import ReportData
from headwater.report.document import compose
from headwater.report.words import OWN

ROWS = 150  # rows of the long tables; the page form has all. Layout takes about 25 KB of memory for each cell
_WHOLE = 1200  # characters of a row that is kept on one page; a longer one might not fit on any
CELL = 300  # characters of one value in a cell; the page form shows more
_HERE = Path(__file__).parent
_PLAIN, _ESCAPE, _THIN = 0, 1, 2  # how a run is set; thin: the bold face has it not
_ZWSP = "\u200b"  # where a line may end; the template sets it as an empty box. Data has none: it is escaped
_EIGHT = lazy_regex(r"([^\s\u200b]{8})(?=[^\s\u200b])")
_TEN = lazy_regex(r"([^\s\u200b]{10})(?=[^\s\u200b])")
_TWELVE = lazy_regex(r"([^\s\u200b]{12})(?=[^\s\u200b])")
_JOINT = lazy_regex(r"([/._@:,;=&?()\-])(?=[^\s])")
_TOKEN = lazy_regex(r"\S+")
_NUMBER = lazy_regex(r"[\d,.+:-]{1,24}")
_LONG_DATA = lazy_regex(r"[!-~]{14,}")
_LONG_WORD = lazy_regex(r"[!-~]{25,}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def render_pdf(report: ReportData, language: str) -> bytes:
    """The report in ``zh``, ``en`` or ``both``; identical bytes from identical input.

    Raises:
        ReportError: HW7002 for a sentence that rests on nothing, HW7001 for anything else that forbids a report.
    """
    if language not in LANGUAGES:  # before a long report is composed for nothing
        raise ReportError("HW7001", what=f"language {language!r}")
    return typeset(compose(report, _places(len(report.findings)), ROWS), language)


def typeset(document: Document, language: str) -> bytes:
    """A document as PDF in ``zh``, ``en`` or ``both``: the same bytes from the same document.

    Raises:
        ReportError: HW7001.
    """
    if language not in LANGUAGES:
        raise ReportError("HW7001", what=f"language {language!r}")
    shown = json.dumps(_Print(language).document(document), ensure_ascii=False)
    stamp = 0 if document.issued is None else max(0, document.issued // 1_000_000_000)
    try:
        made = typst.compile(
            (_HERE / "report.typ").read_bytes(),
            font_paths=_fonts(),
            sys_inputs={"report": shown},
            format="pdf",
            pdf_standards=["a-2b"] if document.issued is not None else [],
            timestamp=stamp,
            pdf_tags=False,
        )
    except typst.TypstError as error:
        raise ReportError("HW7001", what=f"Typst: {error.message[:300]}") from error
    if not isinstance(made, bytes):
        raise ReportError("HW7001", what="Typst: no single document")
    return made


def _places(findings: int) -> int:
    """Cited records printed for each finding: the fewer, the more findings there are; the page form prints more."""
    return 8 if findings <= 10 else 4 if findings <= 20 else 2 if findings <= 200 else 1


def _length(row: Row) -> int:
    """Characters of a row, roughly."""
    return sum(
        len(str(p.text)) if isinstance(p.text, str) else len(p.text.zh + p.text.en) for c in row.cells for p in c
    )


@cache
def _fonts() -> typst.Fonts:
    """The embedded fonts alone: none of the system's, so that every machine makes the same page."""
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(_HERE / "fonts")])


class _Print:
    """Blocks as plain JSON for the template: every text a list of [how it is set, characters]."""

    def __init__(self, language: str) -> None:
        self.language = language

    def document(self, held: Document) -> dict[str, Any]:
        """The whole report."""
        issued = None
        if held.issued is not None:
            moment = _EPOCH + timedelta(seconds=max(0, min(held.issued // 1_000_000_000, 253_402_300_799)))
            issued = [moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second]
        return {
            "language": self.language,
            "title": self._words(held.title),
            "name": held.title.en if self.language == "en" else held.title.zh,
            "subtitle": self._cell(held.subtitle),
            "issued": issued,
            "running": self._words(held.running),
            "case": self._inert(held.running_data, "words", 60),
            "stamp": None if held.stamp is None else self._words(held.stamp),
            "head": [self._block(block) for block in held.head],
            "body": [self._block(block) for block in held.body],
            "contents": self._words(Text("目录", "Contents")) if held.contents else None,
            "anchors": dict.fromkeys(sorted(self._anchors(held)), True),
        }

    @staticmethod
    def _anchors(held: Document) -> set[str]:
        found = {anchor(b.target) for b in held.body if isinstance(b, Heading) and b.target}
        return found | {anchor(r.target) for b in held.body if isinstance(b, Table) for r in b.rows if r.target}

    def _words(self, text: Text | str) -> dict[str, Any]:
        if isinstance(text, str):
            return {"zh": self._inert(text)}
        if self.language == "zh" or text.zh == text.en:
            return {"zh": self._inert(text.zh)}
        if self.language == "en":
            return {"en": self._inert(text.en)}
        return {"zh": self._inert(text.zh), "en": self._inert(text.en)}

    def _inert(self, text: str, kind: str = "words", limit: int = inert.LIMIT) -> list[list[Any]]:
        found: list[list[Any]] = []
        for escaped, part in inert.printable(inert.pieces(text, limit)):
            if escaped:
                found.append([_ESCAPE, _ZWSP + part + _ZWSP])
            else:
                found.extend([_THIN if thin else _PLAIN, _breakable(run, kind)] for thin, run in inert.thin(part))
        missing = inert.left_out(text, limit)
        if missing is not None:
            found.append([_PLAIN, missing.en if self.language == "en" else missing.zh])
        return found

    def _piece(self, piece: Piece) -> dict[str, Any]:
        if piece.kind == "break":
            return {"k": "break"}
        if piece.kind in ("data", "code"):
            return {"k": piece.kind, "t": self._inert(str(piece.text), piece.kind, CELL)}
        if piece.kind == "mark" and isinstance(piece.text, Text):
            return {"k": "data", "t": self._inert(piece.text.en if self.language == "en" else piece.text.zh)}
        return {"k": piece.kind, "w": self._words(piece.text), "to": anchor(piece.target) if piece.target else ""}

    def _cell(self, cell: Cell) -> list[dict[str, Any]]:
        return [self._piece(piece) for piece in cell]

    def _block(self, block: Block) -> dict[str, Any]:
        if isinstance(block, Heading):
            return {
                "k": "heading", "level": block.level, "number": block.number, "w": self._words(block.text),
                "id": anchor(block.target) if block.target else "", "tail": self._cell(block.tail),
            }  # fmt: skip
        if isinstance(block, Paragraph):
            own = self._words(OWN) if block.own else None
            return {"k": "paragraph", "w": self._words(block.text), "cites": self._cell(block.cites), "own": own}
        if isinstance(block, Note):
            return {
                "k": "note",
                "w": self._words(block.text),
                "tone": block.tone,
                "data": self._inert(block.data, "data"),
            }
        if isinstance(block, Table):
            return {
                "k": "table",
                "shares": [c.share for c in block.columns],
                "right": [c.right for c in block.columns],
                "labels": [self._words(c.label) for c in block.columns],
                "rows": [
                    {
                        "id": anchor(r.target) if r.target else "",
                        "cells": [self._cell(c) for c in r.cells],
                        "whole": _length(r) < _WHOLE,
                    }
                    for r in block.rows
                ],
            }
        if isinstance(block, Fields):
            return {"k": "fields", "rows": [{"w": self._words(w), "cell": self._cell(c)} for w, c in block.rows]}
        if isinstance(block, Facts):
            return {"k": "facts", "rows": [{"w": self._words(w), "cell": self._cell(c)} for w, c in block.rows]}
        if isinstance(block, Graph):
            drawn = {"zh": block.zh, "en": block.en}.get(self.language, block.both)
            return {"k": "graph", "svg": list(drawn), "alt": block.alt.en if self.language == "en" else block.alt.zh}
        return self._sign(block)

    def _sign(self, block: Sign) -> dict[str, Any]:
        date = self._words(Text("签名与日期", "Signature and date"))
        return {
            "k": "sign",
            "slots": [{"w": self._words(w), "cell": self._cell(c), "date": date} for w, c in block.slots],
        }


def _breakable(text: str, kind: str) -> str:
    """Let long unbroken runs end a line, so that nothing leaves its cell.

    Fixed width: every eight characters, numbers excepted. Data: long words after punctuation, else every ten
    characters. Sentences: very long words only, every twelve.
    """
    if kind == "code":
        return _TOKEN.sub(
            lambda m: m.group() if _NUMBER.fullmatch(m.group()) else _EIGHT.sub(r"\1" + _ZWSP, m.group()), text
        )
    if kind == "data":
        return _LONG_DATA.sub(lambda m: _TEN.sub(r"\1" + _ZWSP, _JOINT.sub(r"\1" + _ZWSP, m.group())), text)
    return _LONG_WORD.sub(lambda m: _TWELVE.sub(r"\1" + _ZWSP, m.group()), text)
