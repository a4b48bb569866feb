# SPDX-License-Identifier: Apache-2.0
"""The content of a data object of a systemd journal that was compressed."""

from __future__ import annotations

import lzma

import zstandard

from headwater.formats import lz4_block
from headwater.formats.journal_layout import LZ4, XZ, ZSTD

_ZSTD = zstandard.ZstdDecompressor(max_window_size=1 << 25)


class Unreadable(ValueError):
    """The content cannot be decompressed, and why."""


def inflated(raw: bytes, flags: int, most: int) -> bytes:
    """The content behind ``raw``, at most one byte more than ``most``.

    Raises:
        Unreadable: it is not what its flags say, or names more than one compression.
    """
    try:
        if flags == ZSTD:
            with _ZSTD.stream_reader(raw) as stream:
                return stream.read(most + 1)
        if flags == XZ:
            return lzma.LZMADecompressor(memlimit=1 << 27).decompress(raw, max_length=most + 1)
        if flags == LZ4:
            return lz4_block.decompress(raw[8:], most + 1)  # the size stands in the first 8 bytes
    except (zstandard.ZstdError, lzma.LZMAError, ValueError, EOFError) as error:
        raise Unreadable(str(error)) from error
    raise Unreadable("more than one compression")
