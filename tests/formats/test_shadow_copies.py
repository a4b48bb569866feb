# SPDX-License-Identifier: Apache-2.0
"""Shadow copies of a real Windows volume are volumes of their own, with the files as they were.

Test data: plaso's vsstest.qcow2 (../shared/data/plaso, Apache-2.0), converted with qemu-img; skipped where absent.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from disk_images import SHARED, run, source, tool

from headwater.formats.filesystems import open_filesystem
from headwater.formats.shadow_copies import shadow_copies
from headwater.formats.sources import MemorySource
from headwater.formats.volumes import volumes
from headwater.model.records import Gap


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    held = SHARED / "plaso/test_data/vsstest.qcow2"
    if not held.exists():
        pytest.skip("plaso's test data are not here")
    path = tmp_path_factory.mktemp("vss") / "raw"
    run(tool("qemu-img"), "convert", "-O", "raw", held, path)
    yield path
    path.unlink()


def names(path: Path, volume: str) -> dict[str, bytes]:
    held = next(v for v in volumes(source(path)).volumes if v.name == volume)
    tree = open_filesystem(held.source)
    assert tree is not None
    entries = [e for e in tree.entries() if e.kind == "file" and e.allocated and not e.path.startswith("/$")]
    return {e.path: tree.open(e.key).pread(0, 4096) for e in entries if "System Volume" not in e.path}


def test_each_copy_is_a_volume_beside_the_one_it_is_of(raw: Path) -> None:
    table = volumes(source(raw))
    assert [v.name for v in table.volumes] == ["", "vss1", "vss2"]
    assert [dict(v.facts).get("created", "")[:19] for v in table.volumes] == [
        "",
        "2013-12-03T06:35:09",
        "2013-12-03T06:37:48",
    ]
    assert all(not v.held_by for v in table.volumes)
    assert table.warnings == ()


def test_files_are_shown_as_they_were_at_the_time(raw: Path) -> None:
    now, first, second = (names(raw, v) for v in ("", "vss1", "vss2"))
    assert set(now) == {"/another_file", "/password.txt", "/syslog.gz"}
    assert set(first) == {"/syslog"}
    assert set(second) == {"/another_file", "/syslog.gz"}
    assert first["/syslog"].startswith(b"Jan 22 07:52:33 myho")


def test_copy_reads_the_same_at_any_place(raw: Path) -> None:
    copy = next(v for v in volumes(source(raw)).volumes if v.name == "vss2").source
    whole = copy.pread(0, 4 << 20)
    chance = random.Random(1)
    for _ in range(60):
        at, length = chance.randrange(4 << 20), chance.choice((1, 511, 4096, 40_000))
        assert copy.pread(at, length)[: len(whole) - at] == whole[at : at + length]
    assert copy.pread(copy.size - 2, 10) == copy.pread(copy.size - 2, 2)
    assert len(copy.pread(copy.size - 2, 10)) == 2


def test_damaged_catalog_is_told_and_raises_nothing(raw: Path) -> None:
    head = bytearray(source(raw).pread(0, 1 << 20))
    for at in range(0x1E10, 0x1E60, 4):
        bent = bytearray(head)
        bent[at : at + 4] = b"\xff\xff\xff\x7f"
        warnings: list[Gap] = []
        for copy in shadow_copies(MemorySource(bytes(bent)), "p1", warnings, 0):
            copy.source.pread(0, 65536)
        assert all(gap.detail.startswith("p1: ") for gap in warnings)
