# SPDX-License-Identifier: Apache-2.0
"""A database of addresses answers as its specification says; a hostile one ends in an error and costs little."""

from __future__ import annotations

import random

import pytest
from mmdb_writing import database

from headwater.formats.address_ranges import database_ranges
from headwater.formats.maxmind import BadDatabase, is_database, open_database

CITY = {
    "203.0.113.0/24": {"country": {"iso_code": "AA"}, "location": {"latitude": 31.25, "longitude": -121.5}, "city": {"names": {"en": "T" * 300}}},
    "198.51.100.0/25": {"country_code": "BB", "lat": "1.5", "lng": "2.5", "flags": [True, False, 1 << 40]},
    "192.0.2.7/32": "a bare text",
}  # fmt: skip
SIX = {**CITY, "2001:db8::/32": {"country": {"iso_code": "DD"}}}


@pytest.mark.parametrize("bits", [24, 28, 32])
@pytest.mark.parametrize("version", [4, 6])
def test_each_size_of_record_answers_for_its_networks_and_is_silent_elsewhere(bits: int, version: int) -> None:
    said = SIX if version == 6 else CITY
    held = open_database(database(said, bits, version))
    assert (held.record("203.0.113.200") or ("", ""))[1] == "203.0.113.0/24"
    assert held.record("203.0.113.9") == (CITY["203.0.113.0/24"], "203.0.113.0/24")
    assert held.record("198.51.100.127") == (CITY["198.51.100.0/25"], "198.51.100.0/25")
    assert held.record("192.0.2.7") == ("a bare text", "192.0.2.7/32")
    assert [held.record(a) for a in ("198.51.100.128", "192.0.2.8", "8.8.8.8", "no address", "")] == [None] * 5
    assert (held.record("2001:db8::1") is not None) == (version == 6)
    assert held.networks() == len(said)
    assert (held.kind, held.built) == ("Test-City", 1_790_000_000)


def test_countries_come_from_a_database_as_from_a_list() -> None:
    held = database_ranges(database(SIX))
    asked = ["203.0.113.1", "198.51.100.1", "2001:db8::5", "192.0.2.7", "8.8.8.8"]
    assert [held.country(a) for a in asked] == ["AA", "BB", "DD", None, None]
    assert (len(held), held.unread, len(held.sha256)) == (4, 0, 64)


def test_what_is_no_database_is_said_to_be_none() -> None:
    for data in (b"", b"network,country\n", b"\xab\xcd\xefMaxMind.com", b"\xab\xcd\xefMaxMind.com\xe1\x41a\x41b"):
        with pytest.raises(BadDatabase):
            open_database(data)
    assert not is_database(b"network,country\n")
    assert is_database(database(CITY))


def _asked(data: bytes) -> None:
    try:
        held = open_database(data)
    except BadDatabase:
        return
    for address in ("203.0.113.9", "198.51.100.1", "2001:db8::1", "255.255.255.255", "::"):
        try:
            held.record(address)
        except BadDatabase:
            continue
    assert held.networks() >= 0


def test_cut_and_changed_databases_never_raise_anything_else() -> None:
    dice, good = random.Random(11), database(SIX, 28)
    for cut in range(0, len(good), max(1, len(good) // 150)):
        _asked(good[:cut])
        _asked(good[cut:])
    for _ in range(1500):
        data = bytearray(good)
        for _ in range(dice.randint(1, 6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        _asked(bytes(data))


def test_pointers_in_a_circle_and_lists_of_lists_are_bounded() -> None:
    good = database({"203.0.113.0/24": "x" * 20}, 24, 4)
    at = good.index(b"\x54" + b"x" * 20)
    circle = bytes([0x20, 0x00])  # a pointer to the beginning of the data: itself
    deep = bytes([0x02, 0x04, 0x20, 0x00, 0x20, 0x00])  # a list of two pointers to itself
    for payload in (circle, deep, b"\x5f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x1f\x04\xff\xff\xff"):
        data = good[:at] + payload + good[at + len(payload) :]
        with pytest.raises(BadDatabase):
            open_database(data).record("203.0.113.9")
