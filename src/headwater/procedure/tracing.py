# SPDX-License-Identifier: Apache-2.0
"""Trace: from anything in the case, link by link, down to the bytes and up to the authority.

An id may be a finding, a step, a search, a hypothesis, an event (``1:/path:offset:ordinal``), an item of evidence
(``evidence-1``), a ledger entry (``ledger-3``) or ``authority``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from headwater.formats.canonical import plain
from headwater.model.errors import UsageError
from headwater.model.nouns import Citation, Finding, Span
from headwater.model.paths import container_of
from headwater.model.times import rfc3339
from headwater.procedure.accounts import load_accounts
from headwater.procedure.contracts import event_id, event_json, parse_event_id
from headwater.procedure.corridor import Corridor, authority_of, evidence_of, store_of
from headwater.procedure.event_words import Texts
from headwater.procedure.fetching import JournalEntry, bytes_of, journal_entries
from headwater.procedure.judgement import by_severity, judged_of
from headwater.report.findings import chosen
from headwater.store.sql import contract

SPANS_MOST = 12  # of one finding, whose bytes are printed: the first, the last, the first of each file, then others

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the chain: what it is, its name, plain facts, and bytes where it has them."""

    kind: str
    id: str
    facts: Json
    data: bytes | None = None


def trace(corridor: Corridor, name: str) -> list[Link]:
    """The chain from ``name`` down to bytes and up to authority.

    Raises:
        UsageError: HW0005, nothing is called that.
    """
    links = list(_from(corridor, labelled(corridor, name)))
    if not links:
        raise UsageError("HW0005", what=name)
    numbers = sorted({n for link in links for n in link.facts.get("evidence", [])})
    links.extend(_upward(corridor, numbers))
    return links


def labelled(corridor: Corridor, name: str) -> str:
    """The id behind a label of the report (``E1``, ``L3``, ``F2``, ``S1``, ``H1``, ``Q4``, ``T7``); any other name as it is."""
    match = re.fullmatch(r"([ELFSHQT])(\d{1,6})", name)
    if match is None:
        return name
    letter, number = match.group(1), int(match.group(2))
    if letter == "E":
        return f"evidence-{number}"
    if letter == "L":
        return f"ledger-{number}"
    judged = judged_of(corridor)
    if letter == "T":
        from headwater.procedure.reporting import timeline  # it reads the events; the other labels need none

        names = [row.id for row in timeline(corridor, judged)[0]]
    else:
        names = {
            "F": [one.id for one in sorted(judged.findings, key=by_severity)],
            "S": [one.id for one in judged.steps],
            "H": [one.id for one in judged.hypotheses],
            "Q": [one.id for one in judged.searches],
        }[letter]
    return names[number - 1] if 1 <= number <= len(names) else name


def _from(corridor: Corridor, name: str) -> Iterator[Link]:
    if name == "authority":
        yield Link("authority", name, plain(authority_of(corridor.ledger)))
    elif match := re.fullmatch(r"ledger-(\d+)", name):
        for sealed in corridor.ledger.entries():
            if sealed.entry.seq == int(match.group(1)):
                facts = plain(sealed.entry) | {"hash": sealed.hash, "signature": sealed.signature.hex()}
                yield Link("ledger", name, facts)
    elif match := re.fullmatch(r"evidence-(\d+)", name):
        number = int(match.group(1))
        if any(i.number == number for i in evidence_of(corridor.ledger)):
            yield Link("item", name, {"evidence": [number]})
    elif re.match(r"\d+:", name):
        yield from _event(corridor, name)
    else:
        yield from _judged(corridor, name)


def _judged(corridor: Corridor, name: str) -> Iterator[Link]:
    judged = judged_of(corridor)
    findings = {f.id: f for f in judged.findings}
    if name in findings:
        yield from _finding(corridor, findings[name])
    for step in judged.steps:
        if step.id == name:
            yield Link(
                "step", name, plain(step) | {"ts_first": rfc3339(step.ts_first), "ts_last": rfc3339(step.ts_last)}
            )
            for finding in step.findings:
                yield from _finding(corridor, findings[finding])
    for search in judged.searches:
        if search.id == name:
            yield Link("search", name, plain(search) | {"evidence": [i.number for i in evidence_of(corridor.ledger)]})
    for hypothesis in judged.hypotheses:
        if hypothesis.id == name:
            yield Link("hypothesis", name, plain(hypothesis))
            for cited in (*hypothesis.supports, *hypothesis.refutes):
                yield from _judged(corridor, cited)


def _finding(corridor: Corridor, finding: Finding) -> Iterator[Link]:
    facts = {
        "rule": finding.rule.id,
        "title": plain(finding.rule.title),
        "text": plain(finding.text),
        "stage": finding.rule.stage.value,
        "severity": finding.severity.value,
        "confidence": finding.confidence.value,
        "spans": len(finding.spans),
        "gaps": [plain(g) for g in finding.gaps],
        "tally": plain(finding.tally),
        "evidence": sorted({c.span.evidence for c in finding.spans} | {g.span.evidence for g in finding.gaps}),
    }
    yield Link("finding", finding.id, facts)
    shown = chosen(finding.spans, SPANS_MOST)
    yield from _spans(corridor, shown)


def _spans(corridor: Corridor, cited: Sequence[Citation]) -> Iterator[Link]:
    """The bytes of each citation; behind an entry of a journal, which holds no words, the bytes of its message."""
    entries = journal_entries(corridor, cited)
    stored: dict[tuple[int, str], str] = {}  # of what a container sees: the layer's own file
    if any(container_of(c.span.path) for c in cited):
        accounts = (a for a in load_accounts(corridor.case) if a["target"].get("stored"))
        stored = {(int(a["evidence"]), str(a["path"])): str(a["target"]["stored"]) for a in accounts}
    for citation, data, entry in zip(cited, bytes_of(corridor, cited), entries, strict=True):
        yield _span_link(citation, data, stored.get((citation.span.evidence, citation.span.path)))
        if entry is not None:
            yield from _message_link(citation, entry)


def _message_link(citation: Citation, entry: JournalEntry) -> Iterator[Link]:
    for name, value, offset, length in entry.fields:
        if name == "MESSAGE":
            span = citation.span
            facts = {
                "evidence": [span.evidence],
                "path": span.path,
                "offset": offset,
                "length": length,
                "field": name,
                "value": value,
                "entry": event_id(span.evidence, span.path, span.offset, citation.ordinal),
                "fields": {n: v for n, v, _, _ in entry.fields},
            }
            yield Link("message", event_id(span.evidence, span.path, offset, 0), facts, entry.message)
            return


def _span_link(citation: Citation, data: bytes, stored: str | None) -> Link:
    span = citation.span
    facts = {
        "evidence": [span.evidence],
        "path": span.path,
        "offset": span.offset,
        "length": span.length,
        "physical": [list(p) for p in span.physical],
        "ts": rfc3339(citation.ts),
        "claims": dict(citation.claims),
    }
    if stored is not None:
        facts["stored"] = stored
    return Link("bytes", event_id(span.evidence, span.path, span.offset, citation.ordinal), facts, data)


def _event(corridor: Corridor, name: str) -> Iterator[Link]:
    try:
        source, path, offset, ordinal = parse_event_id(name)
    except ValueError:
        return
    row = store_of(corridor).event(source, path, offset, ordinal)
    if row is None:
        return
    yield Link("event", name, event_json(contract(row)) | {"evidence": [source]})
    words = Texts.of(corridor).say(row, corridor.settings.language)
    if words is not None:
        yield Link("event-text", words.source, plain(words) | {"evidence": [source]})
    citation = Citation(Span(source, path, offset, int(row["length"])), row["ts"], {}, ordinal)
    yield from _spans(corridor, [citation])


def _upward(corridor: Corridor, numbers: Sequence[int]) -> Iterator[Link]:
    for item in evidence_of(corridor.ledger):
        if item.number in numbers:
            facts = {
                "name": item.name,
                "kind": item.kind,
                "size": item.size,
                "source": item.source_path,
                "digest_of": item.digest_of,
                "digests": dict(item.digests),
            }
            yield Link("evidence", f"evidence-{item.number}", facts)
    for sealed in corridor.ledger.entries():
        if set(sealed.entry.evidence) & set(numbers):
            facts = {
                "action": sealed.entry.action,
                "time": sealed.entry.time,
                "actors": list(sealed.entry.actors),
                "tool": sealed.entry.tool,
                "hash": sealed.hash,
                "previous": sealed.entry.previous,
            }
            yield Link("custody", f"ledger-{sealed.entry.seq}", facts)
    yield Link("authority", "authority", plain(authority_of(corridor.ledger)))
