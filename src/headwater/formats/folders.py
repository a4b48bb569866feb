# SPDX-License-Identifier: Apache-2.0
"""A folder of collected files as a tree, read by directory descriptor, following no link.

The walk keeps its own stack and few descriptors, so that depth hides nothing; names are bytes; FIFOs, sockets and
devices are listed and never opened. A directory's entries come in the order of their names' bytes, before those of the
directories in it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict
from collections.abc import Iterator, Sequence

from headwater.formats.opened import OpenFile
from headwater.formats.sources import ChainSource, FileSource, Piece
from headwater.formats.trees import Coverage, Entry, EntryKind
from headwater.model.kinds import GapReason
from headwater.model.paths import decode_name, encode_name
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

_HELD = 64  # directory descriptors kept open; the parent of the next directory is nearly always among them
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: should a FIFO take the file's place after the listing, opening it must not hang
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_NOATIME = getattr(os, "O_NOATIME", 0)


def kind_of_mode(mode: int) -> EntryKind:
    """The kind that the type bits of a Unix mode state (stat(2))."""
    kinds: dict[int, EntryKind] = {
        stat.S_IFREG: "file",
        stat.S_IFDIR: "dir",
        stat.S_IFLNK: "link",
        stat.S_IFCHR: "char",
        stat.S_IFBLK: "block",
        stat.S_IFIFO: "fifo",
        stat.S_IFSOCK: "socket",
    }
    return kinds.get(stat.S_IFMT(mode), "other")


def open_root(path: str | os.PathLike[str]) -> int:
    """A descriptor of the folder at ``path``, for :class:`FolderTree`; the caller closes it.

    Raises:
        OSError: it is not there, is no directory, or may not be read.
    """
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _open(name: bytes, flags: int, parent: int) -> int:
    try:
        return os.open(name, flags | _NOATIME, dir_fd=parent)
    except PermissionError:
        return os.open(name, flags, dir_fd=parent)  # O_NOATIME is the owner's privilege


class FolderTree:
    """The files under a directory descriptor. Uses the descriptor, does not close it; ``key`` is the entry's path."""

    kind = "folder"

    def __init__(self, root_fd: int) -> None:
        self._root = root_fd
        self._warnings: list[Gap] = []
        self._held: OrderedDict[bytes, int] = OrderedDict()

    @property
    def warnings(self) -> Sequence[Gap]:
        """What could not be listed or read; the offset is 0, the detail names the path."""
        return tuple(self._warnings)

    def entries(self) -> Iterator[Entry]:
        stack = [b""]
        while stack:
            folder = stack.pop()
            below: list[bytes] = []
            for name in self._names(folder):
                path = folder + b"/" + name
                entry = self._entry(path)
                if entry is None:
                    continue
                if entry.kind == "dir":
                    below.append(path)
                yield entry
            stack.extend(reversed(below))

    def _names(self, folder: bytes) -> list[bytes]:
        try:
            # listdir on a descriptor gives str; fsencode is its exact inverse
            return sorted(os.fsencode(name) for name in os.listdir(self._directory(folder)))
        except OSError as error:
            self._warn(folder or b"/", error)
            return []

    def _entry(self, path: bytes) -> Entry | None:
        parent, _, name = path.rpartition(b"/")
        try:
            fd = self._directory(parent)
            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            kind = kind_of_mode(found.st_mode)
            target = encode_name(os.readlink(name, dir_fd=fd)) if kind == "link" else None
        except OSError as error:
            self._warn(path, error)
            return None
        return Entry(
            path=encode_name(path),
            kind=kind,
            size=found.st_size,
            mode=found.st_mode,
            uid=found.st_uid,
            gid=found.st_gid,
            inode=found.st_ino,
            allocated=True,
            modified=found.st_mtime_ns,
            accessed=found.st_atime_ns,
            changed=found.st_ctime_ns,
            created=None,
            deleted=None,
            target=target,
            key=encode_name(path),
        )

    def _directory(self, path: bytes) -> int:
        """A descriptor of a directory, reached name by name from the nearest one that is held open."""
        if not path:
            return self._root
        if path in self._held:
            self._held.move_to_end(path)
            return self._held[path]
        missing: list[bytes] = []
        at = path
        while at and at not in self._held:
            missing.append(at)
            at = at.rpartition(b"/")[0]
        fd = self._held[at] if at else self._root
        for step in reversed(missing):
            fd = _open(step.rpartition(b"/")[2], _DIRECTORY, fd)
            self._held[step] = fd
            while len(self._held) > _HELD:
                os.close(self._held.popitem(last=False)[1])
        return fd

    def open_file(self, key: str) -> OpenFile:
        """A descriptor of a regular file, to be handed to a child; the caller closes it.

        Raises:
            KeyError: no regular file of that name is there, or the name leads through a link.
            OSError: it is there and cannot be opened.
        """
        path = decode_name(key)
        parent, _, name = path.rpartition(b"/")
        parts = path.split(b"/")
        if parts[0] or any(part in (b"", b".", b"..") for part in parts[1:]):
            raise KeyError(key)
        try:
            fd = _open(name, _FILE, self._directory(parent))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
                raise KeyError(key) from error
            raise
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(fd)
            raise KeyError(key)
        return OpenFile(fd, encode_name(name), found.st_size)

    def open(self, key: str) -> ByteSource:
        try:
            return FileSource(self.open_file(key))
        except OSError as error:
            size = self._size(key)
            why = error.strerror or "cannot be opened"
            return ChainSource((Piece(None, 0, size),), extra=((0, size, GapReason.UNREADABLE, why),))

    def _size(self, key: str) -> int:
        parent, _, name = decode_name(key).rpartition(b"/")
        try:
            return os.stat(name, dir_fd=self._directory(parent), follow_symlinks=False).st_size
        except OSError as error:
            raise KeyError(key) from error

    def extents(self, key: str) -> tuple[tuple[int, int], ...]:
        """Always (): a folder lies on no medium that we hold."""
        return ()

    def coverage(self) -> Iterator[tuple[int, int, Coverage]]:
        """Nothing: a folder lies on no medium that we hold."""
        return iter(())

    def close(self) -> None:
        """Close the descriptors that the tree opened; the root stays the caller's."""
        while self._held:
            os.close(self._held.popitem()[1])

    def _warn(self, path: bytes, error: OSError) -> None:
        self._warnings.append(Gap(0, 0, GapReason.UNREADABLE, f"{encode_name(path)}: {error.strerror}"))
