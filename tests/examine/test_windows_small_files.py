# SPDX-License-Identifier: Apache-2.0
"""Tasks and deleted files are told as Windows' own small files have them, and hostile ones stay bounded."""

from __future__ import annotations

import pytest
from tiling import fixture, hold, run, shared, spoilt

from headwater.examine.registry import all_parsers
from headwater.model.times import rfc3339

TASK = "windows.task_file"
RECYCLE = "windows.recycle"


@pytest.mark.parametrize(
    ("name", "path", "when", "size"),
    [
        ("$I103S5F.jpg", "C:\\Users\\random\\Downloads\\bunnies.jpg", "2016-06-29T21:37:45.618000000Z", 222_255),
        (
            "$II3DF3L.zip",
            "C:\\Users\\nfury\\Documents\\Alloy Research\\StarFury.zip",
            "2012-03-12T20:49:58.633000000Z",
            724_919,
        ),
    ],
)
def test_real_deletions_are_told_as_others_read_them(name: str, path: str, when: str, size: int) -> None:
    data = shared(f"plaso/test_data/recycler/{name}").read_bytes()
    rows, gaps, _ = run(all_parsers()[RECYCLE], data, f"/$Recycle.Bin/S-1-5-21-1/{name}")
    assert not gaps
    (row,) = rows
    assert (row["file_path"], row["size"], row["kind"], row["sid"]) == (path, size, "file.deleted", "S-1-5-21-1")
    assert rfc3339(row["t_recorded"]) == when


def test_every_action_of_a_task_is_told_with_whose_rights_it_runs() -> None:
    rows, gaps, _ = run(all_parsers()[TASK], fixture("windows_task_file", "update"), "/Windows/System32/Tasks/x")
    assert not gaps
    assert [r["command_line"] for r in rows] == [
        "powershell.exe -nop -w hidden -enc SQBFAFgA",
        "C:\\Users\\Public\\frpc.exe",
    ]
    assert {(r["user"], r["run_level"], r["not_shown"]) for r in rows} == {("S-1-5-18", "HighestAvailable", "true")}
    assert {r["t_basis"] for r in rows} == {"zone-assumed"}


def test_a_task_with_entities_of_its_own_is_not_expanded() -> None:
    rungs = "".join(f'<!ENTITY e{k} "{f"&e{k - 1};" * 10}">' for k in range(1, 30))
    data = f'<!DOCTYPE t [<!ENTITY e0 "x">{rungs}]><Task>&e29;</Task>'.encode("utf-16")
    rows, gaps, _ = run(all_parsers()[TASK], data, "/Windows/System32/Tasks/x")
    assert not rows
    assert [g.length for g in gaps] == [len(data)]


def test_a_task_nested_without_end_is_held() -> None:
    hold(all_parsers()[TASK], b"<Task>" + b"<a>" * 40_000 + b"</a>" * 40_000 + b"</Task>", "/Windows/System32/Tasks/x")


@pytest.mark.parametrize(("parser", "name"), [(TASK, "update"), (RECYCLE, "$IAB12CD.xlsx"), (RECYCLE, "$I0OLD01.zip")])
def test_spoilt_files_stay_accounted_for(parser: str, name: str) -> None:
    for data in spoilt(fixture(parser.replace(".", "_"), name)):
        hold(all_parsers()[parser], data, f"/x/Tasks/{name}")
