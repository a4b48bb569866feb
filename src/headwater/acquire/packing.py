# SPDX-License-Identifier: Apache-2.0
"""Makes of a block of the source what is written: E01 chunks, compressed or stored, or the bytes as they are.

Chunks of zeros are found first, cheaply: they are compressed once for all, left as holes in a sparse image, and told
in the zero map. ``fast`` is ISA-L's deflate (level 1, valid zlib with Adler-32), ``best`` is zlib level 6.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from isal import isal_zlib

from headwater.acquire.e01_sections import checksum

CHUNK = 32 << 10
LEVELS = {"none": 0, "fast": 1, "best": 2}
_WORDS = CHUNK // 8


@dataclass(frozen=True, slots=True)
class Packed:
    """What a block became. ``data`` is written as it is; for E01 ``sizes`` cuts it into chunks, ``packed`` says which
    are compressed. ``zeros``: (offset in the block, length) of runs of chunks that hold nothing but zeros.
    """

    data: bytes | memoryview
    sizes: tuple[int, ...]
    packed: tuple[bool, ...]
    zeros: tuple[tuple[int, int], ...]


def zero_chunks(data: memoryview) -> list[bool]:
    """For each chunk whether it is all zeros; the last may be short."""
    whole = len(data) // CHUNK
    found: list[bool] = []
    if whole:
        words = np.frombuffer(data, np.uint64, whole * _WORDS).reshape(whole, _WORDS)
        # one word in 512 tells nearly every chunk with content; only the others are looked through
        found = (words[:, ::512].max(axis=1) == 0).tolist()
        for at, likely in enumerate(found):
            if likely:
                found[at] = not words[at].max()
    tail = data[whole * CHUNK :]
    if tail:
        found.append(not np.frombuffer(tail, np.uint8).any())
    return found


def zero_runs(zeros: list[bool], length: int) -> Iterator[tuple[int, int]]:
    """(offset, length) of runs of zero chunks in a block of ``length`` bytes."""
    start = None
    for index, zero in enumerate([*zeros, False]):
        if zero and start is None:
            start = index * CHUNK
        elif not zero and start is not None:
            yield start, min(index * CHUNK, length) - start
            start = None


def as_is(data: memoryview) -> Packed:
    """A block of a raw image."""
    return Packed(data, (), (), tuple(zero_runs(zero_chunks(data), len(data))))


class Chunker:
    """Cuts blocks into E01 chunks; safe to use from several threads."""

    def __init__(self, level: str) -> None:
        self._compress: Callable[[memoryview], bytes] | None = {
            "none": None,
            "fast": lambda chunk: isal_zlib.compress(chunk, 1),
            "best": lambda chunk: zlib.compress(chunk, 6),
        }[level]
        self._zero = zlib.compress(bytes(CHUNK), 9)

    def __call__(self, data: memoryview) -> Packed:
        """The chunks of a block."""
        zeros = zero_chunks(data)
        parts: list[bytes | memoryview] = []
        sizes: list[int] = []
        packed: list[bool] = []
        compress = self._compress
        for index, zero in enumerate(zeros):
            chunk = data[index * CHUNK : (index + 1) * CHUNK]
            if compress is not None:
                content = self._zero if zero and len(chunk) == CHUNK else compress(chunk)
                if len(content) < len(chunk):
                    parts.append(content)
                    sizes.append(len(content))
                    packed.append(True)
                    continue
            parts.append(chunk)
            parts.append(checksum(chunk))
            sizes.append(len(chunk) + 4)
            packed.append(False)
        return Packed(b"".join(parts), tuple(sizes), tuple(packed), tuple(zero_runs(zeros, len(data))))
