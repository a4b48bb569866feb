# SPDX-License-Identifier: Apache-2.0
"""A dirty volume as its blocks record it and as its journal makes it: what one of the two views alone would hide."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from headwater.examine import replayed, told
from headwater.examine.opening import open_evidence
from headwater.formats.filesystems import open_filesystem
from headwater.formats.inode_records import decode_record
from headwater.formats.opened import open_readonly
from headwater.model.records import own_column

SAMPLES = Path(__file__).resolve().parents[2] / "sample"


# SOURCE: sample/dirty-ext4.raw.xz and dirty-xfs.raw.xz, made by lab/dirty.sh, Apache-2.0, sha256 in sample/*.sha256
@pytest.mark.parametrize("name", ["ext4", "xfs"])
def test_file_that_only_the_journal_has_and_name_that_it_removes_are_rows(name: str, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(lzma.decompress((SAMPLES / f"dirty-{name}.raw.xz").read_bytes()))
    (view,) = (v for v in open_evidence([open_readonly(image)]).views if not v.derived)
    frames = dict(told.frames_of(view))
    rows = {row["file_path"]: row for row in frames[replayed.FEED].iter_rows(named=True)}
    assert {path: row[own_column("difference")] for path, row in rows.items() if not row[own_column("directory")]} == {
        "/etc/hostname": "changed",
        "/var/log/settled.log": "renamed",
        **{f"/srv/late/late-{n}.txt": "only-replayed" for n in range(1, 6)},
    }
    host = rows["/etc/hostname"]
    assert (host[own_column("size")], host[own_column("now_size")]) == (6, 14)
    assert host[own_column("differs")].startswith("size,modified")
    assert rows["/var/log/settled.log"][own_column("now_path")] == "/var/log/settled.log.1"
    volume = image.read_bytes()
    for row in rows.values():  # each stands on the record that says so, in its inode or in the journal
        if row["length"]:
            record = decode_record(name, volume[row["offset"] : row["offset"] + row["length"]])
            before = row["t_kind"] == "recorded"
            assert record["size"] == row[own_column("size" if before else "now_size")], row["file_path"]
    assert len({(row["offset"], row["ordinal"]) for row in rows.values()}) == len(rows)


def test_clean_volume_has_no_two_views(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(lzma.decompress((SAMPLES / "dirty-ext4.raw.xz").read_bytes()))
    (view, *_) = open_evidence([open_readonly(image)]).views
    recorded = replayed.recorded_tree(view)
    assert recorded is not None
    assert list(replayed.differences(recorded, recorded)) == []
    assert view.volume is not None
    as_recorded = open_filesystem(view.volume, play=False)
    assert as_recorded is not None
    still = type(view)("", as_recorded, 0, view.size, True, volume=view.volume)
    assert replayed.recorded_tree(still) is None
