# SPDX-License-Identifier: Apache-2.0
"""Chunks of noise are stored unlooked-at only where that costs nothing; zeros are found whatever lies around them."""

from __future__ import annotations

import random
import zlib

import pytest

from headwater.acquire.packing import CHUNK, Chunker, is_noise, zero_chunks

NOISE = random.Random(20261122).randbytes(CHUNK)
TEXT = b"".join(b"%d: a line of a log that compresses well\n" % n for n in range(2000))[:CHUNK]


def test_noise_in_a_row_is_stored_and_what_follows_is_compressed_again() -> None:
    packed = Chunker("fast")(memoryview(NOISE + NOISE[::-1] + TEXT + bytes(CHUNK) + NOISE + TEXT[:100]))
    assert packed.packed == (False, False, True, True, False, True)
    assert packed.zeros == ((3 * CHUNK, CHUNK),)
    assert packed.data[: CHUNK + 4] == NOISE + zlib.adler32(NOISE).to_bytes(4, "little")
    third = packed.data[2 * (CHUNK + 4) : 2 * (CHUNK + 4) + packed.sizes[2]]
    assert zlib.decompress(third) == TEXT


@pytest.mark.parametrize("name", ["text", "half-zeros", "base64-like", "seven-bits", "counting"])
def test_what_would_compress_is_not_taken_for_noise(name: str) -> None:
    made = {
        "text": TEXT,
        "half-zeros": NOISE[: CHUNK // 2] + bytes(CHUNK // 2),
        "base64-like": bytes(b % 64 + 33 for b in NOISE),
        "seven-bits": bytes(b & 0x7F for b in NOISE),
        "counting": b"".join((n >> 3).to_bytes(4, "little") for n in range(CHUNK // 4)),
    }[name]
    assert len(made) == CHUNK
    assert not is_noise(memoryview(made))


def test_noise_is_known_as_noise_nearly_always() -> None:
    pick = random.Random(7)
    assert sum(is_noise(memoryview(pick.randbytes(CHUNK))) for _ in range(200)) >= 195


@pytest.mark.parametrize("at", [0, 1, CHUNK // 2, CHUNK - 1])
def test_one_byte_in_a_chunk_of_zeros_is_never_lost(at: int) -> None:
    data = bytearray(3 * CHUNK + 100)
    data[CHUNK + at] = 1
    assert zero_chunks(memoryview(data)) == [True, False, True, True]
    data[3 * CHUNK + min(at, 99)] = 1
    assert zero_chunks(memoryview(data)) == [True, False, True, False]
