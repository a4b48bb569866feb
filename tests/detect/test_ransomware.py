# SPDX-License-Identifier: Apache-2.0
"""One new extension on many files at once is told; rotations, packages, caches and copies are not."""

from __future__ import annotations

import pytest
from memory_events import MemoryEvents, at

from headwater.detect import ransom_view, registry
from headwater.detect.detectors import ransomware
from headwater.detect.intrusion import Entries, Entry
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


def paths(n: int = 40) -> list[str]:
    return [f"/srv/data/{'abcd'[i % 4]}/r{i}.{('csv', 'txt')[i % 2]}" for i in range(n)]


def test_window_is_the_journal_s_where_the_files_times_were_set_back() -> None:
    old = [
        (EventKind.FILE_CHANGED, START - 10**17 - i * 7200 * SECOND, {"file_path": f"{p}.encrypted"})
        for i, p in enumerate(paths())
    ]
    journal = [
        (EventKind.FILE_RENAMED, START + i * SECOND, {"file_path": f"{p}.encrypted", "reason": "RENAME_NEW_NAME"})
        for i, p in enumerate(paths())
    ]
    assert run(MemoryEvents().say("fs.macb", "p1", *old)) == []
    (found,) = run(MemoryEvents().say("fs.macb", "p1", *old).say("windows.usnjrnl", "p1!/$J", *journal))
    assert (found.facts["window"], found.facts["seconds"], found.ts_first) == ("journal", 39, START)
    assert found.facts["first"] == "/srv/data/a/r0.csv.encrypted"
    assert found.facts["peak_minute"] == 40
    assert any(c.claims.get("reason") == "RENAME_NEW_NAME" for c in found.spans)


def test_originals_deleted_recoverable_and_in_shadow_copies_are_counted() -> None:
    events = tree("/srv/data/{folder}/r{i}.{kind}.encrypted")
    gone = [(EventKind.FILE_DELETED, START + i * SECOND, {"file_path": p}) for i, p in enumerate(paths())]
    back = [
        (EventKind.STATE_RECOVERED, START + SECOND, {"file_path": p, "content_claim": ("whole", "part", "none")[i % 3]})
        for i, p in enumerate(paths(30))
    ]
    copies = [(EventKind.FILE_MODIFIED, START - 10**15, {"file_path": p}) for p in paths(7)]
    events.say("windows.usnjrnl", "p1!/$J", *gone).say("fs.recovered", "p1!deleted", *back).say(
        "fs.macb", "p1!vss1", *copies
    )
    (found,) = run(events)
    facts = found.facts
    assert (facts["deleted"], facts["deleted_originals"]) == (40, 40)
    assert (facts["recoverable"], facts["recoverable_part"], facts["in_shadow_copies"]) == (10, 10, 7)


def test_who_had_come_in_and_what_destroyed_the_copies_is_told() -> None:
    login = (EventKind.AUTH_SUCCESS, START - 3600 * SECOND, {"user": "Administrator", "src_ip": "203.0.113.9"})
    inner = (EventKind.AUTH_SUCCESS, START - 60 * SECOND, {"user": "svc", "src_ip": "10.0.0.5"})
    early = (EventKind.AUTH_SUCCESS, START - 10**15, {"user": "old", "src_ip": "198.51.100.1"})
    ran = (
        EventKind.PROCESS_CREATE,
        START - 30 * SECOND,
        {"user": "Administrator", "command_line": "vssadmin.exe delete shadows /all"},
    )
    events = tree("/Users/{folder}/r{i}.{kind}.encrypted")
    (found,) = run(events.say("windows.security", "p1!/S.evtx", early, login, inner, ran))
    assert (found.facts["login_from"], found.facts["login_as"]) == ("203.0.113.9", "Administrator")
    assert found.facts["destroys_copies"] == 1
    assert found.src_ip is None  # a login is no intrusion by itself
    assert "vssadmin" in found.text.en


@pytest.mark.parametrize("others", [(), ("203.0.113.66",)])
def test_of_two_who_had_come_in_neither_is_named_as_the_one_who_encrypted(
    others: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The later of two entries was said to be the source of the encryption, and was not."""
    events = tree("/srv/data/{folder}/r{i}.{kind}.encrypted")
    came = [Entry(1, START - 3600 * SECOND, START - 3000 * SECOND, a, None, ()) for a in (*others, "198.51.100.23")]
    monkeypatch.setattr(ransom_view, "entries", lambda events, settings: Entries(came))
    (found,) = run(events)
    assert found.src_ip == (None if others else "198.51.100.23")
    assert found.facts["entered_from"] == ",".join((*others, "198.51.100.23"))
    assert ("which of them did this is not recorded" in found.text.en) == bool(others)
    assert ("何者所为未见记载" in found.text.zh) == bool(others)


def noise(n: int = 40, kind: str = "data", entropy: float = 7.9) -> MemoryEvents:
    written = [(EventKind.FILE_MODIFIED, START + i * SECOND, {"file_path": p}) for i, p in enumerate(paths(n))]
    own = {"type": kind, "disguised": True, "entropy": entropy}
    held = [(EventKind.STATE_FILE, None, {"file_path": p, "length": 4096, **own}) for p in paths(n)]
    return MemoryEvents().say("fs.macb", "p1", *written).say("fs.content", "p1", *held)


def test_programs_that_ran_then_are_told_and_first_the_one_that_had_the_files_open() -> None:
    events = tree("/Users/li/{folder}/r{i}.{kind}.kx7")
    listed = "\\VOLUME{01}\\WINDOWS\\SYSTEM32\\NTDLL.DLL\n\\VOLUME{01}\\USERS\\LI\\A\\R0.CSV.KX7"
    ran, own = START - 5 * SECOND, {"trace": "prefetch"}
    rows = [
        (EventKind.EXECUTION_TRACE, ran, {"t_kind": "run", "process": "SVCHOST.EXE", "fields": own}),
        (
            EventKind.EXECUTION_TRACE,
            ran,
            {"t_kind": "run", "process": "UPD.EXE", "fields": own | {"file_names": listed}},
        ),
        (EventKind.EXECUTION_TRACE, START - 90_000 * SECOND, {"t_kind": "run", "process": "OLD.EXE", "fields": own}),
    ]
    (found,) = run(events.say("windows.prefetch", "p1!/Windows/Prefetch/X.pf", *rows))
    assert (found.facts["traces"], found.facts["opened_by"]) == (2, "upd.exe")
    assert "upd.exe、svchost.exe" in found.text.zh
    assert "old.exe" not in found.text.en
    assert any(c.claims.get("process") == "UPD.EXE" for c in found.spans)


def test_noise_under_old_names_is_told() -> None:
    (found,) = run(noise())
    assert (found.severity, found.facts["files"], found.facts["extension"]) == (Severity.HIGH, 40, "")
    assert found.facts["entropy_hundredths"] == 790


def test_few_or_readable_or_misnamed_files_are_not_noise() -> None:
    assert run(noise(n=10)) == []
    assert run(noise(kind="zip")) == []
    assert run(noise(entropy=5.0)) == []


def test_entropy_beside_the_originals() -> None:
    events = tree("/srv/data/{folder}/r{i}.{kind}.encrypted")
    now = [
        (EventKind.STATE_FILE, None, {"file_path": f"{p}.encrypted", "length": 4096, "type": "data", "entropy": 7.95})
        for p in paths()
    ]
    before = [
        (EventKind.STATE_FILE, None, {"file_path": p, "length": 4096, "type": "text", "entropy": 4.5}) for p in paths(9)
    ]
    (found,) = run(events.say("fs.content", "p1", *now).say("fs.content", "p1!deleted", *before))
    assert (found.facts["entropy_hundredths"], found.facts["entropy_before_hundredths"]) == (795, 450)


def test_notes_of_any_name_in_many_folders_are_told() -> None:
    events = tree("/srv/data/{folder}/r{i}.{kind}.encrypted")
    notes = [(EventKind.FILE_CHANGED, START, {"file_path": f"/srv/data/{f}/+README-WARNING+.txt"}) for f in "abcd"]
    (found,) = run(events.say("fs.macb", "p1", *notes))
    assert "+README-WARNING+.txt" in found.text.en


def test_journal_alone_tells_what_was_renamed() -> None:
    journal = [
        (EventKind.FILE_RENAMED, START + i * SECOND, {"file_path": f"{p}{end}", "reason": f"RENAME_{word}_NAME"})
        for i, p in enumerate(paths())
        for end, word in (("", "OLD"), (".lockbit", "NEW"))
    ]
    (found,) = run(MemoryEvents().say("windows.usnjrnl", "/$J", *journal))
    assert (found.severity, found.facts["files"], found.facts["window"]) == (Severity.CRITICAL, 40, "journal")
    honest = [
        (EventKind.FILE_RENAMED, START + i * SECOND, {"file_path": f"{p}.tmp", "reason": "RENAME_NEW_NAME"})
        for i, p in enumerate(paths())
    ]
    assert run(MemoryEvents().say("windows.usnjrnl", "/$J", *honest)) == []
