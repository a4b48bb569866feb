# SPDX-License-Identifier: Apache-2.0
"""A file or block device on this machine as a block source, opened for reading only.

They are read with O_DIRECT: through the page cache one bad sector takes the whole page of 4 KiB with it, and good
sectors beside it would be lost; and what is read comes from the disk, at the price of one copy less. Where a device or
file system refuses O_DIRECT the facts say so.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import stat
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

from headwater.acquire.ports import UnreadableError
from headwater.model.errors import AcquireError

# linux/fs.h
_BLKSSZGET = 0x1268  # logical sector size
_BLKGETSIZE64 = 0x80081272
_GONE = frozenset({errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ENOTCONN, errno.EBADF})


class FileBlockSource:
    """See :class:`headwater.acquire.ports.BlockSource`. ``direct`` tells whether the page cache is passed by."""

    def __init__(
        self,
        path: str | Path,
        *,
        live: bool = False,
        facts: Mapping[str, str] | None = None,
        direct: bool = True,
    ) -> None:
        """Open it. ``direct``: whether O_DIRECT is tried.

        Raises:
            AcquireError: HW2001 it is not there; HW2003 it cannot be opened; HW2007 neither file nor block device.
        """
        where = os.fspath(path)
        self.name = where
        self.live = live
        try:
            # O_NONBLOCK: a FIFO in the source's place must not hang us before we have looked at what it is
            self._fd = os.open(where, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise AcquireError("HW2001", where) from error
        except OSError as error:
            raise AcquireError("HW2003", where, what=error.strerror) from error
        try:
            mode = os.fstat(self._fd).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
                raise AcquireError("HW2007", where, what="neither a file nor a block device")
            self.size, self.sector_size = self._geometry(mode)
        except OSError as error:
            os.close(self._fd)
            raise AcquireError("HW2003", where, what=error.strerror) from error
        except AcquireError:
            os.close(self._fd)
            raise
        self.direct = direct and self._turn_direct()
        self.facts: Mapping[str, str] = {"reading": "O_DIRECT" if self.direct else "buffered"} | dict(facts or {})

    def _geometry(self, mode: int) -> tuple[int, int]:
        if stat.S_ISREG(mode):
            return os.fstat(self._fd).st_size, 512
        if sys.platform == "linux":
            size = int(struct.unpack("=Q", fcntl.ioctl(self._fd, _BLKGETSIZE64, bytes(8)))[0])
            return size, int(struct.unpack("=i", fcntl.ioctl(self._fd, _BLKSSZGET, bytes(4)))[0])
        return os.lseek(self._fd, 0, os.SEEK_END), 512

    def _turn_direct(self) -> bool:
        """Whether O_DIRECT could be set, and a reading of one page is not refused for it."""
        flag = getattr(os, "O_DIRECT", 0)
        if not flag:
            return False
        flags = fcntl.fcntl(self._fd, fcntl.F_GETFL)
        try:
            fcntl.fcntl(self._fd, fcntl.F_SETFL, flags | flag)
        except OSError:
            return False
        try:
            with mmap.mmap(-1, mmap.PAGESIZE) as page:  # aligned as O_DIRECT wants it
                os.preadv(self._fd, [page], 0)
        except OSError as error:
            if error.errno == errno.EINVAL:
                fcntl.fcntl(self._fd, fcntl.F_SETFL, flags)
                return False
        return True  # what cannot be read there is met again when it is imaged

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """See :meth:`BlockSource.read_into`."""
        done = 0
        while done < len(buffer) and offset + done < self.size:
            try:
                count = os.preadv(self._fd, [buffer[done:]], offset + done)
            except OSError as error:
                if error.errno == errno.EINVAL and self.direct:
                    # the tail of a file, or a device stricter than it says: this one range goes through the cache
                    return self._buffered(offset, buffer)
                gone = error.errno in _GONE
                raise UnreadableError(offset, len(buffer), error.strerror or "I/O error", vanished=gone) from error
            if not count:
                break  # it was cut short after it was opened
            done += count
        return done

    def _buffered(self, offset: int, buffer: memoryview) -> int:
        flags = fcntl.fcntl(self._fd, fcntl.F_GETFL)
        fcntl.fcntl(self._fd, fcntl.F_SETFL, flags & ~os.O_DIRECT)
        self.direct = False
        try:
            return self.read_into(offset, buffer)
        finally:
            fcntl.fcntl(self._fd, fcntl.F_SETFL, flags)
            self.direct = True

    def forget_cache(self) -> None:
        """Ask the kernel to drop what it holds of a file, so that a second reading comes from the disk."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._fd)
