# SPDX-License-Identifier: Apache-2.0
"""Writes event logs of Windows before Vista: a ring of records that may go on behind the header."""

from __future__ import annotations

import struct
from collections.abc import Sequence

_MARKS = struct.pack("<4I", 0x11111111, 0x22222222, 0x33333333, 0x44444444)


def record(
    number: int, when: int, identifier: int, source: str, strings: Sequence[str] = (), sort: int = 4, sid: bytes = b"",
    data: bytes = b"", computer: str = "SRV2003",
) -> bytes:  # fmt: skip
    names = (source + "\0" + computer + "\0").encode("utf-16-le")
    names += bytes(-(56 + len(names)) % 4)
    texts = "".join(s + "\0" for s in strings).encode("utf-16-le")
    sid_at = 56 + len(names)
    strings_at = sid_at + len(sid)
    data_at = strings_at + len(texts)
    size = data_at + len(data)
    size += -size % 4 + 4
    head = struct.pack("<I4s4I", size, b"LfLe", number, when, when + 1, identifier)
    head += struct.pack("<4HI5I", sort, len(strings), 2, 0, 0, strings_at, len(sid), sid_at, len(data), data_at)
    return (head + names + sid + texts + data).ljust(size - 4, b"\0") + struct.pack("<I", size)


def log(records: Sequence[bytes], shift: int = 0, dirty: bool = False, old: bytes = b"") -> bytes:
    """``shift``: bytes of the last record that stand behind the header; ``old``: what stands between the end and the start."""
    body = b"".join(records)
    first = struct.unpack_from("<I", records[0], 8)[0]
    following = first + len(records)
    if shift:
        start = 48 + shift + 40 + len(old)
        end = 48 + shift
        body = body[-shift:] + _end(start, end, following, first) + old + body[:-shift]
    else:
        start, end = 48, 48 + len(body)
        body += _end(start, end, following, first) + old
    flags = (1 if dirty else 0) | (2 if shift else 0)
    stated = (48, 48, 1, 0) if dirty else (start, end, following, first)
    return struct.pack("<I4s10I", 48, b"LfLe", 1, 1, *stated, 48 + len(body), flags, 0, 48) + body


def _end(start: int, end: int, following: int, oldest: int) -> bytes:
    return struct.pack("<I", 40) + _MARKS + struct.pack("<5I", start, end, following, oldest, 40)
