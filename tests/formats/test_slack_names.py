# SPDX-License-Identifier: Apache-2.0
"""A deleted name whose inode serves another file is claimed as a name and nothing else: no time, owner or byte of the other's."""

from __future__ import annotations

from pathlib import Path

import pytest
from disk_images import ext, source
from test_xfs_deleted import deleted, image

from headwater.examine import recovered
from headwater.formats.ext import open_ext
from headwater.formats.ext_directories import Name
from headwater.formats.slack_names import NameAlone, Part, Slack, names_alone
from headwater.formats.sources import MemorySource
from headwater.formats.trees import Entry
from headwater.formats.xfs import XfsTree
from headwater.model.records import own_column


def test_a_reused_inode_lends_nothing_to_the_name_it_had(tmp_path: Path) -> None:
    for name, data in (("one", b"one"), ("two", b"two" * 900)):
        (tmp_path / name).write_bytes(data)
    commands = "mkdir var\ncd var\n" + "".join(
        f"write {tmp_path}/one {n}\n" for n in ("first.log", "evil.sh", "kept.log")
    )
    made = ext(tmp_path / "image", commands=f"{commands}rm evil.sh\ncd /\nwrite {tmp_path}/two later.log\n")
    volume = source(made)
    tree = open_ext(volume)
    assert tree.deleted is not None
    (alone,) = [r for r in recovered.recovered_of(tree.deleted) if isinstance(r, NameAlone)]
    later = next(e for e in tree.entries() if e.path == "/later.log")
    assert (alone.entry.path, alone.entry.inode) == ("/var/evil.sh", later.inode)
    record = volume.pread(alone.place, alone.record_size)
    assert record[:4] == later.inode.to_bytes(4, "little")
    assert record[8:] == b"evil.sh"
    (row,) = recovered.frame([alone], "deleted").to_dicts()
    claims = [
        row[own_column(n)] for n in ("name_claim", "metadata_claim", "content_claim", "confidence", "uid", "modified")
    ]
    assert claims == ["directory", "none", "none", None, None, None]
    assert (row["t_recorded"], row["file_path"], row["offset"]) == (None, "/var/evil.sh", alone.place)


def test_on_xfs_too_and_named_files_are_not_claimed_twice() -> None:
    """A name in the free space of a directory is made to lead to a file in use, as when its inode was given out again."""
    data = bytearray(image())
    tree = XfsTree(MemorySource(bytes(data)))
    log, size = tree.head.place(tree.head.log_start), tree.head.log_blocks * tree.head.block_size
    data[log : log + size] = bytes(size)
    tree = XfsTree(MemorySource(bytes(data)))
    folder, name = next((f, n) for f, n in tree.slack_names() if tree.folder_parts(f, MemorySource(bytes(data))))
    part = next(p for p in tree.folder_parts(folder, MemorySource(bytes(data))) if name.name in p.data)
    at = part.place + part.data.find(bytes([len(name.name)]) + name.name)
    used = next(e for e in list(tree.entries()) if e.kind == "file" and e.allocated)
    data[at - 4 : at] = (used.inode & 0xFFFFFFFF).to_bytes(4, "big")
    found = deleted(MemorySource(bytes(data)))
    alone = {a.entry.path: a for a in found.names_alone()}
    path = f"{tree.folders()[folder]}/{name.name.decode()}"
    assert path in alone
    assert alone[path].place == at - 8
    assert not {r.entry.path for r in found.recovered()} & set(alone)


def test_a_name_that_the_directory_itself_still_has_is_no_deleted_one() -> None:
    entry = Entry("/a", "file", 0, 0, None, None, 7, False, None, None, None, None, None, None, "gone")

    def told(live: dict[bytes, int], names: list[Name]) -> list[int]:
        slack = [Slack(5, name, entry._replace(inode=name.inode)) for name in names]
        held = [Part(4096, b"\7\0\0\0\x0c\0\1\1a", live)]
        return [a.place for a in names_alone(slack, set(), lambda _: held, lambda _: (1, 256), "ext")]

    old = Name(7, b"a", 1, False)
    assert told({}, [old]) == [4096]
    assert told({b"a": 7}, [old]) == []  # moved within its directory
    assert told({b"a": 8}, [old]) == [4096]  # another file took its name
    assert told({}, [old, old]) == [4096]
    assert told({}, [Name(9, b"a", 1, False)]) == [1]  # where it stands is not found: its directory is cited


@pytest.mark.parametrize("form", ["ext", "xfs"])
def test_directories_full_of_one_name_end(form: str) -> None:
    entry = Entry("/a", "file", 0, 0, None, None, 7, False, None, None, None, None, None, None, "gone")
    slack = [Slack(5, Name(n + 9, b"a", 1, False), entry) for n in range(3000)]
    held = [Part(0, b"\1\1a" * 21845, {})]
    assert len(list(names_alone(slack, set(), lambda _: held, lambda _: (1, 256), form))) == 3000  # type: ignore[arg-type]
