# SPDX-License-Identifier: Apache-2.0
"""Zeroed records and missing rotations are told; a crash's tail of zeros and a full rotation are not more than low."""

from __future__ import annotations

from memory_events import MemoryEvents

from headwater.detect import registry
from headwater.detect.detectors import cleaned_logs
from headwater.model.kinds import EventKind, Severity, Stage
from headwater.model.ports import Settings

WTMP = "p1!/var/log/wtmp"


def run(events: MemoryEvents) -> list:
    return list(registry.run(cleaned_logs, events, Settings()))


def wtmp(*offsets: int) -> MemoryEvents:
    events = MemoryEvents()
    for offset in offsets:
        events.offset = offset
        events.say("linux.wtmp", WTMP, (EventKind.SESSION_OPEN, offset, {"user": "ops", "fields": {"line": "pts/0"}}))
    return events


def files(*paths: str, **own: object) -> MemoryEvents:
    rows = [
        (EventKind.FILE_MODIFIED, 1, {"file_path": p, "fields": {"size": 10, "allocated": True, **own}}) for p in paths
    ]
    return MemoryEvents().say("fs.macb", "p1", *rows)


def test_zeros_between_records_are_a_cleaner() -> None:
    (found,) = run(wtmp(0, 384, 1536).gap(WTMP, "linux.wtmp", 768, 768, "overwritten", "two records of zeros"))
    assert found.severity == Severity.HIGH
    assert found.rule.stage == Stage.COVER
    assert found.gaps[0].span.offset == 768
    assert found.facts["bytes"] == 768


def test_zeros_at_the_end_and_other_gaps_are_not() -> None:
    (tail,) = run(wtmp(0, 384).gap(WTMP, "linux.wtmp", 768, 384, "overwritten"))
    assert tail.severity == Severity.LOW
    assert run(wtmp(0, 384).gap(WTMP, "linux.wtmp", 192, 10, "truncated")) == []
    assert run(wtmp(0).gap("p1!/var/log/lastlog", "linux.lastlog", 0, 292, "overwritten")) == []


def test_a_missing_number_of_a_security_log() -> None:
    logs = ["/var/log/auth.log", "/var/log/auth.log.1", "/var/log/auth.log.3.gz", "/var/log/auth.log.4.gz"]
    (found,) = run(files(*logs))
    assert found.severity == Severity.MEDIUM
    assert found.facts["missing"] == "2"
    (gone,) = run(files("/var/log/secure.1", "/var/log/secure.2.gz"))
    assert "/var/log/secure" in gone.text.zh


def test_what_is_missing_of_a_rotation_is_said_in_one_language_and_counted() -> None:
    (one,) = run(files("/var/log/auth.log", "/var/log/auth.log.1", "/var/log/auth.log.3.gz"))
    assert ".2 is missing while .3 is there" in one.text.en
    (many,) = run(files("/var/log/auth.log", "/var/log/auth.log.1", "/var/log/auth.log.14.gz"))
    assert ".2, .3, .4, .5, .6, .7, .8, .9 and 4 more are missing while .14 is there" in many.text.en
    assert ".8、.9 等 12 个" in many.text.zh
    assert "、" not in many.text.en


def test_full_rotations_and_dated_ones_are_nothing() -> None:
    logs = ["/var/log/syslog", "/var/log/syslog.1", "/var/log/syslog.2.gz", "/var/log/messages-20260301.gz"]
    more = ["/var/log/nginx/access.log", "/var/log/nginx/access.log.1", "/var/log/apt/history.log.1.gz"]
    assert run(files(*logs, *more)) == []
    (low,) = run(files("/var/log/nginx/error.log.1", "/var/log/nginx/error.log.3.gz"))
    assert low.severity == Severity.LOW


def test_links_to_nothing_and_a_cleared_log() -> None:
    (history,) = run(files("/root/.bash_history", target="/dev/null"))
    assert (history.rule.id, history.severity) == ("history-to-nothing", Severity.MEDIUM)
    (log,) = run(files("/var/log/wtmp", target="/dev/null"))
    assert log.severity == Severity.HIGH
    assert run(files("/var/log/nginx/access.log", target="/dev/stdout")) == []
    cleared = MemoryEvents().say("linux.syslog", "/var/log/syslog", (EventKind.LOG_CLEARED, 1, {}))
    assert run(cleared)[0].severity == Severity.MEDIUM
