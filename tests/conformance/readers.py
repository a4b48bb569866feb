# SPDX-License-Identifier: Apache-2.0
"""Every reader of bytes, each with an image of one known content: what the conformance suite is run over.

A new reader is one more function here. Content that a format cannot hold exactly (VHD rounds its size up) is the
beginning of what is read.
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "formats"))

from disk_images import ext
from ewf_writing import write_set
from vhdx_writing import MIB, write_vhdx
from virtual_images import disk, made, qemu

from headwater.formats.archives import archive_kind, open_archive
from headwater.formats.compressed import layer_of
from headwater.formats.filesystems import open_filesystem
from headwater.formats.media import open_medium, segments
from headwater.formats.opened import open_readonly
from headwater.formats.sources import FileSource, MemorySource, window
from headwater.formats.spooled import spooled
from headwater.model.ports import ByteSource

CONTENT = disk(21, (2 << 20) + 5 * 512)


@dataclass(frozen=True, slots=True)
class Case:
    """An open source and what it must give. ``paths``: the files that hold it; () where it is not a medium's."""

    source: ByteSource
    truth: bytes
    paths: tuple[Path, ...] = ()


def _medium(path: Path, truth: bytes = CONTENT) -> Case:
    paths = tuple(segments(path))
    return Case(open_medium([open_readonly(p) for p in paths]), truth, paths)


def _raw(folder: Path) -> Case:
    (folder / "d.dd").write_bytes(CONTENT)
    return _medium(folder / "d.dd")


def _split(folder: Path) -> Case:
    for number in range(0, len(CONTENT), 700_000):
        (folder / f"d.{number // 700_000:03d}").write_bytes(CONTENT[number : number + 700_000])
    return _medium(folder / "d.000")


def _e01(folder: Path) -> Case:
    return _medium(write_set(folder, CONTENT, chunk=32768, per_segment=30, per_table=20)[0])


def _qemu(form: str, name: str, *options: str) -> Callable[[Path], Case]:
    def build(folder: Path) -> Case:
        return _medium(made(folder, name, form, *options, content=CONTENT))

    return build


def _qcow2_chain(folder: Path) -> Case:
    half = CONTENT[: 1 << 20]
    (folder / "base.raw").write_bytes(half)
    top = folder / "top.qcow2"
    qemu("qemu-img", "create", "-q", "-f", "qcow2", "-b", "base.raw", "-F", "raw", top, str(len(CONTENT)))
    (folder / "rest").write_bytes(CONTENT[1 << 20 :])
    qemu("qemu-io", "-f", "qcow2", "-c", f"write -s {folder}/rest 1M {len(CONTENT) - (1 << 20)}", top)
    return _medium(top)


def _vhdx_differencing(folder: Path) -> Case:
    import uuid

    content = CONTENT[: 2 * MIB]
    one, two = uuid.UUID(int=1), uuid.UUID(int=2)
    write_vhdx(folder / "base.vhdx", 2 * MIB, {0: (6, content[:MIB])}, identity=one)
    # every second sector of block 1 is the child's; the others are zeros beneath
    bitmap = bytes(256) + b"\x55" * 256
    mixed = b"".join(content[at : at + 512] + bytes(512) for at in range(MIB, 2 * MIB, 1024))
    child = folder / "child.avhdx"
    write_vhdx(child, 2 * MIB, {1: (7, content[MIB:])}, identity=two, parent=("base.vhdx", one), bitmap=bitmap)
    return _medium(child, content[:MIB] + mixed)


def _window(folder: Path) -> Case:
    (folder / "d.dd").write_bytes(b"x" * 777 + CONTENT + b"y" * 99)
    return Case(window(FileSource(open_readonly(folder / "d.dd")), 777, len(CONTENT)), CONTENT)


def _memory(folder: Path) -> Case:
    return Case(MemorySource(CONTENT), CONTENT)


def _spooled(folder: Path) -> Case:
    (folder / "d.gz").write_bytes(gzip.compress(CONTENT, 1))
    source = FileSource(open_readonly(folder / "d.gz"))
    layer = layer_of("d.gz", source.pread(0, 512))
    assert layer is not None
    return Case(spooled(source, layer), CONTENT)


def _ext4_file(folder: Path) -> Case:
    (folder / "content").write_bytes(CONTENT)
    image = ext(folder / "d.ext4", size="8M", commands=f"write {folder}/content content\n")
    return _in_tree(image)


def _in_tree(image: Path) -> Case:
    tree = open_filesystem(FileSource(open_readonly(image)))
    assert tree is not None
    entry = next(e for e in tree.entries() if e.path == "/content")
    return Case(tree.open(entry.key), CONTENT)


def _tar_member(folder: Path) -> Case:
    import tarfile

    (folder / "content").write_bytes(CONTENT)
    with tarfile.open(folder / "d.tar", "w") as out:
        out.add(folder / "content", "content")
    source = FileSource(open_readonly(folder / "d.tar"))
    kind = archive_kind(source, "d.tar")
    assert kind
    tree = open_archive(source, kind)
    entry = next(e for e in tree.entries() if e.path == "/content")
    return Case(tree.open(entry.key), CONTENT)


MEDIA: dict[str, Callable[[Path], Case]] = {
    "raw": _raw,
    "split-raw": _split,
    "e01": _e01,
    "qcow2": _qemu("qcow2", "d.qcow2", "-o", "cluster_size=4k"),
    "qcow2-compressed": _qemu("qcow2", "d.qcow2", "-c"),
    "qcow2-zstd": _qemu("qcow2", "d.qcow2", "-c", "-o", "compression_type=zstd,cluster_size=16k"),
    "qcow2-subclusters": _qemu("qcow2", "d.qcow2", "-o", "extended_l2=on"),
    "qcow2-chain": _qcow2_chain,
    "vmdk-sparse": _qemu("vmdk", "d.vmdk"),
    "vmdk-stream": _qemu("vmdk", "d.vmdk", "-o", "subformat=streamOptimized"),
    "vmdk-flat": _qemu("vmdk", "d.vmdk", "-o", "subformat=monolithicFlat"),
    "vmdk-split": _qemu("vmdk", "d.vmdk", "-o", "subformat=twoGbMaxExtentSparse"),
    "vhd": _qemu("vpc", "d.vhd"),
    "vhd-fixed": _qemu("vpc", "d.vhd", "-o", "subformat=fixed"),
    "vhdx": _qemu("vhdx", "d.vhdx", "-o", "block_size=1M"),
    "vhdx-differencing": _vhdx_differencing,
    "vdi": _qemu("vdi", "d.vdi"),
}
OTHERS: dict[str, Callable[[Path], Case]] = {
    "window": _window,
    "memory": _memory,
    "gzip": _spooled,
    "ext4-file": _ext4_file,
    "tar-member": _tar_member,
}
ALL = MEDIA | OTHERS


def descriptors(paths: Sequence[Path]) -> set[int]:
    """The descriptors of this process that are open on these files."""
    import os

    wanted = {(s.st_dev, s.st_ino) for s in (p.stat() for p in paths)}
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            stat = os.fstat(int(name))
        except OSError:
            continue
        if (stat.st_dev, stat.st_ino) in wanted:
            found.add(int(name))
    return found
