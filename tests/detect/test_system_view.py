# SPDX-License-Identifier: Apache-2.0
"""A file of a container is joined with its own times and no other system's, and is counted once."""

from __future__ import annotations

from memory_events import MemoryEvents, at

from headwater.detect import registry
from headwater.detect.detectors import ransomware, unowned_program, web_shell
from headwater.model.kinds import EventKind, Severity
from headwater.model.ports import Settings

K = EventKind
INSIDE = "p1!container.shop.0123456789ab"
LAYER = "/data/docker/overlay2/web/diff"
SUID = 0o104755


def _file(events: MemoryEvents, path: str, when: str, mode: int = 0o100644, view: str = INSIDE) -> MemoryEvents:
    """A file as the host lists it in its layer, and as its container does: the same record."""
    own = {"mode": mode, "uid": 0, "size": 10}
    events.offset += 1000
    here = events.offset
    for feed, place, name in (("fs.macb", "p1", LAYER + path), ("fs.container", view, path)):
        events.offset = here
        events.say(feed, place, (K.FILE_MODIFIED, when, {"file_path": name, "fields": own}),
                   (K.FILE_CHANGED, when, {"file_path": name, "fields": own}))  # fmt: skip
    return events


def _held(events: MemoryEvents, view: str, path: str, digest: str) -> MemoryEvents:
    own = {"md5": digest, "type": "elf", "disguised": False, "php_inside": False}
    return events.say(
        "fs.content", f"{view}!{path}", (K.STATE_FILE, None, {"file_path": path, "hash": digest * 2, "fields": own})
    )


def test_a_setuid_file_in_a_container_is_told_and_the_host_s_plain_file_of_that_name_is_not() -> None:
    events = MemoryEvents()
    _file(events, "/tmp/.x", "2026-03-02 03:04:05", SUID)
    _held(_held(events, INSIDE, "/tmp/.x", "a" * 32), "p1", "/tmp/.x", "b" * 32)
    events.say("fs.macb", "p1", (K.FILE_CHANGED, 5, {"file_path": "/tmp/.x", "fields": {"mode": 0o100644, "uid": 0}}))
    (found,) = list(registry.run(unowned_program, events, Settings()))
    assert found.severity == Severity.HIGH
    assert {c.span.path.partition("!/")[0] for c in found.spans} == {INSIDE}
    assert found.ts_first == at("2026-03-02 03:04:05")
    # with a package database of the host, the container without one is still looked at
    owned = {"md5": "b" * 32, "package": "p"}
    events.say(
        "linux.dpkg_files",
        "p1!/var/lib/dpkg/info/p.md5sums",
        (K.STATE_PACKAGE_FILE, None, {"file_path": "/tmp/.x", "fields": owned}),
    )
    (again,) = list(registry.run(unowned_program, events, Settings()))
    assert again.facts["path"] == "/tmp/.x"


def test_the_age_of_a_web_shell_in_a_container_is_its_own_file_s() -> None:
    path = "/var/www/html/a.php"
    own = {"trait": "eval-of-request", "match": "…", "parameter": "x"}
    events = MemoryEvents().say(
        "web.script", f"{INSIDE}!{path}", (K.STATE_CONTENT, None, {"file_path": path, "fields": own})
    )
    _file(events, path, "2026-03-02 03:04:05")
    events.say("fs.macb", "p1", (K.FILE_MODIFIED, "2020-01-01 00:00:00", {"file_path": path, "fields": {"uid": 0}}))
    (found,) = list(registry.run(web_shell, events, Settings()))
    assert (found.ts_first, found.ts_last) == (at("2026-03-02 03:04:05"),) * 2
    assert {c.span.path.partition("!/")[0] for c in found.spans} == {INSIDE}


def test_files_that_host_and_container_list_are_counted_once() -> None:
    events = MemoryEvents()
    for n in range(120):
        _file(events, f"/srv/d{n % 7}/report{n}.{('csv', 'txt')[n % 2]}.encrypted", f"2026-03-02 03:04:{n % 60:02d}")
    (found,) = [f for f in registry.run(ransomware, events, Settings()) if "files" in f.facts]
    assert found.facts["files"] == 120
    assert {c.span.path for c in found.spans} == {INSIDE}
