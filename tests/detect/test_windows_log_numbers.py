# SPDX-License-Identifier: Apache-2.0
"""An export is not taken for the log itself, and a record that is missing between others does not go unsaid."""

from __future__ import annotations

import struct
import zlib

import pytest
from windows_events import LOG, SAMPLES, Happening, event, logged, read, run, writing

from headwater.detect.detectors import windows_log_numbers
from headwater.model.kinds import Severity


def happenings(n: int) -> list[Happening]:
    return [event(5379, k, {"SubjectUserName": "bob"}) for k in range(n)]


def cleared(at: float) -> Happening:
    return event(1102, at, {"SubjectUserName": "bob"}, "Microsoft-Windows-Eventlog", "Security", "LogFileCleared")


def exported(data: bytes) -> bytes:
    """The same log with its records numbered from 1, as an export numbers them, and what events state left alone."""
    whole, at, number = bytearray(data), 4096 + 512, 1
    while whole[at : at + 4] == b"**\0\0":
        struct.pack_into("<Q", whole, at + 8, number)
        at += struct.unpack_from("<I", whole, at + 4)[0]
        number += 1
    chunk = memoryview(whole)[4096 : 4096 + writing.CHUNK]
    free = struct.unpack_from("<I", chunk, 48)[0]
    struct.pack_into("<QQ", chunk, 8, 1, number - 1)
    struct.pack_into("<I", chunk, 52, zlib.crc32(bytes(chunk[512:free])))
    struct.pack_into("<I", chunk, 124, zlib.crc32(bytes(chunk[128:512]), zlib.crc32(bytes(chunk[:120]))))
    return bytes(whole)


def numbered(*numbers: int) -> bytes:
    """A log in which the records have these numbers."""
    writer = writing.ChunkWriter()
    for number, one in zip(numbers, happenings(len(numbers)), strict=True):
        writer.record(number, one)
    return writing.log_file([writer.done(numbers[0], numbers[-1])], numbers[-1] + 1)


def test_a_log_whose_numbers_run_on_is_nothing_to_speak_of() -> None:
    assert run(windows_log_numbers, read(numbered(*range(500, 520)))) == []
    assert run(windows_log_numbers, logged(*happenings(90))) == []


def test_an_export_is_told_from_the_log_itself() -> None:
    (found,) = run(windows_log_numbers, read(exported(numbered(*range(700, 720)))))
    assert (found.severity, found.facts["state"]) == (Severity.INFO, "export")
    assert "1–20" in found.text.en
    assert "700–719" in found.text.zh
    assert "not_exported" not in found.facts


def test_a_selection_says_what_was_left_out() -> None:
    (found,) = run(windows_log_numbers, read(exported(numbered(700, 701, 705, 706, 900))))
    assert (found.severity, found.facts["not_exported"]) == (Severity.INFO, 3 + 193)
    assert "702–704, 707–899" in found.text.en
    assert {c.claims["EventRecordID"] for c in found.spans} >= {701, 705, 706, 900}


def test_forwarded_events_are_no_export() -> None:
    (found,) = run(windows_log_numbers, read(exported(numbered(700, 702)), "/ForwardedEvents.evtx"))
    assert found.facts["state"] == "forwarded"


def test_a_hole_in_the_numbers_of_a_log_is_told_and_cited() -> None:
    (found,) = run(windows_log_numbers, read(numbered(10, 11, 12, 15, 16)))
    assert (found.severity, found.facts["missing"], found.facts["state"]) == (Severity.LOW, 2, "log")
    assert "13–14" in found.text.en
    assert {c.claims["RecordNumber"] for c in found.spans} == {10, 12, 15, 16}


def test_a_hole_where_bytes_could_not_be_read_cites_the_gap() -> None:
    events = read(numbered(10, 11, 12, 15, 16)).gap(LOG, "windows.eventlog", 9000, 300, "overwritten", "zeros")
    (found,) = run(windows_log_numbers, events)
    assert (found.severity, len(found.gaps)) == (Severity.INFO, 1)


def test_a_log_that_begins_with_its_clearing_says_so() -> None:
    (found,) = run(windows_log_numbers, logged(cleared(0), *happenings(5)[1:]))
    assert found.facts["begins_with_clearing"] is True
    later = logged(*happenings(3), cleared(9))
    assert run(windows_log_numbers, later) == []


def test_real_exports_are_seen_for_what_they_are() -> None:
    found = {}
    for name in ("DE_1102_security_log_cleared", "DE_RDP_Tunnel_5156"):
        for path in SAMPLES.glob(f"**/{name}.evtx"):
            found[name] = run(windows_log_numbers, read(path.read_bytes(), f"/{name}.evtx"))
    if not found:
        pytest.skip("no reference data: evtx-attack-samples")
    assert all(f.facts["state"] == "export" for fs in found.values() for f in fs)
    assert found["DE_RDP_Tunnel_5156"][0].facts["begins_with_clearing"] is True
    assert found["DE_RDP_Tunnel_5156"][0].facts["not_exported"] > 0
