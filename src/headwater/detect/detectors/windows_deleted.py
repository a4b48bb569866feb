# SPDX-License-Identifier: Apache-2.0
"""Registry values that were deleted and that held the command of an intruder.

Needs:      registry.value of windows.registry in the states deleted and gone-once-replayed.
Technique:  T1112 registry; T1070 removal of traces; the technique of the command itself.
Says:       which deleted value held which command, what is claimed of where it hung, and whether its data is as it was left.
False when: a product cleaned up after an installation from a temporary folder; its time of deletion is not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import polars as pl

from headwater.detect.frames import state, take
from headwater.detect.windows_commands import SIEVE, signs
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings
from headwater.model.records import Value

RULE = Rule(
    id="windows-deleted",
    version="1",
    author="Headwater",
    title=Text("已删除的注册表值曾含可疑命令", "A deleted registry value held a suspicious command"),
    stage=Stage.COVER,
    techniques=("T1112", "T1070"),
    severity=Severity.MEDIUM,
)
CLAIMS = ("kind", "key", "value", "value_type", "data", "state", "claim")
_TEXTS = ("REG_SZ", "REG_EXPAND_SZ", "REG_MULTI_SZ")
_STATES = ("deleted", "gone-once-replayed")
_STARTS = ("\\run", "\\services\\", "\\taskcache\\", "\\winlogon", "\\image file execution options\\")


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """One finding per command and hive, in order of source, path and place."""
    text = pl.col("data").str.to_lowercase().str.contains_any(list(SIEVE))
    rows = take(
        events, kinds=[EventKind.REGISTRY_VALUE], feeds=["windows.registry"], header=["user", "host"],
        own=["key", "value", "value_type", "data", "state", "claim"],
        where=pl.col("state").is_in(_STATES) & pl.col("value_type").is_in(_TEXTS) & text,
    )  # fmt: skip
    seen: set[tuple[Any, ...]] = set()
    for row in rows.sort("source", "path", "offset", "ordinal").iter_slices(1):
        said = row.to_dicts()[0]
        mark = (said["source"], said["path"], said["data"])
        strong = [sign for sign in signs(said["data"]) if sign.strong]
        if not strong or mark in seen:
            continue
        seen.add(mark)
        key, shown = said["key"] or "?", said["data"][:200]
        started = any(part in f"{key.lower()}\\" for part in _STARTS)
        zh_why, en_why = "；".join(s.zh for s in strong), "; ".join(s.en for s in strong)
        how_zh, how_en = (
            ("事务日志重放后不复存在", "gone once the log is replayed")
            if said["state"] != "deleted"
            else ("已删除", "deleted")
        )
        zh = f"注册表值 {key}\\{said['value']}（{how_zh}）曾为 {shown}：{zh_why}。依据：{said['claim'] or '日志'}。"
        en = f"The registry value {key}\\{said['value']}, {how_en}, was {shown}: {en_why}. What it rests on: {said['claim'] or 'the log'}."
        techniques = tuple(dict.fromkeys((*RULE.techniques, *(s.technique for s in strong))))
        facts: dict[str, Value] = {"key": key, "value": said["value"], "start": started}
        severity = Severity.HIGH if started else Severity.MEDIUM
        rule = replace(RULE, techniques=techniques)
        yield state(
            events, rule, row, CLAIMS, Text(zh, en), severity=severity, confidence=Confidence.MEDIUM, facts=facts
        )
