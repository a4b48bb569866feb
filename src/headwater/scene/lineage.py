# SPDX-License-Identifier: Apache-2.0
"""Lineage (来源关系): instance → volume → snapshot → volume made of it → image, and how consistent a set of snapshots is.

A snapshot of a running server is what its disk held at one moment, as after a power cut: caches that were not yet
written are not in it. Snapshots of several volumes that were not taken in one act are not of one moment either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from headwater.model.nouns import Text

CONSISTENCY: Mapping[str, Text] = {
    "stopped": Text("停机后创建", "taken while stopped"),
    "application": Text("应用一致（冻结写入后创建）", "application-consistent, writes frozen"),
    "crash": Text("崩溃一致（运行中创建）", "crash-consistent, taken while running"),
    "not recorded": Text("未记载", "not recorded"),
}
_LONGEST = 32
_TOGETHER_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Made:
    """``child`` was made of ``parent`` at a time (ns since 1970), in one act with all others of the same ``group``."""

    child: str
    parent: str
    when: int
    group: str
    consistency: str = ""
    asset: str = ""


class Tangled(ValueError):
    """Two parents for one thing, or a thing that is its own ancestor."""


def parents(made: Iterable[Made]) -> dict[str, Made]:
    """By child.

    Raises:
        Tangled: the relations contradict each other.
    """
    found: dict[str, Made] = {}
    for each in made:
        held = found.setdefault(each.child, each)
        if held.parent != each.parent:
            raise Tangled(f"{each.child}: {held.parent}, {each.parent}")
    for child in found:
        seen, at = {child}, child
        while at in found:
            at = found[at].parent
            if at in seen:
                raise Tangled(f"{child} → {at}")
            seen.add(at)
    return found


def chain(child: str, known: Mapping[str, Made]) -> tuple[str, ...]:
    """From a thing back to where it comes from, as far as that is recorded."""
    found = [child]
    while found[-1] in known and len(found) < _LONGEST:
        found.append(known[found[-1]].parent)
    return tuple(found)


def remarks(made: Sequence[Made]) -> list[Text]:
    """What has to be said of the snapshots' consistency, for the record."""
    found = []
    for each in made:
        if each.consistency:
            words = CONSISTENCY[each.consistency]
            found.append(
                Text(f"{each.child}（{each.parent}）：{words.zh}", f"{each.child} of {each.parent}: {words.en}")
            )
    for asset in dict.fromkeys(m.asset for m in made):
        live = [m for m in made if m.asset == asset and m.consistency not in {"", "stopped"}]
        times = sorted(m.when for m in live)
        if len({m.group for m in live}) > 1 and times[-1] - times[0] > _TOGETHER_NS:
            seconds = (times[-1] - times[0]) // 1_000_000_000
            found.append(
                Text(
                    f"{asset} 各卷快照前后相差 {seconds} 秒，彼此不属于同一时刻".strip(),
                    f"{asset} the volumes' snapshots lie {seconds} s apart: together they show no single moment".strip(),
                )
            )
    return found
