# SPDX-License-Identifier: Apache-2.0
"""A core file as /proc/kcore gives it, sparse and small, with a table of resources beside it; bytes of our own making."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from pathlib import Path

from headwater.acquire.memory_scripts import Places

DIRECT = 0xFFFF_8880_0000_0000
TEXT = 0xFFFF_FFFF_8100_0000
MIB = 1 << 20
NOWHERE = (1 << 64) - 1


@dataclass
class Kcore:
    """``ram``: (address, bytes) of what the machine holds; ``places``: where it is to be read."""

    places: Places
    ram: list[tuple[int, bytes]]
    path: Path


def header(loads: list[tuple[int, int, int, int]]) -> bytes:
    """ELF64 core header and program headers of (vaddr, paddr, size, offset), after a note as the kernel puts one."""
    count = len(loads) + 1
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 4, 62, 1, 0, 64, 0, 0, 64, 56, count, 0, 0, 0)
    head += struct.pack("<IIQQQQQQ", 4, 0, 64 + 56 * count, 0, 0, 32, 0, 0)
    for vaddr, paddr, size, offset in loads:
        head += struct.pack("<IIQQQQQQ", 1, 7, offset, vaddr, paddr, size, size, 4096)
    return head


def make(folder: Path, *, old: bool = False, hidden: bool = False, big: int = 3 * MIB) -> Kcore:
    """Three ranges of RAM, the last one of which kcore does not show where ``hidden``; ``old``: no physical addresses."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(4)
    ram = [
        (0x1000, rng.randbytes(0x9E000)),
        (0x100000, (rng.randbytes(min(big, 32 * MIB)) * (big // (32 * MIB) + 1))[:big]),
        (0x4000_0000, bytes(2 * MIB)),
    ]
    base = 0x40_0000  # where offsets begin in this file; the kernel's own are far larger
    loads, pieces = [], []
    for start, data in ram[: 2 if hidden else 3]:
        paddr = 0 if old else start
        loads.append((DIRECT + start, paddr, len(data), base + start))
        pieces.append((base + start, data))
    loads.insert(0, (0xFFFF_C900_0000_0000, 0 if old else NOWHERE, 1 << 45, 1 << 50))  # vmalloc: no RAM of its own
    if not old:
        loads.append((TEXT, 0x100000, MIB, base + 0x100000))  # the text shows a part of the second range again
    path = folder / "kcore"
    with open(path, "wb") as file:
        file.write(header(loads).ljust(4096, b"\0"))
        for offset, data in pieces:
            file.seek(offset)
            file.write(data)
    lines = ["00000000-00000fff : Reserved"]
    for start, data in ram:
        lines.append(f"{start:08x}-{start + len(data) - 1:08x} : System RAM")
        lines.append(f"  {start:08x}-{start + 0xFFF:08x} : Kernel code")
    lines.append("fed00000-fed003ff : HPET 0")
    (folder / "iomem").write_text("\n".join(lines) + "\n")
    (folder / "kallsyms").write_text("ffffffff81000000 T _text\n")
    beside = (("kallsyms", str(folder / "kallsyms")), ("btf", str(folder / "absent")))
    return Kcore(Places(str(path), str(folder / "iomem"), str(folder / "lockdown"), beside), ram, path)
