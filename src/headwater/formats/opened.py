# SPDX-License-Identifier: Apache-2.0
"""Opens evidence, for reading only, into descriptors that can be handed to a confined child.

Readers never see a path: they are given an :class:`OpenFile` and use ``os.pread`` on it, so they work where the file
system is out of reach. Nothing here, nor anything built on it, opens evidence for writing.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from headwater.model.errors import AcquireError

# linux/fs.h: _IOR(0x12, 114, size_t): the size of a block device in bytes
_BLKGETSIZE64 = 0x80081272


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A read-only descriptor, the name it had, and its size in bytes when it was opened.

    ``item``: 0 for a file of the item that is read; of a file that another item holds and that is opened beside it (a journal
    of its volumes), the number of that one.
    """

    fd: int
    name: str
    size: int
    item: int = 0

    def close(self) -> None:
        """Close the descriptor; closing twice is harmless only if the number was not given out again."""
        os.close(self.fd)


def _size_of(fd: int, mode: int) -> int:
    if stat.S_ISREG(mode):
        return os.fstat(fd).st_size
    if sys.platform == "linux":
        return int(struct.unpack("=Q", fcntl.ioctl(fd, _BLKGETSIZE64, bytes(8)))[0])
    return os.lseek(fd, 0, os.SEEK_END)


def open_readonly(path: str | Path) -> OpenFile:
    """Open a regular file or a block device for reading, leaving its access time alone where that is permitted.

    Raises:
        AcquireError: HW2001 it is not there; HW2003 it cannot be opened; HW2007 it is neither file nor block device.
    """
    where = os.fspath(path)
    # O_NONBLOCK: a FIFO in the evidence's place must not hang the program before we have looked at what it is
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    try:
        try:
            fd = os.open(where, flags | getattr(os, "O_NOATIME", 0))
        except PermissionError:
            fd = os.open(where, flags)  # O_NOATIME is the owner's privilege
    except FileNotFoundError as error:
        raise AcquireError("HW2001", where) from error
    except OSError as error:
        code = "HW2001" if error.errno == errno.ENOTDIR else "HW2003"
        raise AcquireError(code, where, what=error.strerror) from error
    try:
        mode = os.fstat(fd).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
            raise AcquireError("HW2007", where, what="neither a file nor a block device")
        return OpenFile(fd, os.path.basename(where), _size_of(fd, mode))
    except OSError as error:
        os.close(fd)
        raise AcquireError("HW2003", where, what=error.strerror) from error
    except AcquireError:
        os.close(fd)
        raise
