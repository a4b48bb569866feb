# SPDX-License-Identifier: Apache-2.0
"""Where an image is written: one folder or two, the same bytes to both, under ``.part`` names until it is whole.

A folder that fails (full, unplugged) is left behind and named; the image goes on in the other. Only when none is left
does writing fail. Nothing here deletes what was written.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from io import FileIO
from pathlib import Path

from headwater.model.errors import AcquireError

PART = ".part"
_PAGE = 4096


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system can."""
    flags = getattr(os, "O_DIRECTORY", None)
    if flags is None:
        return
    handle = os.open(folder, os.O_RDONLY | flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Destination:
    """One folder. ``failure`` says why it was left behind; None while it holds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.failure: str | None = None
        self._file: FileIO | None = None
        self._direct = False

    def begin(self, name: str, position: int, direct: bool = False) -> None:
        """Go on with the file ``name`` at ``position``; 0 begins it anew. What lies behind is cut off.

        ``direct``: whole pages from page-aligned memory pass the page cache by, where the file system takes that: it
        saves a copy of everything, and what is read back comes from the disk.
        """
        path = self.folder / (name + PART)
        self._file = FileIO(path, "r+b" if position else "w+b")
        self._file.truncate(position)
        self._file.seek(position)
        self._direct = direct and self._turn(True)

    def _turn(self, direct: bool) -> bool:
        """Set or clear O_DIRECT; whether that could be done."""
        flag = getattr(os, "O_DIRECT", 0)
        if not flag or self._file is None:
            return False
        import fcntl  # not on Windows, where there is no O_DIRECT either

        flags = fcntl.fcntl(self._file.fileno(), fcntl.F_GETFL)
        try:
            fcntl.fcntl(self._file.fileno(), fcntl.F_SETFL, flags | flag if direct else flags & ~flag)
        except OSError:
            return False
        return True

    def write(self, data: bytes | memoryview) -> None:
        """Append."""
        assert self._file is not None
        view = memoryview(data)
        if self._direct and (len(view) % _PAGE or self._file.tell() % _PAGE):
            self._direct = not self._turn(False)
        while view:
            try:
                view = view[self._file.write(view) or 0 :]
            except OSError as error:
                if error.errno != errno.EINVAL or not self._direct:
                    raise
                self._direct = not self._turn(False)  # the file system wants more than it said

    def skip(self, length: int) -> None:
        """Leave a hole that reads as zeros."""
        assert self._file is not None
        self._file.seek(length, os.SEEK_CUR)

    def patch(self, position: int, data: bytes) -> None:
        """Write over what stands at ``position``; appending goes on at the end."""
        assert self._file is not None
        here = self._file.tell()
        self._file.seek(position)
        self.write(data)
        self._file.seek(here)

    def sync(self) -> None:
        """Make what was written durable."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def end(self, size: int | None = None) -> None:
        """Close the file, at ``size`` bytes where it ends in a hole, once it is durable."""
        if self._file is not None:
            if size is not None:
                self._file.truncate(size)
            os.fsync(self._file.fileno())
            self.abandon()

    def abandon(self) -> None:
        """Close the file as it is."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:  # a late write error of a network file system
                self.failure = self.failure or error.strerror or str(error)


class Destinations:
    """The same operations on every folder that still holds; see :class:`Destination` for what they do."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.all = tuple(Destination(folder) for folder in folders)

    @property
    def alive(self) -> list[Destination]:
        return [d for d in self.all if d.failure is None]

    def _each(self, name: str, *values: object) -> None:
        for one in self.alive:
            try:
                getattr(one, name)(*values)
            except OSError as error:
                one.failure = error.strerror or str(error)
                one.abandon()
                if not self.alive:
                    raise AcquireError("HW2022", os.fspath(one.folder), what=one.failure) from error

    def begin(self, name: str, position: int = 0, direct: bool = False) -> None:
        self._each("begin", name, position, direct)

    def write(self, data: bytes | memoryview) -> None:
        self._each("write", data)

    def skip(self, length: int) -> None:
        self._each("skip", length)

    def patch(self, position: int, data: bytes) -> None:
        self._each("patch", position, data)

    def sync(self) -> None:
        self._each("sync")

    def end(self, size: int | None = None) -> None:
        self._each("end", size)

    def abandon(self) -> None:
        for one in self.all:
            one.abandon()
