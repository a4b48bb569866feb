# SPDX-License-Identifier: Apache-2.0
"""Suspicious commands that were logged as run: by the audit system, by sudo, by cron.

Needs:      process.create (linux.audit), privilege.use (linux.auth, linux.journal), schedule.run.
Technique:  those of the traits in detect/command_table.py.
Says:       which account ran which command, as the log of the act itself states.
False when: an administrator tests or scans on purpose; a package's script does such work.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.command_findings import Kept, found_in
from headwater.detect.commands import suspicious
from headwater.detect.frames import account_zh, main_feed, take
from headwater.detect.intrusion import entries
from headwater.model.kinds import EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="logged-command",
    version="2",
    author="Headwater",
    title=Text("日志记载执行了可疑命令", "Suspicious commands logged as run"),
    stage=Stage.SPREAD,
    techniques=("T1059.004",),
    severity=Severity.HIGH,
)
_BY = {
    "process.create": ("审计日志中", "the audit log says", ("kind", "user", "uid", "auid", "CommandLine", "Image")),
    "privilege.use": ("sudo 记录中", "sudo says", ("kind", "user", "command_line", "target_user")),
    "schedule.run": ("计划任务记录中", "cron says", ("kind", "user", "command_line")),
}


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Findings by what logged them, source and account, then by stage."""
    rows = take(
        events,
        kinds=[EventKind.PROCESS_CREATE, EventKind.PRIVILEGE_USE, EventKind.SCHEDULE_RUN],
        header=["user", "command_line", "host"],
        own=["CommandLine", "Image", "uid", "auid", "target_user"],
    )
    line = pl.coalesce(pl.col("CommandLine").cast(pl.String), pl.col("command_line"))
    who = pl.coalesce(pl.col("user"), pl.col("uid").cast(pl.String))
    rows = rows.with_columns(line.alias("line"), who.alias("who")).filter(pl.col("line").is_not_null())
    if rows.is_empty():
        return
    rows = main_feed(rows, "source", "kind")
    # what has no trait is in no finding: thousands of accounts cost one look at their commands together
    rows = rows.filter(pl.col("line").is_in(list(suspicious(rows, "line"))))
    if rows.is_empty():
        return
    held = entries(events, settings)
    for part in rows.sort("kind", "source", "who", "ts", "path", "offset", nulls_last=True).partition_by(
        "kind", "source", "who", maintain_order=True
    ):
        zh, en, claims = _BY[str(part["kind"][0])]
        user = part["who"][0]
        kept = Kept(
            RULE,
            f"{zh}{account_zh(user)}执行的命令",
            f"Of {user or 'an account not recorded'} {en}",
            "line",
            claims,
        )
        yield from found_in(events, part, kept, user, held)
