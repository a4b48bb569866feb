# SPDX-License-Identifier: Apache-2.0
"""Papers beside the report (register, receipts, certificates) as PDF, set by the report's own template and fonts."""

from __future__ import annotations

import json

import typst

from headwater.model.errors import ReportError
from headwater.report.blocks import Document
from headwater.report.html import LANGUAGES
from headwater.report.pdf import _HERE, _fonts, _Print


def paper_pdf(document: Document, language: str) -> bytes:
    """A document in ``zh``, ``en`` or ``both``; identical bytes from identical input.

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
