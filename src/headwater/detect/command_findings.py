# SPDX-License-Identifier: Apache-2.0
"""Findings from command lines, whatever recorded them: traits by stage, weighed by what stands beside them.

A strong trait counts by itself, an equivocal one only beside another or after an entry; a weak one is everyday work and
counts only where the same record holds a strong one, or the account is that of an entry.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from headwater.detect.command_table import Trait
from headwater.detect.commands import EQUIVOCAL, excerpt, plainly, quoted, suspicious, targets, told
from headwater.detect.frames import state
from headwater.detect.intrusion import Entries, Entry
from headwater.model.kinds import Confidence, Severity, Stage
from headwater.model.nouns import Citation, Finding, Rule, Text
from headwater.model.ports import Events
from headwater.model.records import Value


@dataclass(frozen=True, slots=True)
class Kept:
    """Where the commands of one account were kept: how a sentence names it, and what is claimed of its rows."""

    rule: Rule
    zh: str
    en: str
    column: str
    claims: tuple[str, ...]


def _near(rows: pl.DataFrame, user: str | None, held: Entries) -> Entry | None:
    """An entry as this very account, or before whose day's end one of its commands ran."""
    if rows.is_empty():
        return None
    source = int(rows["source"][0])
    times = sorted(int(t) for t in rows["ts"].drop_nulls().to_list())
    for entry in held.of(source):
        at = bisect.bisect_left(times, entry.since)
        if at < len(times) and times[at] <= entry.until:
            return entry
        if not times and user is not None and entry.user == user:
            return entry
    return None


def found_in(events: Events, rows: pl.DataFrame, kept: Kept, user: str | None, held: Entries) -> Iterator[Finding]:
    """The findings of one account's commands in one place, by stage; ``rows`` in order of place.

    Commands of the day after an entry, and those without a time, are judged apart from those of other days: what an
    administrator typed last week is not told as the intruder's.
    """
    near = pl.col("ts").is_null()
    for since, until in held.covered(int(rows["source"][0])):
        near |= pl.col("ts").is_between(since, until)
    for part in (rows.filter(~near), rows.filter(near)):
        if part.height:
            yield from _of_one_time(events, part, kept, user, held)


def _of_one_time(events: Events, rows: pl.DataFrame, kept: Kept, user: str | None, held: Entries) -> Iterator[Finding]:
    traits = suspicious(rows, kept.column)
    if not traits:
        return
    strong = {t.name for ts in traits.values() for t in ts if t.strong}
    entry = _near(rows.filter(pl.col(kept.column).is_in(list(traits))), user, held)
    as_user = any(e.user == user for e in held.of(int(rows["source"][0]))) if user else False
    with_weak = bool(strong - EQUIVOCAL) or len(strong) > 1 or as_user
    for stage in Stage:
        chosen = {c: [t for t in ts if t.stage == stage and (t.strong or with_weak)] for c, ts in traits.items()}
        chosen = {c: ts for c, ts in chosen.items() if ts}
        if chosen:
            part = rows.filter(pl.col(kept.column).is_in(list(chosen)))
            yield _finding(events, part, kept, user, stage, chosen, _weigh(chosen, strong, entry, with_weak), entry)


def _weigh(chosen: dict[str, list[Trait]], strong: set[str], entry: Entry | None, with_weak: bool) -> Severity:
    mine = {t.name for ts in chosen.values() for t in ts if t.strong}
    if mine and (entry is not None or len(strong) > 1):
        return Severity.HIGH
    if mine - EQUIVOCAL:
        return Severity.MEDIUM
    return Severity.MEDIUM if not mine and with_weak and (entry is not None or len(strong) > 1) else Severity.LOW


def _finding(
    events: Events,
    part: pl.DataFrame,
    kept: Kept,
    user: str | None,
    stage: Stage,
    chosen: dict[str, list[Trait]],
    severity: Severity,
    entry: Entry | None,
) -> Finding:
    ordered: list[Trait] = [t for c in part[kept.column].to_list() for t in chosen[c]]
    techniques = tuple(dict.fromkeys(t.technique for t in sorted(ordered, key=lambda t: not t.strong)))
    base = kept.rule
    rule = Rule(f"{base.id}-{stage.value}", base.version, base.author, base.title, stage, techniques, base.severity)
    commands = list(dict.fromkeys(part[kept.column].to_list()))
    zh = f"{kept.zh}有 {part.height} 条属于可疑类别“{told(ordered, 'zh')}”：{quoted(commands, 'zh', 4)}。"
    en = f"{kept.en}: {part.height} of a suspicious kind ({told(ordered, 'en')}): {quoted(commands, 'en', 4)}"
    plain = plainly(commands, 20)
    if plain:
        zh += f"解码后为：{quoted(plain, 'zh', 3, 200)}。"
        en += f"; decoded: {quoted(plain, 'en', 3, 200)}"
    beside: tuple[Citation, ...] = ()
    if entry is not None:
        beside = entry.spans
        zh += f"该账户或时段与 {entry.src_ip or '?'} 进入本机的记录相接。"
        en += f". The account or time joins the records of {entry.src_ip or '?'} entering this host"
    facts: dict[str, Value] = {
        "traits": ",".join(dict.fromkeys(t.name for t in ordered)),
        "commands": part.height,
        "targets": targets([*commands, *plain]) if stage in (Stage.SPREAD, Stage.IMPACT) else None,
        "decoded": " ⏎ ".join(excerpt(p, 500) for p in plain) or None,
    }
    return state(
        events, rule, part, kept.claims, Text(zh, en + "."), severity=severity,
        confidence=Confidence.HIGH if any(t.strong and t.name not in EQUIVOCAL for t in ordered) else Confidence.MEDIUM,
        facts={k: v for k, v in facts.items() if v is not None}, beside=beside, user=user,
    )  # fmt: skip
