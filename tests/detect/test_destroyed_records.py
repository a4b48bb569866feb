# SPDX-License-Identifier: Apache-2.0
"""A deleted history and a truncated log are told with what came back of them; rotation and plain files are not."""

from __future__ import annotations

from memory_events import MemoryEvents

from headwater.detect import registry
from headwater.detect.detectors import destroyed_records
from headwater.model.kinds import EventKind, Severity
from headwater.model.ports import Settings


def remembered(path: str, reason: str = "deleted", size: int = 500, claim: str = "whole") -> MemoryEvents:
    own = {"reason": reason, "size": size, "content_claim": claim, "name_claim": "journal", "metadata_claim": "checksum",
           "blocks": 1, "blocks_free": 1}  # fmt: skip
    row = (EventKind.STATE_RECOVERED, "2026-03-02 03:04:05", {"file_path": path, "fields": own})
    return MemoryEvents().say("fs.recovered", "p1!deleted", row)


def run(events: MemoryEvents) -> list:
    return list(registry.run(destroyed_records, events, Settings()))


def test_history_and_log_are_told_with_size_and_recovery() -> None:
    (history,) = run(remembered("/root/.bash_history"))
    assert (history.severity, history.facts["size"]) == (Severity.MEDIUM, 500)
    assert "recovered whole" in history.text.en
    assert history.spans[0].claims["content_claim"] == "whole"
    (log,) = run(remembered("/$Truncated/var/log/auth.log", "truncated", 9000, "part"))
    assert (log.severity, log.facts["path"]) == (Severity.MEDIUM, "/var/log/auth.log")


def test_rotation_and_ordinary_deletions_stay_low_or_silent() -> None:
    events = remembered("/$Truncated/var/log/nginx/access.log", "truncated")
    beside = {"file_path": "/var/log/nginx/access.log.1", "fields": {"allocated": True}}
    events.say("fs.macb", "p1", (EventKind.FILE_MODIFIED, "2026-03-02 03:04:05", beside))
    (rotated,) = run(events)
    assert rotated.severity == Severity.LOW
    (vacuum,) = run(remembered("/var/log/journal/0f/user-1000.journal"))
    assert vacuum.severity == Severity.LOW
    assert not run(remembered("/var/log/syslog.7.gz"))
    assert not run(remembered("/home/alice/notes.txt"))
    (empty,) = run(remembered("/root/.bash_history", size=0, claim="empty"))
    assert empty.severity == Severity.LOW
