# SPDX-License-Identifier: Apache-2.0
"""What remote-control programs and the antivirus wrote down is told; knocking alone and an idle log are not."""

from __future__ import annotations

import json
from pathlib import Path

from memory_events import MemoryEvents

from headwater.detect.detectors import antivirus, remote_control
from headwater.examine.registry import all_parsers
from headwater.model.kinds import Severity
from headwater.model.ports import Settings
from headwater.model.records import Event, File

GOLDEN = Path(__file__).parents[1] / "golden"


def fixture(name: str, *files: str, into: MemoryEvents | None = None) -> MemoryEvents:
    """The events of fixtures of a parser, as a case has them."""
    events = into or MemoryEvents()
    paths = json.loads((GOLDEN / name / "paths.json").read_text())
    parser = all_parsers()[name.replace("_", ".", 1)]
    assert parser.parse is not None
    for file in files:
        found = parser.parse(File.of((GOLDEN / name / file).read_bytes(), "p1!" + paths[file]))
        events.put(parser.feed, "p1!" + paths[file], [r for r in found if isinstance(r, Event)])
    return events


def test_an_entry_by_password_is_told_with_the_other_sides_number() -> None:
    events = fixture("remote_anydesk", "ad_svc.trace", "connection_trace.txt")
    (found,) = remote_control.detect(events, Settings())
    assert "547911884" in found.text.zh
    assert "198.51.100.21" in found.text.en
    assert found.facts["refused"] == 2


def test_an_entry_through_teamviewer_is_told() -> None:
    events = fixture("remote_teamviewer", "TeamViewer15_Logfile.log", "Connections_incoming.txt")
    (found,) = remote_control.detect(events, Settings())
    assert "1660360496" in found.text.en
    assert "dynamic password" in found.text.en


def test_an_entry_through_todesk_names_the_side_that_asked_for_it_and_not_the_one_that_was_called() -> None:
    events = fixture("remote_todesk", "service_2026_03_02.log", "sessionkgypwcve_2026_03_02.log")
    (found,) = remote_control.detect(events, Settings())
    assert "987654321" in found.text.zh  # the line before the one that let it in names it
    assert "555000111" not in found.text.en  # this host called that one itself
    assert found.facts["entries"] == 1
    assert found.facts["refused"] == 1
    cited = {(c.span.path, c.span.offset) for c in found.spans}
    assert ("p1!/Program Files/ToDesk/Logs/service_2026_03_02.log", 292) in cited


def test_a_request_long_before_is_not_taken_for_the_entry() -> None:
    from headwater.model.kinds import EventKind

    events = MemoryEvents()
    late = [
        Event(0, 9, EventKind.AUTH_PROBE, 0, fields={"remote_id": "111"}),
        Event(9, 9, EventKind.AUTH_SUCCESS, 121_000_000_000),
    ]
    events.put("remote.todesk", "p1!/service_x.log", late)
    (found,) = remote_control.detect(events, Settings())
    assert "111" not in found.text.en


def test_a_todesk_log_that_only_knocks_says_nothing() -> None:
    from headwater.model.kinds import EventKind

    events = MemoryEvents()
    events.put(
        "remote.todesk", "p1!/service_x.log", [Event(0, 9, EventKind.AUTH_PROBE, 0, fields={"remote_id": "111"})]
    )
    assert list(remote_control.detect(events, Settings())) == []


def test_connections_that_were_not_let_in_say_nothing() -> None:
    assert list(remote_control.detect(fixture("remote_rustdesk", "RustDesk_rCURRENT.log"), Settings())) == []


def test_commands_sent_to_sunlogin_are_told_and_plain_requests_are_not() -> None:
    events = fixture("remote_sunlogin", "sunlogin_service.20260302-103000.log")
    (found,) = remote_control.detect(events, Settings())
    assert found.severity is Severity.HIGH
    assert found.src_ip == "192.168.31.45"
    assert "powershell.exe whoami" in found.text.en
    assert found.facts["requests"] == 1


def test_what_defender_found_is_told_by_threat_with_what_it_did() -> None:
    events = fixture("windows_mplog", "MPLog-20260302-032210.log")
    fixture("windows_quarantine", "entry.bin", into=events)
    found = {f.facts["threat"]: f for f in antivirus.detect(events, Settings())}
    shell = found["Backdoor:ASP/Sample!MSR"]
    assert shell.rule.techniques == ("T1505.003",)
    assert "MP_THREAT_ACTION_QUARANTINE" in shell.text.en
    assert "nothing is recorded" in found["Trojan:Win32/Cut"].text.en


def test_what_another_antivirus_found_is_told_under_its_own_name() -> None:
    found = {f.facts["threat"]: f for f in antivirus.detect(fixture("antivirus_trendmicro", "pccnt35.log"), Settings())}
    shell = found["Backdoor.ASP.WEBSHELL.SM"]
    assert "趋势科技" in shell.text.zh
    assert "Windows Defender" not in shell.text.en
    assert "quarantined" in shell.text.en
    assert "nothing is recorded" in found["Trojan.Win32.LEFT"].text.en  # it could not be put away


def test_a_test_file_weighs_nothing() -> None:
    events = MemoryEvents()
    from headwater.model.kinds import EventKind

    events.say(
        "windows.mplog",
        "p1!/a.log",
        (EventKind.MALWARE_DETECTED, None, {"threat": "Virus:DOS/EICAR_Test_File", "action": "blocked"}),
    )
    (found,) = antivirus.detect(events, Settings())
    assert found.severity is Severity.INFO
