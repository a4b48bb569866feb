# SPDX-License-Identifier: Apache-2.0
"""Opens BitLocker volumes through libbde, with a password, a recovery password or a startup key (.BEK).

libbde (https://github.com/libyal/libbde, LGPL) derives and decrypts; what it is given is a file object over our byte
source. It is believed only where its parts are: volumes of the methods that it names, opened by a key whose tag fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from headwater.formats.bitlocker_startup import external_key, is_suspended, with_startup_key
from headwater.formats.keys import Key
from headwater.formats.sources import Bad, BadRanges, SourceFile
from headwater.model.errors import AcquireError
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource

_METHODS = {
    0x8000: "AES-CBC 128-bit with diffuser",
    0x8001: "AES-CBC 256-bit with diffuser",
    0x8002: "AES-CBC 128-bit",
    0x8003: "AES-CBC 256-bit",
    0x8004: "AES-XTS 128-bit",
    0x8005: "AES-XTS 256-bit",
}
_BLOCK = 4096
CLEAR = "clear key in the volume: protection is suspended"
_Way = tuple[str, ByteSource, Callable[[Any], None]]


@dataclass(frozen=True, slots=True)
class Unlocked:
    """``slot``: what the key was taken for; ``label``: the key's name, '' where the volume itself holds one in clear."""

    source: ByteSource
    cipher: str
    description: str
    slot: str
    label: str


class BitLockerSource:
    """The decrypted volume as bytes."""

    def __init__(self, source: ByteSource, volume: Any) -> None:
        self._source, self._volume = source, volume
        self._size = int(volume.get_size())
        self._own = BadRanges()

    @property
    def size(self) -> int:
        return self._size

    @property
    def bad(self) -> Sequence[Bad]:
        # place for place, but for the first sectors, which Windows keeps elsewhere
        found = BadRanges()
        for entry in (*self._own.listing(), *self._source.bad):
            found.add(*entry)
        return found.listing()

    def pread(self, offset: int, length: int) -> bytes:
        length = min(length, self._size - offset)
        if length <= 0 or offset < 0:
            return b""
        # libbde 20260916 gives wrong bytes from the next sector on where a read begins within one
        start = offset // _BLOCK * _BLOCK
        end = min(-(-(offset + length) // _BLOCK) * _BLOCK, self._size)
        data = self._aligned(start, end - start)
        return data[offset - start : offset - start + length]

    def _aligned(self, offset: int, length: int) -> bytes:
        try:
            data = bytes(self._volume.read_buffer_at_offset(length, offset))
        except OSError as error:
            if length > _BLOCK:
                half = max(_BLOCK, length // 2 // _BLOCK * _BLOCK)
                return self._aligned(offset, half) + self._aligned(offset + half, length - half)
            self._own.add(offset, length, GapReason.UNREADABLE, f"libbde: {_short(error)}")
            return bytes(length)
        if len(data) < length:
            self._own.add(offset + len(data), length - len(data), GapReason.UNREADABLE, "libbde gave less than asked")
        return data.ljust(length, b"\0")

    def close(self) -> None:
        self._volume.close()


def _short(error: Exception) -> str:
    return str(error).split(". ")[-1][:200]


def unlock(source: ByteSource, keys: Sequence[Key]) -> Unlocked:
    """A volume opened by the first key that fits; one whose protection is suspended by none of them, but by its own.

    Raises:
        AcquireError: HW2050 no key opens it; HW2051 a method that is not read; HW2053 the metadata are broken.
    """
    import pybde

    broken: Exception | None = None
    for label, ways in _tries(source, keys):
        for what, seen, hand_over in ways:
            volume = pybde.volume()
            file = SourceFile(seen)
            try:
                hand_over(volume)
            except (OSError, ValueError, TypeError, MemoryError):
                continue  # not a key of this kind
            try:
                volume.open_file_object(file)
                locked = volume.is_locked()
            except (OSError, MemoryError) as error:
                broken = error
                continue
            if locked:
                continue
            method = int(volume.get_encryption_method())
            if method not in _METHODS:
                raise AcquireError("HW2051", "BitLocker", what=f"method {method:#x}")
            said = volume.get_description() or ""
            return Unlocked(BitLockerSource(source, volume), _METHODS[method], said, what, label)
    if broken is not None:
        raise AcquireError("HW2053", "BitLocker", what=_short(broken)) from broken
    raise AcquireError("HW2050", "BitLocker", what=str(len(keys)))


def _tries(source: ByteSource, keys: Sequence[Key]) -> Iterator[tuple[str, Iterator[_Way]]]:
    """The label of each key with its ways, the volume's own clear one first: with that every other would seem to fit."""
    if is_suspended(source):
        own: _Way = (CLEAR, source, lambda volume: None)
        yield "", iter((own,))
    for key in keys:
        yield key.label, _ways(source, key)


def _ways(source: ByteSource, key: Key) -> Iterator[_Way]:
    """What a key may be, the volume as libbde then sees it, and how libbde is told."""
    recovery, text = key.recovery(), key.text()
    if recovery:
        yield "recovery password", source, lambda volume: volume.set_recovery_password(recovery)
    if text and not recovery:
        yield "password", source, lambda volume: volume.set_password(text)
    external = external_key(key.secret)
    seen = with_startup_key(source, external) if external is not None else None
    if seen is not None:
        yield "startup key", seen, lambda volume: None
