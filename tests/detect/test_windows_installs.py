# SPDX-License-Identifier: Apache-2.0
"""A service or task that was made and taken away again is still told; setups and drivers are no alarm."""

from __future__ import annotations

import pytest
from windows_events import SAMPLES, Happening, event, logged, read, run

from headwater.detect.detectors import windows_installs, windows_logons
from headwater.model.kinds import Severity

SYSTEM = "Service Control Manager"


def service(at: float, name: str, path: str) -> Happening:
    named = {"ServiceName": name, "ImagePath": path, "ServiceType": "user mode service", "StartType": "demand start"}
    return event(7045, at, named | {"AccountName": "LocalSystem"}, SYSTEM, "System")


def task(code: int, at: float, name: str, command: str, arguments: str = "") -> Happening:
    content = f"<Task><Actions><Exec><Command>{command}</Command>\r\n <Arguments>{arguments}</Arguments></Exec></Actions></Task>"
    return event(code, at, {"SubjectUserName": "administrator", "TaskName": name, "TaskContent": content})


@pytest.mark.parametrize(
    ("path", "severity"),
    [
        (r"%COMSPEC% /Q /c echo dir ^> \\127.0.0.1\C$\__output 2^>^&1", Severity.HIGH),
        (r"\\10.20.0.5\ADMIN$\a1b2c3d.exe", Severity.HIGH),
        (r"C:\Users\Public\w.exe", Severity.HIGH),
        (r"%systemroot%\kQzVbTwA.exe", Severity.MEDIUM),
        (r"%SystemRoot%\PSEXESVC.exe", Severity.MEDIUM),
        ("cmd.exe", Severity.MEDIUM),
    ],
)
def test_services_of_intruders_are_told(path: str, severity: Severity) -> None:
    (found,) = run(windows_installs, logged(service(1, "wsvc", path)))
    assert (found.severity, found.facts["item"]) == (severity, "wsvc")
    assert found.spans[0].claims["file_path"] == path
    assert found.user is None


def test_ordinary_services_and_tasks_are_counted_together() -> None:
    events = logged(
        service(1, "Google Update", r'"C:\Program Files (x86)\Google\Update\GoogleUpdate.exe" /svc'),
        service(2, "MpKslDrv", r"C:\ProgramData\Microsoft\Windows Defender\Definition Updates\{1}\MpKslDrv.sys"),
        service(3, "WinRM helper", r"C:\Windows\system32\svchost.exe -k netsvcs"),
        task(4698, 4, r"\Adobe Update", r"C:\Program Files\Adobe\update.exe"),
        task(
            4702,
            5,
            r"\Microsoft\Windows\SoftwareProtectionPlatform\SvcRestartTask",
            r"%windir%\system32\sc.exe",
            "start sppsvc",
        ),
    )
    found = run(windows_installs, events)
    assert [(f.severity, f.facts["records"]) for f in found] == [(Severity.INFO, 3), (Severity.INFO, 1)]


def test_a_task_that_ran_once_and_was_deleted_is_told() -> None:
    arguments = r"/C tasklist &gt; %windir%\Temp\CYAlyNSS.tmp 2&gt;&amp;1"
    events = logged(
        task(4698, 1, r"\CYAlyNSS", "cmd.exe", arguments), task(4699, 3, r"\CYAlyNSS", "cmd.exe", arguments)
    )
    (found,) = run(windows_installs, events)
    assert (found.severity, found.user) == (Severity.HIGH, "administrator")
    assert "tasklist > " in found.text.en
    assert "within ten minutes" in found.text.en
    (setup,) = run(windows_installs, logged(task(4698, 1, r"\S", r"C:\Program Files\s.exe"), task(4699, 9, r"\S", "")))
    assert setup.severity == Severity.LOW


def test_a_task_that_is_changed_to_an_intruders_command_is_told() -> None:
    named = {"SubjectUserName": "a", "TaskName": r"\Backup"}
    changed = event(4702, 1, named | {"TaskContentNew": r"<Exec><Command>C:\Users\Public\x.exe</Command></Exec>"})
    (found,) = run(windows_installs, logged(changed))
    assert found.severity == Severity.HIGH


def test_the_same_record_in_two_copies_of_a_log_counts_once() -> None:
    events = logged(service(1, "w", "cmd.exe"))
    logged(service(1, "w", "cmd.exe"), path="p1!vss1!/Windows/System32/winevt/Logs/System.evtx", into=events)
    (found,) = run(windows_installs, events)
    assert found.facts["records"] == 1


def test_installs_of_real_logs() -> None:
    told = {}
    for name in ("System_7045_namedpipe_privesc", "LM_Remote_Service02_7045", "LM_ScheduledTask_ATSVC_target_host"):
        for path in SAMPLES.glob(f"**/{name}.evtx"):
            told |= {
                f.facts.get("item"): f.severity for f in run(windows_installs, read(path.read_bytes(), f"/{name}"))
            }
    if not told:
        pytest.skip("no reference data: evtx-attack-samples")
    assert told["WinPwnage"] == told["\\CYAlyNSS"] == Severity.HIGH
    assert told["spoolfool"] == Severity.MEDIUM


def test_what_is_claimed_of_a_record_stands_in_the_record() -> None:
    samples = [*(service(n, f"s{n}", "cmd.exe") for n in range(2)), task(4698, 3, r"\T", r"C:\Users\Public\x.exe")]
    samples += [
        event(4625, 5 + n, {"TargetUserName": "a", "LogonType": "3", "WorkstationName": "KALI"}) for n in range(6)
    ]
    samples.append(
        event(4624, 20, {"TargetUserName": "a", "TargetLogonId": "0x1", "LogonType": "2", "WorkstationName": "PC"})
    )
    events = logged(*samples)
    recorded = {row["offset"]: row for row in events.frames["windows.eventlog"].iter_rows(named=True)}
    found = [*run(windows_installs, events), *run(windows_logons, events)]
    assert len(found) == 5
    for citation in (c for f in found for c in f.spans):
        assert {k: recorded[citation.span.offset][k] for k in citation.claims} == citation.claims
