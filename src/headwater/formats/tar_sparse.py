# SPDX-License-Identifier: Apache-2.0
"""The numbers of tar headers and the maps of sparse members: old GNU, and the pax forms 0.0, 0.1 and 1.0.

Format: GNU tar manual, appendix "Storing Sparse Files". A map is a list of (offset, length) in the file; the data of
these ranges follow each other in the archive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headwater.formats.sources import ChainSource, Piece
from headwater.model.ports import ByteSource

Extents = list[tuple[int, int]]
_BLOCK = 512
_EXTENTS = 100_000
_TEXT = 4 << 20


def number(field_bytes: bytes) -> int | None:
    """A numeric field: octal text, or base 256 where its first bit is set (GNU). None where it is neither."""
    if not field_bytes:
        return None
    if field_bytes[0] & 0x80:
        value = int.from_bytes(field_bytes, "big", signed=False)
        bits = len(field_bytes) * 8
        if field_bytes[0] == 0xFF:
            return value - (1 << bits)
        return value & ~(1 << (bits - 1))
    text = field_bytes.strip(b"\0 ")
    if not text:
        return 0
    try:
        return int(text, 8) if text.isdigit() else None
    except ValueError:
        return None


def old_map(source: ByteSource, header: bytes, data: int) -> tuple[Extents, int, int] | None:
    """(extents, where the data begin, real size) of a member of type ``S``; None where the map has no sense."""
    size = number(header[483:495])
    extents: Extents = []
    block, start, count, more = header, 386, 4, header[482]
    while True:
        for index in range(count):
            at = start + 24 * index
            offset, length = number(block[at : at + 12]), number(block[at + 12 : at + 24])
            if offset is None or length is None:
                return None
            if length:
                extents.append((offset, length))
        if not more:
            break
        block, start, count = source.pread(data, _BLOCK), 0, 21
        if len(block) < _BLOCK or len(extents) > _EXTENTS:
            return None
        more = block[504]
        data += _BLOCK
    return _checked(extents, data, size)


def pax_map(source: ByteSource, pax: Mapping[bytes, bytes], data: int, stored: int) -> tuple[Extents, int, int] | None:
    """The same for a member with GNU.sparse records; None where it has none, or they have no sense."""
    size = _integer(pax.get(b"GNU.sparse.realsize") or pax.get(b"GNU.sparse.size"))
    if size is None:
        return None
    if b"GNU.sparse.map" in pax:
        values = [_integer(part) for part in pax[b"GNU.sparse.map"].split(b",")]
    elif pax.get(b"GNU.sparse.major") == b"1":
        return _data_map(source, data, stored, size)
    else:
        offsets = pax.get(b"GNU.sparse.offset", b"").split(b",")
        lengths = pax.get(b"GNU.sparse.numbytes", b"").split(b",")
        values = [_integer(part) for pair in zip(offsets, lengths) for part in pair]
    return _checked(_pairs(values), data, size)


def _data_map(source: ByteSource, data: int, stored: int, size: int) -> tuple[Extents, int, int] | None:
    """Form 1.0: the map is decimal text, one number a line, in whole blocks before the data."""
    text = source.pread(data, min(stored, _TEXT))
    head, _, rest = text.partition(b"\n")
    count = _integer(head)
    if count is None or count > _EXTENTS:
        return None
    lines = rest.split(b"\n", 2 * count)
    if len(lines) < 2 * count + 1:
        return None
    used = len(text) - len(lines[-1])
    values = [_integer(line) for line in lines[:-1]]
    return _checked(_pairs(values), data + -(-used // _BLOCK) * _BLOCK, size)


def _integer(value: bytes | None) -> int | None:
    return int(value) if value is not None and value.isdigit() and len(value) < 19 else None


def _pairs(values: Iterable[int | None]) -> Extents | None:
    listed = list(values)
    if len(listed) % 2 or len(listed) > 2 * _EXTENTS:
        return None
    found: Extents = []
    for offset, length in zip(listed[::2], listed[1::2]):
        if offset is None or length is None:
            return None
        if length:
            found.append((offset, length))
    return found


def _checked(extents: Extents | None, data: int, size: int | None) -> tuple[Extents, int, int] | None:
    """A map is believed if its ranges grow, do not overlap and lie in the file."""
    if extents is None or size is None or not 0 <= size < 1 << 62:
        return None
    at = 0
    for offset, length in extents:
        if offset < at or length < 0:
            return None
        at = offset + length
    return (extents, data, size) if at <= size else None


def pieces_of(source: ByteSource, extents: Extents, data: int, size: int) -> ChainSource:
    """The file that a map describes: its ranges from the archive, zeros between them."""
    pieces: list[Piece] = []
    at = 0
    for offset, length in extents:
        pieces.append(Piece(None, 0, offset - at))
        pieces.append(Piece(source, data, length))
        data += length
        at = offset + length
    pieces.append(Piece(None, 0, size - at))
    return ChainSource(pieces)
