# SPDX-License-Identifier: Apache-2.0
"""What lies where nobody looks is told; dot files of everyday life are not."""

from __future__ import annotations

import pytest
from memory_events import MemoryEvents

from headwater.detect import registry
from headwater.detect.detectors import hidden_content
from headwater.formats.canonical import canonical
from headwater.model.kinds import EventKind, Severity
from headwater.model.nouns import Finding
from headwater.model.ports import Settings

MIB = 1 << 20


def told(*files: tuple[str, str, float, int]) -> list[Finding]:
    events = MemoryEvents()
    for path, kind, entropy, length in files:
        own = {"type": kind, "entropy": entropy, "md5": "0"}
        events.say(
            "fs.content", "p1!" + path,
            (EventKind.STATE_FILE, None, {"file_path": path, "hash": "a" * 64, "length": length, "fields": own}),
        )  # fmt: skip
        events.say("fs.macb", "p1", (EventKind.FILE_MODIFIED, "2026-03-02 03:04:05", {"file_path": path}))
    return list(registry.run(hidden_content, events, Settings()))


@pytest.mark.parametrize(
    ("path", "kind", "entropy", "length", "reason", "severity"),
    [
        ("/var/tmp/... /x", "text", 4.0, 10, "blank-name", Severity.MEDIUM),
        ("/home/a/.../run", "elf", 6.0, 10, "blank-name", Severity.MEDIUM),
        ("/tmp/. /x", "text", 4.0, 10, "blank-name", Severity.MEDIUM),
        ("/var/lib/.sysd/upd.sh", "script", 4.0, 10, "hidden-folder", Severity.LOW),
        ("/dev/.udev2/x", "text", 4.0, 10, "hidden-folder", Severity.LOW),
        ("/srv" + "/d" * 40 + "/x", "text", 4.0, 10, "deep-path", Severity.LOW),
        ("/var/tmp/out.bin", "data", 8.0, 9 * MIB, "sealed-data", Severity.LOW),
    ],
)
def test_odd_places_are_told(
    path: str, kind: str, entropy: float, length: int, reason: str, severity: Severity
) -> None:
    (found,) = told((path, kind, entropy, length))
    assert (found.facts["reason"], found.severity) == (reason, severity)
    assert found.spans[0].claims["file_path"] == path


def test_everyday_dot_files_archives_and_deep_source_trees_are_not_told() -> None:
    assert not told(
        ("/home/a/.bashrc", "text", 4.0, 10), ("/root/.cache/pip/http/a/b", "data", 8.0, 5 * MIB),
        ("/usr/lib/debug/.build-id/ab/cd.debug", "elf", 6.0, 10), ("/etc/.pwd.lock", "data", 0.0, 0),
        ("/etc/skel/.profile", "text", 4.0, 10), ("/home/a/photo.jpg", "jpeg", 7.97, 3 * MIB),
        ("/srv/backup/db.sql.gz", "gzip", 7.99, 9 * MIB), ("/srv/backup/db.sql.gpg", "data", 8.0, 9 * MIB),
        ("/usr/lib/node_modules/a/b/c/d/e/f/g/h/i/j/k.js", "text", 4.0, 10), ("/var/tmp/seed", "data", 8.0, 512),
        ("/var/lib/random-seed", "data", 7.9, 2 * MIB), ("/usr/share/a b/c d.txt", "text", 4.0, 10),
    )  # fmt: skip


def test_what_is_claimed_can_be_sealed() -> None:
    (found,) = told(("/var/tmp/out.bin", "data", 7.99, 9 * MIB))
    assert canonical(found.spans[0].claims)  # a fraction among them would end the detector


def test_a_folder_of_many_is_one_finding() -> None:
    (found,) = told(*[(f"/var/lib/.x/{n}", "text", 4.0, 10) for n in range(30)])
    assert found.facts["files"] == 30
