# SPDX-License-Identifier: Apache-2.0
"""Header of a Windows program or library: machine, time, sections, certificate table, and what of it Authenticode digests.

Source: https://learn.microsoft.com/windows/win32/debug/pe-format; the digest as the same page and "Windows Authenticode Portable
Executable Signature Format" give it: all bytes but the checksum, the directory entry of the certificates and the certificates.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

MACHINES = {
    0x14C: "x86",
    0x8664: "x64",
    0xAA64: "arm64",
    0x1C0: "arm",
    0x1C4: "arm",
    0x200: "ia64",
    0xEBC: "efi bytecode",
}
SUBSYSTEMS = {
    1: "native",
    2: "windows",
    3: "console",
    9: "ce",
    10: "efi application",
    11: "efi driver",
    12: "efi driver",
}
_HEAD = 4096
_SECTIONS_MOST = 96
_CERTIFICATES_MOST = 16
_CERTIFICATE_MOST = 4 << 20  # bytes; a larger one is no certificate that a tool made
_SIGNED_DATA = 2  # WIN_CERT_TYPE_PKCS_SIGNED_DATA

Pread = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class Section:
    """``address``, ``size``: in memory; ``place``, ``stored``: in the file."""

    name: str
    address: int
    size: int
    place: int
    stored: int
    flags: int


@dataclass(frozen=True, slots=True)
class Program:
    """``compiled``: seconds since 1970, or a hash where the build is reproducible; ``certificates``: (place, length) as stated."""

    machine: int
    flags: int
    compiled: int
    subsystem: int
    wide: bool
    sections: tuple[Section, ...]
    checksum_at: int
    entry_at: int
    certificates: tuple[int, int]

    @property
    def library(self) -> bool:
        return bool(self.flags & 0x2000)


def header(pread: Pread, size: int) -> Program | None:
    """The header of a program; None where the bytes are none."""
    head = pread(0, _HEAD)
    if head[:2] != b"MZ" or len(head) < 64:
        return None
    base = int.from_bytes(head[60:64], "little")
    block = pread(base, _HEAD + 40 * _SECTIONS_MOST) if base < size else b""
    if block[:4] != b"PE\0\0" or len(block) < 24 + 96:
        return None
    machine, count, compiled, optional, flags = struct.unpack_from("<HHI8xHH", block, 4)
    wide = struct.unpack_from("<H", block, 24)[0] == 0x20B
    directories = 24 + (112 if wide else 96)
    if optional < directories - 24 or count > _SECTIONS_MOST or len(block) < directories:
        return None
    number = struct.unpack_from("<I", block, directories - 4)[0]
    entry = directories + 8 * 4
    there = number > 4 and entry + 8 <= min(24 + optional, len(block))
    place, length = struct.unpack_from("<II", block, entry) if there else (0, 0)
    return Program(
        machine, flags, compiled, struct.unpack_from("<H", block, 24 + 68)[0], wide, tuple(_sections(block, 24 + optional, count)),
        base + 24 + 64, base + entry if there else 0, (place, length) if place else (0, 0),
    )  # fmt: skip


def _sections(block: bytes, at: int, count: int) -> Iterator[Section]:
    for number in range(count):
        here = at + 40 * number
        if here + 40 > len(block):
            return
        name, size, address, stored, place, flags = struct.unpack_from("<8sIIII12xI", block, here)
        yield Section(name.rstrip(b"\0").decode("latin-1"), address, size, place, stored, flags)


def certificates(pread: Pread, program: Program) -> Iterator[bytes]:
    """The signatures (PKCS#7) of the certificate table, in order; ends where an entry does not fit."""
    place, length = program.certificates
    end = place + length
    for _ in range(_CERTIFICATES_MOST):
        raw = pread(place, 8) if place + 8 <= end else b""
        if len(raw) < 8:
            return
        stated, _, kind = struct.unpack("<IHH", raw)
        if not 8 < stated <= min(end - place, _CERTIFICATE_MOST):
            return
        if kind == _SIGNED_DATA:
            yield pread(place + 8, stated - 8)
        place += (stated + 7) & ~7


def digested(program: Program, size: int) -> list[tuple[int, int]]:
    """(place, length) of what Authenticode digests, in order; padding to 8 bytes of an unsigned file is not among it."""
    place, length = program.certificates
    if place + length > size:
        place = length = 0
    ranges = [(0, program.checksum_at)]
    at = program.checksum_at + 4
    if program.entry_at:
        ranges.append((at, program.entry_at - at))
        at = program.entry_at + 8
    if place >= at:
        ranges.append((at, place - at))
        at = place + length
    ranges.append((at, size - at))
    return [(start, count) for start, count in ranges if count > 0]
