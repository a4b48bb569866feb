# SPDX-License-Identifier: Apache-2.0
"""Shortcuts tell the target, its volume and the machine as they were; broken ones lose nothing in silence."""

from __future__ import annotations

from shell_link_writing import jump_list, link
from tiling import hold, run, shared, spoilt

from headwater.examine.registry import all_parsers
from headwater.formats.shell_link import MAGIC
from headwater.model.times import rfc3339

LNK = all_parsers()["windows.lnk"]
LIST = all_parsers()["windows.jumplist"]


def test_a_real_shortcut_is_told_as_others_read_it() -> None:
    rows, gaps, _ = run(
        LNK, shared("plaso/test_data/NeroInfoTool.lnk").read_bytes(), "/Users/u/Desktop/NeroInfoTool.lnk"
    )
    assert not gaps
    assert len(rows) == 3
    assert rows[0]["file_path"] == "C:\\Program Files (x86)\\Nero\\Nero 9\\Nero InfoTool\\InfoTool.exe"
    assert (rows[0]["volume_serial"], rows[0]["volume_label"], rows[0]["size"]) == ("70EC-FA33", "OS", 4_635_160)
    assert rfc3339(rows[0]["t_recorded"]) == "2009-06-05T20:13:20.000000000Z"
    assert rows[0]["arguments"].strip() == "-ScParameter=30002"
    rows, gaps, _ = run(LNK, shared("plaso/test_data/example.lnk").read_bytes(), "/x.lnk")
    assert not gaps
    assert rfc3339(rows[0]["t_recorded"]) == "2009-07-14T01:39:18.220000000Z"
    assert rows[0]["mac"] == "00:1d:09:fa:5a:1c"


def test_every_link_of_a_real_jump_list_is_told() -> None:
    for name, links in (("368d807282ccde9d", 3), ("5afe4de1b92fc382", 9), ("c98dce577f884ef8", 0)):
        data = shared(f"plaso/test_data/customDestinations-ms/{name}.customDestinations-ms").read_bytes()
        rows, gaps, _ = run(LIST, data, f"/{name}.customDestinations-ms")
        assert not gaps
        assert len({r["index"] for r in rows}) == links == data.count(MAGIC)


def test_a_link_in_the_startup_folder_is_an_autorun_with_its_command() -> None:
    data = link("C:\\Windows\\System32\\cmd.exe", "/c calc", seconds=(1_772_500_000,))
    rows, _, _ = run(LNK, data, "/ProgramData/Microsoft/Windows/Start Menu/Programs/StartUp/a.lnk")
    assert [(r["kind"], r["command_line"]) for r in rows] == [
        ("state.autorun", "C:\\Windows\\System32\\cmd.exe /c calc")
    ]
    rows, _, _ = run(LNK, data, "/Users/Administrator/Desktop/a.lnk")
    assert [(r["kind"], r["user"]) for r in rows] == [("user.activity", "Administrator")]


def test_links_that_lie_about_their_lengths_are_held() -> None:
    good = link("C:\\a.exe", "-x", seconds=(1_772_500_000,), machine="m")
    lies = MAGIC + b"\xff" * 2000
    for data in (*spoilt(good), lies):
        hold(LNK, data, "/a.lnk")
    for data in (*spoilt(jump_list(good, good)), lies * 20, bytes(9000)):
        hold(LIST, data, "/a.customDestinations-ms")
