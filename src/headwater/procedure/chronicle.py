# SPDX-License-Identifier: Apache-2.0
"""The story in order of time, about ten lines: when, at which stage, how long, and how long nothing was seen between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from headwater.model.custody import Evidence
from headwater.model.kinds import STAGE_TEXT, Severity
from headwater.model.nouns import Finding, Sentence, Step, Text
from headwater.model.times import SECOND, rfc3339
from headwater.procedure.judgement import Judged, by_severity

LINES = 10
_MOVES = 7  # lines that tell of steps
_LONG = 3600 * SECOND  # a silence that is worth saying so


@dataclass(slots=True)
class Move:
    """Steps of one stage that follow one another, told in one line."""

    steps: list[Step]

    @property
    def first(self) -> int | None:
        return min((s.ts_first for s in self.steps if s.ts_first is not None), default=None)

    @property
    def last(self) -> int | None:
        return max((t for s in self.steps for t in (s.ts_first, s.ts_last) if t is not None), default=None)


def moment(ns: int | None) -> Text:
    """``2026-03-02 11:22:33 UTC``."""
    text = rfc3339(ns)
    if text is None:
        return Text("（时间未记载）", "(time not recorded)")
    short = text[:19].replace("T", " ") + " UTC"
    return Text(short, short)


def span_of(ns: int) -> Text:
    """A length of time in its two largest units; less than a second is said to be that."""
    seconds = ns // SECOND
    if seconds < 1:
        return Text("不足 1 秒", "less than 1 s")
    parts = []
    for size, zh, en in ((86_400, "天", "d"), (3600, "小时", "h"), (60, "分", "min"), (1, "秒", "s")):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append((f"{count} {zh}", f"{count} {en}"))
    return Text(" ".join(p[0] for p in parts[:2]), " ".join(p[1] for p in parts[:2]))


def moves(steps: Sequence[Step]) -> tuple[list[Move], list[Step]]:
    """The steps as at most eight lines in order of time, and those that no line tells; those without a time come last.

    Where there are too many, the first of each stage are kept, then the earliest.
    """
    timed = sorted((s for s in steps if s.ts_first is not None), key=lambda s: (s.ts_first or 0, s.id))
    ordered = timed + [s for s in steps if s.ts_first is None]
    found: list[Move] = []
    for step in ordered:
        if found and found[-1].steps[-1].stage is step.stage:
            found[-1].steps.append(step)
        else:
            found.append(Move([step]))
    if len(found) <= _MOVES + 1:  # the line that would say what is left out can tell it instead
        return found, []
    firsts = {id(next(m for m in found if m.steps[0].stage is stage)) for stage in {m.steps[0].stage for m in found}}
    kept = [m for m in found if id(m) in firsts]
    kept += [m for m in found if id(m) not in firsts][: _MOVES - len(kept)]
    chosen = [m for m in found if any(m is k for k in kept)]
    return chosen, [s for m in found if not any(m is k for k in kept) for s in m.steps]


def _line(move: Move, previous: int | None, ended: int | None, findings: Mapping[str, Finding]) -> Sentence:
    """One line: time, stage, how long it went on, how long after what came before, and the weightiest finding.

    ``previous``: when the line before begins; ``ended``: when all that was told before had ended.
    """
    step = move.steps[0]
    first, last = move.first, move.last
    notes_zh, notes_en = [], []
    if first is not None and last is not None and last - first >= SECOND:
        length = span_of(last - first)
        notes_zh.append(f"历时 {length.zh}")
        notes_en.append(f"over {length.en}")
    if previous is not None and first is not None:
        if ended is not None and first - ended >= _LONG:
            gap = span_of(first - ended)
            notes_zh.append(f"此前 {gap.zh} 内无步骤")
            notes_en.append(f"no step in the {gap.en} before")
        else:
            gap = span_of(first - previous)
            notes_zh.append(f"前一行开始后{'' if first - previous < SECOND else ' '}{gap.zh}")
            notes_en.append(f"{gap.en} after the line before began")
    if len(move.steps) > 1:
        notes_zh.append(f"共 {len(move.steps)} 步")
        notes_en.append(f"{len(move.steps)} steps")
    zh_note = f"（{'，'.join(notes_zh)}）" if notes_zh else ""
    en_note = f" ({'; '.join(notes_en)})" if notes_en else ""
    zh_stage, en_stage = STAGE_TEXT[step.stage]
    said = findings[step.findings[0]].text if step.findings[0] in findings else step.text
    when = moment(first)
    return Sentence(
        Text(
            f"{when.zh}，{zh_stage}{zh_note}：{said.zh.rstrip('。')}。",
            f"{when.en}, {en_stage}{en_note}: {said.en.rstrip('.')}.",
        ),
        tuple(s.id for s in move.steps),
    )


def overview(judged: Judged, items: Sequence[Evidence], odd: Sequence[Sentence] = ()) -> Iterator[Sentence]:
    """The evidence, what was found in all, then the story by time across the stages; ``odd``: times to be wary of."""
    ids = tuple(f"evidence-{i.number}" for i in items)
    yield Sentence(
        Text(
            f"本次检验的检材共 {len(items)} 项：{'、'.join(i.name for i in items)}。",
            f"{len(items)} {'item was' if len(items) == 1 else 'items were'} examined: {', '.join(i.name for i in items)}.",
        ),
        ids,
    )
    if judged.findings:
        yield _sum(judged)
    yield from odd
    if not judged.steps:
        yield Sentence(
            Text(
                "以本报告所列方法，未发现达到入侵步骤程度的线索；未发现不等于未发生，检索范围与缺口见后。",
                "By the methods listed here nothing was found that amounts to a step of an intrusion; "
                "not found is not the same as did not happen: see what was covered and the gaps.",
            ),
            tuple(s.id for s in judged.searches) or ids,
        )
        return
    findings = {f.id: f for f in judged.findings}
    told, untold = moves(judged.steps)
    previous: int | None = None
    ended: int | None = None
    for move in told:
        yield _line(move, previous, ended, findings)
        previous = move.first if move.first is not None else previous
        if move.last is not None:
            ended = move.last if ended is None else max(ended, move.last)
    if untold:
        yield Sentence(
            Text(
                f"另有 {len(untold)} 步未在此列出，见“入侵步骤”。",
                f"Not told here, under 'The intruder's steps': {len(untold)} more.",
            ),
            tuple(s.id for s in untold),
        )


def _sum(judged: Judged) -> Sentence:
    """How many findings and steps, and from when to when the steps reach."""
    gravest = sorted(judged.findings, key=by_severity)
    serious = [f for f in gravest if f.severity in {Severity.HIGH, Severity.CRITICAL}]
    zh = f"共得出发现 {len(judged.findings)} 项，其中高或严重 {len(serious)} 项"
    count = len(judged.findings)
    en = f"{count} finding{'' if count == 1 else 's'} in all, {len(serious)} of them high or critical"
    whole = Move(list(judged.steps))
    if whole.first is not None and whole.last is not None:
        begin, end, length = moment(whole.first), moment(whole.last), span_of(whole.last - whole.first)
        count = len(judged.steps)
        zh += f"；还原入侵步骤 {count} 步，"
        en += f"; {count} {'step' if count == 1 else 'steps'} of the intruder, "
        if whole.last - whole.first < SECOND:
            zh, en = f"{zh}时间为 {begin.zh}", f"{en}at {begin.en}"
        else:
            zh += f"自 {begin.zh} 至 {end.zh}，历时 {length.zh}"
            en += f"from {begin.en} to {end.en}, over {length.en}"
    return Sentence(Text(zh + "。", en + "."), tuple(f.id for f in (serious or gravest))[:12])


def story_lines(judged: Judged, items: Sequence[Evidence], language: str, odd: Sequence[Sentence] = ()) -> list[str]:
    """The story for a terminal, ten lines, and one for each warning about times."""
    lines = [s.text.zh if language == "zh" else s.text.en for s in overview(judged, items, odd)]
    return lines[: LINES + len(odd)]
