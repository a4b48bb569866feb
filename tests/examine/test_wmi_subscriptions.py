# SPDX-License-Identifier: Apache-2.0
"""WMI subscriptions are told from their bytes, in use or left over; a repository that lies cannot hide or invent one unseen."""

from __future__ import annotations

import struct
from typing import Any

from tiling import hold, spoilt
from wmi_writing import WRITTEN, index, instance, key, mapping, page

from headwater.examine.batch import batches_of
from headwater.examine.registry import all_parsers, by_path
from headwater.formats.wmi_instance import BINDING, COMMAND, FILTER, SCRIPT
from headwater.formats.wmi_repository import PAGE, name_hash
from headwater.model.records import File
from headwater.procedure.companions import Companions

WMI = all_parsers()["windows.wmi"]
FOLDER = "/Windows/System32/wbem/Repository/"
PATH = FOLDER + "OBJECTS.DATA"
SID = bytes.fromhex("010500000000000515000000") + struct.pack("<4I", 1, 2, 3, 1001)
RUN = "powershell.exe -nop -w hidden -enc SQBFAFgA"
QUERY = "SELECT * FROM __InstanceModificationEvent WITHIN 60 WHERE TargetInstance ISA 'Win32_PerfFormattedData_PerfOS_System'"
EVIL = {
    FILTER: {"Name": "更新", "CreatorSID": SID, "QueryLanguage": "WQL", "Query": QUERY, "EventNamespace": "root\\cimv2"},
    COMMAND: {"Name": "更新", "CreatorSID": SID, "CommandLineTemplate": RUN, "RunInteractively": False, "KillTimeout": 0},
    BINDING: {
        "Filter": '__EventFilter.Name="u"', "Consumer": 'CommandLineEventConsumer.Name="u"', "CreatorSID": SID, "DeliveryQoS": 0,
    },
}  # fmt: skip
GOOD = {"Name": "SCM Event Log Consumer", "SourceName": "Service Control Manager", "EventID": 0, "Category": 0, "EventType": 1,
        "InsertionStringTemplates": ["", "x"]}  # fmt: skip


def repository() -> dict[str, bytes]:
    """A page in use, one that is not, an object that the index forgot, and one that goes over two pages."""
    live = [(n, instance(kind, values)) for n, (kind, values) in enumerate(EVIL.items(), 11)]
    live.append((14, instance("NTEventLogEventConsumer", GOOD)))
    live.append(
        (15, instance(SCRIPT, {"Name": "gone", "ScriptingEngine": "VBScript", "ScriptText": "CreateObject(1)"}))
    )
    stale = page([(9, instance(COMMAND, {"Name": "old", "CommandLineTemplate": "cmd /c old.exe"}))])
    script = instance(SCRIPT, {"Name": "large", "ScriptingEngine": "JScript", "ScriptText": "x" * 9000})
    large = page([(21, script)])
    names = {11: FILTER, 12: COMMAND, 13: BINDING, 14: "NTEventLogEventConsumer"}
    keys = [key(names[n], str(n), 0, n, len(data)) for n, data in live if n in names]
    keys.append(key(SCRIPT, "large", 1, 21, len(script)))
    assert len(large) == 2 * PAGE
    objects = page(live) + large[PAGE:] + stale + large[:PAGE]
    return {
        "OBJECTS.DATA": objects,
        "INDEX.BTR": index(keys),
        "MAPPING1.MAP": mapping((2, 1, 0), 6),
        "MAPPING2.MAP": mapping((0, 3, 1)),
    }


def told(files: dict[str, bytes]) -> tuple[dict[str, dict[str, Any]], list[Any]]:
    """Rows by name or class, and the gaps."""
    others = {FOLDER + n: File.of(d, FOLDER + n) for n, d in files.items() if n != "OBJECTS.DATA"}
    data = files["OBJECTS.DATA"]
    file = File(PATH, len(data), lambda at, n: data[at : at + n], beside=others)
    done = list(batches_of(WMI.parse(file), file.size))
    rows = [{k: v for k, v in r.items() if v is not None} for b in done for r in b.events.iter_rows(named=True)]
    names = (str(r.get("Name", r["class"])) + (" filter" if r["sort"] == "filter" else "") for r in rows)
    return dict(zip(names, rows, strict=True)), [g for b in done for g in b.gaps]


def test_a_filter_a_consumer_and_their_binding_are_told_with_who_made_them() -> None:
    rows, gaps = told(repository())
    assert not gaps
    consumer, chosen, bound = rows["更新"], rows["更新 filter"], rows[BINDING]
    assert (consumer["command_line"], consumer["CreatorSID"]) == (RUN, "S-1-5-21-1-2-3-1001")
    assert (chosen["Query"], chosen["EventNamespace"]) == (QUERY, "root\\cimv2")
    assert bound["Consumer"] == 'CommandLineEventConsumer.Name="u"'
    assert {r["namespace"] for r in (consumer, chosen, bound)} == {"root\\subscription"}
    assert {r["state"] for r in (consumer, chosen, bound)} == {"in use"}
    assert consumer["t_recorded"] == (WRITTEN - 116_444_736_000_000_000) * 100
    assert "ExecutablePath" not in consumer
    assert (consumer["RunInteractively"], rows["SCM Event Log Consumer"]["EventType"]) == (False, 1)


def test_what_the_index_forgot_and_what_no_map_names_are_told_as_left_over() -> None:
    rows, _ = told(repository())
    assert (rows["gone"]["state"], rows["gone"]["in_use"]) == ("left over: no longer indexed", False)
    assert rows["old"]["state"] == "left over: its page is not in use"
    assert rows["old"]["command_line"] == "cmd /c old.exe"


def test_a_script_over_two_pages_is_whole() -> None:
    rows, _ = told(repository())
    assert rows["large"]["ScriptText"] == "x" * 9000
    assert rows["large"]["further"].startswith(f"{PAGE}+")
    assert "cut" not in rows["large"]


def test_an_index_that_states_another_length_is_said() -> None:
    files = repository()
    size = len(instance(COMMAND, EVIL[COMMAND]))
    files["INDEX.BTR"] = index([key(COMMAND, "u", 0, 12, size + 1)])
    assert told(files)[0]["更新"]["state"] == "in use, with another length in the index"


def test_without_maps_nothing_is_said_to_be_in_use() -> None:
    files = repository()
    rows, gaps = told({"OBJECTS.DATA": files["OBJECTS.DATA"]})
    assert {r["state"] for r in rows.values()} == {"not known: no mapping file"}
    assert "which pages are in use" in gaps[0].detail
    cut = {n: d[: len(d) // 2] for n, d in files.items() if "MAP" in n}
    rows, gaps = told(files | cut)
    assert {r["state"] for r in rows.values()} == {"not known: no mapping file"}
    rows, gaps = told({n: d for n, d in files.items() if n != "INDEX.BTR"})
    assert rows["更新"]["state"] == "not known: no index"


def test_a_record_whose_page_lost_its_head_is_carved() -> None:
    files = repository()
    data = bytearray(files["OBJECTS.DATA"])
    data[0:96] = bytes(96)
    rows, _ = told(files | {"OBJECTS.DATA": bytes(data)})
    assert (rows["更新"]["command_line"], rows["更新"]["state"]) == (RUN, "left over: its page does not name it")


def test_a_record_that_does_not_add_up_is_told_by_its_texts_alone() -> None:
    data = instance(COMMAND, {"Name": "n", "CommandLineTemplate": RUN})
    broken = data.replace(b"\x04\0\0\0\x01", b"\x04\0\0\0\x07", 1)
    assert broken != data
    rows, _ = told({"OBJECTS.DATA": page([(1, broken)])})
    (row,) = rows.values()
    assert RUN in row["texts"]
    assert "command_line" not in row


def test_repositories_that_lie_are_held() -> None:
    files = repository()
    for data in spoilt(files["OBJECTS.DATA"]):
        hold(WMI, data, PATH)
    for name in ("INDEX.BTR", "MAPPING2.MAP"):
        for data in spoilt(files[name]):
            told(files | {name: data})
    many = (name_hash(COMMAND).encode("utf-16-le") + bytes(16) + b"\xff" * 20) * 300
    told({"OBJECTS.DATA": many.ljust(9 * PAGE, b"\xff")})


def test_the_files_beside_the_objects_reach_them_and_are_accounted_for() -> None:
    files = repository()
    for name in ("INDEX.BTR", "MAPPING2.MAP"):
        assert [p.name for p in by_path(FOLDER + name)] == ["windows.wmi"]
        assert not hold(WMI, files[name], FOLDER + name)[0].gaps
        assert hold(WMI, files[name][: len(files[name]) // 2 - 9], FOLDER + name)[0].gaps
    candidates = [{"view": "p1", "key": n, "path": f"p1!{FOLDER}{n}", "size": 1, "mtime": None} for n in files]
    found = Companions(candidates).of(candidates[0])["beside"]
    assert [c["key"] for c in found] == ["INDEX.BTR", "MAPPING1.MAP", "MAPPING2.MAP"]
