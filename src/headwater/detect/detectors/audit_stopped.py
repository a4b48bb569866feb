# SPDX-License-Identifier: Apache-2.0
"""The kernel's audit was switched off, or its rules were taken away and not given back.

Needs:      linux.audit.
Technique:  T1562.012 disable or modify the Linux audit system.
Says:       when recording was switched off (``audit_enabled`` from 1 to 0) or how many rules were removed, by whose login. What was done
            until it was on again is not in this log. A daemon that was killed and rules that were changed in their file are not told,
            nor what the system's own start switches before the daemon runs.
False when: an administrator measured a server's speed without audit, or took rules away that filled the disk.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.frames import state, take
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="audit-stopped",
    version="2",
    author="Headwater",
    title=Text("内核审计被关闭或规则被清除", "The kernel's audit was switched off or emptied"),
    stage=Stage.COVER,
    techniques=("T1562.012",),
    severity=Severity.HIGH,
)
CLAIMS = ("kind", "user", "event_code", "op", "audit_enabled", "old", "key", "auid", "ses")
_OWN = ("op", "audit_enabled", "old", "key", "auid", "ses", "res")
_NOBODY = ("4294967295", "-1")  # no login stands behind it: a service or the system's start
_GIVEN_BACK = 300 * 1_000_000_000  # nanoseconds: loading rules anew removes all of them first
_STOPPED = 60 * 1_000_000_000  # a daemon that is stopped in order takes its rules along (RHEL's AUDITD_CLEAN_STOP)
_START = 60 * 1_000_000_000  # at each start journald switches the kernel's audit off, and auditd on again
MOST = 100


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Switched off first, then emptied; each by source, path and time."""
    rows = take(
        events, kinds=[EventKind.AUDIT_CONFIG], feeds=["linux.audit"], header=["host", "user", "event_code", "outcome"], own=_OWN
    )  # fmt: skip
    rows = rows.with_columns(pl.col(name).cast(pl.String) for name in _OWN).filter(pl.col("ts").is_not_null())
    rows = rows.sort("source", "ts", "path", "offset", maintain_order=True)
    yield from _switched(events, rows)
    yield from _emptied(events, rows)


def _by_login(row: dict[str, object]) -> bool:
    return row["auid"] is not None and row["auid"] not in _NOBODY


def _switched(events: Events, rows: pl.DataFrame) -> Iterator[Finding]:
    off = rows.filter(
        (pl.col("audit_enabled") == "0") & pl.col("old").is_in(["1", "2"]) & (pl.col("res") != "0").fill_null(True)
    )
    for row in off.head(MOST).iter_slices(1):
        said = row.to_dicts()[0]
        who = str(said["user"] or said["auid"] or "")
        person = _by_login(said)
        if not person and _starts(rows, said["source"], said["ts"]):
            continue
        by = (
            (f"登录用户 {who} ", f"the login of {who}") if person else ("无登录会话的进程", "a process without a login")
        )
        zh = f"内核审计被{by[0]}关闭，至重新开启之前的操作不在审计日志之中。"
        en = f"The kernel's audit was switched off by {by[1]}; until it is on again, what is done is not in its log."
        yield state(
            events, RULE, row, CLAIMS, Text(zh, en), severity=Severity.HIGH if person else Severity.LOW,
            confidence=Confidence.HIGH if person else Confidence.LOW, facts={"reason": "off", "by_login": person},
        )  # fmt: skip


def _starts(rows: pl.DataFrame, source: int, moment: int) -> bool:
    """Whether the audit's daemon started at about this time."""
    started = (pl.col("source") == source) & (pl.col("event_code") == "DAEMON_START")
    return not rows.filter(started & pl.col("ts").is_between(moment - _START, moment + _START)).is_empty()


def _emptied(events: Events, rows: pl.DataFrame) -> Iterator[Finding]:
    removed = rows.filter((pl.col("op") == "remove_rule") & (pl.col("res") != "0").fill_null(True))
    removed = removed.filter(pl.col("auid").is_not_null() & ~pl.col("auid").is_in(_NOBODY))
    told = 0
    for part in removed.partition_by("source", "auid", "ses", maintain_order=True):
        times = part["ts"]
        bursts = part.with_columns((times.diff().fill_null(0) > _STOPPED).cum_sum().alias("burst"))
        for burst in bursts.partition_by("burst", maintain_order=True):
            first, last = int(burst["ts"][0]), int(burst["ts"][-1])
            same = (pl.col("source") == burst["source"][0]) & (pl.col("ts") >= first)
            back = rows.filter(same & (pl.col("op") == "add_rule") & (pl.col("ts") <= last + _GIVEN_BACK))
            ended = rows.filter(same & (pl.col("event_code") == "DAEMON_END") & (pl.col("ts") <= last + _STOPPED))
            if back.height or ended.height or told == MOST:
                continue
            told += 1
            who, count = str(burst["user"].drop_nulls().first() or burst["auid"][0]), burst.height
            zh = f"登录用户 {who} 删除了 {count} 条审计规则，随后没有重新加载。"
            en = f"The login of {who} removed {count} rule{'s' if count > 1 else ''} of the audit, and none was loaded again."
            yield state(
                events, RULE, burst.drop("burst"), CLAIMS, Text(zh, en), severity=Severity.MEDIUM, confidence=Confidence.MEDIUM,
                facts={"reason": "emptied", "rules": count}, limit=50,
            )  # fmt: skip
