# SPDX-License-Identifier: Apache-2.0
"""Records of ESE databases are not lost, shifted or invented, and a hostile database ends in faults."""

from __future__ import annotations

import io
import os
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from ese_writing import (
    BINARY,
    BIT,
    CURRENCY,
    GUID,
    LEAF,
    LONG_BINARY,
    LONG_INT,
    LONG_TEXT,
    ROOT,
    TEXT,
    Tab,
    database,
    header,
    page,
)

from headwater.formats import ese_file, xpress_plain
from headwater.formats.ese_file import Database, Fault, NotEse, Row, open_ese
from headwater.formats.ese_values import plain
from headwater.formats.sources import MemorySource

SHARED = Path(__file__).parents[3] / "shared" / "data" / "plaso" / "test_data"
REAL = ("Catalog1.edb", "SystemIdentity.mdb", "{C519A76A-D9B5-4F85-B667-5FAC08E0E1B4}.mdb")
COLUMNS = [
    ("a", LONG_INT),
    ("b", CURRENCY),
    ("c", BIT),
    ("n", TEXT),
    ("v", BINARY),
    ("t", LONG_TEXT),
    ("l", LONG_BINARY),
]


def _rows(count: int) -> list[dict[str, object]]:
    return [
        {"a": n, "b": None if n % 2 else n * 10**10, "c": n % 3 == 0, "n": f"row {n}", "v": bytes([n & 255]) if n % 5 else None,
         "t": "长文本" * n, "l": bytes([n & 255]) * (n * 7)}
        for n in range(count)
    ]  # fmt: skip


def _open(data: bytes) -> Database:
    return open_ese(MemorySource(data))


def _all(data: bytes) -> Iterator[Row | Fault]:
    found = _open(data)
    for table in found.tables().values():
        yield from found.rows(table)
    yield from found.faults


@pytest.mark.parametrize("size", [4096, 8192, 16384, 32768])
def test_every_column_of_every_record_is_read_on_pages_of_every_size(size: int) -> None:
    rows = _rows(90)
    found = _open(database([Tab("T", COLUMNS, rows, frozenset({5}))], size))
    read = list(found.rows(found.tables()["T"]))
    assert not found.faults
    assert len(read) == 90
    for row, made in zip(read, rows, strict=True):
        assert isinstance(row, Row)
        wanted = {k: v for k, v in made.items() if v is not None}
        assert row.values == wanted
        assert row.deleted == (made["a"] == 5)
        assert not row.unread


def test_a_record_stands_where_it_is_said_to_stand() -> None:
    data = database([Tab("T", COLUMNS, _rows(90))])
    found = _open(data)
    for row in found.rows(found.tables()["T"]):
        assert isinstance(row, Row)
        text = f"row {row.values['a']}".encode()
        assert text in data[row.offset : row.offset + row.length]
        held = row.values["l"]
        if row.apart and isinstance(held, bytes) and len(held) > 400:
            assert held[:100] in b"".join(data[at : at + size] for at, size in row.apart)


@pytest.mark.parametrize("size", [4096, 32768])
def test_the_library_of_others_reads_the_same_in_what_is_made_here(size: int) -> None:
    pyesedb = pytest.importorskip("pyesedb")
    rows = _rows(40)
    other = pyesedb.file()
    other.open_file_object(io.BytesIO(database([Tab("T", COLUMNS, rows, frozenset({5}))], size)))
    table = other.get_table_by_name("T")
    assert table.number_of_records == 39  # it leaves out what is struck out
    last = table.get_record(38)
    assert last.get_value_data_as_integer(0) == 39
    assert last.get_value_data_as_string(5) == rows[39]["t"]


@pytest.mark.parametrize("name", REAL)
def test_real_databases_are_read_as_the_library_of_others_reads_them(name: str) -> None:
    pyesedb = pytest.importorskip("pyesedb")
    if not (SHARED / name).exists():
        pytest.skip(f"no reference data: {name}")
    data = (SHARED / name).read_bytes()
    other = pyesedb.file()
    other.open(str(SHARED / name))
    found = _open(data)
    for theirs in other.tables:
        read = list(found.rows(found.tables()[theirs.name]))
        assert not [r for r in read if isinstance(r, Fault)]
        assert len(read) == theirs.number_of_records
        for row, record in zip(read, theirs.records, strict=True):
            assert isinstance(row, Row)
            for index in range(record.number_of_values):
                mine = row.values.get(record.get_column_name(index))
                raw = record.get_value_data(index)
                kind = record.get_column_type(index)
                if mine is None:
                    # it gives the engine's filler for a fixed column that holds nothing
                    assert not raw or set(raw) == {0x2A}
                elif kind in (10, 12) and not record.is_long_value(index):
                    assert mine == record.get_value_data_as_string(index).rstrip("\0")
                elif isinstance(mine, bytes) and not record.is_long_value(index):
                    assert mine == raw
                elif isinstance(mine, int) and not isinstance(mine, bool):
                    assert mine == record.get_value_data_as_integer(index)


def test_a_header_that_is_no_good_is_taken_from_its_copy() -> None:
    data = bytearray(database([Tab("T", COLUMNS, _rows(3))]))
    data[4:8] = b"\0\0\0\0"
    found = _open(bytes(data))
    assert found.header.copy
    assert len(list(found.rows(found.tables()["T"]))) == 3
    with pytest.raises(NotEse):
        _open(bytes(5000))


def test_a_database_that_was_not_closed_in_order_says_so() -> None:
    found = _open(database([Tab("T", COLUMNS, _rows(3))], state=2))
    assert not found.header.clean
    assert found.header.state_text == "dirty shutdown"
    assert found.header.logs == 0


def test_a_page_that_was_changed_by_hand_is_told() -> None:
    data = bytearray(database([Tab("T", COLUMNS, _rows(3))]))
    at = bytes(data).index(b"row 2")
    data[at] = ord("R")
    faults = [item for item in _all(bytes(data)) if isinstance(item, Fault)]
    assert [f.why for f in faults] == ["the checksum of page 5 does not hold"]


def test_trees_that_loop_or_share_pages_end() -> None:
    base = [Tab("T", COLUMNS[:4], [{"a": 1, "n": "x"}])]
    data = bytearray(database(base, shadow=False))
    root = 5
    loop = page(
        4096, root, 10, ROOT | 4, [(b"", struct.pack("<I", root), False), (b"", struct.pack("<I", 999_999), False)]
    )
    data[(root + 1) * 4096 : (root + 2) * 4096] = loop
    items = list(_all(bytes(data)))
    assert all(isinstance(item, Fault) for item in items)
    assert len(items) == 2
    # a chain of branches longer than any real tree
    deep = bytearray(header(4096, 3) * 2) + bytes(3 * 4096)
    for number in range(4, 300):
        deep += page(4096, number, 2, (ROOT if number == 4 else 0) | 4, [(b"", struct.pack("<I", number + 1), False)])
    found = _open(bytes(deep))
    assert not found.tables()
    assert found.faults


def test_two_tags_on_the_same_bytes_are_one_record() -> None:
    data = bytearray(database([Tab("T", COLUMNS[:4], [{"a": 1, "n": "x"}, {"a": 2, "n": "y"}])], shadow=False))
    end = 7 * 4096
    data[end - 12 : end - 8] = data[end - 8 : end - 4]
    items = [item for item in _all(bytes(data)) if not (isinstance(item, Fault) and "checksum" in item.why)]
    assert [type(item) for item in items] == [Fault, Row]


def test_packed_values_are_unpacked_and_broken_ones_are_told() -> None:
    text = b"GET /index.html HTTP/1.1"
    held = sum(c << 7 * n for n, c in enumerate(text))
    bits = 7 * len(text)
    seven = held.to_bytes((bits + 7) // 8, "little")
    last = (bits - 1) % 8
    assert plain(bytes((1 << 3 | last,)) + seven) == text
    assert plain(bytes((2 << 3 | last,)) + seven) == text.decode().encode("utf-16-le")
    # [MS-XCA] 3.1: "abcdefghijklmnopqrstuvwxyz", and "abc" a hundred times
    letters = bytes.fromhex("3f000000") + b"abcdefghijklmnopqrstuvwxyz"
    assert xpress_plain.decompress(letters, 26) == b"abcdefghijklmnopqrstuvwxyz"
    hundred = bytes.fromhex("ffffff1f6162631700 0fff2601".replace(" ", ""))
    assert xpress_plain.decompress(hundred, 300) == b"abc" * 100
    assert plain(bytes((3 << 3,)) + struct.pack("<H", 300) + hundred) == b"abc" * 100
    assert plain(bytes((5 << 3,)) + b"xx") is None
    assert plain(bytes((3 << 3,)) + struct.pack("<H", 300) + hundred[:8]) is None
    with pytest.raises(ValueError, match="before the beginning"):
        xpress_plain.decompress(bytes.fromhex("ffffffff0800"), 10)


def test_a_packed_long_value_is_unpacked_and_a_missing_one_is_told() -> None:
    whole = b"abc" * 300
    form = bytes((3 << 3,)) + struct.pack("<H", 900) + bytes.fromhex("ffffff1f6162631700 0fff7e03".replace(" ", ""))
    made = Tab("T", [("a", LONG_INT), ("l", LONG_BINARY)], [{"a": 1, "l": whole}], packed={whole: form})
    data = database([made])
    (row,) = list(_open(data).rows(_open(data).tables()["T"]))
    assert isinstance(row, Row)
    assert row.values["l"] == whole
    broken = bytearray(data)
    at = data.index(form)
    broken[at : at + len(form)] = b"\x28" * len(form)
    found = _open(bytes(broken))
    (row,) = [r for r in found.rows(found.tables()["T"]) if isinstance(r, Row)]
    assert (row.unread, "l" in row.values) == (("l",), False)


def test_records_that_share_one_long_value_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ese_file, "_LONG_ALL", 1 << 20)
    rows = [{"a": n, "l": bytes(200_000) if not n else b"x" * 500} for n in range(60)]
    data = bytearray(database([Tab("T", [("a", LONG_INT), ("l", LONG_BINARY)], rows)], 32768, chunk=8000))
    for number in range(2, 61):
        at = data.find(struct.pack("<HHB", 256, 4, 5) + struct.pack("<I", number))
        data[at + 5 : at + 9] = struct.pack("<I", 1)
    found = _open(bytes(data))
    read = [row for row in found.rows(found.tables()["T"]) if isinstance(row, Row)]
    assert len(read) == 60
    assert 0 < sum("l" in row.unread for row in read) < 60


def test_bent_databases_end_in_faults_and_no_more_records_than_bytes() -> None:
    chance = random.Random(11)
    whole = database([Tab("T", COLUMNS, _rows(30)), Tab("U", [("g", GUID)], [{"g": bytes(16)}])], shadow=False)
    times = 2000 if os.environ.get("HEADWATER_LONG") else 60
    for turn in range(times):
        bent = bytearray(whole)
        for _ in range(chance.randrange(1, 30)):
            at = (
                chance.randrange(len(bent))
                if turn % 2
                else (
                    chance.randrange(5, len(bent) // 4096) * 4096
                    + chance.choice((16, 20, 34, 36, 40, 60, 4092, 4088, 4090))
                )
            )
            bent[at] = chance.randrange(256)
        cut = bytes(bent[: chance.randrange(8192, len(bent))]) if turn % 7 == 0 else bytes(bent)
        places = set()
        for item in _all(cut):
            assert 0 <= item.offset <= item.offset + item.length <= len(cut)
            if isinstance(item, Row):
                assert item.offset not in places
                places.add(item.offset)


def test_an_empty_leaf_is_no_fault() -> None:
    assert LEAF | ROOT == 3
    found = _open(database([Tab("T", COLUMNS, [])]))
    assert list(found.rows(found.tables()["T"])) == []
