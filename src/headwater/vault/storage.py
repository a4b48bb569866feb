# SPDX-License-Identifier: Apache-2.0
"""Content-addressed storage: what is put in is known by its SHA-256, written once, never changed, never removed.

One port, several stores: a folder (0444, and ``chattr +i`` where asked for and allowed), memory (for tests that need no
disk), a sealed store around any other. ``tests/vault/test_storage.py`` holds them all to the same conduct.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from headwater.model.errors import IntegrityError, VaultError

BLOCK = 1 << 20
_GET_FLAGS, _SET_FLAGS, _IMMUTABLE = 0x80086601, 0x40086602, 0x10  # ioctl_iflags(2)


@dataclass(frozen=True, slots=True)
class Stored:
    """What stands in a store: its SHA-256 in hex and its size in bytes. ``version`` where the store numbers versions."""

    sha256: str
    size: int
    version: str = ""


@runtime_checkable
class Store(Protocol):
    """The port. ``put`` is safe to repeat; reading gives exactly the bytes put, or fails."""

    def put(self, source: BinaryIO) -> Stored: ...

    def blocks(self, sha256: str) -> Iterator[bytes]:
        """The content in blocks; raises IntegrityError HW3003 at the end where it is not what was put."""
        ...

    def read_at(self, sha256: str, offset: int, length: int) -> bytes: ...

    def names(self) -> list[str]:
        """The digests of all that is stored, in order."""
        ...


def named(sha256: str) -> str:
    """The digest itself, if it is one: a name from outside never becomes a path.

    Raises:
        VaultError: HW3015.
    """
    if len(sha256) != 64 or sha256.strip("0123456789abcdef"):
        raise VaultError("HW3015", sha256[:80], what="not a SHA-256")
    return sha256


class Memory:
    """A store in memory."""

    def __init__(self) -> None:
        self._held: dict[str, bytes] = {}

    def put(self, source: BinaryIO) -> Stored:
        data = source.read()
        sha256 = hashlib.sha256(data).hexdigest()
        self._held.setdefault(sha256, data)
        return Stored(sha256, len(data))

    def blocks(self, sha256: str) -> Iterator[bytes]:
        data = self._of(sha256)
        for at in range(0, len(data), BLOCK):
            yield data[at : at + BLOCK]

    def read_at(self, sha256: str, offset: int, length: int) -> bytes:
        return self._of(sha256)[offset : offset + length]

    def names(self) -> list[str]:
        return sorted(self._held)

    def _of(self, sha256: str) -> bytes:
        try:
            return self._held[named(sha256)]
        except KeyError as error:
            raise VaultError("HW3015", sha256, what="not stored") from error


class Folder:
    """A store in a folder: ``ab/abcd…``, read-only; ``immutable`` asks the file system to hold it fast as well."""

    def __init__(self, folder: Path, *, immutable: bool = False) -> None:
        self.folder = folder
        self._immutable = immutable

    def path(self, sha256: str) -> Path:
        """Where a content lies or would lie."""
        return self.folder / named(sha256)[:2] / sha256

    def put(self, source: BinaryIO) -> Stored:
        """Copy to a temporary name while digesting, sync, and link under the digest.

        Raises:
            VaultError: HW3004 no space; IntegrityError HW3003 where something else stands under that name.
        """
        temporary = self.folder / f".put-{os.getpid()}-{id(source)}.tmp"
        digest, size, new = hashlib.sha256(), 0, False
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(temporary, "xb") as handle:
                while block := source.read(BLOCK):
                    digest.update(block)
                    size += len(block)
                    handle.write(block)
                handle.flush()
                os.fsync(handle.fileno())
                os.fchmod(handle.fileno(), 0o444)
            path = self.path(digest.hexdigest())
            path.parent.mkdir(exist_ok=True)
            with suppress(FileExistsError):  # the same content again: what stands there is checked below
                os.link(temporary, path)
                new = True
        except OSError as error:
            raise VaultError("HW3004", str(self.folder), what=error.strerror or error) from error
        finally:
            temporary.unlink(missing_ok=True)
        if new and self._immutable:  # not before: the flag would hold the temporary name of the same file as well
            hold_fast(path)
        if path.stat().st_size != size:
            raise IntegrityError("HW3003", str(path), expected=f"{size} bytes", found=f"{path.stat().st_size} bytes")
        for _ in self.blocks(digest.hexdigest()):  # read back: the verdict is about what lies there, not what was sent
            pass
        return Stored(digest.hexdigest(), size)

    def blocks(self, sha256: str) -> Iterator[bytes]:
        digest = hashlib.sha256()
        with self._open(sha256) as handle:
            while block := handle.read(BLOCK):
                digest.update(block)
                yield block
        if digest.hexdigest() != sha256:
            raise IntegrityError("HW3003", str(self.path(sha256)), expected=sha256, found=digest.hexdigest())

    def read_at(self, sha256: str, offset: int, length: int) -> bytes:
        with self._open(sha256) as handle:
            return os.pread(handle.fileno(), length, offset)

    def names(self) -> list[str]:
        return sorted(p.name for p in self.folder.glob("??/*") if len(p.name) == 64)

    def _open(self, sha256: str) -> BinaryIO:
        path = self.path(sha256)
        try:
            return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
        except OSError as error:
            raise VaultError("HW3015", str(path), what=error.strerror or error) from error


def hold_fast(path: Path, on: bool = True) -> bool:
    """Set or clear the immutable flag (``chattr +i``); False where the file system or our rights do not allow it."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        flags = struct.unpack("l", fcntl.ioctl(handle, _GET_FLAGS, struct.pack("l", 0)))[0]
        wanted = flags | _IMMUTABLE if on else flags & ~_IMMUTABLE
        fcntl.ioctl(handle, _SET_FLAGS, struct.pack("l", wanted))
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
