# SPDX-License-Identifier: Apache-2.0
"""A journal read by columns that says anything else than one read field by field, or takes more memory than it may."""

from __future__ import annotations

import lzma
import os
import random
import struct
import tracemalloc
from typing import Any

import journal_scalar
import polars as pl
import pytest
from test_linux_journal import Writer
from tiling import fixture, run

from headwater.examine import journal_columns
from headwater.examine.batch import HEAD_SCHEMA
from headwater.examine.parsers import linux_journal
from headwater.formats import compiled, journal_values, journal_walk
from headwater.formats.journal import Journal, open_journal
from headwater.model.records import File, Gap

TIMES = 200 if os.environ.get("HEADWATER_LONG") else 8
SMALL = {
    (journal_walk, "BLOCK"): 80_000,
    (journal_columns, "ENTRIES_MOST"): 7,
    (journal_values, "_SLOTS_MOST"): 64,
    (journal_values, "_ALONE_MOST"): 300,
    (journal_values, "_HELD_MOST"): 200_000,
}


def _answer(data: bytes, patch: pytest.MonkeyPatch) -> tuple[list[journal_scalar.Row], list[Gap], int]:
    """As the scalar reading tells it."""
    journal = open_journal(lambda at, n: data[at : at + n], len(data))
    assert isinstance(journal, Journal)
    found: list[journal_scalar.Row] = []

    def keep(gathered: journal_columns.Gathered, names: dict[str, None], index_whole: bool) -> pl.DataFrame:
        fields = journal_columns.fields_of(gathered, names)
        values, texts = gathered.values, {}
        for name, rows in fields.rows.items():
            texts[name] = [t.decode() if row else None for row, t in zip(rows.tolist(), values.texts(rows))]
        heads = [gathered.column(n) for n in ("offset", "length", "seqnum", "realtime", "monotonic", "boot", "listed")]
        for number, (*head, boot, listed) in enumerate(zip(*heads)):
            own = {name: column[number] for name, column in texts.items() if column[number] is not None}
            other = None if fields.other is None else fields.other[number]
            missing = 0 if fields.missing is None else int(fields.missing[number])
            found.append((*map(int, head), boot.tobytes(), bool(listed), missing, own, other))
        return pl.DataFrame(schema=HEAD_SCHEMA)

    patch.setattr(linux_journal, "_frame", keep)
    reader = linux_journal._Reader(journal)
    for batch in reader.batches():
        assert batch.end >= batch.start
    reader.events()
    return found, sorted(journal.gaps, key=lambda g: g.offset), journal.slack


def _plain(rows: list[journal_scalar.Row]) -> list[journal_scalar.Row]:
    """The scalar rows with those fields together that become no column."""
    found = []
    for *head, fields in rows:
        odd = sorted(n for n in fields if len(n) > 64 or not journal_columns._NAME.fullmatch(n))
        other = "\n".join(f"{name}={text}" for name in odd for text in fields[name])
        found.append((*head, {n: "\n".join(v) for n, v in fields.items() if n not in odd}, other or None))
    return found


def _same(data: bytes, patch: pytest.MonkeyPatch) -> int:
    rows, gaps, slack = journal_scalar.answer(data)
    got, their_gaps, their_slack = _answer(data, patch)
    assert len(got) == len(rows)
    for one, other in zip(got, _plain(rows)):
        assert one == other
    assert (their_gaps, their_slack) == (gaps, slack)
    return len(rows)


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("name", ["compact.journal.gz", "regular.journal.gz"])
def test_bent_journal_says_the_same_by_columns_as_field_by_field(
    name: str, small: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if small:
        for (module, constant), value in SMALL.items():
            monkeypatch.setattr(module, constant, value)
    data = fixture("linux_journal", name)
    assert _same(data, monkeypatch) in (40, 20)
    chance = random.Random(5)
    assert sum(_same(journal_scalar.bent(data, chance), monkeypatch) for _ in range(TIMES)) > TIMES


def test_both_ways_of_the_scanner_give_the_same_rows() -> None:
    if compiled.library() is None:
        pytest.skip("no compiled scanner")
    data = fixture("linux_journal", "compact.journal.gz")
    rows = run(linux_journal, data)[0]
    try:
        compiled.forbid()
        assert run(linux_journal, data)[0] == rows
    finally:
        compiled.allow()
    assert len(rows) == 40


def _odd(writer: Writer) -> bytes:
    """Fields twice, names of every sort, texts of every sort, entries without fields and with very many."""
    data = writer.data
    common = [data(b"_HOSTNAME=web01"), data(b"_PID=1"), data("MESSAGE=检材提取固定".encode())]
    writer.entry()
    writer.entry(*common, common[0], common[0])
    writer.entry(data(b"=no name"), data(b"EMPTY="), data(b"A" * 64 + b"=long"), data(b"A" * 65 + b"=longer"), *common)
    writer.entry(data(b"\xc3\xa9=1"), data(b"\xff=2"), data(b"\\xff=3"), data(b"lower=4"), data(b"lower=5"), common[1])
    writer.entry(data(b"MESSAGE=\xff\xfe"), data(b"MESSAGE=\xe6\xa3"), data(b"MESSAGE=a\0b"), data(b"A=B=C"))
    # a name whose bytes go on in the next object, and one that ends with its object
    writer.entry(data(b"NAMELESS"), data(b"ABCDEFG"), data(b"ABCDEFGH=12345678"), data(b"ABCDEFG=1"))
    writer.entry(*[common[1]] * 5000)
    for number in range(450):
        writer.entry(data(b"F%d=%d" % (number, number)), common[0])
    return writer.close()


def test_strange_fields_are_the_same_by_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    data = _odd(Writer())
    monkeypatch.setattr(journal_columns, "_NAMES_MOST", 1000)
    assert _same(data, monkeypatch) == 457
    monkeypatch.setattr(journal_columns, "ENTRIES_MOST", 3)
    monkeypatch.setattr(journal_values, "_NAMES_MOST", 5)
    monkeypatch.setattr(journal_columns, "_GRID_MOST", 0)
    assert _same(data, monkeypatch) == 457


def test_names_beyond_the_most_stand_together() -> None:
    rows, _, _ = run(linux_journal, _odd(Writer()))
    assert sum("other_fields" in row for row in rows) > 40
    for number, row in enumerate(rows[7:]):
        assert row.get(f"F{number}") == str(number) or f"F{number}={number}" in row["other_fields"]


def test_names_of_one_sum_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    # without factors all names of one length have the sum of their bytes alone
    monkeypatch.setattr(journal_values, "_FACTORS", journal_values._FACTORS * 0)
    writer = Writer()
    writer.entry(writer.data(b"MESSAGE=one"), writer.data(b"EGASSEM=two"), writer.data(b"_PID=7"))
    assert _same(writer.close(), monkeypatch) == 1


def _peak(data: bytes) -> tuple[int, list[dict[str, Any]]]:
    """Bytes of Python and numpy at most, and the entries."""
    file = File("/x/system.journal", len(data), lambda at, n: data[at : at + n])
    rows: list[dict[str, Any]] = []
    tracemalloc.start()
    try:
        for batch in linux_journal.batches(file):
            rows += batch.events.select("offset", "fields_missing").to_dicts() if batch.events.height else []
        return tracemalloc.get_traced_memory()[1], rows
    finally:
        tracemalloc.stop()


def test_overlapping_objects_that_all_entries_name_cost_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads every 16 bytes within one object, each claiming the 200,000 bytes behind it: 300 entries name 40 of them each."""
    writer = Writer()
    heads = b"".join(struct.pack("<BB6xQ", 1, 0, 200_000) for _ in range(1200))
    begin = writer.data(b"MESSAGE=" + heads + b"A=" + b"B" * 400_000) + 64 + 8
    for number in range(30):
        writer.entry(*[begin + 16 * (number * 40 + n) for n in range(40)], 7)
    monkeypatch.setattr(journal_values, "_ALONE_MOST", 1 << 20)
    monkeypatch.setattr(journal_values, "_HELD_MOST", 8 << 20)
    data = writer.close()
    peak, rows = _peak(data)
    assert len(rows) == 30
    assert peak < 80 << 20
    assert _same(data, monkeypatch) == 30


def test_bombs_in_one_block_are_taken_in_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer()
    for number in range(30):
        bomb = lzma.compress(b"MESSAGE=" + b"%03d" % number + bytes(100_000))
        writer.entry(writer.data(bomb, flags=1), writer.data(b"_PID=%d" % number))
    monkeypatch.setattr(journal_values, "_ALONE_MOST", 1 << 20)
    monkeypatch.setattr(journal_values, "_HELD_MOST", 2 << 20)
    data = writer.close()
    assert _same(data, monkeypatch) == 30


def test_empty_fields_named_without_end_fill_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_columns, "_ITEMS_MOST", 10_000)
    writer = Writer()
    empty = writer.data(b"EMPTY=")
    for _ in range(30):
        writer.entry(*[empty] * 1000)
    data = writer.close()
    done = list(linux_journal.batches(File("/x", len(data), lambda at, n: data[at : at + n])))
    assert [b.events.height for b in done] == [10, 10, 10]
    assert _same(data, monkeypatch) == 30
