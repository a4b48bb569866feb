# SPDX-License-Identifier: Apache-2.0
"""Lists of shell items become paths; what is not known is shown, and a lying size ends the list."""

from __future__ import annotations

import random

import pytest
from hive_samples import folder_item, root_item, volume_item

from headwater.formats.shell_items import fat_time, item, items, path_of

LIST = root_item() + volume_item("D") + folder_item("财务 2019", "CAIWU~1") + b"\0\0"


def test_a_list_is_a_path_with_the_long_names() -> None:
    found = list(items(LIST))
    assert path_of(found) == "D:\\财务 2019"
    assert [i.sort for i in found] == ["root", "volume", "folder"]
    assert found[2].modified == found[2].created == 1_555_668_000_000_000_000


def test_a_list_that_is_cut_gives_what_is_whole() -> None:
    assert path_of(list(items(LIST[:-20]))) == "D:\\"
    assert list(items(b"\xff\xff" + bytes(40))) == []
    assert list(items(b"")) == []


def test_what_is_not_known_is_shown() -> None:
    assert item(b"\x0a\0\x99\0abcdef").name == "<item 0x99>"
    assert item(root_item("00" * 16)).name == "{00000000-0000-0000-0000-000000000000}"


def test_a_network_place_is_whole_by_itself() -> None:
    name = b"\\\\srv\\share\0"
    place = bytes([0, 0, 0x42, 0, 0]) + name
    place = len(place).to_bytes(2, "little") + place[2:]
    assert path_of(list(items(root_item("602c8d20ea3a6910a2d708002b30309d") + place))) == "\\\\srv\\share"


@pytest.mark.parametrize(("day", "clock"), [(0, 0), (0xFFFF, 0), (0x4E93, 0xFFFF), (0x4E5E, 0)])
def test_an_impossible_fat_time_is_none(day: int, clock: int) -> None:
    assert fat_time(day, clock) is None


def test_noise_never_raises() -> None:
    chance = random.Random(2)
    for _ in range(500):
        bent = bytearray(LIST)
        for _ in range(chance.randrange(1, 8)):
            bent[chance.randrange(len(bent))] = chance.randrange(256)
        path_of(list(items(bytes(bent))))
        path_of(list(items(chance.randbytes(60))))
