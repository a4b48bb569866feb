# SPDX-License-Identifier: Apache-2.0
"""File times as events: none invented, none lost, each cited by the record that holds it, each with its own identity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from headwater.examine.batch import HEAD_SCHEMA
from headwater.examine.macb import macb_batches, verify_inode
from headwater.formats.sources import MemorySource
from headwater.formats.trees import Coverage, Entry
from headwater.model.ports import ByteSource
from headwater.model.records import Gap


class Listing:
    """A tree of entries given by the test; records of 256 bytes from 4096 on where ``placed``."""

    warnings: Sequence[Gap] = ()

    def __init__(self, entries: Sequence[Entry], kind: str = "ext4", placed: bool = True) -> None:
        self._entries = entries
        self.kind = kind
        self.record_spans = self._spans if placed else None

    def entries(self) -> Iterator[Entry]:
        return iter(self._entries)

    def open(self, key: str) -> ByteSource:
        return MemorySource(b"")

    def extents(self, key: str) -> tuple[tuple[int, int], ...]:
        return ()

    def coverage(self) -> Iterator[tuple[int, int, Coverage]]:
        return iter(())

    def _spans(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return np.where(numbers > 0, 4096 + 256 * numbers, -1), np.full(len(numbers), 256)


def entry(path: str, inode: int, *times: int | None, **other: object) -> Entry:
    held = (*times, None, None, None, None, None)[:5]
    made = Entry(path, "file", 3, 0o100644, 4000000001, 70000, inode, True, *held, None, str(inode))
    return made._replace(**other)  # type: ignore[arg-type]


def frames(tree: Listing, most: int = 50_000) -> pl.DataFrame:
    return pl.concat([frame for frame, _ in macb_batches(tree, most)])


def test_one_row_for_each_time_that_is_recorded_and_none_for_those_that_are_not() -> None:
    tree = Listing([entry("/a", 1, 10, None, 30, 0, -5), entry("/b", 2), entry("/c", 3, None, 7)])
    rows = frames(tree).select("file_path", "t_kind", "kind", "t_recorded").rows()
    assert rows == [
        ("/a", "modified", "file.modified", 10),
        ("/a", "changed", "file.changed", 30),
        ("/a", "created", "file.created", 0),
        ("/a", "deleted", "file.deleted", -5),
        ("/c", "accessed", "file.accessed", 7),
    ]


def test_frame_has_the_header_and_the_own_columns() -> None:
    frame = frames(Listing([entry("/a", 1, 10, target="/etc/passwd", kind="link")]))
    assert {name: frame.schema[name] for name in HEAD_SCHEMA} == HEAD_SCHEMA
    row = frame.row(0, named=True)
    assert (row["inode"], row["mode"], row["uid"], row["gid"], row["size"]) == (1, 0o100644, 4000000001, 70000, 3)
    assert (row["allocated"], row["target"], row["path"], row["t_basis"]) == (True, "/etc/passwd", "", "utc")


@pytest.mark.parametrize("most", [1, 2, 3, 7, 100])
def test_hard_links_to_one_inode_never_share_an_identity(most: int) -> None:
    listed = [entry(f"/n{n}", n % 3 + 1, 1, 2, 3, None if n % 2 else 4) for n in range(20)]
    frame = frames(Listing(listed), most)
    places = frame.select("offset", "ordinal").rows()
    assert len(set(places)) == len(places)
    for _, group in frame.group_by("offset"):
        assert sorted(group["ordinal"]) == list(range(group.height))
    assert frame.equals(frames(Listing(listed)))


def test_entry_without_a_record_cites_the_listing() -> None:
    tree = Listing([entry("/a", 5, 1), entry("/b", 0, 2), entry("/c", 5, 3)], placed=False)
    assert frames(tree, 2).select("offset", "length").rows() == [(0, 0), (1, 0), (2, 0)]
    placed = Listing([entry("/a", 5, 1), entry("/gone", 0, 2)])
    assert frames(placed).select("offset", "length").rows() == [(4096 + 5 * 256, 256), (1, 0)]


def test_fat_times_are_wall_clock_without_a_zone() -> None:
    assert frames(Listing([entry("/a", 1, 10)], kind="fat16", placed=False))["t_basis"].to_list() == ["zone-assumed"]


def test_entries_without_times_and_empty_trees_are_still_handed_over() -> None:
    batches = list(macb_batches(Listing([entry("/a", 1)])))
    assert [(frame.height, [e.path for e in entries]) for frame, entries in batches] == [(0, ["/a"])]
    assert list(macb_batches(Listing([]))) == []


def test_inode_number_that_no_column_holds_is_not_an_error() -> None:
    frame = frames(Listing([entry("/a", (1 << 64) - 1, 10)]))
    assert frame["length"].to_list() == [0]


@pytest.mark.parametrize(
    ("kind", "record"),
    [("ext4", b""), ("ext4", bytes(256)), ("xfs", bytes(512)), ("ntfs", bytes(1024)), ("fat16", b"")],
)
def test_bytes_that_are_no_record_prove_nothing(kind: str, record: bytes) -> None:
    with pytest.raises(ValueError):
        verify_inode(kind, record)


def test_a_link_without_any_time_keeps_where_it_points() -> None:
    link = Entry(
        "/proc/7/exe", "link", 0, 0, None, None, 0, True, None, None, None, None, None, "/tmp/x (deleted)", "7"
    )
    file = Entry("/proc/7/comm", "file", 2, 0, None, None, 0, True, None, None, None, None, None, None, "8")

    class Listing:
        kind = "collection"

        def entries(self) -> list[Entry]:
            return [file, link]

    ((frame, entries),) = macb_batches(Listing())  # type: ignore[arg-type]
    (row,) = frame.to_dicts()
    assert (row["kind"], row["t_recorded"], row["t_basis"]) == ("state.listed", None, "none")
    assert (row["file_path"], row["target"], row["offset"]) == ("/proc/7/exe", "/tmp/x (deleted)", 1)
    assert len(entries) == 2
