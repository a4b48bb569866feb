# SPDX-License-Identifier: Apache-2.0
"""What is carved from a volume goes the way of every file: a view of its own, hashed, parsed, with its claims stated.

SOURCE: tests/formats/fixtures/deleted-ext4.raw.xz (lab/deleted/make.sh); the samples are laid into its free blocks here.
"""

from __future__ import annotations

import hashlib
import lzma
from pathlib import Path

import pytest

from formats.evtx_writing import chunk_of, sample
from formats.test_carving import everything
from formats.test_xfs_deleted import image
from headwater.examine import reading, recovered
from headwater.examine.opening import Opened, _beginnings, open_evidence
from headwater.formats.carving import CarvedTree, Sightings
from headwater.formats.ext import open_ext
from headwater.formats.opened import open_readonly
from headwater.formats.sources import MemorySource
from headwater.formats.xfs import XfsTree
from headwater.model.records import Facts, own_column

FIXTURE = Path(__file__).parents[1] / "formats" / "fixtures" / "deleted-ext4.raw.xz"


def chunks() -> bytes:
    """An event log's chunks without the block before them."""
    return chunk_of(sample())


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    data = bytearray(lzma.decompress(FIXTURE.read_bytes()))
    tree = open_ext(MemorySource(bytes(data)))
    assert tree.deleted is not None
    taken = sorted(run for e in tree.deleted.entries() for run in tree.deleted.extents(e.key))
    free = ((a, n) for a, n, what in tree.coverage() if what == "unallocated" and n > 1 << 20)
    at = next(a for a, _ in free if not any(a - 8192 < start < a + (1 << 18) for start, _ in taken))
    for file in (everything()["png"][1], everything()["php"][1], chunks()):
        data[at : at + len(file)] = file
        at += len(file) + 2047 & -1024
    path = tmp_path_factory.mktemp("carved") / "disk.raw"
    path.write_bytes(bytes(data))
    return open_evidence([open_readonly(path)])


def carved(opened: Opened) -> CarvedTree:
    tree = next(v.tree for v in opened.views if v.name == "carved")
    assert isinstance(tree, CarvedTree)
    return tree


def test_the_carved_files_are_a_view_that_adds_nothing_to_the_coverage(opened: Opened) -> None:
    names = [(v.name, v.derived) for v in opened.views]
    assert names == [("", False), ("deleted", True), ("carved", True)]
    assert not list(carved(opened).coverage())


def test_files_that_came_back_with_their_names_are_left_to_them(opened: Opened) -> None:
    kinds = sorted(c.walked.kind for c in carved(opened).recovered())
    assert kinds == ["evtx", "png", "script"]


def test_each_claim_says_on_what_it_rests(opened: Opened) -> None:
    frame = recovered.frame(carved(opened).recovered(), "carved")
    rows = {row["file_path"].split("/")[1]: row for row in frame.iter_rows(named=True)}
    said = {
        kind: (row[own_column("content_claim")], row[own_column("content_method")], row[own_column("confidence")])
        for kind, row in rows.items()
    }
    assert said == {
        "png": ("whole", "signature+checksum", "high"), "script": ("whole", "signature+text", "low"),
        "evtx": ("part", "signature+checksum", "low"),
    }  # fmt: skip
    for row in rows.values():
        assert (row[own_column("name_claim")], row[own_column("metadata_claim")]) == ("none", "none")
        assert row["t_recorded"] is None
        assert row["length"] > 0


def test_the_bytes_are_those_that_stand_on_the_medium(opened: Opened) -> None:
    for claim in carved(opened).recovered():
        source = carved(opened).open(claim.entry.key)
        there = b"".join(opened.source.pread(at, n) for at, n in carved(opened).extents(claim.entry.key))
        assert hashlib.sha256(there).digest() == hashlib.sha256(source.pread(0, source.size)).digest()


def test_chunks_of_an_event_log_give_their_events(opened: Opened) -> None:
    tree = carved(opened)
    claim = next(c for c in tree.recovered() if c.walked.kind == "evtx")
    ready = reading.prepare(tree.open(claim.entry.key), "carved!" + claim.entry.path, None, Facts(), True)
    assert [p.name for p in ready.parsers] == ["windows.evtx"]
    batches = list(reading.run(ready.parsers[0], ready))
    assert sum(b.events.height for b in batches) == len(sample())
    assert not [g for b in batches for g in b.gaps]


def disk(*parts: tuple[int, bytes]) -> bytes:
    """An MBR disk of 4 MiB with one ext4-less partition from sector 2048 to 4095, and bytes laid where told."""
    data = bytearray(4 << 20)
    data[446:462] = b"\0\0\0\0\x83\0\0\0" + (2048).to_bytes(4, "little") + (2048).to_bytes(4, "little")
    data[510:512] = b"\x55\xaa"
    for at, held in parts:
        data[at : at + len(held)] = held
    return bytes(data)


def carved_of(tmp_path: Path, data: bytes) -> dict[int, bytes]:
    path = tmp_path / "disk.raw"
    path.write_bytes(data)
    opened = open_evidence([open_readonly(path)])
    views = [view for view in opened.views if view.name == "carved"]
    found = {}
    for view in views:
        for entry in view.tree.entries():
            file = view.tree.open(entry.key)
            found[view.tree.extents(entry.key)[0][0]] = file.pread(0, file.size)
    return found


def test_what_was_hidden_between_partitions_is_carved(tmp_path: Path) -> None:
    """Before the first partition, behind the last, and in a partition that holds no file system any more."""
    log = lzma.compress(b"Accepted password for root from 203.0.113.9\n" * 40)
    places = (63 * 512, 3000 * 512, 6000 * 512 + 512)
    assert carved_of(tmp_path, disk(*((at, log) for at in places))) == dict.fromkeys(places, log)


def test_a_disk_without_any_file_system_is_carved(tmp_path: Path) -> None:
    log = lzma.compress(b"no file system at all\n" * 40)
    assert carved_of(tmp_path, b"\x01" * 8192 + log + bytes(100_000)) == {8192: log}


def test_encrypted_and_swap_volumes_are_left_alone(tmp_path: Path) -> None:
    log = lzma.compress(b"chance\n" * 40)
    swap = bytearray(1 << 20)
    swap[4086:4096] = b"SWAPSPACE2"
    swap[65536 : 65536 + len(log)] = log
    assert carved_of(tmp_path, disk((2048 * 512, bytes(swap)))) == {}
    assert carved_of(tmp_path, disk((2048 * 512, b"LUKS\xba\xbe\0\1".ljust(4096, b"\0")), (3000 * 512, log))) == {}


class Counting(MemorySource):
    """Bytes in memory that count how many of them are read."""

    read = 0

    def pread(self, offset: int, length: int) -> bytes:
        data = super().pread(offset, length)
        self.read += len(data)
        return data


def test_free_space_of_xfs_is_read_once() -> None:
    """What the search for deleted files read is not read again for carving, and the same files come of it."""
    tree = XfsTree(MemorySource(image()))
    assert tree.deleted is not None
    counted = Counting(image())
    size = tree.head.block_size
    plain = CarvedTree(tree, counted, size, lambda: _beginnings(tree.deleted))
    expected = [f.entry for f in plain.recovered()]
    read = counted.read
    assert read > 8 << 20
    again = XfsTree(MemorySource(image()))
    seen = Sightings(size)
    assert again.deleted is not None
    again.deleted.beside = seen.take
    counted = Counting(image())
    shared = CarvedTree(again, counted, size, lambda: _beginnings(again.deleted), seen)
    assert [f.entry for f in shared.recovered()] == expected
    assert counted.read < read // 4


def test_sightings_of_another_reading_are_not_used() -> None:
    seen = Sightings(512)
    seen.take(0, b"BZh".ljust(512, b"\0"))
    seen.take(512, bytes(512))
    assert seen.of([(0, 1024)]) == seen.of([(0, 512), (512, 512)])
    assert len(seen.of([(0, 1024)]) or ()) == 1
    assert seen.of([(0, 512)]) is None
    assert seen.of([(0, 1024), (4096, 512)]) is None
