# SPDX-License-Identifier: Apache-2.0
"""Texts of events are read as their compiler wrote them; files that lie about their resources cannot hold the reader up.

SOURCE: fixtures/event_messages.dll, made for this project from seven lines of message text with GNU windmc, windres and ld
(binutils 2.40, x86_64-w64-mingw32); Apache-2.0;
sha256 82ad5fc76a670c75e073c4b14e16e7048b7b20574357d6334d7039e4ec834102
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from headwater.formats.message_table import MANIFEST, fill, manifest, messages
from headwater.formats.pe_resources import MESSAGE_TABLE, resources

LIBRARY = Path(__file__).parent / "fixtures" / "event_messages.dll"
REAL = Path(__file__).parents[3] / "shared" / "data" / "plaso" / "test_data" / "wrc-test-wevt_template.dll"


def _texts(data: bytes) -> dict[tuple[int, int], str]:
    found = {}
    for each in resources(lambda at, n: data[at : at + n], len(data), MESSAGE_TABLE):
        for message in messages(data[each.offset : each.offset + each.length]):
            found[each.language, message.number] = message.text
    return found


def test_texts_of_every_language_are_those_that_were_compiled() -> None:
    found = _texts(LIBRARY.read_bytes())
    assert found[0x409, 0x40000001] == "The %1 service entered the %2 state."
    assert found[0x804, 0x40000001] == "Service %1 (zh) is now %2."
    assert found[0x409, 101].split() == ["Percent", "100%%", "of", "%3!s!", "done.%n", "Second", "line"]


def test_a_text_stands_on_its_bytes() -> None:
    data = LIBRARY.read_bytes()
    each = resources(lambda at, n: data[at : at + n], len(data), MESSAGE_TABLE)[0]
    for message in messages(data[each.offset : each.offset + each.length], {101}):
        place = each.offset + message.at
        assert "Percent".encode("utf-16-le") in data[place : place + message.length]


def test_inserts_stand_where_the_text_wants_them() -> None:
    assert fill("%1 of %2%%: %3!s!%n%10", ["a", None, "c"]) == "a of %2%: c\r\n%10"
    assert fill("one%0two", []) == "one"
    assert fill("100%%0 left %1", ["%1%2"]) == "100%0 left %1%2"
    assert len(fill("%1" * 8000, ["x" * 9000])) <= 16_384


def test_a_real_manifest_gives_the_names_of_its_fields_in_order() -> None:
    if not REAL.exists():
        pytest.skip("no reference data: plaso/test_data/wrc-test-wevt_template.dll")
    data = REAL.read_bytes()
    (each,) = resources(lambda at, n: data[at : at + n], len(data), MANIFEST)
    (events,) = manifest(data[each.offset : each.offset + each.length]).values()
    assert [(e.number, e.message, e.fields) for e in events] == [(1, 0xB0010001, ("name", "value"))]
    assert list(_texts(data).values()) == ["A test value"]


def test_libraries_that_lie_are_read_to_an_end() -> None:
    chance = random.Random(5)
    originals = [LIBRARY.read_bytes(), *([REAL.read_bytes()] if REAL.exists() else [])]
    for data in originals:
        for _ in range(150):
            bent = bytearray(data[: chance.choice((len(data), len(data), chance.randrange(len(data))))])
            for _ in range(chance.randrange(1, 40)):
                if bent:
                    bent[chance.randrange(len(bent))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
            lies = bytes(bent)
            _texts(lies)
            for each in resources(lambda at, n, lies=lies: lies[at : at + n], len(lies), MANIFEST):  # type: ignore[misc]
                manifest(lies[each.offset : each.offset + each.length])
