# SPDX-License-Identifier: Apache-2.0
"""Hashes that systemd journals keep of each field, recomputed: a value changed in place no longer fits its own.

Every DATA and FIELD object holds a hash of its content before compression: SipHash-2-4 under the file's id where the header
says so (systemd 246 and later), else Jenkins' lookup3. It needs no key, so a careful hand sets it right again; one that
edits the words alone does not. Contents are hashed by the thousand at a time.

Sources: https://systemd.io/JOURNAL_FILE_FORMAT/ (hash, HEADER_INCOMPATIBLE_KEYED_HASH); J.-P. Aumasson, D. J. Bernstein,
SipHash: a fast short-input PRF (2012); B. Jenkins, lookup3 (hashlittle2), https://burtleburtle.net/bob/hash/doobs.html.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headwater.formats.journal_layout import DATA, FIELD, Header, plausible
from headwater.formats.journal_payload import Unreadable, inflated

KEYED = 4  # incompatible feature of the header
CONTENT_MOST = 1 << 16  # bytes of one content; larger ones (core dumps) are counted and not hashed
_BATCH_MOST = 4096  # contents …
_BATCH_BYTES = 8 << 20  # … and their bytes
_INFLATED_TIMES = 40  # what may come out of compressed contents, by the file's size
_OBJECTS_MOST = 50_000_000
_WINDOW = 1 << 20

_Words = npt.NDArray[np.uint64]
_Halves = npt.NDArray[np.uint32]


@dataclass(slots=True)
class Hashes:
    """``hashed``: contents whose hash was recomputed, ``wrong`` of which do not fit, the first at ``wrong_at``.

    ``passed_over``: contents too large, not to be decompressed, or over the file's bound.
    """

    hashed: int = 0
    wrong: int = 0
    wrong_at: int = 0
    passed_over: int = 0


def siphash(contents: Sequence[bytes], key: bytes) -> _Words:
    """SipHash-2-4 of each content under one key of 16 bytes."""
    k0, k1 = (np.uint64(k) for k in struct.unpack("<QQ", key))
    lengths = np.array([len(c) for c in contents], np.int64)
    words = _padded(contents, lengths // 8 + 1, 8).view("<u8")
    words[np.arange(len(contents)), lengths // 8] |= (lengths.astype(np.uint64) & np.uint64(255)) << np.uint64(56)
    start = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
    v = [np.full(len(contents), np.uint64(word) ^ k) for word, k in zip(start, (k0, k1, k0, k1))]
    for at, active in _blocks(lengths // 8 + 1):
        held = [each[active] for each in v]
        held[3] ^= words[active, at]
        _rounds(held, 2)
        held[0] ^= words[active, at]
        for each, new in zip(v, held):
            each[active] = new
    v[2] ^= np.uint64(255)
    _rounds(v, 4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def _rounds(v: list[_Words], count: int) -> None:
    for _ in range(count):
        v[0] += v[1]
        v[1] = _turned(v[1], 13) ^ v[0]
        v[0] = _turned(v[0], 32)
        v[2] += v[3]
        v[3] = _turned(v[3], 16) ^ v[2]
        v[0] += v[3]
        v[3] = _turned(v[3], 21) ^ v[0]
        v[2] += v[1]
        v[1] = _turned(v[1], 17) ^ v[2]
        v[2] = _turned(v[2], 32)


def _turned(words: _Words, by: int) -> _Words:
    return words << np.uint64(by) | words >> np.uint64(64 - by)


def lookup3(contents: Sequence[bytes]) -> _Words:
    """Jenkins' hashlittle2 of each content, its two results as one number, the first above the second."""
    lengths = np.array([len(c) for c in contents], np.int64)
    blocks = np.maximum(1, -(-lengths // 12))
    halves = _padded(contents, blocks, 12).view("<u4")
    start = np.uint32(0xDEADBEEF) + lengths.astype(np.uint32)
    a, b, c = start.copy(), start.copy(), start.copy()
    for at, active in _blocks(blocks - 1):
        one, two, three = (x[active] + halves[active, 3 * at + n] for n, x in enumerate((a, b, c)))
        a[active], b[active], c[active] = _mixed(one, two, three)
    rows, last = np.arange(len(contents)), 3 * (blocks - 1)
    ended = _ended(*(x + halves[rows, last + n] for n, x in enumerate((a, b, c))))
    empty = lengths == 0
    b, c = (np.where(empty, x, end).astype(np.uint64) for x, end in zip((b, c), ended))
    return c << np.uint64(32) | b


def _mixed(a: _Halves, b: _Halves, c: _Halves) -> tuple[_Halves, _Halves, _Halves]:
    for by in (4, 6, 8, 16, 19, 4):
        a = (a - c) ^ _rolled(c, by)
        a, b, c = b, c + b, a  # each step is the last one with the three moved on by one
    return a, b, c


def _ended(a: _Halves, b: _Halves, c: _Halves) -> tuple[_Halves, _Halves]:
    """The second and the third of the three after the final mixing."""
    for by in (14, 11, 25, 16, 4, 14, 24):
        c = (c ^ b) - _rolled(b, by)
        a, b, c = b, c, a
    # seven steps of three: they stand moved on by one
    return a, b


def _rolled(halves: _Halves, by: int) -> _Halves:
    return halves << np.uint32(by) | halves >> np.uint32(32 - by)


def _padded(contents: Sequence[bytes], blocks: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.uint8]:
    """The contents as rows of one table, zeros behind each."""
    width = int(blocks.max()) * size
    raw = b"".join(c.ljust(width, b"\0") for c in contents)
    return np.frombuffer(bytearray(raw), np.uint8).reshape(len(contents), width)


def _blocks(counts: npt.NDArray[np.int64]) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """(number of a block, the rows that have one of it)."""
    for at in range(int(counts.max(initial=0))):
        yield at, np.flatnonzero(counts > at)


class _Queue:
    """Contents that wait to be hashed with others of about their size."""

    def __init__(self, found: Hashes, hashes: Callable[[Sequence[bytes]], _Words]) -> None:
        self._found, self._hashes = found, hashes
        self._waiting: dict[int, list[tuple[int, int, bytes]]] = {}

    def take(self, at: int, stated: int, content: bytes) -> None:
        size = 256 if len(content) <= 256 else 4096 if len(content) <= 4096 else CONTENT_MOST
        waiting = self._waiting.setdefault(size, [])
        waiting.append((at, stated, content))
        if len(waiting) * size >= _BATCH_BYTES or len(waiting) >= _BATCH_MOST:
            self._work(size)

    def end(self) -> Hashes:
        for size in list(self._waiting):
            self._work(size)
        return self._found

    def _work(self, size: int) -> None:
        found, waiting = self._found, self._waiting.pop(size)
        stated = np.array([word for _, word, _ in waiting], np.uint64)
        wrong = [waiting[n][0] for n in np.flatnonzero(self._hashes([c for _, _, c in waiting]) != stated).tolist()]
        found.hashed += len(waiting)
        if wrong:
            found.wrong_at = min([*wrong, found.wrong_at] if found.wrong else wrong)
            found.wrong += len(wrong)


def check_hashes(pread: Callable[[int, int], bytes], size: int, header: Header) -> Hashes:
    """Recompute the hash of every field and value up to the object that the header names as the last.

    Where the chain of objects breaks, the walk ends: that it breaks is told by the check of the seals.
    """
    found = Hashes()
    key = bytes.fromhex(header.file_id)
    queue = _Queue(found, (lambda c: siphash(c, key)) if header.incompatible & KEYED else lookup3)
    budget = max(1 << 28, _INFLATED_TIMES * size)
    for at, kind, flags, raw in _contents(pread, size, header):
        if kind == DATA and flags and raw is not None:
            try:
                raw = inflated(raw, flags, CONTENT_MOST) if budget > 0 else None
            except Unreadable:
                raw = None
            budget -= len(raw or b"")
        if raw is None or len(raw) > CONTENT_MOST:
            found.passed_over += 1
        else:
            queue.take(at, int.from_bytes(pread(at + 16, 8).ljust(8, b"\0"), "little"), raw)
    return queue.end()


def _contents(
    pread: Callable[[int, int], bytes], size: int, header: Header
) -> Iterator[tuple[int, int, int, bytes | None]]:
    """(place, type, flags, content as it stands) of each DATA and FIELD object; None for one that is too large."""
    at, last = header.header_size + 7 & ~7, header.tail_object_offset
    begin, window = 0, b""
    for _ in range(_OBJECTS_MOST):
        if at > last or at + 16 > size:
            return
        if not begin <= at <= begin + len(window) - CONTENT_MOST - 80:
            begin, window = at, pread(at, min(_WINDOW, size - at))
        kind, flags, length = plausible(
            window[at - begin : at - begin + 16].ljust(16, b"\0"), 0, size - at, header.compact
        ) or (0, 0, 0)
        if not kind:
            return
        if kind in (DATA, FIELD):
            head = 40 if kind == FIELD else 72 if header.compact else 64
            within = at - begin
            yield at, kind, flags, window[within + head : within + length] if length <= CONTENT_MOST + head else None
        at += length + 7 & ~7
