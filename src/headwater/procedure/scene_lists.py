# SPDX-License-Identifier: Apache-2.0
"""The scene in lines for people and in JSON for programs: the plan, its checklist, the acts, the lineage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from headwater.model.errors import UsageError
from headwater.model.times import rfc3339
from headwater.model.voice import Voice
from headwater.procedure import casework
from headwater.procedure.corridor import Corridor
from headwater.procedure.scene import plan_of
from headwater.procedure.scene_acts import lineage_of, lineages, told
from headwater.scene.lineage import remarks
from headwater.scene.plan import PARTS, STATES, Row


def assets(words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """``NAME[=OTHER,…]`` words as assets with their other names.

    Raises:
        UsageError: HW0001.
    """
    found = {}
    for word in words:
        name, _, others = word.partition("=")
        if not name:
            raise UsageError("HW0001", what=f"--asset {word}")
        found[name] = tuple(o for o in others.split(",") if o)
    return found


def plan_words(corridor: Corridor, rows: Sequence[Row], voice: Voice) -> Iterator[str]:
    """The plan, the checklist, then the duties that run."""
    plan = plan_of(corridor)
    label = voice.label
    yield voice.text(plan.rules.text)
    for zh, en, value in (("目标", "goal", plan.goal), ("范围", "scope", plan.scope), ("方法", "method", plan.method)):
        if value:
            yield f"{label(zh, en)}{value}"
    for name, part in plan.people.items():
        yield f"{label('人员', 'person')}{name} {part}"
    for tool in plan.tools:
        yield f"{label('工具', 'tool')}{tool}"
    if plan.missing():
        lacking = [PARTS[name] for name in plan.missing()]
        yield label("未记载", "not recorded") + ", ".join(voice.word(part.zh, part.en) for part in lacking)
    asset = None
    for row in rows:
        if row.asset != asset:
            asset = row.asset
            yield f"—— {asset or voice.word('全部对象', 'all assets')}"
        state = STATES[row.state]
        due = row.due and f"{voice.word('应于', 'due')} {row.due}"
        when = (rfc3339(row.when) or "")[:19] + "Z" if row.when is not None else due
        mark = "x" if row.state in {"done", "waived"} else " "
        alike = row.stage.zh in row.need.zh or row.need.zh in row.stage.zh
        need = voice.sentence(row.need.zh if alike else f"{row.stage.zh}：{row.need.zh}", row.need.en)
        yield f"[{mark}] {need}  {voice.word(state.zh, state.en)}  {when}".rstrip()
    clocks, prompts = casework.duties_of(corridor)
    for clock in clocks:
        left = clock.done or f"{clock.left_ns / 3.6e12:+.1f} h"
        yield f"{voice.word('期限', 'duty')} {clock.id}: {clock.due}  {left}  {voice.text(clock.text)}"
    for prompt in prompts:
        if not prompt.answer:
            yield f"{voice.word('未答复', 'open')} {prompt.id}: {voice.text(prompt.text)}"
    if not clocks:
        yield voice.sentence(
            "期限未起算：headwater case duties --known TIME", "no deadline runs yet: headwater case duties --known TIME"
        )


def row_json(row: Row) -> dict[str, Any]:
    """One line of the checklist as JSON values."""
    return asdict(row) | {"when": rfc3339(row.when), "acts": list(row.acts)}


def acts_json(corridor: Corridor) -> Iterator[dict[str, Any]]:
    """Every act at the scene as it is recorded."""
    for sealed, _ in told(corridor):
        entry = sealed.entry
        yield {"seq": entry.seq, "recorded": entry.time, "actors": list(entry.actors), **entry.note}


def acts_words(corridor: Corridor, voice: Voice) -> Iterator[str]:
    """Every act at the scene in a line or more, then the lineage."""
    any_told = False
    for sealed, text in told(corridor):
        any_told = True
        note = sealed.entry.note
        when = (rfc3339(int(note["when_ns"])) or "")[:19] + "Z"
        waived = f" {note['waives']}" if note.get("waives") else ""
        to = f" → {note['to']}" if note.get("to") else ""
        yield f"{sealed.entry.seq:>4}  {when}  {note['asset'] or '—'}  {voice.word(text.zh, text.en)}{waived}{to}"
        for name, zh, en in (("by", "操作人", "by"), ("attested", "佐证", "attested")):
            if note.get(name):
                yield f"      {voice.label(zh, en)}{', '.join(note[name])}"
        for each in (*note["inversions"], *note["guards_broken"]):
            yield f"      {voice.label('例外', 'exception')}{voice.sentence(each['zh'], each['en'])}"
        if note["because"]:
            yield f"      {voice.label('理由', 'reason')}{note['because']}"
        if note.get("writes"):
            changes = voice.sentence(note["writes"]["zh"], note["writes"]["en"])
            yield f"      {voice.label('改变原件', 'changes the original')}{changes}"
    if not any_told:
        yield voice.sentence("尚未登记现场操作", "no act at the scene is entered yet")
    for chain in lineages(corridor):
        yield voice.label("来源", "lineage") + " ← ".join(chain)
    for remark in remarks(lineage_of(corridor)):
        yield f"  {voice.text(remark)}"
