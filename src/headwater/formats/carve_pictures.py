# SPDX-License-Identifier: Apache-2.0
"""Walks over pictures and documents in free space: PNG, JPEG, GIF, PDF.

Formats: PNG, https://www.w3.org/TR/png-3/ (every chunk has a CRC-32); JPEG, ITU-T T.81 annex B; GIF89a,
https://www.w3.org/Graphics/GIF/spec-gif89a.txt; PDF, ISO 32000-1, 7.5 (startxref names the place of the table).
"""

from __future__ import annotations

import re
import zlib

from headwater.formats.carve_walk import STEPS_MOST, Stretch, Walked, number
from headwater.formats.patterns import lazy_regex

_READ = 1 << 18
_JPEG_MOST = 128 << 20
_PDF_MOST = 256 << 20
_MARKER = lazy_regex(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_NO_PICTURE = bytes(4096)
_END = lazy_regex(rb"startxref\s+(\d{1,12})\s+%%EOF\r?\n?")
_OBJECT = lazy_regex(rb"\s*(?:xref|\d+\s+\d+\s+obj)")
_MORE = lazy_regex(rb"[\r\n]\d+ \d+ obj\b")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def png(data: Stretch) -> Walked | None:
    """A PNG, chunk by chunk."""
    at = 8
    for _ in range(STEPS_MOST):
        head = data.at(at, 8)
        length, kind = number(head, 0, 4, "big"), head[4:8]
        if len(head) < 8 or length > 0x7FFFFFFF or not kind.isalpha() or (at == 8 and kind != b"IHDR"):
            break
        held = zlib.crc32(kind)
        done = 0
        while done < length and (part := data.at(at + 8 + done, min(_READ, length - done))):
            held = zlib.crc32(part, held)
            done += len(part)
        if held != number(data.at(at + 8 + length, 4), 0, 4, "big"):
            break
        at += 12 + length
        if kind == b"IEND":
            return Walked("png", "png", at, True, "checksum")
    return Walked("png", "png", at, False, "checksum", "its next chunk is not whole") if at > 8 else None


def jpeg(data: Stretch) -> Walked | None:
    """A JPEG, segment by segment; coded data ends at the next marker."""
    at, frame, scan = 2, False, False
    for _ in range(STEPS_MOST):
        head = data.at(at, 4)
        if len(head) < 2 or head[0] != 0xFF:
            break
        mark = head[1]
        if mark == 0xFF:
            at += 1
            continue
        if mark == 0xD9:
            return Walked("jpeg", "jpg", at + 2, True, "structure") if frame and scan else None
        length = number(head, 2, 2, "big")
        if mark < 0xC0 or 0xD0 <= mark <= 0xD8 or len(head) < 4 or length < 2:
            break
        if mark in _FRAMES:
            shape = data.at(at + 4, 6)
            if (
                length < 11
                or len(shape) < 6
                or shape[0] not in (8, 12)
                or not number(shape, 3, 2, "big")
                or not 1 <= shape[5] <= 4
            ):
                break
            frame = True
        elif mark == 0xDA and not frame:
            break
        at += 2 + length
        if mark == 0xDA:
            scan = True
            at = _coded(data, at)
    if not frame or at > data.size + 65536:
        return None
    return Walked("jpeg", "jpg", min(at, data.size), False, "structure", "no end marker follows where one is due")


def _coded(data: Stretch, at: int) -> int:
    """Where coded data ends: before the next marker, or before zeros that no coder writes."""
    start = at
    while at - start < _JPEG_MOST:
        part = data.at(at, _READ)
        found = _MARKER.search(part)
        zeros = part.find(_NO_PICTURE, 0, found.start() if found else len(part))
        if zeros >= 0:
            return at + zeros
        if found:
            return at + found.start()
        if len(part) < _READ:
            return at + len(part)
        at += len(part) - 1  # a marker may stand across the cut
    return at


def gif(data: Stretch) -> Walked | None:
    """A GIF, block by block."""
    head = data.at(0, 13)
    if len(head) < 13 or not number(head, 6, 2) or not number(head, 8, 2):
        return None
    at = 13 + (3 << (head[10] & 7) + 1 if head[10] & 0x80 else 0)
    first = at
    for _ in range(STEPS_MOST):
        here = data.at(at, 11)
        if here[:1] == b";":
            return Walked("gif", "gif", at + 1, True, "structure") if at > first else None
        if here[:1] == b"!" and len(here) > 2:
            after = _blocks(data, at + 2)
        elif here[:1] == b"," and len(here) > 9:
            after = _blocks(data, at + 11 + (3 << (here[9] & 7) + 1 if here[9] & 0x80 else 0))
        else:
            break
        if after < 0:
            break
        at = after
    return Walked("gif", "gif", at, False, "structure", "its next block is not one") if at > first else None


def _blocks(data: Stretch, at: int) -> int:
    """Where a chain of counted blocks ends; -1 where it does not."""
    part, base = data.at(at, _READ), at
    for _ in range(STEPS_MOST):
        if at - base >= len(part):
            part, base = data.at(at, _READ), at
            if not part:
                return -1
        size = part[at - base]
        at += 1 + size
        if not size:
            return at
    return -1


def pdf(data: Stretch) -> Walked | None:
    """A PDF up to the %%EOF whose startxref leads to a cross-reference table; updates appended to it included."""
    if not re.match(rb"%PDF-[12]\.\d", data.at(0, 8)):
        return None
    at, kept, end, held = 0, b"", 0, 0
    while at < _PDF_MOST:
        part = data.at(at, _READ)
        if not part:
            break
        joined, base = kept + part, at - len(kept)
        for match in _END.finditer(joined):
            place = int(match.group(1))
            if place and place < base + match.start() and _OBJECT.match(data.at(place, 64)):
                end = base + match.end()
                if not _MORE.search(data.at(end, 2048)):
                    return Walked("pdf", "pdf", end, True, "structure")
        held = max(held, base + joined.rfind(b"endobj") + 6 if b"endobj" in joined else 0)
        if b"\0" * 8192 in part or (b"%PDF-" in joined[1:] and end):
            break
        kept, at = joined[-64:], at + len(part)
    if end:
        return Walked("pdf", "pdf", end, True, "structure", "a further part may follow")
    return Walked("pdf", "pdf", held, False, "structure", "no end that its own table fits") if held else None
