# SPDX-License-Identifier: Apache-2.0
"""The quick reader of JSON access lines must not say anything else than the exact one, whatever a line holds."""

from __future__ import annotations

import json
import random

import polars as pl
import pytest

from headwater.examine import web_json
from headwater.examine.lines import line_batches
from headwater.examine.parsers import web_access
from headwater.model.records import File

_ODD = (
    "18446744073709551616", "-9223372036854775809", "123456789012345678901234567890.5", "1e400", "-0", "-0.0", "NaN", "Infinity",
    '"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"a\\/b"', "1772420645.250000001", "1E5", "[1,{}]", '{"status":1}', "null", "true",
    "01", '"\t"', '"中"', "1.", "9223372036854775807", "999999999999999999", "[" * 99 + "]" * 99,
)  # fmt: skip
_KEYS = ("time", "ts", "@timestamp", "remote_addr", "Status", "status", "request", "uri", "method", "x", "request_time")


def _lines(seed: int) -> bytes:
    chance = random.Random(seed)
    out = []
    for i in range(300):
        pairs = [
            '"ts":"2026-03-02T03:04:05+08:00"',
            '"remote_addr":"203.0.113.7"',
            f'"request":"GET /{i} HTTP/1.1"',
            '"status":200',
        ]
        for _ in range(chance.randrange(3)):
            pairs.insert(chance.randrange(5), f'"{chance.choice(_KEYS)}":{chance.choice(_ODD)}')
        line = bytearray(("{" + ",".join(pairs) + "}").encode())
        if chance.random() < 0.1:
            line[chance.randrange(len(line))] = chance.choice((0, 34, 44, 92, 123, 125, 255))
        out.append(bytes(line))
    return b"\n".join(out) + b"\n"


def _read(data: bytes) -> tuple[list[pl.DataFrame], list[object]]:
    done = list(line_batches(web_access.GRAMMAR, File.of(data)))
    return [b.events for b in done], [(b.start, b.end, b.gaps, b.skipped) for b in done]


@pytest.mark.parametrize("seed", range(6))
def test_quick_and_exact_say_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = _lines(seed)
    quick, places = _read(data)
    monkeypatch.setattr(web_json, "_LONG_NUMBER", "")  # every line then goes to the exact reader
    exact, same = _read(data)
    assert places == same
    assert all(one.equals(other) for one, other in zip(quick, exact, strict=True))


def test_no_depth_of_one_line_costs_the_lines_behind_it() -> None:
    good = json.dumps(
        {"time": "2026-03-02T03:04:05Z", "remote_addr": "::1", "request": "GET / HTTP/1.1", "status": 200}
    )
    for depth in range(880, 1040, 1):
        deep = good[:-1] + ',"x":' + "[" * depth + "]" * depth + "}"
        frames, _ = _read(f"{good}\n{deep}\n{good}\n".encode())
        assert sum(frame.height for frame in frames) >= 2


def test_half_a_surrogate_pair_in_one_line_costs_no_other() -> None:
    good = '{"time":"2026-03-02T03:04:05Z","remote_addr":"::1","request":"GET / HTTP/1.1","status":200}'
    bent = good.replace("GET /", "GET /\\udcff\\ud800")
    (frame,), _ = _read(f"{bent}\n{good}\n".encode())
    assert frame.height == 2
    assert frame["cs-uri"].to_list() == ["/\\xff\\ud800", "/"]
