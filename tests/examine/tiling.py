# SPDX-License-Identifier: Apache-2.0
"""Runs a parser over bytes and holds the outcome to the law of conservation; shared by the tests of record parsers."""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headwater.examine.batch import Batch, batches_of
from headwater.examine.lines import line_batches
from headwater.model.records import File

GOLDEN = Path(__file__).parent.parent / "golden"
SHARED = Path(__file__).parents[3] / "shared" / "data"
UNCLAIMED = "unclaimed by the parser"


def shared(name: str) -> Path:
    """A file of the reference data, or a skip that names it."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"no reference data: {name}")
    return path


def batches(parser: Any, file: File) -> list[Batch]:
    """The batches of a parser (its module, or as the registry has it), in whichever form it has."""
    grammar = getattr(parser, "grammar", None) or getattr(parser, "GRAMMAR", None)
    if grammar is not None:
        return list(line_batches(grammar, file))
    if getattr(parser, "batches", None) is not None:
        return list(parser.batches(file))
    return list(batches_of(parser.parse(file), file.size))


def run(
    parser: Any, data: bytes, path: str = "/file", **more: Any
) -> tuple[list[dict[str, Any]], list[Any], list[Batch]]:
    """Rows without their nulls, gaps, and the batches."""
    done = batches(parser, File.of(data, path, **more))
    rows: list[dict[str, Any]] = []
    for batch in done:
        for row in batch.events.iter_rows(named=True):
            rows.append({k: v for k, v in row.items() if v is not None})
    return rows, [gap for batch in done for gap in batch.gaps], done


def hold(parser: Any, data: bytes, path: str = "/file") -> list[Batch]:
    """Every byte is parsed, skipped with a reason or a gap, once; nothing was passed over in silence."""
    _rows, gaps, done = run(parser, data, path)
    at = 0
    for batch in done:
        assert batch.start == at
        assert batch.end >= batch.start
        at = batch.end
    assert at == len(data)
    if any(batch.count for batch in done):
        return done
    covered = 0
    for batch in done:
        first = batch.events.filter(pl.col("ordinal") == 0)
        covered += int(first["length"].sum()) if len(first) else 0
        covered += sum(s.size for s in batch.skipped) + sum(g.length for g in batch.gaps)
    assert covered == len(data)
    assert not [g for g in gaps if g.detail == UNCLAIMED]
    return done


def spoilt(data: bytes, seed: int = 7) -> Iterator[bytes]:
    """The same input in bad states: empty, cut, with a random tail, with flipped bytes, as noise; a third of them by default."""
    chance = random.Random(seed)
    times = 3 if os.environ.get("HEADWATER_LONG") else 1
    yield b""
    for _ in range(4 * times):
        yield data[: chance.randrange(len(data) + 1)]
    for _ in range(2 * times):
        yield data + chance.randbytes(chance.randrange(1, 700))
    for _ in range(7 * times):
        bent = bytearray(data)
        for _ in range(chance.randrange(1, 12)):
            bent[chance.randrange(len(bent))] = chance.randrange(256)
        yield bytes(bent)
    yield chance.randbytes(5000)
    yield bytes(4000)


def fixture(folder: str, name: str) -> bytes:
    """The bytes of a fixture; those that are mostly zeros are kept compressed."""
    raw = (GOLDEN / folder / name).read_bytes()
    return gzip.decompress(raw) if name.endswith(".gz") else raw


def golden(parser: Any, folder: str, name: str, path: str) -> dict[str, Any]:
    """Compare with the golden beside the fixture; HEADWATER_GOLDEN=write makes it anew, to be reviewed in the diff."""
    source = GOLDEN / folder / name
    rows, gaps, done = run(parser, fixture(folder, name), path)
    skipped: dict[str, list[int]] = {}
    for batch in done:
        for s in batch.skipped:
            n, size = skipped.get(s.reason, [0, 0])
            skipped[s.reason] = [n + s.records, size + s.size]
    count = done[-1].count
    found: dict[str, Any] = {
        "records": len(rows),
        "gap_bytes": sum(g.length for g in gaps),
        "gaps": [[g.offset, g.length, g.reason.value, g.detail] for g in gaps],
        "skipped": skipped,
        "count": [count.declared, count.lost, count.slack] if count else None,
        "rows": rows,
    }
    place = source.with_name(source.name + ".golden.json")
    if os.environ.get("HEADWATER_GOLDEN") == "write":
        lines = ",\n  ".join(json.dumps(r, ensure_ascii=False) for r in rows)
        top = {k: v for k, v in found.items() if k != "rows"}
        place.write_text(json.dumps(top, ensure_ascii=False)[:-1] + f', "rows": [\n  {lines}\n]}}\n', encoding="utf-8")
    assert found == json.loads(place.read_text(encoding="utf-8"))
    return found
