# SPDX-License-Identifier: Apache-2.0
"""Writing a file so that it is there whole or not at all: temporary name, fsync, rename, fsync of the folder."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

from headwater.model.errors import VaultError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_atomic(path: Path, data: bytes) -> str:
    """Write ``data`` to ``path`` and return its SHA-256 in hex. Safe to repeat; a killed run leaves only ``*.tmp``.

    Raises:
        VaultError: HW3004 where the disk is full or the write failed.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        if error.errno in _NO_ROOM:
            temporary.unlink(missing_ok=True)  # give the room back; what was finished stays
        raise VaultError("HW3004", str(path), what=error.strerror or str(error)) from error
    return hashlib.sha256(data).hexdigest()
