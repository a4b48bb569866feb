# SPDX-License-Identifier: Apache-2.0
"""Who was logged on to a Windows host, from where, from when to when; guessing without an address is not missed."""

from __future__ import annotations

import pytest
from windows_events import SAMPLES, TERMINAL, Happening, event, logged, read, run, writing

from headwater.detect.detectors import ssh_guessing, windows_logons
from headwater.model.kinds import Severity

OUTSIDE, WITHIN = "203.0.113.9", "10.20.0.22"
BEGUN = (writing.START - 116_444_736_000_000_000) * 100  # the first second of the logs written here, in ns since 1970
SECOND = 1_000_000_000


def logon(
    at: float, user: str = "administrator", ip: str = OUTSIDE, kind: int = 10, number: str = "0x3e7a1"
) -> Happening:
    named = {
        "TargetUserName": user,
        "TargetLogonId": number,
        "LogonType": str(kind),
        "IpAddress": ip,
        "WorkstationName": "-",
    }
    return event(4624, at, named)


def follows(code: int, at: float, number: str = "0x3e7a1", user: str = "administrator") -> Happening:
    if code == 4672:
        return event(code, at, {"SubjectUserName": user, "SubjectLogonId": number, "PrivilegeList": "SeDebugPrivilege"})
    if code in (4778, 4779):
        return event(code, at, {"AccountName": user, "LogonID": number, "ClientAddress": OUTSIDE, "ClientName": "KALI"})
    return event(code, at, {"TargetUserName": user, "TargetLogonId": number, "LogonType": "10"})


def desktop(
    code: int, at: float, user: str = "SRV-FILE01\\administrator", ip: str = OUTSIDE, number: str = "2"
) -> Happening:
    named = {"User": user, "SessionID": number, "Address": ip}
    channel = f"{TERMINAL}LocalSessionManager"
    return event(code, at, named, channel, f"{channel}/Operational", "EventXML")


def failed(at: float, user: str, station: str, ip: str = "-", kind: str = "3") -> Happening:
    named = {
        "TargetUserName": user,
        "LogonType": kind,
        "IpAddress": ip,
        "WorkstationName": station,
        "SubStatus": "0xc000006a",
    }
    return event(4625, at, named)


def test_a_remote_session_is_told_whole() -> None:
    (found,) = run(
        windows_logons,
        logged(
            logon(10), follows(4672, 10), follows(4779, 60), follows(4778, 90), follows(4647, 600), follows(4634, 601)
        ),
    )
    assert (found.severity, found.src_ip, found.user) == (Severity.MEDIUM, OUTSIDE, "administrator")
    assert (found.facts["privileged"], found.facts["reconnects"], found.facts["disconnects"]) == (True, 1, 1)
    assert (found.ts_first, found.ts_last) == (BEGUN + 10 * SECOND, BEGUN + 600 * SECOND)
    assert [c.claims["event_code"] for c in found.spans] == ["4624", "4672", "4779", "4778", "4647"]
    assert "203.0.113.9" in found.text.zh


def test_both_tokens_of_an_administrator_and_what_terminal_services_tell_are_one_session() -> None:
    events = logged(logon(10), logon(10, number="0x3e7b2"), follows(4672, 10), follows(4634, 700, "0x3e7b2"))
    name = f"{TERMINAL}RemoteConnectionManager"
    arrived = event(1149, 9, {"Param1": "administrator", "Param2": "SRV", "Param3": OUTSIDE}, name, name, "EventXML")
    logged(desktop(21, 11), desktop(24, 50), desktop(25, 60), arrived, path="/Operational.evtx", into=events)
    (found,) = run(windows_logons, events)
    assert found.facts["logon_id"] == "0x3e7a1,0x3e7b2"
    assert found.facts["reconnects"] == 1
    assert found.ts_first == BEGUN + 9 * SECOND


def check(at: float, user: str = "administrator", station: str = "KALI") -> Happening:
    return event(4776, at, {"TargetUserName": user, "Workstation": station, "Status": "0x0"})


def test_the_check_of_a_password_belongs_to_the_logon_behind_it() -> None:
    events = logged(check(9.5), logon(10), check(30), check(9.6, "bob"), follows(4634, 90))
    (found,) = run(windows_logons, events)
    assert found.facts["workstation"] == "KALI"
    assert "自称工作站 KALI" in found.text.zh
    assert [c.claims["event_code"] for c in found.spans] == ["4776", "4624", "4634"]
    assert found.ts_first == BEGUN + 10 * SECOND  # a check is no logon


def test_a_check_long_before_or_of_another_account_is_left_alone() -> None:
    (found,) = run(windows_logons, logged(check(3), check(9.9, "bob"), logon(10)))
    assert found.facts["workstation"] is None
    assert [c.claims["event_code"] for c in found.spans] == ["4624"]


def test_without_a_security_log_terminal_services_tell_and_a_missing_begin_is_said() -> None:
    whole, torn = run(
        windows_logons, logged(desktop(21, 5), desktop(23, 90), desktop(25, 100, "SRV\\bob", WITHIN, "3"))
    )
    assert (whole.severity, whole.facts["ended"]) == (Severity.MEDIUM, "logoff")
    assert (torn.severity, torn.facts["ended"]) == (Severity.INFO, "unknown")
    assert "not recorded" in torn.text.en


def test_a_connection_alone_is_not_told_as_a_logon() -> None:
    name = f"{TERMINAL}RemoteConnectionManager"
    arrived = event(1149, 9, {"Param1": "bob", "Param2": "SRV", "Param3": OUTSIDE}, name, name, "EventXML")
    (found,) = run(windows_logons, logged(arrived))
    assert (found.severity, found.src_ip) == (Severity.MEDIUM, OUTSIDE)
    assert "logged on" not in found.text.en
    assert "proves no password" in found.text.en


def test_a_number_given_anew_after_a_start_is_another_session() -> None:
    boot = event(6005, 500, {}, "EventLog", "System")
    first, second = run(windows_logons, logged(logon(10, ip=WITHIN), boot, logon(900, ip=WITHIN), follows(4634, 950)))
    assert (first.facts["ended"], first.ts_last) == ("restart", BEGUN + 500 * SECOND)
    assert (second.facts["ended"], second.ts_last) == ("logoff", BEGUN + 950 * SECOND)


def test_remote_desktop_from_the_host_itself_is_weighed_as_a_tunnel() -> None:
    (found,) = run(windows_logons, logged(logon(10, ip="127.0.0.1")))
    assert (found.severity, "隧道" in found.text.zh) == (Severity.MEDIUM, True)


def test_everyday_logons_are_at_most_information() -> None:
    events = logged(
        logon(1, ip=WITHIN), logon(2, "DWM-1", "-", 2, "0x9"), logon(3, "WEB01$", WITHIN, 3, "0xa"), logon(4, "bob", "127.0.0.1", 2, "0xb"),
        logon(5, "carol", WITHIN, 3, "0xc"), logon(6, "ANONYMOUS LOGON", OUTSIDE, 3, "0xd"), logon(7, "SYSTEM", "-", 5, "0x3e7"),
    )  # fmt: skip
    found = run(windows_logons, events)
    assert [f.user for f in found] == ["administrator", "bob"]
    assert {f.severity for f in found} == {Severity.INFO}


def test_the_same_log_in_two_places_tells_each_session_once() -> None:
    events = logged(logon(10), follows(4634, 60))
    logged(logon(10), follows(4634, 60), path="p1!vss1!/Windows/System32/winevt/Logs/Security.evtx", into=events)
    assert len(run(windows_logons, events)) == 1


def test_more_sessions_than_are_told_are_counted() -> None:
    events = logged(*(logon(n * 10, ip=WITHIN, number=f"{n:#x}") for n in range(205)), logon(5000, number="0xffff"))
    found = run(windows_logons, events)
    assert len(found) == 201
    assert found[-1].facts["sessions"] == 6
    assert found[-2].severity == Severity.MEDIUM


def test_network_logons_of_one_account_from_one_address_are_one_entry() -> None:
    many = [logon(n, "bob", OUTSIDE, 3, f"{0x100 + n:#x}") for n in range(30)]
    events = logged(
        *many, follows(4634, 5, "0x100", "bob"), follows(4672, 12, "0x10c", "bob"), follows(4634, 90, "0x11d", "bob")
    )
    (found,) = run(windows_logons, events)
    assert (found.severity, found.facts["times"], found.facts["privileged"]) == (Severity.MEDIUM, 30, True)
    assert (found.ts_first, found.ts_last) == (BEGUN, BEGUN + 90 * SECOND)
    (plain,) = run(windows_logons, logged(*many))
    assert (plain.severity, plain.facts["privileged"]) == (Severity.LOW, False)


def test_guessing_that_states_a_workstation_alone_and_the_logon_after_it() -> None:
    won = event(
        4624,
        100,
        {
            "TargetUserName": "backup",
            "TargetLogonId": "0x77",
            "LogonType": "3",
            "IpAddress": "-",
            "WorkstationName": "KALI",
        },
    )
    events = logged(*(failed(n, "backup", "KALI") for n in range(20)), won)
    low, high = run(windows_logons, events)
    assert (low.rule.id, low.severity, low.facts["failures"]) == ("windows-guessing", Severity.LOW, 20)
    assert (high.rule.id, high.severity, high.user) == ("windows-guessing-success", Severity.HIGH, "backup")
    assert high.facts["login_ts"] == BEGUN + 100 * SECOND


def test_mistyping_services_and_the_console_are_no_guessing() -> None:
    mistyped = [failed(n, "bob", "PC07") for n in range(4)]
    service = [failed(10 + n, "svc", "PC08", kind="5") for n in range(30)]
    console = [failed(50 + n, "bob", "SRV-FILE01") for n in range(30)]
    assert run(windows_logons, logged(*mistyped, *service, *console)) == []


def test_guessing_from_an_address_is_told_by_the_detector_for_addresses() -> None:
    events = logged(*(failed(n, "administrator", "KALI", OUTSIDE) for n in range(20)), logon(60))
    assert [f.rule.id for f in run(ssh_guessing, events)] == ["ssh-guessing", "ssh-guessing-success"]
    assert [f.rule.id for f in run(windows_logons, events)] == ["windows-logons"]


def test_sessions_of_real_logs() -> None:
    paths = sorted(SAMPLES.glob("**/DE_RDP_Tunnel*.evtx"))
    if not paths:
        pytest.skip("no reference data: evtx-attack-samples")
    found = [f for path in paths for f in run(windows_logons, read(path.read_bytes(), f"/{path.name}"))]
    assert found
    assert any(f.severity == Severity.MEDIUM and "127.0.0.1" in f.text.en for f in found)
