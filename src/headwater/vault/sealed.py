# SPDX-License-Identifier: Apache-2.0
"""Sealed containers: AES-256-GCM in chunks of 1 MiB, the key wrapped for two or more age recipients.

Layout: ``HWSEAL1\\n`` | length of the header (4 bytes, big-endian) | header, canonical JSON in the clear | the chunks, each
with its 16-byte tag | trailer, sealed | its length (8 bytes) | ``HWSEALE\\n``.

- The key is new for every container; a chunk's nonce is its number. Its associated data binds the header, its number
  and whether it is the last, so that chunks cannot be exchanged, cut off or moved between containers.
- The trailer holds size, SHA-256 over the whole content, the SHA-256 leaf of every chunk and their Merkle root
  (RFC 6962): any chunk can be read and checked alone. Header and trailer together are bound by the key.
- Two recipients at least, so that a lost key does not lose the evidence. https://age-encryption.org/v1
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from headwater.formats.canonical import canonical
from headwater.formats.twin_digests import LANES
from headwater.formats.twin_digests import leaves as side_by_side
from headwater.model.errors import IntegrityError, VaultError
from headwater.vault.merkle import Frontier, leaf
from headwater.vault.storage import Stored, named

CHUNK, TAG = 1 << 20, 16
MAGIC, END = b"HWSEAL1\n", b"HWSEALE\n"
FORMAT = "headwater sealed container v1"
_AHEAD = 4096  # so much of the next chunk tells that this is not the last; more would push this one out of the cache
_STRIDE = CHUNK + 4160  # chunks a power of two apart would share one set of the cache
_HEADER_MOST, _TRAILER_NONCE = 1 << 20, b"\xff" * 12
_TRAILER_MOST = 1 << 30
_LAST = struct.Struct(">Q8s")


@dataclass(frozen=True, slots=True)
class Contents:
    """What a container holds: size in bytes, SHA-256 and Merkle root in hex, and the leaf of every chunk."""

    size: int
    sha256: str
    root: str
    leaves: bytes


def _extra(header: bytes, index: int, last: bool) -> bytes:
    return header + struct.pack(">Q?", index, last)


def _nonce(index: int) -> bytes:
    return index.to_bytes(12, "big")


def seal(source: BinaryIO, target: BinaryIO, recipients: Sequence[str]) -> Contents:
    """Seal a stream for these age recipients (``age1…``).

    Raises:
        VaultError: HW3018 fewer than two recipients, or one that is none.
    """
    key = AESGCM.generate_key(256)
    wrapped = _wrapped(key, recipients)
    clear = canonical({"format": FORMAT, "chunk": CHUNK, "cipher": "AES-256-GCM", "recipients": wrapped})
    target.write(MAGIC + struct.pack(">I", len(clear)) + clear)
    bound = hashlib.sha256(clear).digest()
    box, whole, tree = AESGCM(key), hashlib.sha256(), Frontier()
    out = memoryview(bytearray(CHUNK + TAG))
    rack = bytearray(_STRIDE * (LANES + 1))  # filled again and again: new memory costs page faults
    slots = [memoryview(rack)[_STRIDE * at :][:CHUNK] for at in range(LANES + 1)]
    leaves, size, index = bytearray(), 0, 0
    ahead, last = _fill(source, slots[0][:_AHEAD]), False
    while not last:
        taken = full = 0
        while taken < LANES and not last:
            block, taken = slots[taken], taken + 1
            length = ahead + (_fill(source, block[_AHEAD:]) if ahead == _AHEAD else 0)
            block = block[:length]
            ahead = _fill(source, slots[taken][:_AHEAD]) if length == CHUNK else 0
            last = not ahead
            whole.update(block)
            sealed = out[: length + TAG]
            box.encrypt_into(_nonce(index), block, _extra(bound, index, last), sealed)
            target.write(sealed)
            size, index, full = size + length, index + 1, full + (length == CHUNK)
        marks = side_by_side(rack, _STRIDE, CHUNK, full)
        if full < taken:
            marks += leaf(bytes(block))
        leaves += marks
        tree.extend(marks)
        slots[0][:ahead] = slots[LANES][:ahead]
    held = Contents(size, whole.hexdigest(), tree.root(), bytes(leaves))
    said = {"size": size, "sha256": held.sha256, "root": held.root, "leaves": base64.b64encode(leaves).decode()}
    trailer = box.encrypt(_TRAILER_NONCE, canonical(said), bound)
    target.write(trailer + _LAST.pack(len(trailer), END))
    return held


def _wrapped(key: bytes, recipients: Sequence[str]) -> list[dict[str, str]]:
    """The key for each of the recipients alone."""
    import pyrage  # type: ignore[import-untyped]

    if len(set(recipients)) < 2:
        raise VaultError("HW3018", "", what="fewer than two recipients")
    try:
        return [
            {"recipient": r, "wrapped": base64.b64encode(pyrage.encrypt(key, [_recipient(r)])).decode()}
            for r in dict.fromkeys(recipients)
        ]
    except (pyrage.RecipientError, pyrage.EncryptError) as error:
        raise VaultError("HW3018", "", what=error) from error


def _recipient(text: str) -> object:
    import pyrage

    return pyrage.x25519.Recipient.from_str(text)


def _fill(source: BinaryIO, buffer: memoryview) -> int:
    """Read until the buffer is full or the source ends; returns how many bytes."""
    total = 0
    while total < len(buffer):
        read = getattr(source, "readinto", None)
        if read is not None:
            count = read(buffer[total:])
        else:
            data = source.read(len(buffer) - total)
            count = len(data)
            buffer[total : total + count] = data
        if not count:
            break
        total += count
    return total


class Container:
    """A sealed container open for reading with one identity (``AGE-SECRET-KEY-…``); the caller closes the file."""

    def __init__(self, handle: BinaryIO, identity: str, where: str = "") -> None:
        self._fd = handle.fileno()
        self._where = where
        self._in, self._out = memoryview(bytearray(CHUNK + TAG)), memoryview(bytearray(CHUNK))
        try:
            self._open(identity)
        except (ValueError, KeyError, TypeError, struct.error, RecursionError, OSError) as error:
            raise VaultError("HW3018", where, what=f"not a sealed container: {error}") from error
        except InvalidTag as error:
            raise IntegrityError("HW3018", where, what="header or trailer was altered") from error

    def _open(self, identity: str) -> None:
        import pyrage

        total = os.fstat(self._fd).st_size
        start = os.pread(self._fd, len(MAGIC) + 4, 0)
        length = struct.unpack(">I", start[len(MAGIC) :])[0]
        if not start.startswith(MAGIC) or length > _HEADER_MOST:
            raise ValueError("no header")
        clear = os.pread(self._fd, length, len(start))
        raw = json.loads(clear)
        if raw["format"] != FORMAT or int(raw["chunk"]) != CHUNK:
            raise ValueError("another format")
        key = b""
        for each in raw["recipients"]:
            with suppress(pyrage.DecryptError):
                key = pyrage.decrypt(
                    base64.b64decode(each["wrapped"]), [pyrage.x25519.Identity.from_str(identity)]
                )  # one of them is for this identity
                break
        if len(key) != 32:
            raise VaultError("HW3018", self._where, what="no key in it is wrapped for this identity")
        self._box, self._bound = AESGCM(key), hashlib.sha256(clear).digest()
        trailer, end = _LAST.unpack(os.pread(self._fd, _LAST.size, total - _LAST.size))
        if end != END or trailer > _TRAILER_MOST:
            raise ValueError("no end: the container is cut off")
        data = os.pread(self._fd, trailer, total - _LAST.size - trailer)
        said = json.loads(self._box.decrypt(_TRAILER_NONCE, data, self._bound))
        self.held = Contents(
            int(said["size"]), str(said["sha256"]), str(said["root"]), base64.b64decode(said["leaves"])
        )
        self._first = len(start) + length
        self._count = max(1, -(-self.held.size // CHUNK))
        if self._first + self.held.size + self._count * TAG + trailer + _LAST.size != total:
            raise ValueError("chunks are missing or too many")

    def chunk(self, index: int) -> memoryview:
        """One chunk, authenticated; the view holds until the next is read.

        Raises:
            IntegrityError: HW3018 where it was altered.
        """
        last = index == self._count - 1
        length = (self.held.size - index * CHUNK if last else CHUNK) + TAG
        sealed, out = self._in[:length], self._out[: length - TAG]
        try:
            if os.preadv(self._fd, [sealed], self._first + index * (CHUNK + TAG)) != length:
                raise ValueError("cut off")
            self._box.decrypt_into(_nonce(index), sealed, _extra(self._bound, index, last), out)
        except (InvalidTag, ValueError) as error:
            raise IntegrityError("HW3018", self._where, what=f"chunk {index} was altered") from error
        return out

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes of the content; fewer only at its end."""
        end = min(offset + length, self.held.size)
        parts = []
        while offset < end:
            index, within = divmod(offset, CHUNK)
            piece = bytes(self.chunk(index)[within : within + end - offset])
            parts.append(piece)
            offset += len(piece)
        return b"".join(parts)

    def blocks(self) -> Iterator[bytes]:
        """The content in chunks; at the end it is compared with its SHA-256.

        Raises:
            IntegrityError: HW3018, HW3003.
        """
        return map(bytes, self.pieces())

    def pieces(self) -> Iterator[memoryview]:
        """As :meth:`blocks`; a piece holds until the next is asked for.

        Raises:
            IntegrityError: HW3018, HW3003.
        """
        whole = hashlib.sha256()
        for index in range(self._count):
            piece = self.chunk(index)
            whole.update(piece)
            if piece:
                yield piece
        if whole.hexdigest() != self.held.sha256:
            raise IntegrityError("HW3003", self._where, expected=self.held.sha256, found=whole.hexdigest())

    def faults(self) -> list[int]:
        """The numbers of the chunks that do not match their leaves; also tells where leaves and root disagree (-1)."""
        tree, found = Frontier(), []
        for index in range(self._count):
            wanted = self.held.leaves[index * 32 : index * 32 + 32]
            tree.add_leaf(wanted)
            try:
                mark = hashlib.sha256(b"\x00")
                mark.update(self.chunk(index))
                same = mark.digest() == wanted
            except IntegrityError:
                same = False
            if not same:
                found.append(index)
        return found if tree.root() == self.held.root else [-1, *found]


class SealedFolder:
    """A store of sealed containers in a folder, named by the SHA-256 of what they hold; the port of ``storage``."""

    def __init__(self, folder: Path, recipients: Sequence[str], identity: str = "") -> None:
        self.folder = folder
        self._recipients = tuple(recipients)
        self._identity = identity

    def path(self, sha256: str) -> Path:
        """Where a container lies or would lie."""
        return self.folder / named(sha256)[:2] / f"{sha256}.hwsealed"

    def put(self, source: BinaryIO) -> Stored:
        temporary = self.folder / f".put-{os.getpid()}-{id(source)}.tmp"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(temporary, "xb") as handle:
                held = seal(source, handle, self._recipients)
                handle.flush()
                os.fsync(handle.fileno())
                os.fchmod(handle.fileno(), 0o444)
            path = self.path(held.sha256)
            path.parent.mkdir(exist_ok=True)
            with suppress(FileExistsError):  # sealed before: the first container stays
                os.link(temporary, path)
        except OSError as error:
            raise VaultError("HW3004", str(self.folder), what=error.strerror or error) from error
        finally:
            temporary.unlink(missing_ok=True)
        if self._identity:  # without one, only who holds a recipient's identity can read back
            for _ in self._pieces(held.sha256):
                pass
        return Stored(held.sha256, held.size)

    def blocks(self, sha256: str) -> Iterator[bytes]:
        return map(bytes, self._pieces(sha256))

    def _pieces(self, sha256: str) -> Iterator[memoryview]:
        with self._handle(sha256) as handle:
            opened = Container(handle, self._identity, str(self.path(sha256)))
            if opened.held.sha256 != sha256:
                raise IntegrityError("HW3003", str(self.path(sha256)), expected=sha256, found=opened.held.sha256)
            yield from opened.pieces()

    def read_at(self, sha256: str, offset: int, length: int) -> bytes:
        with self._handle(sha256) as handle:
            opened = Container(handle, self._identity, str(self.path(sha256)))
            if opened.held.sha256 != sha256:
                raise IntegrityError("HW3003", str(self.path(sha256)), expected=sha256, found=opened.held.sha256)
            return opened.read_at(offset, length)

    def names(self) -> list[str]:
        return sorted(p.name.removesuffix(".hwsealed") for p in self.folder.glob("??/*.hwsealed"))

    def _handle(self, sha256: str) -> BinaryIO:
        path = self.path(sha256)
        try:
            return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
        except OSError as error:
            raise VaultError("HW3015", str(path), what=error.strerror or error) from error
