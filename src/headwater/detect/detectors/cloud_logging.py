# SPDX-License-Identifier: Apache-2.0
"""A cloud's own record of its calls was stopped, deleted or narrowed.

Needs:      aws.cloudtrail, cloud.actiontrail.
Technique:  T1562.008 disable or modify cloud logs.
Says:       which call did it, by whom, from where, and whether it was refused. What was called afterwards may be missing; events of the
            last 90 days stay in the provider's own history, which is worth asking for. Whether the trail was the only one is not known.
False when: a trail was moved to another account or region, or made anew by a tool that writes infrastructure.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.detect.frames import state, take
from headwater.model.kinds import Confidence, EventKind, Outcome, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="cloud-logging-stopped",
    version="1",
    author="Headwater",
    title=Text("云端操作审计被停止或删除", "A cloud's record of its calls was stopped or deleted"),
    stage=Stage.COVER,
    techniques=("T1562.008",),
    severity=Severity.HIGH,
)
CLAIMS = ("kind", "event_code", "user", "src_ip", "outcome", "provider")
_ENDS = {
    "StopLogging": ("停止记录", "stopped recording"),
    "DeleteTrail": ("删除了审计跟踪", "deleted the trail"),
    "DeleteFlowLogs": ("删除了流日志", "deleted flow logs"),
}
MOST = 100


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """By time, then source, path and place; one finding for each call."""
    rows = take(
        events, kinds=[EventKind.AUDIT_CONFIG], feeds=["aws.cloudtrail", "cloud.actiontrail"],
        header=["host", "event_code", "user", "src_ip", "outcome", "provider"],
    )  # fmt: skip
    for row in rows.head(MOST).iter_slices(1):
        said = row.to_dicts()[0]
        call, who = str(said["event_code"]), str(said["user"] or "?")
        ends = call in _ENDS
        zh, en = _ENDS.get(call, ("更改了记录范围", "changed what is recorded"))
        refused = said["outcome"] == Outcome.FAILURE.value
        severity = Severity.LOW if not ends else Severity.MEDIUM if refused else Severity.HIGH
        yield state(
            events, RULE, row, CLAIMS,
            Text(
                f"{who} 以 {call} {'试图' if refused else ''}{zh}{'，被拒绝' if refused else ''}。",
                f"{who} {'tried and was refused' if refused else en} ({call}).",
            ),
            severity=severity, confidence=Confidence.HIGH if ends and not refused else Confidence.MEDIUM,
            facts={"reason": "stopped" if ends else "narrowed", "call": call, "refused": refused},
        )  # fmt: skip
