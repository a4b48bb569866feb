# SPDX-License-Identifier: Apache-2.0
"""Who may be cited and under which short label; refuses sentences that rest on nothing or on what is not there."""

from __future__ import annotations

from collections.abc import Iterable

from headwater.model.errors import ReportError
from headwater.model.nouns import Sentence, Text
from headwater.report.blocks import Cell, Paragraph, Piece
from headwater.report.data import ReportData, event_id

_PLACES = {
    "authority": Text("授权", "authority"),
    "ledger": Text("台账", "ledger"),
    "plan": Text("计划", "plan"),
    "tools": Text("工具", "tools"),
    "gaps": Text("缺口", "gaps"),
}


class References:
    """The ids of a report's records, each with its label and the anchor where it stands.

    Raises:
        ReportError: HW7001 where two records have the same id.
    """

    def __init__(self, report: ReportData) -> None:
        self._labels: dict[str, str | Text] = dict(_PLACES)
        self._anchors: dict[str, str] = {name: name for name in _PLACES}
        for item in report.evidence:
            self._add(item.id, f"E{item.number}")
        for entry in report.ledger.rows:
            self._add(entry.id, f"L{entry.seq}")
        numbered = (
            ("C", [n.id for n in report.clocks]),
            ("T", [n.id for n in report.timeline]),
            ("S", [n.id for n in report.steps]),
            ("F", [n.id for n in report.findings]),
            ("H", [n.id for n in report.hypotheses]),
            ("Q", [n.id for n in report.searches]),
        )
        for letter, names in numbered:
            for at, name in enumerate(names, 1):
                self._add(name, f"{letter}{at}")
        for finding in report.findings:
            for span in finding.spans:
                where = span.span
                event = event_id(where.evidence, where.path, where.offset, span.ordinal)
                if event not in self._labels:  # no row of its own: it stands in the finding's table
                    self._labels[event] = self._labels[finding.id]
                    self._anchors[event] = finding.id
        for name in report.extra_cites:
            self._labels.setdefault(name, name)
        self._evidence = {item.number: item.id for item in report.evidence}

    def _add(self, name: str, label: str) -> None:
        if not name or name in self._anchors:
            raise ReportError("HW7001", what=f"{label}: id {name!r} is empty or used twice")
        self._labels[name] = label
        self._anchors[name] = name

    def label(self, name: str) -> str:
        """The short label of a record, e.g. ``F3``."""
        held = self._labels[name]
        return held if isinstance(held, str) else held.en

    def evidence(self, number: int) -> Piece:
        """A link to an item of the register; plain where the register has it not."""
        return self._piece(self._evidence[number]) if number in self._evidence else Piece("data", f"E{number}")

    def _piece(self, name: str) -> Piece:
        return Piece("cite", self._labels[name], self._anchors.get(name, ""))

    def cites(self, names: Iterable[str], of: str) -> Cell:
        """Links for these ids.

        Raises:
            ReportError: HW7002 where an id stands nowhere in the report.
        """
        found: dict[tuple[str, str], Piece] = {}
        for name in names:
            if name not in self._labels:
                raise ReportError("HW7002", what=f"{of[:120]} → {name}: not in this report")
            piece = self._piece(name)
            found.setdefault((piece.target, str(piece.text)), piece)
        return tuple(found.values())

    def sentence(self, sentence: object) -> Paragraph:
        """A sentence as a paragraph with its links.

        Raises:
            ReportError: HW7002 where it is no sentence, cites nothing and is not the examiner's own, or cites what
                is not in the report.
        """
        if not isinstance(sentence, Sentence):
            raise ReportError("HW7002", what=f"{str(sentence)[:120]!r} is no Sentence")
        if not sentence.cites and not sentence.own:
            raise ReportError("HW7002", what=sentence.text.zh[:120])
        return Paragraph(sentence.text, self.cites(sentence.cites, sentence.text.zh), sentence.own)

    def sentences(self, sentences: Iterable[object]) -> list[Paragraph]:
        """All of them, in order."""
        return [self.sentence(sentence) for sentence in sentences]
