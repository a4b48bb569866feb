# SPDX-License-Identifier: Apache-2.0
"""Reading by columns must not say anything else than reading line by line, however a log is bent."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from headwater.examine.batch import Batch, batches_of
from headwater.examine.parsers import _spaced, _text, cloud_flow, windows_iis
from headwater.model.records import File

_IIS_NAMES = (
    b"date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken",
    b"date time c-ip cs-method cs-uri-stem cs-uri-query sc-status",
    b"time c-ip cs-method cs-uri-stem sc-status X-Forwarded-For",
    b"date time c-ip cs-uri-query cs-uri-stem sc-status sc-bytes cs-bytes",
    b"time date c-ip cs-uri-stem",
    b"date time c-ip C-IP cs-uri-stem host pid",
    b"date time c-ip s-computername cs-uri cs-method",
)
_FLOW_NAMES = (
    b"version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status",
    b"version srcaddr dstaddr start action log-status vpc-id pkt-srcaddr flow-direction",
    b"srcaddr dstaddr srcport start bytes",
    b"srcaddr dstaddr bytes end action",
    b"srcaddr dstaddr start start action",
)
_ADDRESSES = (
    b"203.0.113.7",
    b"10.0.0.5",
    b"::1",
    b"2001:DB8::7",
    b"::ffff:10.1.2.3",
    b"fe80::1%4",
    b"010.0.0.1",
    b"host.example",
    b"-",
)
_NUMBERS = (
    b"200",
    b"404",
    b"0",
    b"007",
    b"-",
    b"2148074254",
    b"123456789012345678",
    b"1234567890123456789",
    b"12x",
    b"+5",
    b"12345678",
    b"123456789012345x",
)
_TEXTS = (b"-", b"/", b"/a%20b?x", b"\xe4\xb8\xad", b"x" * 40, b"\xff\xfe", b"Mozilla/5.0+(Windows)", b"NODATA", b"--", b"a\tb", b"\xe3\x80\x80")  # fmt: skip


def _value(chance: random.Random, name: bytes) -> bytes:
    if name in (b"c-ip", b"C-IP", b"s-ip", b"srcaddr", b"dstaddr"):
        return chance.choice(_ADDRESSES[:5] * 8 + _ADDRESSES)
    if name == b"date":
        return chance.choice((b"2026-03-02",) * 40 + (b"2026-02-29", b"-", b"1600-01-01", b"2026/03/02"))
    if name == b"time":
        return chance.choice((b"%02d:%02d:%02d" % (chance.randrange(25), chance.randrange(60), chance.randrange(61)), b"23:59:60", b"1:02:03", b"-")) if chance.random() < 0.1 else b"03:04:%02d" % chance.randrange(60)  # fmt: skip
    if name in (b"start", b"end"):
        return chance.choice((b"1772420%03d" % chance.randrange(999),) * 20 + (b"-", b"01772420645", b"99999999999", b"177242064", b"1772420645000", b"9223372037"))  # fmt: skip
    if name == b"action":
        return chance.choice((b"ACCEPT", b"REJECT", b"deny", b"-"))
    if name == b"log-status":
        return chance.choice((b"OK",) * 8 + (b"NODATA", b"SKIPDATA", b"SKIPDATAX"))
    if name.startswith((b"sc-", b"s-p", b"cs-b", b"time-", b"srcp", b"dstp", b"pro", b"pa", b"by")):
        return chance.choice((b"%d" % chance.randrange(600),) * 30 + _NUMBERS)
    return chance.choice(_TEXTS if chance.random() < 0.1 else (b"/index.html", b"-", b"GET", b"a=1&b=2"))


def _line(chance: random.Random, names: bytes) -> bytes:
    line = b" ".join(_value(chance, name) for name in names.split())
    odd = chance.random()
    if odd < 0.01:
        line = chance.choice((b"", b"  ", b" " + line, line + b" ", line.replace(b" ", b"  ", 1), line + b" more", b"{}", b"\t", b"y" * 140_000))  # fmt: skip
    elif odd < 0.014:
        line = chance.choice((b"\0\0" + line, line[:9] + b"\0" + line[9:], b'{"srcaddr":"::1","dstaddr":"x","start":1772420645,"bytes":7}'))  # fmt: skip
    return line + (b"\r\n" if chance.random() < 0.2 else b"\n")


def _iis(chance: random.Random) -> bytes:
    parts = [b"#Software: Microsoft Internet Information Services 10.0\r\n"]
    for _ in range(chance.randrange(1, 5)):
        if chance.random() < 0.6:
            parts.append(b"#Date: %s 00:00:00\n" % chance.choice((b"2026-03-02", b"2300-01-01", b"2026-13-02")))
        names = chance.choice(_IIS_NAMES[:4] * 3 + _IIS_NAMES)
        parts.append(b"#Fields: " + names + b"\n")
        parts.extend(_line(chance, names) for _ in range(chance.choice((3, 100, 400))))
    return b"".join(parts)


def _flow(chance: random.Random) -> bytes:
    names, parts = _FLOW_NAMES[0], []
    for _ in range(chance.randrange(1, 5)):
        parts.extend(_line(chance, names) for _ in range(chance.choice((3, 100, 400))))
        names = chance.choice(_FLOW_NAMES[:3] * 3 + _FLOW_NAMES)
        parts.append(names + b"\n")
    return b"".join(parts)


def _bent(chance: random.Random, data: bytes) -> bytes:
    kind = chance.randrange(4)
    if kind == 0:
        return data
    bent = bytearray(data[: chance.randrange(len(data))] if kind == 1 else data)
    for _ in range(chance.randrange(20)):
        if bent:
            bent[chance.randrange(len(bent))] = chance.choice(
                (0, 10, 13, 32, 32, 45, 48, 63, 255, chance.randrange(256))
            )
    return bytes(bent)


def _same(found: list[Batch], wanted: list[Batch]) -> None:
    assert [(b.start, b.end) for b in found] == [(b.start, b.end) for b in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one.gaps == other.gaps
        assert one.skipped == other.skipped
        assert one.events.schema == other.events.schema
        assert list(one.events.schema) == list(other.events.schema)
        assert one.events.equals(other.events), f"{one.start}"


@pytest.mark.parametrize(("parser", "make"), [(windows_iis, _iis), (cloud_flow, _flow)], ids=["iis", "flow"])
@pytest.mark.parametrize("seed", range(12))
def test_columns_say_what_lines_say(
    parser: Any, make: Callable[[random.Random], bytes], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    data = _bent(chance, make(chance))
    for most, block in ((50_000, 1 << 20), (chance.randrange(50, 400), chance.randrange(3_000, 60_000))):
        monkeypatch.setattr(_spaced, "MOST", most)
        monkeypatch.setattr(_text, "_BLOCK", block)
        file = File.of(data)
        _same(list(parser.batches(file)), list(batches_of(parser.parse(file), file.size, most)))


@pytest.mark.parametrize(("parser", "make"), [(windows_iis, _iis), (cloud_flow, _flow)], ids=["iis", "flow"])
def test_regular_lines_do_go_by_columns(
    parser: Any, make: Callable[[random.Random], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    made = _spaced._frame
    monkeypatch.setattr(_spaced, "_frame", lambda columns, *where: rows.append(len(where[0])) or made(columns, *where))
    data = b"".join(make(random.Random(seed)).replace(b"\0", b"") for seed in range(4))
    parsed = sum(batch.events.height for batch in parser.batches(File.of(data)))
    assert sum(rows) > parsed / 2
