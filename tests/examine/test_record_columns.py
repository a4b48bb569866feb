# SPDX-License-Identifier: Apache-2.0
"""Records in columns are the records one by one: same rows, types, gaps and skips, whatever was done to the file."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl
import pytest

from headwater.examine import registry
from headwater.examine.batch import Batch, batches_of, merge_gaps
from headwater.examine.parsers import _json_columns, _text_columns, mongodb_log
from headwater.model.records import File, Gap

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
PARSERS = (
    "mail.exim",
    "redis.log",
    "postgresql.log",
    "php.fpm",
    "mysql.error",
    "ci.gitlab",
    "cloud.waf",
    "aws.cloudtrail",
    "cloud.actiontrail",
)
_PUT = (
    *(b"\n", b"\r\n", b"\0\0", "中".encode(), b"\xff", b"\x1c", b"\xc2\x85", b" ", b"9", b'"', b"::ffff:", b"\n\n", b"\t", b"\x0b"),
    *(b"[", b"a" * 9000, b"7" * 25, b'""', b"{", b"}", b",", b":", b"-", b"null", b"1e400", b"\\ud800", b"[]", b'"x":{"y":1},', b"{}"),
)  # fmt: skip


def _spoilt(data: bytes, chance: random.Random) -> Iterator[bytes]:
    yield data
    yield data.rstrip(b"\n")
    yield data[: chance.randrange(1, len(data) + 1)]
    for _ in range(4):
        copy = bytearray(data)
        for _ in range(chance.choice((1, 4, 30))):
            at = chance.randrange(len(copy))
            other = chance.randrange(len(copy))
            copy[at : at + chance.choice((0, 0, 1, 60))] = chance.choice((*_PUT, bytes(copy[other : other + 90])))
        yield bytes(copy)


def _told(
    batches: Iterable[Batch],
) -> tuple[pl.DataFrame, tuple[Gap, ...], dict[str, tuple[int, int]]]:
    frames, gaps, skips = [], [], dict[str, tuple[int, int]]()
    for batch in batches:
        if batch.events.height:
            frames.append(batch.events)
        gaps += batch.gaps
        for one in batch.skipped:
            records, size = skips.get(one.reason, (0, 0))
            skips[one.reason] = (records + one.records, size + one.size)
    return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame(), merge_gaps(gaps), skips


@pytest.mark.parametrize("name", PARSERS)
def test_spoilt_records_read_alike_in_columns_and_one_by_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_text_columns, "_SMALL", 0)
    monkeypatch.setattr(_json_columns, "_SMALL", 0)
    monkeypatch.setattr(mongodb_log, "_SMALL", 0)
    parser = registry.all_parsers()[name]
    parse, batches = parser.parse, parser.batches
    assert parse is not None
    assert batches is not None
    for fixture in sorted((GOLDEN / name.replace(".", "_")).iterdir()):
        if fixture.name in {"SOURCES.md", "paths.json"} or ".golden." in fixture.name:
            continue
        for data in _spoilt(fixture.read_bytes(), random.Random(fixture.name)):
            file = File.of(data)
            one, gaps, skips = _told(batches_of(parse(file), file.size))
            many, same_gaps, same_skips = _told(batches(file))
            assert (gaps, skips) == (same_gaps, same_skips), fixture.name
            assert sorted(one.columns) == sorted(many.columns), fixture.name
            many = many.select(one.columns)
            assert one.schema == many.schema, fixture.name
            assert one.equals(many), fixture.name


def test_a_log_of_many_windows_is_cut_at_its_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.examine.parsers._record_windows._WINDOW", 1 << 16)
    parser = registry.all_parsers()["postgresql.log"]
    assert parser.parse is not None
    assert parser.batches is not None
    line = "2026-03-02 11:22:{:02d}.{:03d} UTC [{}] LOG:  statement: SELECT\n\t{}\n"
    data = "".join(line.format(n // 100 % 60, n % 1000, n, "x" * (n % 300)) for n in range(12_000)).encode()
    file = File.of(data + b"a line that goes on")
    one, many = _told(batches_of(parser.parse(file), file.size)), _told(parser.batches(file))
    assert one[0].equals(many[0].select(one[0].columns))
    assert one[1:] == many[1:]
    assert one[0].height == 12_000
