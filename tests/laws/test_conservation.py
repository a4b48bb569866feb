# SPDX-License-Identifier: Apache-2.0
"""Law 1: events, stated skips and gaps tile the evidence, for every parser present and future.

The fixtures of a parser are the files in ``tests/golden/<name with underscores>/``; a parser without one fails here.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from headwater.examine import registry
from headwater.examine.reading import Reading, run
from headwater.formats.sources import MemorySource
from headwater.model.records import Facts, File

GOLDEN = Path(__file__).parents[1] / "golden"
LONG = bool(os.environ.get("HEADWATER_LONG"))
PARSERS = registry.all_parsers()


def _fixtures(name: str) -> list[Path]:
    folder = GOLDEN / name.replace(".", "_")
    if not folder.is_dir():
        return []
    return sorted(
        p
        for p in folder.rglob("*")
        if p.is_file() and not p.name.endswith(".golden.json") and p.name not in {"SOURCES.md", "paths.json"}
    )


def _spoilt(data: bytes, seed: int) -> Iterator[bytes]:
    chance = random.Random(seed)
    times = 40 if LONG else 2
    yield data
    for _ in range(times):
        yield data[: chance.randrange(len(data) + 1)]
        yield data + chance.randbytes(chance.randrange(1, 500))
        bent = bytearray(data)
        for _ in range(chance.randrange(1, 20)):
            bent[chance.randrange(len(bent))] = chance.randrange(256)
        yield bytes(bent)


def _noise() -> Iterator[bytes]:
    chance = random.Random(1)
    yield b""
    yield b"\n"
    yield b"\0" * 4097
    yield chance.randbytes(3000)
    yield bytes(chance.choices(b'abc 0123:/-[]"\n', k=3000))
    yield b"\xff\xfe" + "日志\n".encode("utf-16-le") * 50
    yield b"A" * 200_000 + b"\n"


def _hold(parser: registry.Parser, data: bytes, path: str) -> None:
    source = MemorySource(data)
    file = File(path, len(data), source.pread, 1_772_500_000_000_000_000, Facts())
    reading = Reading(path, len(data), (parser,), file, source)
    end = covered = 0
    counted = None
    seen: set[tuple[int, int]] = set()
    for batch in run(parser, reading):
        assert batch.start == end, "batches leave a hole or overlap"
        end = batch.end
        counted = batch.count or counted
        for gap in batch.gaps:
            assert gap.offset >= 0
            assert gap.offset + gap.length <= len(data)
            assert "unclaimed" not in gap.detail, gap
            assert "failed here" not in gap.detail, gap
        events = batch.events
        covered += sum(g.length for g in batch.gaps) + sum(s.size for s in batch.skipped)
        if events.height:
            assert events["offset"].null_count() == events["length"].null_count() == 0
            first = events.filter(pl.col("ordinal") == 0)
            covered += int(first["length"].sum())
            places = list(zip(events["offset"].to_list(), events["ordinal"].to_list(), strict=True))
            assert len(set(places)) == len(places), "two events share an identity"
            assert not seen & set(places)
            seen.update(places)
            assert int((events["offset"] + events["length"]).max() or 0) <= len(data)  # type: ignore[arg-type, operator]
    assert end == len(data)
    if counted is None:
        assert covered == len(data), f"{covered} of {len(data)} bytes are accounted for"
    else:
        records = len({p for p in seen if p[1] == 0})
        assert records + counted.lost >= counted.declared or counted.declared > 10**6


@pytest.mark.parametrize("name", PARSERS)
def test_parser_has_a_fixture(name: str) -> None:
    assert _fixtures(name), f"no file under tests/golden/{name.replace('.', '_')}/"


@pytest.mark.parametrize("name", PARSERS)
def test_every_byte_is_event_skip_or_gap(name: str) -> None:
    parser = PARSERS[name]
    for path in _fixtures(name):
        for data in _spoilt(path.read_bytes(), seed=len(path.name)):
            _hold(parser, data, "/" + path.name)


@pytest.mark.parametrize("name", PARSERS)
def test_noise_is_accounted_for(name: str) -> None:
    for data in _noise():
        _hold(PARSERS[name], data, "/noise")


@pytest.mark.parametrize("name", PARSERS)
def test_header_has_its_four_words(name: str) -> None:
    for word in ("Reads:", "Time:", "Format:", "Limits:"):
        assert word in PARSERS[name].doc, f"{name} says nothing under {word}"
