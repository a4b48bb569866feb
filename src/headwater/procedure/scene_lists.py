# SPDX-License-Identifier: Apache-2.0
"""The scene in lines for people and in JSON for programs: the plan, its checklist, the acts, the lineage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from headwater.model.errors import UsageError
from headwater.model.times import rfc3339
from headwater.procedure import casework
from headwater.procedure.corridor import Corridor
from headwater.procedure.scene import plan_of
from headwater.procedure.scene_acts import lineage_of, lineages, told
from headwater.scene.lineage import remarks
from headwater.scene.plan import STATES, Row


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


def plan_words(corridor: Corridor, rows: Sequence[Row]) -> Iterator[str]:
    """The plan, the checklist, then the duties that run."""
    plan = plan_of(corridor)
    yield f"{plan.rules.text.zh} · {plan.rules.text.en}"
    for label, value in (("目标 goal", plan.goal), ("范围 scope", plan.scope), ("方法 method", plan.method)):
        if value:
            yield f"{label}: {value}"
    for name, part in plan.people.items():
        yield f"人员 person: {name} {part}"
    for tool in plan.tools:
        yield f"工具 tool: {tool}"
    if plan.missing():
        yield "未记载 not recorded: " + ", ".join(plan.missing())
    asset = None
    for row in rows:
        if row.asset != asset:
            asset = row.asset
            yield f"—— {asset or '全部对象 all assets'}"
        state = STATES[row.state]
        when = (rfc3339(row.when) or "")[:19] + "Z" if row.when is not None else row.due and f"应于 due {row.due}"
        mark = "x" if row.state in {"done", "waived"} else " "
        stage = "" if row.stage.zh in row.need.zh or row.need.zh in row.stage.zh else f"{row.stage.zh}："
        words = f"{stage}{row.need.zh} · {row.need.en}  {state.zh} {state.en}  {when}"
        yield f"[{mark}] {words}".rstrip()
    clocks, prompts = casework.duties_of(corridor)
    for clock in clocks:
        left = clock.done or f"{clock.left_ns / 3.6e12:+.1f} h"
        yield f"期限 duty {clock.id}: {clock.due}  {left}  {clock.text.zh} · {clock.text.en}"
    for prompt in prompts:
        if not prompt.answer:
            yield f"未答复 open {prompt.id}: {prompt.text.zh} · {prompt.text.en}"
    if not clocks:
        yield "期限未起算：headwater case duties --known TIME · no deadline runs yet"


def row_json(row: Row) -> dict[str, Any]:
    """One line of the checklist as JSON values."""
    return asdict(row) | {"when": rfc3339(row.when), "acts": list(row.acts)}


def acts_json(corridor: Corridor) -> Iterator[dict[str, Any]]:
    """Every act at the scene as it is recorded."""
    for sealed, _ in told(corridor):
        entry = sealed.entry
        yield {"seq": entry.seq, "recorded": entry.time, "actors": list(entry.actors), **entry.note}


def acts_words(corridor: Corridor) -> Iterator[str]:
    """Every act at the scene in a line or more, then the lineage."""
    for sealed, text in told(corridor):
        note = sealed.entry.note
        when = (rfc3339(int(note["when_ns"])) or "")[:19] + "Z"
        waived = f" {note['waives']}" if note.get("waives") else ""
        to = f" → {note['to']}" if note.get("to") else ""
        yield f"{sealed.entry.seq:>4}  {when}  {note['asset'] or '—'}  {text.zh} {text.en}{waived}{to}"
        for name in ("by", "attested"):
            if note.get(name):
                yield f"      {name}: {', '.join(note[name])}"
        for each in (*note["inversions"], *note["guards_broken"]):
            yield f"      例外 exception: {each['zh']} · {each['en']}"
        if note["because"]:
            yield f"      理由 reason: {note['because']}"
        if note.get("writes"):
            yield f"      改变原件 changes the original: {note['writes']['zh']} · {note['writes']['en']}"
    for chain in lineages(corridor):
        yield "来源 lineage: " + " ← ".join(chain)
    for remark in remarks(lineage_of(corridor)):
        yield f"  {remark.zh} · {remark.en}"
