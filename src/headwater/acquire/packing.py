# SPDX-License-Identifier: Apache-2.0
"""Makes of a block of the source what is written: E01 chunks, compressed or stored, or the bytes as they are.

Chunks of zeros are found first, cheaply: they are compressed once for all, left as holes in a sparse image, and told
in the zero map. ``fast`` is ISA-L's deflate (level 1, valid zlib with Adler-32), ``best`` is zlib level 6.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from isal import isal_zlib

from headwater.acquire.e01_sections import checksum

CHUNK = 32 << 10
_STRIDE = 7  # odd, so that every byte of a record of fixed size is met
LEVELS = {"none": 0, "fast": 1, "best": 2}
_ZEROS = bytearray(CHUNK)  # a bytearray is compared with any buffer as it lies, up to the first byte that differs


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
    whole = len(data) // CHUNK * CHUNK
    # the bytearray's own comparison: a memoryview's looks at one byte after another
    equals = _ZEROS.__eq__
    found = [equals(data[at : at + CHUNK]) for at in range(0, whole, CHUNK)]
    tail = data[whole:]
    if tail:
        found.append(_ZEROS[: len(tail)].__eq__(tail))
    return found


def is_noise(chunk: memoryview) -> bool:
    """Whether every seventh byte of a chunk is spread as evenly as chance spreads it: packed or encrypted content."""
    import numpy as np  # only where content is met that does not compress

    sample = np.frombuffer(chunk, np.uint8)[::_STRIDE]
    counts = np.bincount(sample, minlength=256)
    # the expected sum of squares of n even throws into 256 boxes, and five times its scatter
    n = len(sample)
    return bool(counts @ counts < n + n * (n - 1) / 256 + 5 * n * (510 / 65_536) ** 0.5)


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
        stored = False  # noise comes in stretches: behind a chunk that did not compress the next is looked at first
        for index, zero in enumerate(zeros):
            chunk = data[index * CHUNK : (index + 1) * CHUNK]
            if compress is not None and not (stored and len(chunk) == CHUNK and is_noise(chunk)):
                content = self._zero if zero and len(chunk) == CHUNK else compress(chunk)
                if len(content) < len(chunk):
                    parts.append(content)
                    sizes.append(len(content))
                    packed.append(True)
                    stored = False
                    continue
            stored = True
            parts.append(chunk)
            parts.append(checksum(chunk))
            sizes.append(len(chunk) + 4)
            packed.append(False)
        return Packed(b"".join(parts), tuple(sizes), tuple(packed), tuple(zero_runs(zeros, len(data))))
