# SPDX-License-Identifier: Apache-2.0
"""Strings of new programs: each where it stands, in both widths; versions are no addresses, markup is no link."""

from __future__ import annotations

import random

import pytest

from headwater.examine.program_strings import TOLD_MOST, classed, describe, runs
from headwater.formats.sources import MemorySource


def test_strings_stand_where_they_are_in_both_widths() -> None:
    data = b"\0abcdef\0\xff" + "Windows".encode("utf-16-le") + b"\xff" + "odd one".encode("utf-16-le") + b"12345\0"
    found = list(runs(data))
    assert [(f.text, f.wide) for f in found] == [("abcdef", False), ("odd one", True), ("Windows", True)]
    for run in found:
        assert data[run.offset : run.offset + run.length].replace(b"\0", b"").decode() == run.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("connect http://198.51.100.7/a", ("url", "http://198.51.100.7/a")),
        ("198.51.100.7:8080", ("address", "198.51.100.7:8080")),
        ("libfoo 1.2.3.4", None),
        ("version 10.0.19041.1", None),
        ("999.1.1.1 127.0.0.1 0.0.0.0", None),
        ("http://www.w3.org/2000/svg", None),
        ("abcdefghij234567.onion", ("onion", "abcdefghij234567.onion")),
        ("-----BEGIN RSA PRIVATE KEY-----", ("key", "-----BEGIN RSA PRIVATE KEY")),
        ("just words", None),
    ],
)
def test_class_of_a_string(text: str, expected: tuple[str, str] | None) -> None:
    assert classed(text) == expected


def test_hostile_bytes_are_bounded() -> None:
    dice = random.Random(11)
    describe(MemorySource(dice.randbytes(200_000)))
    many = b"\0".join(b"http://198.51.100.%d/%d" % (n % 250, n) for n in range(20_000))
    rows = describe(MemorySource(many))
    assert (len(rows), rows[0]["strings"]) == (TOLD_MOST + 1, 20_000)
    assert describe(MemorySource(b""))[0]["strings"] == 0
