# SPDX-License-Identifier: Apache-2.0
"""A WMI subscription that runs something is told with its event and its maker; Windows' own and loggers are no alarm."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import polars as pl
from memory_events import MemoryEvents

sys.path.insert(0, str(Path(__file__).parents[1] / "examine"))

from wmi_writing import index, instance, key, mapping, page

from headwater.detect.detectors import windows_subscriptions
from headwater.detect.registry import all_detectors
from headwater.examine.batch import batches_of
from headwater.examine.parsers import windows_wmi
from headwater.formats.wmi_instance import BINDING, COMMAND, FILTER, SCRIPT
from headwater.model.kinds import Confidence, Severity
from headwater.model.nouns import Finding
from headwater.model.ports import Settings
from headwater.model.records import File

FOLDER = "/Windows/System32/wbem/Repository/"
ENCODED = "powershell.exe -nop -w hidden -enc SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoA"
QUERY = "SELECT * FROM __InstanceModificationEvent WITHIN 60 WHERE TargetInstance ISA 'Win32_LocalTime'"
Made = tuple[str, dict[str, Any]]


def bound(kind: str, name: str, filter_name: str = "f") -> Made:
    escaped = name.replace('"', '\\"')
    return BINDING, {
        "Consumer": f'\\\\.\\root\\subscription:{kind}.Name="{escaped}"',
        "Filter": f'__EventFilter.Name="{filter_name}"',
    }


def chosen(name: str = "f", query: str = QUERY) -> Made:
    return FILTER, {"Name": name, "Query": query, "QueryLanguage": "WQL"}


def findings(*made: Made, forgotten: int = 0) -> list[Finding]:
    """What is told of a repository with these instances, the first ``forgotten`` of which its index does not name."""
    records = [(n, instance(kind, values)) for n, (kind, values) in enumerate(made, 1)]
    keys = [key(made[n - 1][0], str(n), 0, n, len(data)) for n, data in records if n > forgotten]
    files = {"INDEX.BTR": index(keys), "MAPPING1.MAP": mapping((0,))}
    others = {FOLDER + n: File.of(d, FOLDER + n) for n, d in files.items()}
    data = page(records)
    path = FOLDER + "OBJECTS.DATA"
    (batch,) = batches_of(
        windows_wmi.parse(File(path, len(data), lambda at, n: data[at : at + n], beside=others)), len(data)
    )
    events = MemoryEvents()
    given = {"feed": "windows.wmi", "path": path, "clock": "host"}
    frame = batch.events.with_columns(
        pl.col("t_recorded").alias("ts"),
        pl.lit(1, dtype=pl.Int64).alias("source"),
        *(pl.lit(v).alias(k) for k, v in given.items()),
    )
    events.put_frame("windows.wmi", frame)
    return list(windows_subscriptions.detect(events, Settings()))


def test_a_bound_command_is_told_with_its_event_and_cites_all_three_records() -> None:
    sid = bytes.fromhex("010500000000000515000000") + bytes([1, 0, 0, 0] * 4)
    made = (COMMAND, {"Name": 'Up"date', "CommandLineTemplate": ENCODED, "CreatorSID": sid})
    (found,) = findings(made, chosen(), bound(COMMAND, 'Up"date'))
    assert (found.severity, found.confidence) == (Severity.HIGH, Confidence.HIGH)
    assert len(found.spans) == 3
    assert found.facts["query"] == QUERY
    assert found.facts["creator"] == "S-1-5-21-1-1-1-1"
    assert "in use and bound" in found.text.en
    assert "仍在使用" in found.text.zh


def test_a_script_that_starts_programs_is_told_even_without_a_binding() -> None:
    script = 'CreateObject("WScript.Shell").Run "calc"'
    (found,) = findings((SCRIPT, {"Name": "s", "ScriptingEngine": "VBScript", "ScriptText": script}))
    assert (found.severity, found.confidence) == (Severity.HIGH, Confidence.MEDIUM)
    assert "Nothing is seen that binds it" in found.text.en


def test_one_that_the_index_forgot_weighs_less_and_is_said_to_be_left_over() -> None:
    (found,) = findings(
        (COMMAND, {"Name": "o", "CommandLineTemplate": "notepad.exe"}), chosen(), bound(COMMAND, "o"), forgotten=1
    )
    assert (found.severity, found.confidence) == (Severity.LOW, Confidence.LOW)
    assert "残留" in found.text.zh


def test_a_log_file_that_a_server_would_run_is_told_and_another_is_not() -> None:
    kind = "LogFileEventConsumer"
    (found,) = findings(
        (kind, {"Name": "w", "Filename": "C:\\inetpub\\wwwroot\\x.aspx", "Text": "<%eval%>"}),
        chosen(),
        bound(kind, "w"),
    )
    assert found.severity is Severity.HIGH
    assert not findings((kind, {"Name": "l", "Filename": "C:\\logs\\wmi.log", "Text": "x"}))


def test_windows_own_subscriptions_are_no_alarm_but_their_names_are_no_cover() -> None:
    scm = ("NTEventLogEventConsumer", {"Name": "SCM Event Log Consumer", "SourceName": "Service Control Manager"})
    own = (
        COMMAND,
        {
            "Name": "BVTConsumer",
            "CommandLineTemplate": "cscript KernCap.vbs",
            "WorkingDirectory": "C:\\tools\\kernrate",
        },
    )
    assert not findings(scm, chosen("SCM Event Log Filter"), own, bound(COMMAND, "BVTConsumer", "BVTFilter"))
    (found,) = findings((COMMAND, {"Name": "BVTConsumer", "CommandLineTemplate": ENCODED}))
    assert found.severity is Severity.HIGH


def test_a_plain_command_of_a_management_tool_stays_medium() -> None:
    (found,) = findings(
        (COMMAND, {"Name": "agent", "CommandLineTemplate": '"C:\\Program Files\\Agent\\a.exe" -x'}),
        chosen(),
        bound(COMMAND, "agent"),
    )
    assert found.severity is Severity.MEDIUM


def test_the_rule_is_found_by_place() -> None:
    assert "windows-subscriptions" in all_detectors()
