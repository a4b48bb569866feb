# SPDX-License-Identifier: Apache-2.0
"""One new extension on many files at once is told; rotations, packages, caches and copies are not."""

from __future__ import annotations

import pytest
from memory_events import MemoryEvents, at

from headwater.detect import registry
from headwater.detect.detectors import ransomware
from headwater.model.kinds import EventKind, Severity, Stage
from headwater.model.ports import Settings

START = at("2026-03-05 03:00:00")
SECOND = 1_000_000_000


def run(events: MemoryEvents) -> list:
    return list(registry.run(ransomware, events, Settings()))


def tree(pattern: str, n: int = 40, step: int = SECOND, allocated: bool = True) -> MemoryEvents:
    rows = []
    for i in range(n):
        path = pattern.format(i=i, folder="abcd"[i % 4], kind=("csv", "txt")[i % 2])
        own = {"size": 5, "allocated": allocated}
        rows.append((EventKind.FILE_CHANGED, START + i * step, {"file_path": path, "fields": own}))
        rows.append((EventKind.FILE_MODIFIED, START + i * step, {"file_path": path, "fields": own}))
    return MemoryEvents().say("fs.macb", "p1", *rows)


def test_a_burst_of_a_known_extension_is_critical() -> None:
    (found,) = run(tree("/srv/data/{folder}/r{i}.{kind}.encrypted"))
    assert (found.severity, found.rule.stage) == (Severity.CRITICAL, Stage.IMPACT)
    assert (found.facts["files"], found.facts["extension"], found.facts["seconds"]) == (40, "encrypted", 39)
    assert found.ts_first == START


def test_an_unknown_extension_is_high_and_a_note_makes_it_critical() -> None:
    events = tree("/srv/data/{folder}/r{i}.{kind}.kx7")
    assert run(events)[0].severity == Severity.HIGH
    note = (EventKind.FILE_CHANGED, START, {"file_path": "/srv/data/HOW_TO_DECRYPT.txt", "fields": {"size": 5}})
    (found,) = run(events.say("fs.macb", "p1", note))
    assert found.severity == Severity.CRITICAL


@pytest.mark.parametrize(
    "pattern",
    [
        "/var/log/{folder}/x{i}.log.gz",
        "/srv/{folder}/conf{i}.{kind}.dpkg-old",
        "/srv/{folder}/{i}.{kind}.bak",
        "/opt/app/{folder}/m{i}.cpython-311.pyc",
        "/var/lib/dpkg/info/p{i}.{kind}.zzz",
        "/srv/{folder}/{i}.encrypted",
        "/var/log/{folder}/x.log.{i}",
        "/srv/site/{folder}/{i}.{kind}.map",
    ],
)
def test_everyday_extensions_are_nothing(pattern: str) -> None:
    assert run(tree(pattern)) == []


def test_slow_few_or_deleted_files_are_nothing() -> None:
    assert run(tree("/srv/data/{folder}/r{i}.{kind}.kx7", step=86_400 * SECOND)) == []
    assert run(tree("/srv/data/{folder}/r{i}.{kind}.encrypted", n=10)) == []
    assert run(tree("/srv/data/{folder}/r{i}.{kind}.encrypted", allocated=False)) == []
    note = (EventKind.FILE_CHANGED, START, {"file_path": "/srv/data/recover_files.txt", "fields": {"size": 5}})
    assert run(MemoryEvents().say("fs.macb", "p1", note))[0].severity == Severity.LOW
