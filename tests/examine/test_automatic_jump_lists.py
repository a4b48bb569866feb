# SPDX-License-Identifier: Apache-2.0
"""Automatic jump lists: what a user opened, when and how often, is told with its place; nothing in the file can mislead or hang."""

from __future__ import annotations

import struct

from compound_writing import compound, destinations
from shell_link_writing import filetime, link
from tiling import hold, run, shared, spoilt

from headwater.examine.registry import all_parsers
from headwater.formats.compound_file import open_compound

LIST = all_parsers()["windows.jumplist"]
PATH = "/Users/eve/AppData/Roaming/Microsoft/Windows/Recent/AutomaticDestinations/1b4dd67f29cb1962.automaticDestinations-ms"
USED = 1_772_500_000


def _sample(remains: bytes = b"") -> bytes:
    target = link("D:\\卷宗\\名单.xlsx", seconds=(USED - 50,) * 3, machine="SRV01")
    old = link("C:\\Users\\eve\\old.txt", seconds=(USED - 90,) * 3)
    rows = destinations(
        (1, "D:\\卷宗\\名单.xlsx", filetime(USED), 0, 12), (2, "C:\\gone.txt", filetime(USED - 9), -1, 1)
    )
    return compound({"1": target, "DestList": rows, "5": old}, remains)


def test_last_use_count_pin_host_and_card_of_an_entry_are_told() -> None:
    rows, gaps, _ = run(LIST, _sample(), PATH)
    assert not gaps
    first, second = (r for r in rows if r["t_kind"] == "used")
    assert (first["t_recorded"], first["count"], first["pinned"]) == (USED * 10**9, 12, True)
    assert (first["user"], first["file_path"], first["machine"]) == ("eve", "D:\\卷宗\\名单.xlsx", "SRV01")
    assert first["mac"] == "02:00:00:00:00:01"
    assert first["droid_time"].startswith("20")
    assert (second["pinned"], second["linked"]) == (False, False)


def test_a_link_that_the_list_dropped_is_told_as_such() -> None:
    rows, _, _ = run(LIST, _sample(), PATH)
    assert {r["state"] for r in rows if r.get("entry") == "5"} == {"not in the list any more"}


def test_a_link_in_freed_sectors_is_found_and_not_called_a_stream() -> None:
    rows, _, _ = run(LIST, _sample(link("E:\\wiped.zip", seconds=(USED,) * 3)), PATH)
    assert {r["file_path"] for r in rows if r.get("state") == "found outside any stream"} == {"E:\\wiped.zip"}


def test_an_event_stands_on_the_bytes_that_say_it() -> None:
    data = _sample()
    rows, _, _ = run(LIST, data, PATH)
    for row in (r for r in rows if r["t_kind"] == "used" and not r.get("further")):
        held = data[row["offset"] : row["offset"] + row["length"]]
        assert row["file_path"].encode("utf-16-le") in held


def test_chains_in_a_circle_end() -> None:
    data = bytearray(_sample())
    data[512:1024] = struct.pack("<128I", *[3] * 128)
    hold(LIST, bytes(data), PATH)
    data = bytearray(compound({"1": link("C:\\a.exe"), "2": link("C:\\b.exe")}))
    place = data.index("2".encode("utf-16-le") + bytes(62))
    data[place + 116 : place + 120] = bytes(4)  # both streams begin in the same sector
    opened = open_compound(lambda at, n: bytes(data[at : at + n]), len(data))
    contents = [opened.read(entry, 1 << 20) for entry in opened.streams()]
    assert contents[0].data
    assert contents[1].fault
    hold(LIST, bytes(data), PATH)


def test_files_that_lie_about_their_lengths_are_held() -> None:
    for data in spoilt(_sample(link("E:\\wiped.zip"))):
        hold(LIST, data, PATH)
    head = bytearray(_sample())
    head[68:76] = struct.pack("<II", 2, 0xFFFFFFFF)
    hold(LIST, bytes(head), PATH)


def test_real_lists_agree_with_what_plaso_reads() -> None:
    for name, listed, linked in (("1b4dd67f29cb1962", 7, 7), ("9d1f905ce5044aee", 2, 2)):
        data = shared(f"plaso/test_data/automaticDestinations-ms/{name}.automaticDestinations-ms").read_bytes()
        rows, gaps, _ = run(LIST, data, PATH)
        assert not gaps
        assert sum(r["t_kind"] == "used" for r in rows) == listed
        assert len({r["offset"] for r in rows if r["t_kind"] != "used"}) == linked
