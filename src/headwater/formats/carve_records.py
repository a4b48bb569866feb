# SPDX-License-Identifier: Apache-2.0
"""Walks over programs, databases, logs and scripts in free space: ELF, PE, SQLite, EVTX, journald, pcap, texts.

Formats: System V ABI, chapter 4; https://learn.microsoft.com/windows/win32/debug/pe-format;
https://www.sqlite.org/fileformat2.html 1.3; evtx_layout; https://systemd.io/JOURNAL_FILE_FORMAT/;
https://www.tcpdump.org/manpages/pcap-savefile.5.txt.
"""

from __future__ import annotations

import struct
from typing import Literal

from headwater.formats.carve_walk import STEPS_MOST, Stretch, Walked, number
from headwater.formats.evtx_layout import CHUNK, CHUNK_MAGIC, FILE_HEADER, chunk_header, file_header
from headwater.formats.journal_layout import header_of, plausible

_TEXT_MOST = 4 << 20
_CONTROLS = bytes(b for b in range(32) if b not in b"\t\n\v\f\r\x1b")
_MACHINES = frozenset((2, 3, 8, 20, 21, 22, 40, 43, 50, 62, 183, 243, 247, 258))
_TOO_LARGE = 1 << 36


def elf(data: Stretch) -> Walked | None:
    """An ELF file up to the last byte that its headers name."""
    head = data.at(0, 64)
    if len(head) < 64 or head[4] not in (1, 2) or head[5] not in (1, 2):
        return None
    order: Literal["little", "big"] = "little" if head[5] == 1 else "big"
    wide = head[4] == 2
    if number(head, 16, 2, order) not in (1, 2, 3, 4) or number(head, 18, 2, order) not in _MACHINES:
        return None
    size = 8 if wide else 4
    programs, sections = number(head, 24 + size, size, order), number(head, 24 + 2 * size, size, order)
    at = 28 + 3 * size
    own, each, count, other, others = (number(head, at + 2 * i, 2, order) for i in range(5))
    if own not in (52, 64) or max(programs, sections) > _TOO_LARGE:
        return None
    mark = "<" if order == "little" else ">"
    end = max(own, sections + other * others)
    for table, step, shape, fields in (
        (data.at(programs, each * count), each, "I4xQ16xQ" if wide else "II8xI", (1, 2)),
        (data.at(sections, other * others), other, "4xI16xQQ" if wide else "4xI8xII", (1, 2)),
    ):
        room = struct.calcsize(mark + shape)
        if step and step < room:
            return None
        for start in range(0, len(table) - room + 1, step or 1):
            values = struct.unpack_from(mark + shape, table, start)
            if shape.startswith("4x") and values[0] in (0, 8):  # not in use, or without bytes of its own
                continue
            if values[fields[0]] < _TOO_LARGE and values[fields[1]] < _TOO_LARGE:
                end = max(end, values[fields[0]] + values[fields[1]])
    if not count and not others:
        return None
    there = end <= data.size
    data.short = data.short or not there
    named = bool(others) and there
    note = (
        "" if named else "no sections: what follows the last segment is not known" if there else "its end is not there"
    )
    return Walked("elf", "elf", min(end, data.size), named, "structure", note)


def pe(data: Stretch) -> Walked | None:
    """A PE file up to the end of its sections and its certificates; what was appended to it is not known."""
    at = number(data.at(60, 4), 0, 4)
    head = data.at(at, 24) if 64 <= at <= 4096 else b""
    if head[:4] != b"PE\0\0" or not 1 <= number(head, 6, 2) <= 96:
        return None
    optional = number(head, 20, 2)
    sections = data.at(at + 24 + optional, 40 * number(head, 6, 2))
    end = at + 24 + optional + len(sections)
    for start in range(0, len(sections) - 39, 40):
        size, place = number(sections, start + 16, 4), number(sections, start + 20, 4)
        end = max(end, place + size if size else 0)
    extra = data.at(at + 24, min(optional, 240))
    table = {0x10B: 96, 0x20B: 112}.get(number(extra, 0, 2))
    if table is None:
        return None
    end = max(end, number(extra, table + 32, 4) + number(extra, table + 36, 4))
    there = end <= data.size
    data.short = data.short or not there
    return Walked("pe", "exe", min(end, data.size), there, "structure", "" if there else "its end is not there")


def sqlite(data: Stretch) -> Walked | None:
    """An SQLite database by the page count in its header, where that counter is a current one."""
    head = data.at(0, 108)
    size = number(head, 16, 2, "big")
    size = 65536 if size == 1 else size
    if (
        len(head) < 108
        or size < 512
        or size & (size - 1)
        or head[100] not in (2, 5, 10, 13)
        or head[21:24] != b"\x40\x20\x20"
    ):
        return None
    pages = number(head, 28, 4, "big")
    if not pages or number(head, 24, 4, "big") != number(head, 92, 4, "big"):
        return Walked(
            "sqlite", "sqlite", min(size, data.size), False, "structure", "its header does not count its pages"
        )
    there = pages * size <= data.size
    data.short = data.short or not there
    return Walked(
        "sqlite", "sqlite", min(pages * size, data.size), there, "structure", "" if there else "pages are missing"
    )


def evtx(data: Stretch) -> Walked | None:
    """An event log, or chunks of one: each has checksums of its own."""
    head = file_header(data.at(0, FILE_HEADER))
    at = FILE_HEADER if head is not None else 0
    start, last, checked = at, -1, True
    for _ in range(STEPS_MOST):
        # the middle of another file may look like a chunk's beginning: one whose header does not fit is none
        front = data.at(at, 512)
        if front[:8] != CHUNK_MAGIC:
            break
        chunk = chunk_header(data.at(at, CHUNK))
        if chunk is None or not chunk.header_sound or (last >= 0 and head is None and chunk.first != last + 1):
            break
        checked, last = checked and chunk.records_sound, chunk.last
        at += CHUNK
    count = (at - start) // CHUNK
    if head is not None and (head.chunks or count):
        whole = count >= head.chunks
        note = "" if whole else f"{count} of {head.chunks} chunks follow its header"
        return Walked("evtx", "evtx", min(at, data.size), whole, "checksum" if checked else "structure", note)
    if not count:
        return None
    note = f"{count} chunks of an event log without its header"
    return Walked("evtx", "chunk", min(at, data.size), False, "checksum" if checked else "structure", note)


def journal(data: Stretch) -> Walked | None:
    """A journal of systemd, object by object, to the one that its header calls the last."""
    head = header_of(data.at(0, 272))
    if head is None or not 208 <= head.header_size <= 4096 or head.arena_size > _TOO_LARGE or head.header_size & 7:
        return None
    end = head.header_size + head.arena_size
    at, part, base = head.header_size, b"", 0
    for _ in range(STEPS_MOST):
        if at + 16 > base + len(part):
            part, base = data.at(at, 1 << 16), at
        found = plausible(part, at - base, end - at, head.compact) if at - base + 16 <= len(part) else None
        if found is None:
            break
        if at == head.tail_object_offset:
            whole = end <= data.size
            return Walked(
                "journal", "journal", min(end, data.size), whole, "structure", "" if whole else "its end is not there"
            )
        at += found[2] + 7 & ~7
    if at == head.header_size:
        return None
    return Walked(
        "journal", "journal", min(at, data.size), False, "structure", "its objects break off before the last one"
    )


def pcap(data: Stretch) -> Walked | None:
    """A capture of packets, record by record; the format has no end mark."""
    head = data.at(0, 24)
    order: Literal["little", "big"] = "little" if head[0] in (0xD4, 0x4D) else "big"
    if len(head) < 24 or number(head, 4, 2, order) != 2 or number(head, 6, 2, order) != 4:
        return None
    most = min(number(head, 16, 4, order) or 262_144, 262_144)
    at = 24
    for _ in range(STEPS_MOST):
        record = data.at(at, 16)
        kept, wire = number(record, 8, 4, order), number(record, 12, 4, order)
        if len(record) < 16 or not 0 < kept <= most or kept > wire or not number(record, 0, 4, order):
            break
        if at + 16 + kept > data.size:
            data.short = True
            break
        at += 16 + kept
    whole = not data.short and not data.at(at, 16).strip(b"\0")
    return (
        Walked("pcap", "pcap", at, whole, "structure", "" if whole else "it may go on elsewhere") if at > 24 else None
    )


def text(data: Stretch) -> Walked | None:
    """A script: text from a line that names its interpreter to the zeros that fill the last block."""
    head = data.at(0, 64)
    ending = "php" if head.startswith((b"<?php", b"<?=")) else "jsp" if head.startswith(b"<%") else "sh"
    if b"python" in head.partition(b"\n")[0] and ending == "sh":
        ending = "py"
    at, unit = 0, data.unit
    while at < _TEXT_MOST:
        part = data.at(at, unit)
        clean = part.rstrip(b"\0")
        stop = _control(clean)
        if stop >= 0:
            if at + stop < 16:
                return None
            return Walked("script", ending, at + stop, False, "text", "bytes that are no text follow")
        if len(clean) < len(part):
            if at + len(clean) < 16:
                return None
            return Walked("script", ending, at + len(clean), True, "text")
        at += len(part)
        if len(part) < unit or _begins(data.at(at, 8)):
            break
    return Walked("script", ending, at, False, "text", "it fills its last block: where it ends is not known")


def _control(part: bytes) -> int:
    """Where the first byte stands that no text has; -1 where there is none."""
    if part.translate(None, _CONTROLS) == part:
        return -1
    return next(index for index, byte in enumerate(part) if byte in _CONTROLS)


def _begins(head: bytes) -> bool:
    return not head or head.startswith((b"#!", b"<?php", b"<?xml", b"<%", b"%PDF", b"\0"))
