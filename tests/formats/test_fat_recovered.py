# SPDX-License-Identifier: Apache-2.0
"""Deleted names of FAT and exFAT without a row of claims, or with a claim that their bytes do not bear.

The volumes are those of tests/formats/test_foreign_volumes.py (its SOURCE line holds here).
"""

from __future__ import annotations

import random

import pytest
from volume_fixtures import files, memory

from headwater.examine import recovered
from headwater.examine.opening import View
from headwater.examine.told import frames_of
from headwater.formats import fat_deleted, tsk
from headwater.formats.fat_deleted import DeletedNames
from headwater.formats.filesystems import open_filesystem
from headwater.formats.sources import MemorySource
from headwater.formats.trees import Entry
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource

FAT = ["fat12", "fat16", "fat32", "exfat"]


def rows(source: ByteSource, name: str = "p1") -> list[dict[str, object]]:
    tree = open_filesystem(source)
    assert tree is not None
    list(tree.entries())
    view = View(name, tree, 0, source.size, True, volume=source)
    told = dict(frames_of(view))
    return told[recovered.FEED].to_dicts() if recovered.FEED in told else []


def own(row: dict[str, object], name: str) -> object:
    return row[name] if name in row else row[recovered.own_column(name)]


@pytest.mark.parametrize("kind", FAT)
def test_deleted_name_has_its_row_on_its_own_directory_entry(kind: str) -> None:
    raw = files("foreign")[kind]
    found = {str(r["file_path"]).rpartition("/")[2].lstrip("_r"): r for r in rows(memory("foreign", kind))}
    assert sorted(found) == ["eused.dat", "gone_with_a_long_name.dat"]
    for row in found.values():
        assert raw[int(str(row["offset"]))] == (0x05 if kind == "exfat" else 0xE5)
        assert (own(row, "name_claim"), own(row, "metadata_claim")) == ("record", "record")
        assert row["t_recorded"] is None  # when it was deleted no entry says
    whole = found["gone_with_a_long_name.dat"]
    assert own(whole, "content_claim") == "whole"
    assert own(whole, "blocks") == own(whole, "blocks_free")
    # a chain that was freed is guessed; exFAT's flag says that the file lay in one piece
    assert own(whole, "confidence") == ("medium" if kind == "exfat" else "low")
    assert ("taken to follow" in str(own(whole, "note"))) is (kind != "exfat")
    assert ("first letter" in str(own(found["eused.dat"], "note"))) is (kind != "exfat")
    if kind != "fat32":  # there nothing was written over it
        assert own(found["eused.dat"], "content_claim") == "part"
        assert int(str(own(found["eused.dat"], "blocks_free"))) < int(str(own(found["eused.dat"], "blocks")))


def test_volume_without_a_deleted_name_has_no_rows_and_a_view_s_name_is_kept() -> None:
    raw = bytearray(files("foreign")["fat16"])
    assert {r["path"] for r in rows(MemorySource(bytes(raw)))} == {"p1"}
    assert {r["path"] for r in rows(MemorySource(bytes(raw)), "")} == {"/"}
    for row in rows(MemorySource(bytes(raw))):
        at = int(str(row["offset"]))
        raw[at : at + 32] = bytes(32)
    assert not rows(MemorySource(bytes(raw)))


@pytest.mark.parametrize("kind", ["fat16", "exfat"])
def test_number_that_leads_to_no_deleted_entry_claims_nothing(kind: str) -> None:
    source = memory("foreign", kind)
    names = DeletedNames(source, kind, 2048)
    for inode in (-9, 0, 2, 3, 4, 515, 1 << 40):
        entry = Entry("/x", "file", 9, 0, None, None, inode, False, None, None, None, None, None, None, str(inode))
        assert names.claim(entry, ()) is None


@pytest.mark.parametrize("kind", FAT)
def test_bent_directories_and_boot_sectors_end_in_rows_or_none(kind: str) -> None:
    seed = random.Random(FAT.index(kind))
    raw = files("foreign")[kind]
    places = [int(str(r["offset"])) for r in rows(MemorySource(raw))]
    for _ in range(12):
        bent = bytearray(raw)
        for _ in range(4):
            bent[seed.choice([seed.randrange(11, 128), seed.choice(places) + seed.randrange(64)])] = seed.randrange(256)
        cut = bytes(bent[: seed.choice([len(bent), len(bent) // 2])])
        tree = open_filesystem(MemorySource(cut))
        if tree is not None:
            list(tree.entries())
            recovered.frame(recovered.recovered_of(tree), "p1")


@pytest.mark.parametrize("kind", ["fat16", "exfat"])
def test_names_that_state_more_than_the_volume_again_and_again_are_claimed_up_to_a_bound(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = open_filesystem(memory("foreign", kind))
    assert isinstance(tree, tsk.TskTree)
    list(tree.entries())
    assert len(tree.recovered()) == 2
    assert not [g for g in tree.warnings if g.reason is GapReason.LIMIT]
    first = next(e for e in tree._deleted_names if e.size)
    monkeypatch.setattr(fat_deleted, "CLUSTERS_MOST", 20 * (first.size // tree.cluster + 1))
    tree._deleted_names = [first] * 50
    assert len(tree.recovered()) == len(tree.recovered()) == 20
    (gap,) = [g for g in tree.warnings if g.reason is GapReason.LIMIT]
    assert "beyond the first 20 " in gap.detail
