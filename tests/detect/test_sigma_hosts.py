# SPDX-License-Identifier: Apache-2.0
"""What a rule finds on several hosts of one item is told of each: a step with one asset would accuse the wrong machine."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from memory_events import MemoryEvents

from headwater.correlate.steps import correlate
from headwater.detect import sigma, sigma_matched
from headwater.model.kinds import EventKind, Severity
from headwater.model.nouns import Finding
from headwater.model.ports import Settings

_RULE = """
title: T
id: 00000000-0000-4000-8000-000000000001
level: high
tags: [attack.persistence]
logsource: {product: linux, category: %s}
detection: {s: {%s}, condition: s}
"""


def _found(folder: Path, events: MemoryEvents, category: str, item: str) -> list[Finding]:
    (folder / "a.yml").write_text(_RULE % (category, item))
    return sigma.run_rules(folder, events, Settings())[0]


def _events(hosts: list[str | None]) -> MemoryEvents:
    rows = [
        (EventKind.PROCESS_CREATE, at + 1, {"command_line": "whoami", "host": host}) for at, host in enumerate(hosts)
    ]
    return MemoryEvents().say("linux.audit", "/a", *rows)


def test_each_host_has_a_finding_and_a_step_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sigma, "SLICE", 3)
    found = _found(tmp_path, _events(["b", "a", None, "b", "a", "a"]), "process_creation", "CommandLine: whoami")
    assert [(f.host, f.facts["matches"], f.ts_first, f.ts_last) for f in found] == [
        ("a", 3, 2, 6),
        ("b", 2, 1, 4),
        (None, 1, 3, 3),
    ]
    # what states no host is given none of two that are named as often
    assert {step.asset for step in correlate(found)} == {"a", "b", None}


def test_one_host_is_one_finding_with_what_states_none(tmp_path: Path) -> None:
    found = _found(tmp_path, _events(["a", None, "a"]), "process_creation", "CommandLine: whoami")
    assert [(f.host, f.facts["matches"], len(f.spans)) for f in found] == [("a", 3, 3)]


def test_very_many_hosts_are_told_together_and_none_of_them_is_the_asset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sigma_matched, "MOST_HOSTS", 3)
    monkeypatch.setattr(sigma, "SLICE", 4)
    hosts: list[str | None] = ["a", "a", "a", "b", "c", "d", None]
    random.Random(4).shuffle(hosts)
    (found,) = _found(tmp_path, _events(hosts), "process_creation", "CommandLine: whoami")
    assert (found.host, found.facts["matches"], found.ts_first, found.ts_last, len(found.spans)) == (None, 7, 1, 7, 7)
    assert "many_hosts" in found.facts
    (step,) = correlate([found])
    assert (step.asset, found.severity) == (None, Severity.HIGH)


def test_a_file_is_seen_under_the_path_that_its_container_knows(tmp_path: Path) -> None:
    row = (EventKind.FILE_CREATED, 5, {"file_path": "/etc/cron.d/x"})
    events = MemoryEvents().say("fs.container", "@container.1", row)
    (found,) = _found(tmp_path, events, "file_event", "TargetFilename|startswith: /etc/cron.d/")
    assert found.facts["feed"] == "fs.container"
    layer = (EventKind.FILE_CREATED, 5, {"file_path": "/var/lib/docker/overlay2/1/diff/etc/cron.d/x"})
    assert (
        _found(
            tmp_path,
            MemoryEvents().say("fs.macb", "p1", layer),
            "file_event",
            "TargetFilename|startswith: /etc/cron.d/",
        )
        == []
    )
