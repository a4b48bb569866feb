# SPDX-License-Identifier: Apache-2.0
"""Suspicious commands in shell histories: downloads that are run, reverse shells, scans, exfiltration, covering tracks.

Needs:      command.history (linux.history).
Technique:  those of the traits in detect/command_table.py.
Says:       which lines of whose history are of which kind; a history states commands typed, not that they succeeded.
False when: an administrator tests or scans on purpose; the history was planted.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.command_findings import Kept, found_in
from headwater.detect.frames import account_zh, take
from headwater.detect.intrusion import entries
from headwater.model.kinds import EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.paths import file_layer
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="shell-history",
    version="2",
    author="Headwater",
    title=Text("命令历史中的可疑命令", "Suspicious commands in a shell history"),
    stage=Stage.SPREAD,
    techniques=("T1059.004",),
    severity=Severity.HIGH,
)
CLAIMS = ("kind", "user", "command_line")


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Findings by source and history file, then by stage."""
    rows = take(
        events,
        kinds=[EventKind.COMMAND_HISTORY],
        header=["user", "command_line", "host"],
        where=pl.col("command_line").is_not_null(),
    ).sort("source", "path", "offset", "ordinal")
    if rows.is_empty():
        return
    held = entries(events, settings)
    for part in rows.partition_by("source", "path", maintain_order=True):
        path, user = file_layer(part["path"][0]), part["user"][0]
        zh = f"{path}（{account_zh(user)}的命令历史）中的命令"
        en = f"Commands in {path} (history of {user or 'an account not recorded'})"
        yield from found_in(events, part, Kept(RULE, zh, en, "command_line", CLAIMS), user, held)
