# SPDX-License-Identifier: Apache-2.0
"""Onward connections: told only where known_hosts was written after an entry; an administrator's own file is quiet."""

from __future__ import annotations

from memory_events import MemoryEvents

from headwater.detect import registry
from headwater.model.kinds import EventKind, Outcome, TimeBasis
from headwater.model.ports import Settings
from headwater.model.records import Event

MINUTE = 60 * 1_000_000_000
START = 1_772_420_000 * 1_000_000_000
PATH = "/root/.ssh/known_hosts"


def _auth(at: int, good: bool) -> Event:
    kind = EventKind.AUTH_SUCCESS if good else EventKind.AUTH_FAILURE
    outcome = Outcome.SUCCESS if good else Outcome.FAILURE
    return Event(at, 1, kind, START + at * 1_000_000_000, TimeBasis.UTC, outcome=outcome, user="root",
                 src_ip="203.0.113.66", fields={"method": "password"})  # fmt: skip


def _events(written: int, guessed: bool) -> MemoryEvents:
    key = Event(0, 80, EventKind.STATE_HOST_KEY, user="root", dst_ip="10.20.0.8", file_path=PATH,
                fields={"hosts": "10.20.0.8", "hashed": False, "key_fingerprint": "SHA256:x"})  # fmt: skip
    times = Event(0, 256, EventKind.FILE_MODIFIED, written, TimeBasis.UTC, file_path=PATH)
    auth = [_auth(n, False) for n in range(40 if guessed else 1)] + [_auth(60, True)]
    held = MemoryEvents()
    held.put("linux.auth", "/var/log/auth.log", auth)
    held.put("linux.known_hosts", PATH, [key])
    held.put("fs.macb", "/", [times])
    return held


def _found(events: MemoryEvents) -> list[str]:
    detector = registry.all_detectors()["known-hosts-after-entry"]
    return [f"{f.severity.value} {f.facts['hosts']}" for f in registry.run(detector, events, Settings())]


def test_host_noted_after_the_entry_is_told() -> None:
    assert _found(_events(START + 10 * MINUTE, guessed=True)) == ["medium 10.20.0.8"]


def test_file_written_long_before_says_nothing() -> None:
    assert _found(_events(START - 10_000 * MINUTE, guessed=True)) == []


def test_without_an_entry_an_administrators_file_says_nothing() -> None:
    assert _found(_events(START + 10 * MINUTE, guessed=False)) == []
