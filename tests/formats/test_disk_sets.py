# SPDX-License-Identifier: Apache-2.0
"""Disks that only together hold a volume must be read together, each keeping its place and its name.

SOURCE: fixtures/mdraid.tar.xz, see test_mdraid.py; the file system of the last test is made here by mke2fs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from test_mdraid import members
from volume_fixtures import digest, expected

from headwater.cli.main import main
from headwater.formats.disk_sets import SetMedium
from headwater.formats.media import Medium, open_medium
from headwater.formats.opened import open_readonly
from headwater.formats.segments import segments
from headwater.formats.sources import physical_ranges
from headwater.formats.volumes import volumes
from headwater.model.errors import HeadwaterError
from headwater.procedure.disk_set import write_set


def made(folder: Path, disks: list[bytes]) -> Path:
    """The disks as raw images and their set."""
    for number, data in enumerate(disks):
        (folder / f"disk{number}.raw").write_bytes(data)
    out = folder / "web01.hwset"
    write_set(out, sorted(folder.glob("*.raw")))
    return out


def opened(path: Path) -> Medium:
    return open_medium([open_readonly(p) for p in segments(path)])


@pytest.mark.parametrize("name", ["raid0-zones-original", "raid1-1.2", "raid5-ls", "raid6-ls", "raid10-n2-4"])
def test_array_over_disks_imaged_apart_reads_as_the_kernel_read_it(tmp_path: Path, name: str) -> None:
    disks = members(name)
    medium = opened(made(tmp_path, disks))
    assert isinstance(medium, SetMedium)
    assert medium.pread(0, medium.size) == b"".join(disks)
    table = volumes(medium)
    (array,) = [v for v in table.volumes if v.type == "md"]
    assert (digest(array.source), array.source.size) == expected("mdraid")[name]
    assert array.name.startswith("m1!md.")
    assert {v.name for v in table.volumes if v.held_by == array.name} == {f"m{n + 1}" for n in range(len(disks))}
    places = physical_ranges(array.source, medium, 0, 4096)
    assert b"".join(medium.pread(at, size) for at, size in places) == array.source.pread(0, 4096)


def test_set_that_names_what_is_not_there_or_elsewhere_is_refused(tmp_path: Path) -> None:
    out = made(tmp_path, [b"a" * 1024, b"b" * 1024])
    (tmp_path / "disk1.raw").rename(tmp_path / "gone")
    with pytest.raises(HeadwaterError, match="HW2004"):
        segments(out)
    (tmp_path / "gone").rename(tmp_path / "disk1.raw")
    held = json.loads(out.read_bytes())
    for change in ("../disk0.raw", "/etc/passwd", "", "..", "x/y"):
        held["members"][0]["files"] = [change]
        out.write_bytes(b'{"headwater-disk-set": 1,' + json.dumps(held).encode()[len('{"headwater-disk-set": 1,') :])
        with pytest.raises(HeadwaterError):
            opened(out)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "disk2.raw").write_bytes(b"c" * 512)
    with pytest.raises(HeadwaterError, match="HW2009"):
        write_set(tmp_path / "two.hwset", [tmp_path / "disk0.raw", tmp_path / "sub" / "disk2.raw"])
    with pytest.raises(HeadwaterError, match="HW2009"):
        write_set(tmp_path / "two.hwset", [tmp_path / "disk0.raw", tmp_path / "disk0.raw"])


def test_order_of_the_disks_is_part_of_what_is_registered(tmp_path: Path) -> None:
    first = opened(made(tmp_path, [b"a" * 1024, b"b" * 1024]))
    out = tmp_path / "other.hwset"
    write_set(out, [tmp_path / "disk1.raw", tmp_path / "disk0.raw"])
    assert digest(first) != digest(opened(out))


@pytest.mark.skipif(shutil.which("mke2fs") is None, reason="needs e2fsprogs")
def test_files_of_a_second_disk_are_examined_with_the_first(tmp_path: Path) -> None:
    tree = tmp_path / "tree" / "var" / "log"
    tree.mkdir(parents=True)
    line = "Mar  2 03:12:31 web01 sshd[990]: Accepted password for root from 203.0.113.66 port 41000 ssh2\n"
    (tree / "auth.log").write_text(line)
    disk = tmp_path / "data.raw"
    subprocess.run(
        ["mke2fs", "-q", "-t", "ext4", "-d", os.fspath(tmp_path / "tree"), os.fspath(disk), "4M"],
        check=True, capture_output=True,
    )  # fmt: skip
    (tmp_path / "other.raw").write_bytes(bytes(1 << 20))
    out, case = tmp_path / "web01.hwset", os.fspath(tmp_path / "case")
    assert main(["set", os.fspath(out), os.fspath(tmp_path / "other.raw"), os.fspath(disk)]) == 0
    asked = ["--case", case, "--no-authority", "a test", "--examiner", "A", "--examiner", "B", "--lang", "en"]
    assert main(["investigate", os.fspath(out), *asked]) == 0
    assert main(["trace", case, "1:m2!/var/log/auth.log:0:0"]) == 0
    assert main(["verify", case]) == 0
