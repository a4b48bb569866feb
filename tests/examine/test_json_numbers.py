# SPDX-License-Identifier: Apache-2.0
"""Harm: a number, a time or an odd text of a JSON line is another one because the lines of a block are read together."""

from __future__ import annotations

import json

import numpy as np

from headwater.examine.json_lines import _short_numbers, moment
from headwater.examine.line_blocks import Lines, line_blocks
from headwater.examine.line_views import Ints
from headwater.examine.lines import line_batches
from headwater.examine.parsers import kubernetes_audit
from headwater.model.records import File
from headwater.model.times import from_rfc3339


def _lines(data: bytes) -> tuple[Lines, Ints]:
    block = next(iter(line_blocks(File.of(data), 1 << 20)))
    return block.lines, np.arange(len(block.lines))


def test_a_long_number_is_found_wherever_it_stands_in_its_line() -> None:
    runs = [17, 18, 19, 35, 36, 37, 54, 0, 400]
    data = b"".join(b'{"a":"%s-%s"}\n' % (b"x" * n, b"7" * size) for n in range(3) for size in runs)
    assert _short_numbers(*_lines(data)) == [size < 18 for _ in range(3) for size in runs]


def test_digits_that_a_line_end_parts_are_no_number() -> None:
    assert _short_numbers(*_lines(b"1" * 12 + b"\n" + b"2" * 12 + b"\n" + b"3" * 18 + b"\n")) == [True, True, False]


def test_a_time_is_the_same_by_its_minute() -> None:
    for text in ("2026-03-02T11:22:33.123456Z", "1969-12-31T23:59:59.999999Z", "2026-02-28T00:00:00.000001Z"):
        assert moment(text) == from_rfc3339(text.replace("Z", "+00:00"))
    for text in ("2026-03-02T11:22:60.123456Z", "2026-02-30T11:22:33.123456Z", "2026-03-02T11:22:3x.123456Z"):
        assert moment(text) is None
    assert moment("2026-03-02T11:22:33.1234\u0665\u0666Z") is None


def test_a_cluster_log_keeps_odd_texts_and_long_ones() -> None:
    base = {"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "1", "verb": "get"}
    odd: list[dict[str, object]] = [
        {"userAgent": "x" * 9000},
        {"userAgent": "中" * 8193, "requestURI": ""},
        {"userAgent": 7, "verb": None, "sourceIPs": ["10.0.0.1", 7, None]},
        {"responseStatus": {"code": 12345678901234567890123}, "userAgent": ["a"]},
        {"requestReceivedTimestamp": 7, "stageTimestamp": "2026-03-02T11:22:33.123456Z"},
    ]
    data = b"".join(json.dumps(base | one, ensure_ascii=False).encode() + b"\n" for one in odd)
    data += b'{"kind":"Event","auditID":"2","userAgent":"\\ud800"}\n'
    (batch,) = line_batches(kubernetes_audit.GRAMMAR, File.of(data))
    assert not batch.gaps
    agents = batch.events["user_agent"].to_list()
    assert agents == ["x" * 8192, "中" * 8192, None, None, None, "\\ud800"]
    assert "uri" not in batch.events.columns  # the only one is empty
    assert batch.events["addresses"].to_list()[2] == "10.0.0.1 7 None"
    assert "status" not in batch.events.columns  # the only one is no number of 64 bits
    assert batch.events["t_recorded"].null_count() == 6
