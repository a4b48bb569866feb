# SPDX-License-Identifier: Apache-2.0
"""What the store keeps in memory, and which parts it does not open again, must change no answer."""

from __future__ import annotations

import gc
import itertools
import weakref
from pathlib import Path

import polars as pl
import pytest

from headwater.model.errors import StoreError
from headwater.store import groups
from headwater.store.clocks import Clock
from headwater.store.events import EventStore
from headwater.store.parts import HEADER_SCHEMA, encode_events, part_path, write_part

HOUR = 3_600_000_000_000
KINDS = [None, ["auth.failure"], ["auth.failure", "session.open"], ["session.open"], ["nothing.such"], []]
FEEDS = [None, ["linux.auth"], ["linux.auth", "web.access"], ["nothing.such"]]
COLUMNS: list[tuple[str, ...]] = [(), ("port",), ("port", "method", "user"), ("nothing",)]


def _part(case: Path, feed: str, number: int, rows: list[tuple[int, str]], **own: pl.Series) -> Path:
    header = {
        "t_recorded": [t for t, _ in rows],
        "t_basis": ["zone-assumed"] * len(rows),
        "kind": [k for _, k in rows],
        "offset": [100 * n for n in range(len(rows))],
        "length": [99] * len(rows),
        "ordinal": [0] * len(rows),
    }
    frame = pl.DataFrame({**header, **own})
    missing = [pl.lit(None, dtype=t).alias(n) for n, t in HEADER_SCHEMA.items() if n not in frame.columns]
    path = part_path(case, "events", feed, 1, number, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_part(path, encode_events(frame.with_columns(missing), clock="1", feed=feed, source=1, path=f"/log{number}"))
    return path


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """Three parts of one feed (two with the same columns, one whose port is text), one of another."""
    failed, opened = "auth.failure", "session.open"
    _part(tmp_path, "linux.auth", 1, [(5, failed), (7, opened)], port=pl.Series([22, 23]))
    _part(tmp_path, "linux.auth", 2, [(6, opened), (9, opened)], port=pl.Series([24, None]))
    _part(tmp_path, "linux.auth", 3, [(1, failed)], port=pl.Series(["ssh"]), method=pl.Series(["password"]))
    _part(tmp_path, "web.access", 4, [(2, "web.request")], method=pl.Series(["GET"]))
    return tmp_path


def _answers(case: Path) -> list[pl.DataFrame]:
    store = EventStore(case, {"1": Clock("Asia/Shanghai")})
    return [
        store.scan(kinds=kinds, feeds=feeds, columns=columns).collect().sort("path", "offset")
        for kinds, feeds, columns in itertools.product(KINDS, FEEDS, COLUMNS)
    ]


def test_a_question_is_answered_alike_from_memory_and_from_the_files(
    case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = _answers(case)
    monkeypatch.setattr(groups, "KEPT", 0)
    assert groups.Room().left == 0
    for mine, theirs in zip(kept, _answers(case), strict=True):
        assert mine.schema == theirs.schema
        assert mine.equals(theirs)
    every = kept[2]  # all kinds and feeds, with port, method and user
    assert every["ts"].to_list() == [t - 8 * HOUR for t in every["t_recorded"].to_list()]
    assert every["port"].to_list() == ["22", "23", "24", None, "ssh", None]
    assert every["method"].to_list() == [None] * 4 + ["password", "GET"]


@pytest.mark.parametrize("room", [0, groups.KEPT])
def test_parts_without_the_kind_are_not_opened_again(case: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    monkeypatch.setattr(groups, "KEPT", room)
    store = EventStore(case, {})
    asked = ["auth.failure"]
    first = store.scan(kinds=asked).collect().sort("path")
    for part in (case / "events").glob("*/*-00000[24]-*.parquet"):
        part.unlink()
    assert store.scan(kinds=asked).collect().sort("path").equals(first)
    assert first["path"].to_list() == ["/log1", "/log3"]


def test_a_store_does_not_answer_for_parts_or_clocks_that_changed(case: Path) -> None:
    store = EventStore(case, {"1": Clock("Asia/Shanghai")})
    assert store.stands({"1": Clock("Asia/Shanghai")})
    assert not store.stands({"1": Clock("UTC")})
    _part(case, "linux.auth", 5, [(8, "session.open")], port=pl.Series([25]))
    assert not store.stands({"1": Clock("Asia/Shanghai")})


def test_a_store_that_is_let_go_frees_what_it_kept(case: Path) -> None:
    """A run makes a store for each stage; kept for good, the frames of all would stand in memory beside each other."""
    store = EventStore(case, {})
    assert store.scan(columns=["port"]).collect().height == 6
    gone = weakref.ref(store)
    del store
    gc.collect()
    assert gone() is None


def test_a_spoilt_part_stops_the_question_instead_of_being_left_out(case: Path) -> None:
    part = next((case / "events").glob("*/*-000001-*.parquet"))
    data = part.read_bytes()
    part.write_bytes(data[:4] + bytes(len(data) // 2) + data[4 + len(data) // 2 :])
    with pytest.raises(StoreError):
        EventStore(case, {}).scan().collect()
