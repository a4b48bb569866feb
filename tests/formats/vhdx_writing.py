# SPDX-License-Identifier: Apache-2.0
"""Writes small VHDX images as [MS-VHDX] lays them out: what QEMU cannot make (differencing, 4 KiB sectors). For tests."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Mapping
from pathlib import Path

MIB = 1 << 20
ONE = uuid.UUID(int=1)


def crc32c(data: bytes) -> int:
    """Bit by bit, as RFC 3720 B.4 defines it: slow, and independent of the reader's."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    crc = 0xFFFF_FFFF
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFF_FFFF


def summed(data: bytes) -> bytes:
    """With its checksum at 4."""
    return data[:4] + crc32c(data[:4] + bytes(4) + data[8:]).to_bytes(4, "little") + data[8:]


def guid(text: str) -> bytes:
    return uuid.UUID(text).bytes_le


def locator(parent: str, linkage: uuid.UUID) -> bytes:
    pairs = [("parent_linkage", f"{{{linkage}}}"), ("relative_path", f".\\{parent}")]
    at, entries, texts = 20 + 12 * len(pairs), b"", b""
    for key, value in pairs:
        k, v = key.encode("utf-16-le"), value.encode("utf-16-le")
        entries += struct.pack("<IIHH", at + len(texts), at + len(texts) + len(k), len(k), len(v))
        texts += k + v
    return guid("b04aefb7-d19e-4a81-b789-25b8e9445913") + struct.pack("<HH", 0, len(pairs)) + entries + texts


def write_vhdx(
    path: Path,
    size: int,
    blocks: Mapping[int, tuple[int, bytes]],
    *,
    sector: int = 512,
    identity: uuid.UUID = ONE,
    parent: tuple[str, uuid.UUID] | None = None,
    bitmap: bytes = b"",
    log: tuple[uuid.UUID, bytes] | None = None,
) -> Path:
    """An image with blocks of 1 MiB: number → (state, content). ``bitmap``: the first sector bitmap block's beginning."""
    log_id = log[0].bytes_le if log else bytes(16)
    head = struct.pack("<4sIQ16s16s16sHHIQ", b"head", 0, 7, bytes(16), identity.bytes_le, log_id, 0, 1, MIB, MIB)
    header = summed(head.ljust(4096, b"\0"))
    regions = struct.pack("<4sIII", b"regi", 0, 2, 0)
    regions += struct.pack("<16sQII", guid("2dc27766-f623-4200-9d64-115e9bfd4a08"), 3 * MIB, MIB, 1)
    regions += struct.pack("<16sQII", guid("8b7ca206-4790-4b9a-b8fe-575f050f886e"), 2 * MIB, MIB, 1)
    region = summed(regions.ljust(65536, b"\0"))
    items = [
        ("caa16737-fa36-4d43-b3b6-33f0aa44e76b", struct.pack("<II", MIB, 2 if parent else 0)),
        ("2fa54224-cd1b-4876-b211-5dbed83bf4b8", struct.pack("<Q", size)),
        ("8141bf1d-a96f-4709-ba47-f233a8faab5f", struct.pack("<I", sector)),
        ("cda348c7-445d-4471-9cc9-e9885251c556", struct.pack("<I", 4096)),
        ("beca12ab-b2e6-4523-93ef-c309e000c746", bytes(16)),
    ]
    if parent:
        items.append(("a8d35f2d-b30b-454d-abf7-d3d84834ab0c", locator(*parent)))
    table, content = struct.pack("<8sHH20x", b"metadata", 0, len(items)), b""
    for name, value in items:
        table += struct.pack("<16sIIII", guid(name), 65536 + len(content), len(value), 6, 0)
        content += value
    ratio = (1 << 23) * sector // MIB
    place, data = 4, b""
    bat = [0] * (MIB // 8)
    for number, (state, body) in blocks.items():
        bat[number + number // ratio] = state | (place << 20 if body else 0)
        if body:
            data += body.ljust(MIB, b"\0")
            place += 1
    if bitmap:
        bat[ratio] = 6 | place << 20
        data += bitmap.ljust(MIB, b"\0")
    start = b"vhdxfile" + "tests".encode("utf-16-le")
    out = start.ljust(65536, b"\0") + header.ljust(65536, b"\0") + header.ljust(65536, b"\0") + region + region
    out = out.ljust(MIB, b"\0") + (log[1] if log else b"").ljust(MIB, b"\0")
    out += (table.ljust(65536, b"\0") + content).ljust(MIB, b"\0") + struct.pack(f"<{len(bat)}Q", *bat) + data
    path.write_bytes(out)
    return path


def log_entry(
    identity: uuid.UUID, sequence: int, tail: int, writes: list[tuple[int, bytes | int]], flushed: int
) -> bytes:
    """One entry: each write is (offset, 4 KiB of content) or (offset, how many zeros)."""
    descriptors, sectors = b"", b""
    for offset, what in writes:
        if isinstance(what, int):
            descriptors += struct.pack("<4sIQQQ", b"zero", 0, what, offset, sequence)
            continue
        descriptors += struct.pack("<4s4s8sQQ", b"desc", what[-4:], what[:8], offset, sequence)
        sectors += b"data" + struct.pack("<I", sequence >> 32) + what[8:-4] + struct.pack("<I", sequence & 0xFFFFFFFF)
    heads = -(-(64 + len(descriptors)) // 4096) * 4096
    length = heads + len(sectors)
    head = struct.pack(
        "<4sIIIQII16sQQ", b"loge", 0, length, tail, sequence, len(writes), 0, identity.bytes_le, flushed, flushed
    )  # fmt: skip
    return summed((head + descriptors).ljust(heads, b"\0") + sectors)
