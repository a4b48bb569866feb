# SPDX-License-Identifier: Apache-2.0
"""Findings and steps as rows for a reader: translated words, the sentence, and where to go on to the bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headwater.model.kinds import CONFIDENCE_TEXT, SEVERITY_TEXT, STAGE_TEXT
from headwater.model.nouns import Finding, Step, Text
from headwater.model.times import rfc3339
from headwater.model.voice import Voice
from headwater.procedure.contracts import event_id, finding_json, step_json
from headwater.procedure.corridor import Corridor
from headwater.procedure.judgement import by_severity, judged_of, seen_first
from headwater.procedure.suppressions import standing

FIRST = Text("首条", "first:")
SO_FAR = Text(
    "初步发现（检验仍在进行，不入报告，可能增减）：",
    "seen so far (the examination goes on; not part of the report, may yet change):",
)
NO_TIME = Text("时间未记载", "time not recorded")
_NOT_RUN = Text("检测器未能运行", "detector did not run")


NO_FINDINGS = Text("无发现；未发现不等于未发生。", "No findings; not found is not the same as did not happen.")
NO_EVENTS = Text(
    "没有符合条件的事件；未发现不等于未发生。",
    "No event meets the condition; not found is not the same as did not happen.",
)
NO_STEPS = Text(
    "未还原出入侵步骤；未发现不等于未发生。", "No steps were rebuilt; not found is not the same as did not happen."
)


@dataclass(frozen=True, slots=True)
class Row:
    """One finding or step. ``words``: stage, severity, confidence …; ``json`` is its contract; times as text, UTC.

    ``cited``: how many records and gaps it rests on; ``first``: where the first of them stands.
    """

    id: str
    words: tuple[Text, ...]
    when: Text
    text: Text
    cited: Text
    first: str
    json: dict[str, Any]
    aside: Text | None = None  # who set it aside, and why


def languages(language: str) -> tuple[str, ...]:
    """``both`` as its two."""
    return Voice(language).languages


def in_language(text: Text, language: str) -> str:
    """A short text in ``zh``, ``en`` or, for ``both``, one after the other."""
    return Voice(language).word(text.zh, text.en)


def interval(first: int | None, last: int | None) -> Text:
    """From when to when, UTC, whole seconds."""
    begin, end = rfc3339(first), rfc3339(last)
    if begin is None:
        return NO_TIME
    words = begin[:19].replace("T", " ")
    if end is not None and end[:19] != begin[:19]:
        words += " – " + end[:19].replace("T", " ")
    return Text(words + " UTC", words + " UTC")


def failed_lines(failed: Sequence[Mapping[str, Any]], language: str) -> Iterator[str]:
    """The detectors that did not run to their end, and why, a line each."""
    for each in failed:
        yield f"{in_language(_NOT_RUN, language)}: {each['detector']}: {each['why']}"


def seen_lines(
    found: Sequence[Finding], language: str, failed: Sequence[Mapping[str, Any]] = (), most: int = 20
) -> Iterator[str]:
    """What a first look saw, the most serious first, as lines; ``most`` of them, and how many more there are."""
    serious = sorted(found, key=by_severity)
    yield in_language(SO_FAR, language)
    for finding in serious[:most]:
        severity, when = Text(*SEVERITY_TEXT[finding.severity]), interval(finding.ts_first, finding.ts_last)
        head = f"  {in_language(severity, language)} · {in_language(when, language)} · "
        yield head + in_language(finding.text, language)
    if len(serious) > most:
        yield f"  … +{len(serious) - most}"
    if not serious:
        yield "  " + in_language(Text("至此无发现。", "nothing so far."), language)
    yield from (f"  {words}" for words in failed_lines(failed, language))


def findings(corridor: Corridor, *, by_time: bool = False) -> Iterator[Row]:
    """The findings, the most serious first or in the order of time; of a case under way those of the first look."""
    aside = standing(corridor.ledger)
    found = seen_first(corridor.case)
    found = judged_of(corridor).findings if found is None else found
    for finding in found if by_time else sorted(found, key=by_severity):
        rule = finding.rule
        words = (
            Text(*SEVERITY_TEXT[finding.severity]),
            Text(*CONFIDENCE_TEXT[finding.confidence]),
            Text(*STAGE_TEXT[rule.stage]),
            Text(rule.id, rule.id),
        )
        when = interval(finding.ts_first, finding.ts_last)
        set_aside = aside.get(finding.id)
        yield Row(
            finding.id, words, when, finding.text, *cited([finding]), finding_json(finding),
            None if set_aside is None else set_aside.text,
        )  # fmt: skip


def steps(corridor: Corridor) -> Iterator[Row]:
    """The steps in the order of time."""
    judged = judged_of(corridor)
    by_id: Mapping[str, Finding] = {f.id: f for f in judged.findings}
    for step in judged.steps:
        words = (
            Text(*STAGE_TEXT[step.stage]),
            Text(*CONFIDENCE_TEXT[step.confidence]),
            _who(step),
            Text(step.technique or "—", step.technique or "—"),
        )
        held = [by_id[name] for name in step.findings if name in by_id]
        yield Row(step.id, words, interval(step.ts_first, step.ts_last), step.text, *cited(held), step_json(step))


def _who(step: Step) -> Text:
    unknown = Text("未查明", "not found")
    zh, en = (f"{step.actor or w} → {step.asset or w}" for w in (unknown.zh, unknown.en))
    return Text(zh, en)


def cited(held: Iterable[Finding]) -> tuple[Text, str]:
    """What findings rest on: how many records and gaps, and where the first stands.

    The place of a record is the id that ``trace`` takes, ``evidence:path:offset:ordinal``; of a gap it is said as
    ``evidence:path @offset+length``.
    """
    rows = list(held)
    spans = [c for f in rows for c in f.spans]
    gaps = [g for f in rows for g in f.gaps]
    zh = f"{len(rows)} 项发现，" if len(rows) > 1 else ""
    en = f"{len(rows)} findings, " if len(rows) > 1 else ""
    zh += f"引证记录 {len(spans)} 条" + (f"、缺口 {len(gaps)} 处" if gaps else "")
    en += f"{len(spans)} record{'' if len(spans) == 1 else 's'} cited"
    en += f", {len(gaps)} gap{'' if len(gaps) == 1 else 's'}" if gaps else ""
    if spans:
        span = spans[0].span
        first = event_id(span.evidence, span.path, span.offset, spans[0].ordinal)
    else:
        span = gaps[0].span
        first = f"{span.evidence}:{span.path} @{span.offset}+{span.length}"
    return Text(zh, en), first
