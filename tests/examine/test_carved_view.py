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
from headwater.examine import reading, recovered
from headwater.examine.opening import Opened, open_evidence
from headwater.formats.carving import CarvedTree
from headwater.formats.ext import open_ext
from headwater.formats.opened import open_readonly
from headwater.formats.sources import MemorySource
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
