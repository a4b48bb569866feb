# SPDX-License-Identifier: Apache-2.0
"""The nouns as the JSON that leaves the program (``schemas/``), and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from headwater.formats.atomic import write_atomic
from headwater.formats.canonical import canonical, plain
from headwater.model.kinds import Confidence, Severity, Stage
from headwater.model.nouns import (
    Citation,
    Finding,
    GapCitation,
    Hypothesis,
    Rule,
    Search,
    Span,
    Step,
    Tally,
    Text,
)
from headwater.model.times import from_rfc3339, rfc3339

Json = dict[str, Any]


def event_id(source: int, path: str, offset: int, ordinal: int) -> str:
    """An event's identity as text: where it stands."""
    return f"{source}:{path}:{offset}:{ordinal}"


def parse_event_id(text: str) -> tuple[int, str, int, int]:
    """The inverse of :func:`event_id`.

    Raises:
        ValueError: not of that form.
    """
    head, offset, ordinal = text.rsplit(":", 2)
    source, _, path = head.partition(":")
    return int(source), path, int(offset), int(ordinal)


def _ns(text: str | None) -> int | None:
    return None if text is None else from_rfc3339(text)


def _span(span: Span) -> Json:
    return {
        "evidence": span.evidence,
        "path": span.path,
        "offset": span.offset,
        "length": span.length,
    }


def finding_json(finding: Finding) -> Json:
    """One finding by the contract."""
    spans = [
        _span(c.span)
        | {
            "physical": [list(p) for p in c.span.physical],
            "ts": rfc3339(c.ts),
            "ordinal": c.ordinal,
            "event": event_id(c.span.evidence, c.span.path, c.span.offset, c.ordinal),
            "claims": dict(c.claims),
        }
        for c in finding.spans
    ]
    return {
        "id": finding.id,
        "rule": finding.rule.id,
        "rule_version": finding.rule.version,
        "rule_author": finding.rule.author,
        "title": plain(finding.rule.title),
        "stage": finding.rule.stage.value,
        "techniques": list(finding.rule.techniques),
        "severity": finding.severity.value,
        "confidence": finding.confidence.value,
        "ts_first": rfc3339(finding.ts_first),
        "ts_last": rfc3339(finding.ts_last),
        "host": finding.host,
        "src_ip": finding.src_ip,
        "user": finding.user,
        "text": plain(finding.text),
        "spans": spans,
        "gaps": [_span(g.span) | {"reason": g.reason, "detail": g.detail} for g in finding.gaps],
        "tally": plain(finding.tally),
        "facts": dict(finding.facts),
    }


def finding_of(raw: Mapping[str, Any]) -> Finding:
    """The finding behind its JSON; ``rule.severity`` comes back as the finding's own."""
    rule = Rule(
        raw["rule"], raw["rule_version"], raw["rule_author"], Text(**raw["title"]), Stage(raw["stage"]),
        tuple(raw["techniques"]), Severity(raw["severity"]),
    )  # fmt: skip
    spans = tuple(
        Citation(
            Span(s["evidence"], s["path"], s["offset"], s["length"], tuple((p[0], p[1]) for p in s["physical"])),
            _ns(s["ts"]),
            s["claims"],
            s["ordinal"],
        )
        for s in raw["spans"]
    )
    gaps = tuple(
        GapCitation(Span(g["evidence"], g["path"], g["offset"], g["length"]), g["reason"], g.get("detail", ""))
        for g in raw["gaps"]
    )
    return Finding(
        rule, Text(**raw["text"]), spans, Confidence(raw["confidence"]), Severity(raw["severity"]),
        _ns(raw["ts_first"]), _ns(raw["ts_last"]), raw["host"], raw["src_ip"], raw["user"], gaps,
        Tally(**raw["tally"]) if raw["tally"] else None, raw["facts"], raw["id"],
    )  # fmt: skip


def step_json(step: Step) -> Json:
    """One step by the contract."""
    return plain(step) | {"ts_first": rfc3339(step.ts_first), "ts_last": rfc3339(step.ts_last)}  # type: ignore[no-any-return]


def step_of(raw: Mapping[str, Any]) -> Step:
    """The step behind its JSON."""
    return Step(
        Stage(raw["stage"]), raw["technique"], raw["actor"], raw["asset"], _ns(raw["ts_first"]), _ns(raw["ts_last"]),
        Confidence(raw["confidence"]), Text(**raw["text"]), tuple(raw["findings"]), raw["id"],
    )  # fmt: skip


def search_of(raw: Mapping[str, Any]) -> Search:
    """The search behind its JSON."""
    return Search(**{**raw, "question": Text(**raw["question"]), "feeds": tuple(raw["feeds"])})


def hypothesis_of(raw: Mapping[str, Any]) -> Hypothesis:
    """The hypothesis behind its JSON."""
    return Hypothesis(
        Text(**raw["statement"]), tuple(raw["supports"]), tuple(raw["refutes"]),
        tuple(Text(**t) for t in raw["open"]), raw["verdict"], raw["id"],
    )  # fmt: skip


def event_json(row: Mapping[str, Any]) -> Json:
    """One row of the store (times in nanoseconds, see ``store.sql.contract``) by the contract."""
    identity = event_id(row["source"], row["path"], row["offset"], row["ordinal"])
    return {
        "id": identity,
        **row,
        "ts": rfc3339(row["ts"]),
        "t_recorded": rfc3339(row["t_recorded"]),
    }


def save_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> str:
    """Write one canonical JSON object per line; returns the file's SHA-256."""
    return write_atomic(path, b"".join(canonical(row) + b"\n" for row in rows))
