# SPDX-License-Identifier: Apache-2.0
"""The report as one HTML file: no scripts, no outside resources, a content policy that forbids both.

Everything from evidence is text between escaped tags and is isolated from the direction of what surrounds it. The
policy allows one style sheet, by its digest, and nothing else. https://www.w3.org/TR/CSP3/
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from functools import cache
from html import escape
from pathlib import Path

from headwater.model.errors import ReportError
from headwater.model.nouns import Text
from headwater.model.voice import LANGUAGES
from headwater.report import inert
from headwater.report.blocks import (
    Block,
    Cell,
    Column,
    Document,
    Facts,
    Fields,
    Graph,
    Heading,
    Note,
    Paragraph,
    Piece,
    Sign,
    Table,
    anchor,
)
from headwater.report.data import ReportData
from headwater.report.document import compose
from headwater.report.words import OWN

CELL = 1000  # characters of one value in a cell
PLACES = 60  # cited records printed for each finding


def render_html(report: ReportData, language: str) -> bytes:
    """The report in ``zh``, ``en`` or ``both`` as UTF-8 bytes; identical from identical input.

    Raises:
        ReportError: HW7002 for a sentence that rests on nothing, HW7001 for anything else that forbids a report.
    """
    if language not in LANGUAGES:
        raise ReportError("HW7001", what=f"language {language!r}")
    return _Page(language).document(compose(report, PLACES)).encode("utf-8")


def page(document: Document, language: str) -> bytes:
    """Any document as such a file.

    Raises:
        ReportError: HW7001.
    """
    if language not in LANGUAGES:
        raise ReportError("HW7001", what=f"language {language!r}")
    return _Page(language).document(document).encode("utf-8")


@cache
def style() -> str:
    """The style sheet as it stands in the page."""
    return Path(__file__).with_name("report.css").read_text("utf-8").replace("\r\n", "\n")


def policy() -> str:
    """The content security policy: nothing is loaded, run or sent; this style sheet alone applies."""
    digest = base64.b64encode(hashlib.sha256(style().encode("utf-8")).digest()).decode("ascii")
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


class _Page:
    def __init__(self, language: str) -> None:
        self.language = language

    def document(self, held: Document) -> str:
        """The whole file."""
        lang = "en" if self.language == "en" else "zh-CN"
        title = self._flat(held.title)
        parts = [
            f'<!DOCTYPE html>\n<html lang="{lang}">\n<head>\n<meta charset="utf-8">\n',
            f'<meta http-equiv="Content-Security-Policy" content="{escape(policy(), quote=True)}">\n',
            '<meta name="referrer" content="no-referrer">\n<meta name="robots" content="noindex">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            f"<title>{escape(title)}</title>\n<style>{style()}</style>\n</head>\n",
            f'<body class="{self.language}">\n<header>\n<h1>{self._words(held.title)}</h1>\n',
        ]
        if held.subtitle:
            parts.append(f'<p class="lead">{self._cell(held.subtitle)}</p>\n')
        parts.extend(self._block(block) for block in held.head)
        parts += ["</header>\n", self._contents(held.body), "<main>\n"]
        parts.extend(self._block(block) for block in held.body)
        parts.append(f'</main>\n<footer><p class="note">{self._words(held.running)}</p></footer>\n</body>\n</html>\n')
        return "".join(parts)

    def _contents(self, blocks: Iterable[Block]) -> str:
        rows = [
            f'<li><a href="#{anchor(b.target)}">{escape(self._flat(b.text))}</a></li>'
            for b in blocks
            if isinstance(b, Heading) and b.level == 1
        ]
        return f"<nav><ol>{''.join(rows)}</ol></nav>\n"

    def _flat(self, text: Text) -> str:
        return {"zh": text.zh, "en": text.en}.get(self.language, f"{text.zh} {text.en}")

    def _words(self, text: Text | str) -> str:
        """The program's or a sentence's words; they may quote evidence, so they are as inert as data."""
        if isinstance(text, str):
            return self._inert(text)
        if self.language != "both" or text.zh == text.en:
            return self._inert(text.en if self.language == "en" else text.zh)
        return (
            f'<span class="zh" lang="zh-CN">{self._inert(text.zh)}</span> '
            f'<span class="en" lang="en">{self._inert(text.en)}</span>'
        )

    def _inert(self, text: str, limit: int = inert.LIMIT) -> str:
        shown = "".join(
            f'<span class="esc">{escape(part)}</span>' if escaped else escape(part)
            for escaped, part in inert.pieces(text, limit)
        )
        missing = inert.left_out(text, limit)
        return shown if missing is None else f'{shown}<span class="none">{self._words(missing)}</span>'

    def _piece(self, piece: Piece) -> str:
        if piece.kind == "break":
            return "<br>"
        if piece.kind == "mark" and isinstance(piece.text, Text):
            return escape(piece.text.en if self.language == "en" else piece.text.zh)
        if piece.kind == "words":
            return f'<span class="w">{self._words(piece.text)}</span>'
        if piece.kind == "data":
            return f'<bdi dir="ltr">{self._inert(str(piece.text), CELL)}</bdi>'
        if piece.kind == "code":
            return f'<bdi dir="ltr" class="code">{self._inert(str(piece.text), CELL)}</bdi>'
        if piece.kind == "cite":
            return self._cite(piece)
        return f'<span class="{piece.kind}">{self._words(piece.text)}</span>'

    def _cite(self, piece: Piece) -> str:
        label = self._inert(piece.text if isinstance(piece.text, str) else self._flat(piece.text))
        if not piece.target:
            return f'<span class="cite">[{label}]</span>'
        title = "".join(part for _, part in inert.pieces(piece.target, 200))
        return f'<a class="cite" href="#{anchor(piece.target)}" title="{escape(title, quote=True)}">[{label}]</a>'

    def _cell(self, cell: Cell) -> str:
        return "".join(self._piece(piece) for piece in cell)

    def _block(self, block: Block) -> str:
        if isinstance(block, Heading):
            return self._heading(block)
        if isinstance(block, Paragraph):
            own = f' <span class="own">{escape(self._flat(OWN))}</span>' if block.own else ""
            return f"<p>{self._words(block.text)}{self._cell(block.cites)}{own}</p>\n"
        if isinstance(block, Note):
            words = f'<bdi dir="ltr">{self._inert(block.data)}</bdi>' if block.data else ""
            return f'<p class="note {block.tone}">{self._words(block.text)}{words}</p>\n'
        if isinstance(block, Table):
            return self._table(block)
        if isinstance(block, Fields):
            rows = (f"<dt>{self._words(label)}</dt><dd>{self._cell(cell)}</dd>" for label, cell in block.rows)
            return f"<dl>{''.join(rows)}</dl>\n"
        if isinstance(block, Facts):
            facts = (
                f'<span class="fact"><span class="label">{self._words(label)}</span> {self._cell(cell)}</span>'
                for label, cell in block.rows
            )
            return f'<p class="facts">{" ".join(facts)}</p>\n'
        if isinstance(block, Graph):
            drawn = {"zh": block.zh, "en": block.en}.get(self.language, block.both)
            alt = escape(self._flat(block.alt), quote=True)
            return "".join(f'<div class="graph" aria-label="{alt}">{svg}</div>\n' for svg in drawn)
        return self._sign(block)

    def _heading(self, block: Heading) -> str:
        tag = f"h{block.level + 1}"
        number = f'<span class="n">{escape(block.number)}</span>' if block.number else ""
        name = f' id="{anchor(block.target)}"' if block.target else ""
        tail = f" {self._cell(block.tail)}" if block.tail else ""
        return f"<{tag}{name}>{number}{self._words(block.text)}{tail}</{tag}>\n"

    def _table(self, block: Table) -> str:
        total = sum(column.share for column in block.columns)
        widths = "".join(f'<col width="{100 * column.share / total:.1f}%">' for column in block.columns)
        head = "".join(f"<th{self._side(c)}>{self._words(c.label)}</th>" for c in block.columns)
        rows = []
        for row in block.rows:
            name = f' id="{anchor(row.target)}"' if row.target else ""
            cells = (
                f"<td{self._side(column)}>{self._cell(cell)}</td>"
                for column, cell in zip(block.columns, row.cells, strict=True)
            )
            rows.append(f"<tr{name}>{''.join(cells)}</tr>\n")
        return (
            f'<div class="wide"><table><colgroup>{widths}</colgroup>\n<thead><tr>{head}</tr></thead>\n'
            f"<tbody>\n{''.join(rows)}</tbody></table></div>\n"
        )

    @staticmethod
    def _side(column: Column) -> str:
        return ' class="r"' if column.right else ""

    def _sign(self, block: Sign) -> str:
        date = self._words(Text("签名与日期", "Signature and date"))
        slots = (
            f'<div class="slot"><strong>{self._words(role)}</strong><br>{self._cell(cell)}'
            f'<p class="note">{date}</p></div>'
            for role, cell in block.slots
        )
        return f'<div class="slots">{"".join(slots)}</div>\n'
