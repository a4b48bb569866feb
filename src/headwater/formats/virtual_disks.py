# SPDX-License-Identifier: Apache-2.0
"""Tells virtual disks apart, opens them, and finds the files of one on this machine.

Finding needs the folder, so it is done before anything is handed to a confined child. What a header names is taken
only from the image's own folder, or from folders that the person allowed, by its last part alone; a path in a header
never leads anywhere, since evidence must not choose what this machine reads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from headwater.formats.opened import OpenFile, open_readonly
from headwater.formats.sources import FileSource
from headwater.formats.virtual_blocks import BlockMedium
from headwater.formats.virtual_files import Reference, SetFiles, last_name
from headwater.formats.virtual_marks import ESX, HOSTED, VDI_IDENTITY, kind_of
from headwater.model.errors import AcquireError
from headwater.model.ports import ByteSource

_FILES = 4096
_NEIGHBOURS = 4096  # files of a folder that are looked into for one known by its identifier alone


class _Reader(NamedTuple):
    open: Callable[[FileSource, SetFiles], BlockMedium]
    references: Callable[[ByteSource, str], tuple[Reference, ...]]


def _reader(kind: str) -> _Reader | None:
    """What reads this kind, loaded only where such a disk is met."""
    if kind == "qcow2":
        from headwater.formats import qcow2

        return _Reader(qcow2.open_qcow2, qcow2.references)
    if kind == "vmdk":
        from headwater.formats import vmdk

        return _Reader(vmdk.open_vmdk, vmdk.references)
    if kind == "vhd":
        from headwater.formats import vhd

        return _Reader(vhd.open_vhd, vhd.references)
    if kind == "vhdx":
        from headwater.formats import vhdx

        return _Reader(vhdx.open_vhdx, vhdx.references)
    if kind == "vdi":
        from headwater.formats import vdi

        return _Reader(vdi.open_vdi, vdi.references)
    return None


def open_disk(files: Sequence[OpenFile], allow_missing: bool = False) -> BlockMedium:
    """The medium in these files: the image, its extents and its parents, as :func:`disk_set` orders them.

    Raises:
        AcquireError: HW2007 a kind or feature that no reader here knows; HW2040 a file of the set is missing; HW2041
            the parent is another one; HW2042 the structure is broken.
    """
    held = SetFiles(files, _open, allow_missing)
    medium = _open(held.sources[0], held, "")
    assert isinstance(medium, BlockMedium)
    medium.owned = held.sources
    medium.warnings = [*medium.warnings, *held.warnings]
    return medium


def _open(own: FileSource, files: SetFiles, stated: str) -> ByteSource:
    """A file of a chain as what its child says that it is, else as what it shows itself to be."""
    kind = kind_of(own, own.name)
    if stated == "raw" or (kind == "" and own is not files.sources[0]):
        return own
    reader = _reader(kind)
    if reader is None:
        raise AcquireError("HW2007", own.name, what="no virtual disk")
    return reader.open(own, files)


def disk_set(path: Path, allow: Sequence[Path] = ()) -> list[Path] | None:
    """The files of the virtual disk at ``path`` in the order of :func:`open_disk`, those found; None if it is none.

    ``allow``: further folders in which its files may lie. A file that cannot be found is left out, and opening says so.

    Raises:
        AcquireError: HW2003 a folder or a file cannot be read; HW2042 too many files.
    """
    try:
        file = open_readonly(path)
    except AcquireError:
        return None  # whoever opens it says why it cannot be
    try:
        kind = kind_of(FileSource(file), file.name)
    finally:
        file.close()
    if not kind:
        return None
    whole = _whole(path) if kind == "vmdk" else path
    found = _Finder([path.parent, *allow])
    found.follow(whole)
    return found.paths


class _Finder:
    """Follows references depth first, each file once."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._seen: set[tuple[int, int]] = set()
        self._names: dict[Path, dict[str, Path]] = {}
        self._identities: dict[Path, dict[bytes, Path]] = {}
        self.paths: list[Path] = []

    def follow(self, path: Path, raw: bool = False) -> None:
        """Add a file and, unless it is raw bytes, what it refers to."""
        waiting = [(path, raw)]
        while waiting:
            here, plain = waiting.pop()
            if not self._add(here):
                continue
            if not plain:
                beneath = [(self._find(r), r.format == "raw") for r in _references(here)]
                waiting.extend((p, is_raw) for p, is_raw in reversed(beneath) if p is not None)

    def _add(self, path: Path) -> bool:
        stat = path.stat()
        key = (stat.st_dev, stat.st_ino)
        if key in self._seen:
            return False
        self._seen.add(key)
        self.paths.append(path)
        if len(self.paths) > _FILES:
            raise AcquireError("HW2042", os.fspath(self.paths[0]), what=f"more than {_FILES} files")
        return True

    def _find(self, reference: Reference) -> Path | None:
        for name in reference.names:
            wanted = last_name(name)
            for folder in self._folders if wanted else ():
                # a name written on Windows may differ in case; the exact one wins
                for path in (folder / wanted, self._by_name(folder).get(wanted.lower())):
                    if path is not None and _usable(path) and self._unseen(path):
                        return path
        if reference.identity:
            for folder in self._folders:
                found = self._by_identity(folder).get(reference.identity)
                if found is not None and _usable(found) and self._unseen(found):
                    return found
        return None

    def _by_name(self, folder: Path) -> dict[str, Path]:
        if folder not in self._names:
            self._names[folder] = {p.name.lower(): p for p in reversed(_listed(folder))}
        return self._names[folder]

    def _by_identity(self, folder: Path) -> dict[bytes, Path]:
        if folder not in self._identities:
            images = [p for p in _listed(folder) if p.suffix.lower() == ".vdi"]
            self._identities[folder] = {_vdi_identity(p): p for p in reversed(images)}
        return self._identities[folder]

    def _unseen(self, path: Path) -> bool:
        stat = path.stat()
        return (stat.st_dev, stat.st_ino) not in self._seen


def _usable(path: Path) -> bool:
    """A regular file or block device that is really in that folder: a link would lead out of it again."""
    try:
        return not path.is_symlink() and (path.is_file() or path.is_block_device())
    except (OSError, ValueError):
        return False


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())[:_NEIGHBOURS]
    except OSError as error:
        raise AcquireError("HW2003", os.fspath(folder), what=error.strerror) from error


def _references(path: Path) -> tuple[Reference, ...]:
    """What a file refers to; nothing where it cannot be read, since opening it says why."""
    try:
        file = open_readonly(path)
    except AcquireError:
        return ()
    try:
        source = FileSource(file)
        reader = _reader(kind_of(source, file.name))
        return reader.references(source, file.name) if reader else ()
    except AcquireError:
        return ()
    finally:
        file.close()


def _vdi_identity(path: Path) -> bytes:
    try:
        file = open_readonly(path)
    except AcquireError:
        return b""
    try:
        return FileSource(file).pread(0, 512)[VDI_IDENTITY]
    finally:
        file.close()


def _whole(path: Path) -> Path:
    """The descriptor of the disk that a lone extent belongs to, or the file itself."""
    file = open_readonly(path)
    try:
        source = FileSource(file)
        head = source.pread(0, 4)
        if head not in (HOSTED, ESX):
            return path
        from headwater.formats.vmdk import read_descriptor

        try:
            if read_descriptor(source, file.name) is not None:
                return path
        except AcquireError:
            return path
    finally:
        file.close()
    for other in _listed(path.parent):
        if other.suffix.lower() == ".vmdk" and any(
            r.role == "extent" and last_name(r.names[0]).lower() == path.name.lower() for r in _references(other)
        ):
            return other
    return path
