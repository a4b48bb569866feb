# SPDX-License-Identifier: Apache-2.0
"""The plain byte sources: an open file, bytes in memory, a window, a chain of pieces, and a file object over any.

All keep the promise of :class:`headwater.model.ports.ByteSource`: ``pread`` is short only at the end, never raises for
unreadable bytes but returns zeros and lists them in ``bad``.
"""

from __future__ import annotations

import bisect
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from headwater.formats.opened import OpenFile
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource

Bad = tuple[int, int, GapReason, str]

_SECTOR = 512
_BAD_LIMIT = 10_000  # entries kept one by one; a disk with more faults than this is told as one wide range


class BadRanges:
    """The ranges met so far that could not be read: merged where they touch, ordered by offset, bounded in number."""

    __slots__ = ("_ranges",)

    def __init__(self) -> None:
        self._ranges: list[Bad] = []

    def add(self, offset: int, length: int, reason: GapReason, detail: str) -> None:
        """Note a range; one that is already noted changes nothing, a touching one with the same words is joined."""
        if length <= 0:
            return
        at = bisect.bisect_left(self._ranges, offset, key=lambda r: r[0])
        end = offset + length
        # the neighbour on the left may contain or touch the new range
        if at and self._joins(self._ranges[at - 1], offset, end, reason, detail):
            at -= 1
        stop = at
        while stop < len(self._ranges) and self._joins(self._ranges[stop], offset, end, reason, detail):
            held = self._ranges[stop]
            offset, end = min(offset, held[0]), max(end, held[0] + held[1])
            stop += 1
        self._ranges[at:stop] = [(offset, end - offset, reason, detail)]
        if len(self._ranges) > _BAD_LIMIT:
            first = self._ranges[0][0]
            last = max(r[0] + r[1] for r in self._ranges)
            self._ranges = [(first, last - first, reason, "more than 10,000 unreadable ranges lie in here")]

    @staticmethod
    def _joins(held: Bad, offset: int, end: int, reason: GapReason, detail: str) -> bool:
        return held[2] == reason and held[3] == detail and held[0] <= end and offset <= held[0] + held[1]

    def listing(self) -> tuple[Bad, ...]:
        return tuple(self._ranges)


class RangeSource(ABC):
    """A source that gives any range within its size by :meth:`_read`, and notes in ``_bad`` what it could not."""

    _size: int
    _bad: BadRanges

    @property
    def size(self) -> int:
        return self._size

    @property
    def bad(self) -> Sequence[Bad]:
        return self._bad.listing()

    def pread(self, offset: int, length: int) -> bytes:
        length = min(length, self._size - offset)
        return b"" if length <= 0 or offset < 0 else self._read(offset, length)

    @abstractmethod
    def _read(self, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset``, both within the size; zeros for what cannot be read."""


class LaidOver:
    """A source laid over another: of its size, unreadable where that is, with nothing of its own to close.

    What is read of it, its children say.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source

    @property
    def size(self) -> int:
        return self._source.size

    @property
    def bad(self) -> Sequence[Bad]:
        return self._source.bad

    def close(self) -> None:
        """Nothing: the source below stays with whoever opened it."""


class FileSource:
    """An open file or block device. Bytes that the kernel cannot read are narrowed down to sectors and listed."""

    def __init__(self, file: OpenFile) -> None:
        self._file = file
        self._bad = BadRanges()

    @property
    def size(self) -> int:
        return self._file.size

    @property
    def name(self) -> str:
        return self._file.name

    @property
    def bad(self) -> Sequence[Bad]:
        return self._bad.listing()

    def pread(self, offset: int, length: int) -> bytes:
        length = min(length, self.size - offset)
        if length <= 0 or offset < 0:
            return b""
        data = self._read(offset, length)
        if len(data) == length:
            return data
        parts = [data]
        done = len(data)
        while done < length:
            more = self._read(offset + done, length - done)
            if not more:  # the file was cut short after it was opened
                self._bad.add(offset + done, length - done, GapReason.TRUNCATED, "the file ended early")
                parts.append(bytes(length - done))
                break
            parts.append(more)
            done += len(more)
        return b"".join(parts)

    def _read(self, offset: int, length: int) -> bytes:
        try:
            return os.pread(self._file.fd, length, offset)
        except OSError as error:
            if length <= _SECTOR:
                self._bad.add(offset, length, GapReason.UNREADABLE, error.strerror or "I/O error")
                return bytes(length)
        half = max(_SECTOR, (length // 2 + _SECTOR - 1) // _SECTOR * _SECTOR)
        return self._whole(offset, half) + self._whole(offset + half, length - half)

    def _whole(self, offset: int, length: int) -> bytes:
        """Read a half completely, so that both halves join without a hole; short only where the file ended."""
        parts: list[bytes] = []
        done = 0
        while done < length:
            more = self._read(offset + done, length - done)
            if not more:
                self._bad.add(offset + done, length - done, GapReason.TRUNCATED, "the file ended early")
                more = bytes(length - done)
            parts.append(more)
            done += len(more)
        return b"".join(parts)

    def close(self) -> None:
        self._file.close()


class MemorySource:
    """Bytes in memory, with the ranges of them that are known to be bad."""

    def __init__(self, data: bytes | memoryview, bad: Sequence[Bad] = ()) -> None:
        self._data = data
        self._bad = tuple(bad)

    @property
    def size(self) -> int:
        return len(self._data)

    @property
    def bad(self) -> Sequence[Bad]:
        return self._bad

    def pread(self, offset: int, length: int) -> bytes:
        if offset < 0 or length <= 0:
            return b""
        return bytes(self._data[offset : offset + length])

    def close(self) -> None:
        self._data = b""


class Piece(NamedTuple):
    """``length`` bytes of ``source`` from ``offset``; ``source`` None: zeros that the format says are there."""

    source: ByteSource | None
    offset: int
    length: int


@runtime_checkable
class Mapped(Protocol):
    """A source made of parts of others, which says of each stretch where it lies."""

    def parts(self, offset: int, length: int) -> list[tuple[ByteSource, int, int]]: ...


class ChainSource:
    """Pieces of other sources, one after the other: a volume, split raw, extents of a file, a logical volume.

    A piece that reaches past its source's end is zeros there, listed as truncated. Closing it leaves the underlying
    sources open, because windows share them; ``owned`` sources are closed with it.
    """

    def __init__(self, pieces: Sequence[Piece], owned: Sequence[ByteSource] = (), extra: Sequence[Bad] = ()) -> None:
        self._pieces = tuple(p for p in pieces if p.length > 0)
        self._starts: list[int] = []
        at = 0
        for piece in self._pieces:
            self._starts.append(at)
            at += piece.length
        self._size = at
        self._owned = tuple(owned)
        self._own = BadRanges()
        for entry in extra:
            self._own.add(*entry)

    @property
    def size(self) -> int:
        return self._size

    def pread(self, offset: int, length: int) -> bytes:
        length = min(length, self._size - offset)
        if length <= 0 or offset < 0:
            return b""
        index = bisect.bisect_right(self._starts, offset) - 1
        parts: list[bytes] = []
        while length > 0:
            piece = self._pieces[index]
            inside = offset - self._starts[index]
            take = min(length, piece.length - inside)
            parts.append(self._piece(piece, inside, take, offset))
            offset += take
            length -= take
            index += 1
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _piece(self, piece: Piece, inside: int, take: int, at: int) -> bytes:
        if piece.source is None:
            return bytes(take)
        data = piece.source.pread(piece.offset + inside, take)
        if len(data) < take:
            lack = take - len(data)
            self._own.add(at + len(data), lack, GapReason.TRUNCATED, "beyond the end of the medium")
            data += bytes(lack)
        return data

    @property
    def bad(self) -> Sequence[Bad]:
        found = BadRanges()
        for entry in self._own.listing():
            found.add(*entry)
        for start, piece in zip(self._starts, self._pieces):
            for offset, length, reason, detail in piece.source.bad if piece.source is not None else ():
                low = max(offset, piece.offset)
                high = min(offset + length, piece.offset + piece.length)
                if low < high:
                    found.add(start + low - piece.offset, high - low, reason, detail)
        return found.listing()

    def parts(self, offset: int, length: int) -> list[tuple[ByteSource, int, int]]:
        """(source, offset in it, length) of what holds ``length`` bytes from ``offset``, in order; holes left out."""
        found: list[tuple[ByteSource, int, int]] = []
        end = min(offset + length, self._size)
        index = max(0, bisect.bisect_right(self._starts, offset) - 1)
        while offset < end and index < len(self._pieces):
            piece = self._pieces[index]
            inside = offset - self._starts[index]
            take = min(end - offset, piece.length - inside)
            if piece.source is not None:
                found.append((piece.source, piece.offset + inside, take))
            offset += take
            index += 1
        return found

    @property
    def sparse(self) -> bool:
        """Whether it has holes: stretches that are zeros by the format."""
        return any(piece.source is None for piece in self._pieces)

    def stored(self) -> tuple[tuple[int, int], ...]:
        """The stretches (offset, length) that are no holes, in order; touching ones are one."""
        found: list[tuple[int, int]] = []
        for start, piece in zip(self._starts, self._pieces):
            if piece.source is None:
                continue
            if found and sum(found[-1]) == start:
                found[-1] = (found[-1][0], found[-1][1] + piece.length)
            else:
                found.append((start, piece.length))
        return tuple(found)

    def physical(self, offset: int, length: int) -> tuple[tuple[int, int], ...]:
        """The ranges on the underlying sources, in order, that hold ``length`` bytes from ``offset``."""
        return tuple((at, size) for _, at, size in self.parts(offset, length))

    def close(self) -> None:
        for source in self._owned:
            source.close()


def window(source: ByteSource, offset: int, length: int) -> ChainSource:
    """``length`` bytes of another source from ``offset``, which stays open when the window is closed."""
    return ChainSource((Piece(source, offset, length),))


class SourceFile(io.RawIOBase):
    """A byte source as a seekable binary file object, for libraries that want one. Reads only."""

    def __init__(self, source: ByteSource) -> None:
        super().__init__()
        self._source = source
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        if base + offset < 0:
            raise OSError(22, "negative seek position")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self._source.pread(self._at, len(view))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def readall(self) -> bytes:
        data = self._source.pread(self._at, max(0, self._source.size - self._at))
        self._at += len(data)
        return data


def physical_ranges(source: ByteSource, root: ByteSource, offset: int, length: int) -> tuple[tuple[int, int], ...]:
    """The ranges of ``root``, in order, that hold ``length`` bytes of ``source`` from ``offset``.

    Follows windows, chains and arrays down to ``root`` (a partition of it, a logical volume in one); () where a part
    lies elsewhere.
    """
    waiting = [(source, offset, length)]
    found: list[tuple[int, int]] = []
    while waiting:
        here, at, size = waiting.pop()
        if here is root:
            found.append((at, size))
        elif isinstance(here, Mapped):
            waiting.extend(reversed(here.parts(at, size)))
        else:
            return ()
        if len(found) > _BAD_LIMIT:
            return ()
    return tuple(found)
