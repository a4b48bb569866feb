# SPDX-License-Identifier: Apache-2.0
"""Whether an act may be done now: the order of the stages, and the guards that no order overrides.

1. Inversions: a stage that comes before the act's own is neither done nor decided against at the time of the act. It may be
   done all the same, for a reason, and that is a decision which is recorded.
2. Guards: power and memory end only after memory and the keys of unlocked volumes are held or waived by name; the original is not cleaned
   before it is held as a copy. A reason alone does not pass a guard.
3. What has happened all the same, by whose hand ever, is recorded as having happened, with the guard that it broke.

Judged by the times of the acts, not by the order in which they are written down, and for each asset by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headwater.model.nouns import Text
from headwater.scene.acts import ACTS, NEEDS, STAGES, Kind, Stage


@dataclass(frozen=True, slots=True)
class Done:
    """An act that was done, on an asset ('' for all of them) at a time (ns since 1970). ``waives``: of a waiver, what."""

    act: str
    asset: str
    when: int
    waives: str = ""
    unencrypted: bool = False  # of a memory image: the server had no unlocked encrypted volume


@dataclass(frozen=True, slots=True)
class Judged:
    """``inversions`` need a reason; ``guards`` refuse."""

    inversions: tuple[Text, ...] = ()
    guards: tuple[Text, ...] = ()


def assets_of(history: Iterable[Done], named: Sequence[str] = ()) -> tuple[str, ...]:
    """Every asset that is named or that something was done to; ('',) where there is none."""
    found = dict.fromkeys((*named, *(d.asset for d in history if d.asset)))
    return tuple(found) or ("",)


def settled(name: str, asset: str, history: Iterable[Done], until: int) -> bool:
    """Whether an act was done on the asset, or waived for it, by this time."""
    return any(
        d.when <= until and d.asset in {asset, ""} and name in {d.act, d.waives}
        for d in history
    )  # fmt: skip


def open_needs(stage: Stage, asset: str, history: Sequence[Done], until: int) -> tuple[tuple[str, ...], ...]:
    """The groups of a stage out of which nothing is settled yet."""
    return tuple(g for g in NEEDS[stage] if not any(settled(n, asset, history, until) for n in g))


def judge(kind: Kind, history: Sequence[Done], wanted: Done, named: Sequence[str] = ()) -> Judged:
    """What stands against an act that is wanted, given what was done. ``named``: the assets of the plan."""
    over = (wanted.asset,) if wanted.asset else assets_of(history, named)
    inversions: list[Text] = []
    guards: list[Text] = []
    for asset in over:
        inversions += _inversions(kind, history, wanted, asset)
        guards += _guards(kind, history, wanted, asset)
    return Judged(tuple(dict.fromkeys(inversions)), tuple(dict.fromkeys(guards)))


def _inversions(kind: Kind, history: Sequence[Done], wanted: Done, asset: str) -> Iterable[Text]:
    act = ACTS[wanted.act]
    if act.stage is not None and act.stage in kind.stages:
        before = [s for s in kind.stages if s < act.stage]
    elif wanted.act in {"stop", "power-off", "reboot", "hibernate"}:
        before = [s for s in kind.stages if s <= Stage.COPY]  # a copy first, then stop: 必要时停止实例但先完成快照
    elif wanted.act in {"release", "rebuild"}:
        before = [s for s in kind.stages if Stage.MEMORY <= s <= Stage.COLLECT]
    else:
        before = []
    for stage in before:
        if open_needs(stage, asset, history, wanted.when):
            yield _text(asset, f"{act.text.zh}在“{STAGES[stage].zh}”之前", f"{act.text.en} before {STAGES[stage].en}")
    if act.writes is not None:
        yield _text(asset, act.writes.zh, act.writes.en)


def _guards(kind: Kind, history: Sequence[Done], wanted: Done, asset: str) -> Iterable[Text]:
    act, until = ACTS[wanted.act], wanted.when
    if act.ends_memory:
        if not settled("memory", asset, history, until):
            yield _text(asset, "内存尚未提取", "memory is not held")
        if not _keys(asset, history, until):
            yield _text(
                asset,
                "已解锁的加密卷（LUKS、BitLocker）密钥尚未固定",
                "keys of unlocked volumes (LUKS, BitLocker) are not held",
            )
    if wanted.act == "clean" and not _copied(asset, history, until):
        yield _text(asset, "原机尚无快照或镜像，不得清理", "there is no snapshot or image of the original to clean")
    if wanted.act == "clean" and Stage.COLLECT in kind.stages and open_needs(Stage.COLLECT, asset, history, until):
        yield _text(asset, "采集尚未完成，不得清理", "collection is not done: nothing is cleaned before it")


def _copied(asset: str, history: Sequence[Done], until: int) -> bool:
    """Whether a copy is really there: a waiver makes none."""
    return any(d.act in {"snapshot", "image"} and d.asset in {asset, ""} and d.when <= until for d in history)


def _keys(asset: str, history: Sequence[Done], until: int) -> bool:
    """Whether the keys are held or waived, or a memory image says that no encrypted volume was unlocked."""
    return settled("keys", asset, history, until) or any(
        d.act == "memory" and d.unencrypted and d.asset in {asset, ""} and d.when <= until for d in history
    )


def _text(asset: str, zh: str, en: str) -> Text:
    return Text(f"{asset}：{zh}", f"{asset}: {en}") if asset else Text(zh, en)
