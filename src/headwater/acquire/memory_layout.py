# SPDX-License-Identifier: Apache-2.0
"""Where the server's memory stands in /proc/kcore: the RAM of /proc/iomem laid over the segments of the ELF header.

/proc/kcore is an ELF64 core file; each PT_LOAD says at which offset a stretch of the kernel's address space can be read, and,
since Linux 4.11, at which physical address it lies. Before that ``p_paddr`` is 0, and the direct mapping is taken to begin
with the lowest segment. Sources: fs/proc/kcore.c, kernel/resource.c, elf(5), Documentation/arch/x86/x86_64/mm.rst.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from headwater.formats.patterns import lazy_regex

_PAGE = 4096
_SEGMENTS_MOST = 4096
_RANGES_MOST = 4096
_LOAD = 1
_EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
_PHDR = struct.Struct("<IIQQQQQQ")
_LINE = lazy_regex(rb"([0-9a-f]{1,16})-([0-9a-f]{1,16}) : System RAM\b")
# the direct mapping of x86_64 (four and five levels) and of arm64 lies in here; vmalloc and modules lie above or elsewhere
_KERNEL_HALF = 0xFF00_0000_0000_0000


@dataclass(frozen=True, slots=True)
class Segment:
    """``size`` bytes of physical memory from ``start`` stand at ``offset`` in kcore."""

    start: int
    size: int
    offset: int


@dataclass(frozen=True, slots=True)
class Piece:
    """RAM from ``start``; ``offset`` in kcore, None where no segment shows it."""

    start: int
    size: int
    offset: int | None


class NoLayout(ValueError):
    """The header or the table of resources is none that can be used; the text says why."""


def ram_of(iomem: bytes) -> list[tuple[int, int]]:
    """(start, size) of the RAM in /proc/iomem, whole pages, in order.

    Raises:
        NoLayout: it lists none, or only zeros, as it does for those who may not see addresses.
    """
    found: list[tuple[int, int]] = []
    for line in iomem[: 4 << 20].split(b"\n"):
        match = _LINE.match(line)  # nested resources are indented and do not match
        if match is None:
            continue
        first, last = int(match[1], 16), int(match[2], 16)
        start, end = -(-first // _PAGE) * _PAGE, (last + 1) // _PAGE * _PAGE
        if end > start and (not found or start >= sum(found[-1])):
            found.append((start, end - start))
    if not found or len(found) > _RANGES_MOST:
        raise NoLayout("no System RAM with addresses in /proc/iomem")
    return found


def segments_of(header: bytes, first_ram: int) -> tuple[list[Segment], str]:
    """The segments that show physical memory, by address, and how that was known: ``p_paddr`` or ``lowest segment``.

    Raises:
        NoLayout: no ELF64 core file of a little-endian machine, or it shows no memory.
    """
    if len(header) < _EHDR.size or header[:6] != b"\x7fELF\x02\x01":
        raise NoLayout("no ELF64, little-endian")
    _, kind, _, _, _, phoff, _, _, _, entry, count, *_ = _EHDR.unpack_from(header)
    if kind != 4 or entry != _PHDR.size or count > _SEGMENTS_MOST:
        raise NoLayout("no core file")
    loads = []
    for index in range(count):
        at = phoff + index * _PHDR.size
        if at + _PHDR.size > len(header):
            raise NoLayout("the program headers go beyond what was read")
        tag, _, offset, vaddr, paddr, _, size, _ = _PHDR.unpack_from(header, at)
        if tag == _LOAD and size and vaddr >= _KERNEL_HALF and offset < 1 << 63:
            loads.append((vaddr, paddr, size, offset))
    known = [row for row in loads if row[1] not in (0, (1 << 64) - 1)]
    if known:
        # the text segment shows the same memory as the direct mapping does: the larger segment comes first
        rows = sorted(((p, s, o) for _, p, s, o in loads if p != (1 << 64) - 1), key=lambda r: (r[0], -r[1]))
        return [Segment(*row) for row in rows if row[0] < 1 << 52], "p_paddr"
    if not loads:
        raise NoLayout("no segment shows memory")
    base = min(row[0] for row in loads)
    rows = sorted((v - base + first_ram, s, o) for v, _, s, o in loads if v - base < 1 << 46)
    return [Segment(*row) for row in rows], "lowest segment"


def layout(ram: Sequence[tuple[int, int]], segments: Sequence[Segment]) -> list[Piece]:
    """The RAM cut into pieces that one segment shows, or none does, in order, without a gap or an overlap."""
    found: list[Piece] = []
    for start, size in ram:
        at, end = start, start + size
        while at < end:
            over = [s for s in segments if s.start <= at < s.start + s.size]
            if over:
                best = max(over, key=lambda s: s.start + s.size)
                stop = min(end, best.start + best.size)
                found.append(Piece(at, stop - at, best.offset + at - best.start))
            else:
                stop = min([end, *(s.start for s in segments if s.start > at)])
                found.append(Piece(at, stop - at, None))
            at = stop
    return _joined(found)


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Neighbours that follow one another in memory and in kcore as one."""
    found: list[Piece] = []
    for piece in pieces:
        last = found[-1] if found else None
        if last is not None and last.start + last.size == piece.start:
            both_hidden = last.offset is None and piece.offset is None
            goes_on = last.offset is not None and piece.offset == last.offset + last.size
            if both_hidden or goes_on:
                found[-1] = Piece(last.start, last.size + piece.size, last.offset)
                continue
        found.append(piece)
    return found
