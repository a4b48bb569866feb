# SPDX-License-Identifier: Apache-2.0
"""Audit that was switched off or emptied, and a cloud's trail that was stopped, are told; rules loaded anew are not."""

from __future__ import annotations

import json

import pytest
from memory_events import MemoryEvents

from headwater.detect import registry
from headwater.detect.detectors import audit_stopped, cloud_logging
from headwater.examine.parsers import aws_cloudtrail
from headwater.examine.reading import Reading, run
from headwater.examine.registry import all_parsers
from headwater.formats.sources import MemorySource
from headwater.model.kinds import EventKind, Severity
from headwater.model.ports import Settings
from headwater.model.records import Event, Facts, File

CONFIG = "type=CONFIG_CHANGE msg=audit({}.100:{}): auid={} ses=3 {}\n"


START = "type=DAEMON_START msg=audit({}.700:7024): op=start ver=3.0.9 auid=4294967295 pid=317 uid=0 ses=4294967295 res=success\n"


def audited(*records: tuple[int, int, str], started: int | None = None) -> list[tuple[object, Severity]]:
    """Seconds, login and words of each record; ``started``: when the daemon starts."""
    text = "" if started is None else START.format(1_772_400_000 + started)
    text += "".join(CONFIG.format(1_772_400_000 + at, n, auid, said) for n, (at, auid, said) in enumerate(records, 100))
    source = MemorySource(text.encode())
    file = File("p1!/var/log/audit/audit.log", source.size, source.pread, 1, Facts())
    parser = all_parsers()["linux.audit"]
    rows = [
        row
        for batch in run(parser, Reading(file.path, file.size, (parser,), file, source))
        for row in batch.events.to_dicts()
    ]
    events = MemoryEvents()
    for row in rows:
        own = {
            k: row.get(k) for k in ("op", "audit_enabled", "old", "key", "auid", "ses", "res") if row.get(k) is not None
        }
        say = Event(
            row["offset"], row["length"], EventKind(row["kind"]), t_recorded=row["t_recorded"], user=row.get("user"),
            event_code=row["event_code"], fields=own,
        )  # fmt: skip
        events.put("linux.audit", file.path, [say])
    return [(f.facts["reason"], f.severity) for f in registry.run(audit_stopped, events, Settings())]


OFF, GONE, BACK = (
    "op=set audit_enabled=0 old=1 res=1",
    'op=remove_rule key="exec" list=4 res=1',
    'op=add_rule key="exec" list=4 res=1',
)


def test_audit_switched_off_by_a_login_is_high_and_by_the_system_low() -> None:
    assert audited((0, 1000, OFF)) == [("off", Severity.HIGH)]
    assert audited((0, 4294967295, OFF)) == [("off", Severity.LOW)]


def test_the_systems_start_is_no_end_of_recording() -> None:
    assert audited((0, 4294967295, OFF), started=2) == []
    assert audited((0, 4294967295, OFF), started=200) == [("off", Severity.LOW)]
    assert audited((0, 1000, OFF), started=2) == [("off", Severity.HIGH)]


def test_rules_that_were_removed_for_good_are_one_finding() -> None:
    assert audited((0, 1000, GONE), (0, 1000, GONE), (1, 1000, GONE)) == [("emptied", Severity.MEDIUM)]


@pytest.mark.parametrize(
    "records",
    [
        ((0, 1000, GONE), (0, 1000, GONE), (1, 1000, BACK)),  # augenrules --load
        ((0, 4294967295, GONE),),  # at the system's start
        ((0, 1000, "op=set audit_enabled=1 old=0 res=1"),),
        ((0, 1000, "op=set audit_enabled=2 old=1 res=1"),),  # locked until the next start
        ((0, 1000, "op=set audit_enabled=0 old=0 res=1"),),
        ((0, 1000, "op=set audit_enabled=0 old=1 res=0"),),  # refused
        ((0, 1000, "op=set audit_backlog_limit=8192 old=64 res=1"),),
        ((0, 1000, "op=set audit_pid=0 old=812 res=1"),),  # the daemon ends
    ],
)
def test_rules_loaded_anew_and_other_settings_are_silent(records: tuple[tuple[int, int, str], ...]) -> None:
    assert audited(*records) == []


def called(name: str, **more: object) -> list[tuple[object, Severity]]:
    entry = {
        "eventTime": "2026-03-02T03:04:05Z", "eventSource": "cloudtrail.amazonaws.com", "eventName": name, "awsRegion": "eu-west-1",
        "sourceIPAddress": "203.0.113.7", "userIdentity": {"type": "IAMUser", "userName": "ops"}, **more,
    }  # fmt: skip
    data = json.dumps(entry).encode() + b"\n"
    records = [r for r in aws_cloudtrail.parse(File.of(data, "/x_CloudTrail_1.json")) if isinstance(r, Event)]
    events = MemoryEvents().put("aws.cloudtrail", "/x_CloudTrail_1.json", records)
    return [(f.facts["reason"], f.severity) for f in registry.run(cloud_logging, events, Settings())]


def test_a_trail_that_was_stopped_is_high_refused_medium_and_narrowed_low() -> None:
    assert called("StopLogging") == [("stopped", Severity.HIGH)]
    assert called("DeleteTrail", errorCode="AccessDenied") == [("stopped", Severity.MEDIUM)]
    assert called("PutEventSelectors") == [("narrowed", Severity.LOW)]


@pytest.mark.parametrize("name", ["StartLogging", "CreateTrail", "DescribeTrails", "GetTrailStatus"])
def test_calls_that_read_or_begin_a_trail_are_silent(name: str) -> None:
    assert called(name) == []
