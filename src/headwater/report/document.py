# SPDX-License-Identifier: Apache-2.0
"""The sections of the report in their order, numbered, from ReportData to one Document."""

from __future__ import annotations

from dataclasses import replace

from headwater.model.nouns import Text
from headwater.report import addresses, closing, findings, front, holdings, notamper, settings, story
from headwater.report.blocks import Block, Document, Heading, data
from headwater.report.data import ReportData
from headwater.report.references import References


def compose(report: ReportData, places: int, rows: int | None = None) -> Document:
    """The whole report, at most ``places`` cited records for each finding and ``rows`` rows of the long tables.

    Where ``rows`` is given, which is the printed form, runs of like events stand in one row of the timeline.

    Raises:
        ReportError: HW7002 for a sentence that rests on nothing or on what is not there; HW7001 for an id used twice.
    """
    references, annex = References(report), findings.Annex(places)
    body: list[Block] = [
        *front.overview(report, references),
        *front.authority(report, references),
        *front.plan(report, references),
        *holdings.evidence(report, references),
        *holdings.custody(report, references),
        *holdings.tools(report, references),
        *holdings.clocks(report, references),
        *notamper.section(report, references),
        *story.timeline(report, references, rows),
        *story.steps(report, references, rows),
        *story.graph(report, references),
        *findings.findings(report, references, annex, rows),
        *addresses.addresses(report, references, rows),
        *settings.settings(report, references, rows),
        *story.hypotheses(report, references),
        *closing.searches(report, references),
        *closing.gaps(report, references, rows),
        *closing.damage(report, references),
        *closing.limits(report, references),
        *closing.verification(report, references, rows),
        *findings.citations(report, references, annex),
        *closing.hashes(report, references, rows),
        *closing.signatures(report, references),
    ]
    title = report.title
    return Document(
        title=Text("电子数据检验报告", "Report on the examination of electronic data"),
        subtitle=(data(title.name),) if title.name else (),
        head=tuple(front.head(report)),
        body=tuple(_numbered(body)),
        running=Text("检验/分析报告，不是鉴定意见", "Examination report, not a judicial expert opinion"),
        running_data=title.case_no or "",
        stamp=Text("未取得授权", "NO AUTHORITY") if report.authority.waiver is not None else None,
        issued=title.issued,
    )


def _numbered(blocks: list[Block]) -> list[Block]:
    """Sections get 1, 2 …, their parts 1.1 …; a heading that brought its own label keeps it."""
    found: list[Block] = []
    section = part = 0
    for block in blocks:
        if isinstance(block, Heading) and block.level == 1:
            section, part = section + 1, 0
            block = replace(block, number=str(section))
        elif isinstance(block, Heading) and block.level == 2 and not block.number:
            part += 1
            block = replace(block, number=f"{section}.{part}")
        found.append(block)
    return found
