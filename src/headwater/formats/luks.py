# SPDX-License-Identifier: Apache-2.0
"""Opens LUKS 1 and 2 volumes with a passphrase, the content of a key file, or the volume key.

The key is only ever in memory; what is told of it is its label and the slot that it opened. Argon2 is given no more than
1 GiB and PBKDF2 no more than 50 million rounds: a slot that asks for more is refused by number, since a hostile header
may ask for anything. Segments with integrity tags (dm-integrity) are not read.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from headwater.formats.keys import Key
from headwater.formats.luks_ciphers import Decrypt, UnknownCipher, sector_cipher
from headwater.formats.luks_header import Digest, Header, Kdf, NotLuks, Segment, Slot, read_header
from headwater.formats.sources import Bad, ChainSource, Piece
from headwater.model.errors import AcquireError
from headwater.model.ports import ByteSource

__all__ = ["Unlocked", "unlock"]

_SECTOR = 512
MEMORY_MOST = 1 << 20  # KiB; what cryptsetup itself never exceeds when it makes a slot
_TIME_MOST = 1 << 34  # KiB of memory times passes
_ROUNDS_MOST = 50_000_000
_LANES_MOST = 64
_STEP = 1 << 20


@dataclass(frozen=True, slots=True)
class Unlocked:
    """``slot``: the key slot that was opened, or ``volume key``; ``label``: of the key that opened it."""

    source: ByteSource
    version: int
    uuid: str
    cipher: str
    slot: str
    label: str
    volume_key: bytes
    notes: tuple[str, ...] = ()


class DecryptedSource:
    """A segment's bytes, decrypted when they are read."""

    def __init__(self, source: ByteSource, segment: Segment, size: int, decrypt: Decrypt) -> None:
        self._source, self._segment, self._decrypt = source, segment, decrypt
        self._size = max(0, size) // segment.unit * segment.unit

    @property
    def size(self) -> int:
        return self._size

    @property
    def bad(self) -> Sequence[Bad]:
        start, end = self._segment.offset, self._segment.offset + self._size
        found: list[Bad] = []
        unit = self._segment.unit
        for at, length, reason, detail in self._source.bad:
            low, high = max(at, start) - start, min(at + length, end) - start
            if low < high:  # one bad byte spoils its whole unit
                low, high = low // unit * unit, -(-high // unit) * unit
                found.append((low, high - low, reason, detail))
        return found

    def pread(self, offset: int, length: int) -> bytes:
        length = min(length, self._size - offset)
        if length <= 0 or offset < 0:
            return b""
        unit = self._segment.unit
        start = offset // unit * unit
        end = -(-(offset + length) // unit) * unit
        parts: list[bytes] = []
        for at in range(start, end, _STEP):
            take = min(_STEP, end - at)
            data = self._source.pread(self._segment.offset + at, take).ljust(take, b"\0")
            parts.append(self._decrypt(data, at // _SECTOR + self._segment.first))
        return b"".join(parts)[offset - start : offset - start + length]

    def parts(self, offset: int, length: int) -> list[tuple[ByteSource, int, int]]:
        """Where the bytes lie, encrypted: place for place, for ciphers of sectors change no length."""
        length = max(0, min(length, self._size - offset))
        return [(self._source, self._segment.offset + offset, length)] if length else []

    def close(self) -> None:
        """Nothing of its own to close: the volume stays with whoever opened it."""


def unlock(source: ByteSource, keys: Sequence[Key], header: ByteSource | None = None) -> Unlocked:
    """A volume opened by the first key that fits; ``header``: where it stands apart from the volume.

    Raises:
        AcquireError: HW2050 no key opens it; HW2051 a cipher or feature that is not read; HW2052 a slot asks for more
            memory or rounds than are given; HW2053 the header is broken.
    """
    where = header if header is not None else source
    try:
        head = read_header(where)
    except NotLuks as error:
        raise AcquireError("HW2053", "LUKS", what=str(error)) from error
    for segment in head.segments:
        if segment.integrity:
            raise AcquireError("HW2051", "LUKS", what=f"integrity {segment.integrity}")
    refused: list[AcquireError] = []
    for key in keys:
        for slot, volume_key, digest in _tried(where, head, key, refused):
            return _opened(source, head, slot, key.label, volume_key, digest)
    raise refused[0] if refused else AcquireError("HW2050", "LUKS", what=str(len(keys)))


def _tried(
    source: ByteSource, head: Header, key: Key, refused: list[AcquireError]
) -> Iterator[tuple[str, bytes, Digest]]:
    """Slots that a key opens, with the volume key: as it is first, for that costs least."""
    for digest in head.digests:
        if len(key.secret) in {slot.key_size for slot in head.slots} and _is_key(digest, key.secret, refused):
            yield "volume key", key.secret, digest
    for phrase in key.phrases():
        for slot in head.slots:
            found = _from_slot(source, slot, phrase, refused)
            if found is None:
                continue
            for digest in head.digests:
                if slot.name in digest.slots and _is_key(digest, found, refused):
                    yield slot.name, found, digest


def _from_slot(source: ByteSource, slot: Slot, phrase: bytes, refused: list[AcquireError]) -> bytes | None:
    """What the phrase makes of a slot: the volume key if it is the right one, else noise."""
    try:
        derived = _derive(slot.kdf, phrase, slot.area_key_size)
        decrypt = sector_cipher(slot.cipher, derived, _SECTOR)
        length = slot.key_size * slot.stripes
        padded = -(-length // _SECTOR) * _SECTOR
        area = source.pread(slot.offset, padded).ljust(padded, b"\0")
        return _merged(decrypt(area, 0)[:length], slot.stripes, slot.key_size, slot.digest)
    except UnknownCipher as error:
        refused.append(AcquireError("HW2051", "LUKS", what=str(error)))
    except AcquireError as error:
        refused.append(error)
    return None


def _is_key(digest: Digest, key: bytes, refused: list[AcquireError]) -> bool:
    try:
        return hmac.compare_digest(_derive(digest.kdf, key, len(digest.value)), digest.value)
    except AcquireError as error:
        refused.append(error)
        return False


def _derive(kdf: Kdf, phrase: bytes, length: int) -> bytes:
    if kdf.kind == "pbkdf2":
        if not 0 < kdf.iterations <= _ROUNDS_MOST:
            raise AcquireError("HW2052", "LUKS", what=f"{kdf.iterations} rounds of PBKDF2")
        try:
            return hashlib.pbkdf2_hmac(kdf.digest, phrase, kdf.salt, kdf.iterations, length)
        except ValueError as error:
            raise AcquireError("HW2051", "LUKS", what=f"the hash {kdf.digest}") from error
    if kdf.kind not in ("argon2i", "argon2id"):
        raise AcquireError("HW2051", "LUKS", what=f"the key derivation {kdf.kind}")
    if not 8 <= kdf.memory <= MEMORY_MOST or kdf.memory * kdf.iterations > _TIME_MOST:
        raise AcquireError("HW2052", "LUKS", what=f"{kdf.memory} KiB and {kdf.iterations} passes of Argon2")
    from argon2.exceptions import HashingError
    from argon2.low_level import Type, hash_secret_raw

    kind = Type.ID if kdf.kind == "argon2id" else Type.I
    lanes = max(1, min(kdf.lanes, _LANES_MOST))
    try:
        return hash_secret_raw(phrase, kdf.salt, kdf.iterations, kdf.memory, lanes, length, kind)
    except HashingError as error:
        raise AcquireError("HW2052", "LUKS", what=f"Argon2: {error}") from error


def _merged(data: bytes, stripes: int, size: int, digest: str) -> bytes:
    """The anti-forensic splitter backwards (LUKS 1.2.3, section 2.4)."""
    if digest not in hashlib.algorithms_available:
        raise AcquireError("HW2051", "LUKS", what=f"the hash {digest}")
    width = hashlib.new(digest).digest_size
    held = 0
    for index in range(stripes):
        held ^= int.from_bytes(data[index * size : (index + 1) * size], "big")
        if index < stripes - 1:
            raw = held.to_bytes(size, "big")
            blocks = (
                hashlib.new(digest, n.to_bytes(4, "big") + raw[n * width : (n + 1) * width]).digest()
                for n in range(-(-size // width))
            )
            spread = b"".join(block[: min(width, size - n * width)] for n, block in enumerate(blocks))
            held = int.from_bytes(spread, "big")
    return held.to_bytes(size, "big")


def _opened(source: ByteSource, head: Header, slot: str, label: str, key: bytes, digest: Digest) -> Unlocked:
    pieces: list[Piece] = []
    ciphers: list[str] = []
    for segment in head.segments:
        size = segment.length if segment.length >= 0 else source.size - segment.offset
        if not segment.cipher:
            pieces.append(Piece(source, segment.offset, size))
            continue
        if segment.name not in digest.segments:
            raise AcquireError("HW2051", "LUKS", what="a volume in the middle of being encrypted with another key")
        try:
            decrypt = sector_cipher(segment.cipher, key, segment.unit)
        except UnknownCipher as error:
            raise AcquireError("HW2051", "LUKS", what=str(error)) from error
        made = DecryptedSource(source, segment, size, decrypt)
        ciphers.append(segment.cipher)
        pieces.append(Piece(made, 0, made.size))
    if not pieces:
        raise AcquireError("HW2053", "LUKS", what="it has no segment")
    whole = pieces[0].source if len(pieces) == 1 and pieces[0].source is not source else None
    said = ", ".join(dict.fromkeys(ciphers))
    notes = head.notes
    return Unlocked(whole or ChainSource(pieces), head.version, head.uuid, said, slot, label, key, notes)
