# SPDX-License-Identifier: Apache-2.0
"""The plan (取证计划): goal, scope, method, people, tools, schedule; and the checklist as it stands, asset by asset.

Requirement of the first seed: 明确取证目标、范围、方法和步骤，以及人员分工和时间安排.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headwater.model.errors import UsageError
from headwater.model.nouns import Text
from headwater.model.times import from_rfc3339
from headwater.scene.acts import ACTS, KINDS, NEEDS, STAGES, Kind
from headwater.scene.order import Done, assets_of, open_needs

PARTS = {
    "goal": Text("目标", "goal"),
    "scope": Text("范围", "scope"),
    "method": Text("方法", "method"),
    "people": Text("人员与分工", "people"),
    "tools": Text("工具", "tools"),
    "due": Text("进度安排", "schedule"),
}
STATES: Mapping[str, Text] = {
    "done": Text("已完成", "done"),
    "waived": Text("经决定不做", "waived"),
    "next": Text("下一步", "next"),
    "open": Text("待办", "open"),
    "late": Text("已逾期", "OVERDUE"),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """``people``: name → part; ``assets``: name → what else it is called (address, instance id); ``due``: act → RFC 3339."""

    kind: str = "response"
    goal: str = ""
    scope: str = ""
    method: str = ""
    people: Mapping[str, str] = field(default_factory=dict)
    tools: tuple[str, ...] = ()
    assets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    due: Mapping[str, str] = field(default_factory=dict)

    @property
    def rules(self) -> Kind:
        """What this kind of investigation asks."""
        return KINDS[self.kind]

    def missing(self) -> tuple[str, ...]:
        """The parts that were not recorded; :data:`PARTS` has what each is called."""
        return tuple(name for name in PARTS if not getattr(self, name))

    def asset(self, name: str) -> str:
        """The asset of a name or of one of its other names; a name that the plan does not know stands for itself."""
        for asset, others in self.assets.items():
            if name == asset or name in others:
                return asset
        return name


def from_plain(raw: Mapping[str, Any]) -> Plan:
    """The plan behind its JSON."""
    known = {k: v for k, v in raw.items() if k in Plan.__dataclass_fields__}
    known["tools"] = tuple(known.get("tools", ()))
    known["assets"] = {str(k): tuple(v) for k, v in dict(known.get("assets", {})).items()}
    return checked(Plan(**known))


def checked(plan: Plan) -> Plan:
    """The plan itself, if its kind, acts and times are such.

    Raises:
        UsageError: HW1018 no such kind or act, HW2155 no time, HW0001 a name that stands for two assets.
    """
    if plan.kind not in KINDS:
        raise UsageError("HW1018", what=plan.kind, known=", ".join(KINDS))
    for act, when in plan.due.items():
        if act not in ACTS:
            raise UsageError("HW1018", what=act, known=", ".join(ACTS))
        try:
            from_rfc3339(when)
        except ValueError as error:
            raise UsageError("HW2155", what=when) from error
    names = [n for asset, others in plan.assets.items() for n in (asset, *others)]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise UsageError("HW0001", what=f"--asset {', '.join(twice)}")
    return plan


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the checklist. ``state``: a key of :data:`STATES`; ``when``: of the act, ns; ``due``: RFC 3339."""

    asset: str
    stage: Text
    need: Text
    acts: tuple[str, ...]
    state: str
    when: int | None = None
    due: str = ""


def checklist(plan: Plan, history: Sequence[Done], now: int) -> list[Row]:
    """Every need of every stage of every asset, in order."""
    rows = []
    for asset in assets_of(history, tuple(plan.assets)):
        stages = plan.rules.stages
        first_open = next((s for s in stages if open_needs(s, asset, history, now)), None)
        for stage in stages:
            for group in NEEDS[stage]:
                done = sorted(
                    (d for d in history if d.asset in {asset, ""} and {d.act, d.waives} & set(group)),
                    key=lambda d: d.when,
                )
                due = next((plan.due[n] for n in group if n in plan.due), "")
                if done:
                    really = [d for d in done if d.act in group]
                    state, when = ("done", really[0].when) if really else ("waived", done[0].when)
                else:
                    late = bool(due) and from_rfc3339(due) < now
                    state, when = "late" if late else "next" if stage == first_open else "open", None
                need = Text("或".join(ACTS[n].text.zh for n in group), " or ".join(ACTS[n].text.en for n in group))
                rows.append(Row(asset, STAGES[stage], need, group, state, when, due))
    return rows
