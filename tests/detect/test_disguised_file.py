# SPDX-License-Identifier: Apache-2.0
"""A picture that is code, a program that hides: told; the package manager's names and everyday programs: not."""

from __future__ import annotations

import pytest
from memory_events import MemoryEvents

from headwater.detect import registry
from headwater.detect.detectors import disguised_file
from headwater.model.kinds import EventKind, Severity
from headwater.model.ports import Settings


def holds(*files: tuple[str, str, bool, bool]) -> list:
    events = MemoryEvents()
    for path, kind, disguised, php in files:
        own = {"type": kind, "disguised": disguised, "php_inside": php, "entropy": 5.0, "md5": "0"}
        events.say(
            "fs.content", "p1!" + path,
            (EventKind.STATE_FILE, None, {"file_path": path, "hash": "a" * 64, "fields": own}),
        )  # fmt: skip
        events.say("fs.macb", "p1", (EventKind.FILE_MODIFIED, "2026-03-02 03:04:05", {"file_path": path}))
    return list(registry.run(disguised_file, events, Settings()))


@pytest.mark.parametrize(
    ("path", "kind", "disguised", "php", "reason", "severity"),
    [
        ("/var/www/html/uploads/cat.jpg", "jpeg", False, True, "php-inside", Severity.HIGH),
        ("/var/www/html/uploads/cat.png", "php", True, False, "code-disguised", Severity.HIGH),
        ("/home/alice/report.pdf", "elf", True, False, "code-disguised", Severity.MEDIUM),
        ("/usr/lib/.x", "elf", False, False, "hidden-program", Severity.MEDIUM),
        ("/tmp/kworkerds", "elf", False, False, "temporary-program", Severity.LOW),
        ("/www/wwwroot/site/bin/x", "elf", False, False, "web-program", Severity.LOW),
    ],
)
def test_what_hides_is_told(path: str, kind: str, disguised: bool, php: bool, reason: str, severity: Severity) -> None:
    (found,) = holds((path, kind, disguised, php))
    assert (found.facts["reason"], found.severity) == (reason, severity)
    assert found.spans[0].claims["hash"] == "a" * 64
    assert found.ts_first is not None


def test_everyday_files_are_not_told() -> None:
    assert not holds(
        ("/usr/bin/ls", "elf", False, False),
        ("/usr/share/doc/x.pdf", "jpeg", True, False),
        ("/var/lib/dpkg/alternatives/builtins.7.gz", "script", True, False),
        ("/home/alice/lecture.pdf", "pdf", False, True),
        ("/tmp/build.sh", "script", False, False),
    )


def test_many_copies_of_one_content_are_one_finding() -> None:
    (found,) = holds(*[(f"/tmp/x{n}", "elf", False, False) for n in range(50)])
    assert found.facts["copies"] == 50
