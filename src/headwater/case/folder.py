# SPDX-License-Identifier: Apache-2.0
"""The case folder: made once, recognised again, used by one process at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headwater.model.errors import UsageError, VaultError

MARK = "ledger.db"


def is_case(folder: Path) -> bool:
    """Whether the folder holds a case."""
    return (folder / MARK).is_file()


def require(folder: Path) -> Path:
    """The folder, if it holds a case.

    Raises:
        UsageError: HW0002.
    """
    if not is_case(folder):
        raise UsageError("HW0002", str(folder))
    return folder


def prepare(folder: Path) -> bool:
    """Make the folder, or accept an empty one or one with a case; True where the case is new.

    Raises:
        UsageError: HW0003 where it holds something else.
        VaultError: HW3004 where it cannot be made.
    """
    if is_case(folder):
        return False
    if folder.exists() and (not folder.is_dir() or any(p.name != ".lock" for p in folder.iterdir())):
        # a run that was killed before its first ledger entry leaves only the key folder and a bare ledger
        names = {p.name for p in folder.iterdir()} if folder.is_dir() else {""}
        if not names <= {".lock", "keys", "ledger.db-wal", "ledger.db-shm"}:
            raise UsageError("HW0003", str(folder))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VaultError("HW3004", str(folder), what=error.strerror or error) from error
    return True


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the case for this process; the lock goes with the process, however it ends.

    Raises:
        UsageError: HW0007 where another process holds it.
    """
    try:
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise VaultError("HW3004", str(folder), what=error.strerror or error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError("HW0007", str(folder)) from error
        yield
    finally:
        os.close(handle)
