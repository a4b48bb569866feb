# SPDX-License-Identifier: Apache-2.0
"""Walks mutants of a volume, in a process of its own: The Sleuth Kit is C code, and a mutant may crash it.

``python hostile_volumes.py IMAGE FIRST LAST SEED``: prints one line for each mutant that raised or ran too long.
"""

from __future__ import annotations

import random
import struct
import sys
import time
from pathlib import Path

from headwater.examine import recovered
from headwater.examine.macb import macb_batches
from headwater.formats.filesystems import open_filesystem
from headwater.formats.trees import Tree
from headwater.model.ports import ByteSource

_SECONDS = 20.0
_INTERESTING = (0, 1, 2, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def busy(data: bytes) -> list[int]:
    """The 512-byte sectors that are not zeros: only there does a mutation mean anything."""
    zero = bytes(512)
    return [at for at in range(0, len(data), 512) if data[at : at + 512] != zero[: len(data) - at]]


class Mutant:
    """A volume with some bytes changed, perhaps cut short; only what is changed is copied."""

    def __init__(self, data: bytes, sectors: list[int], seed: int) -> None:
        chance = random.Random(seed)
        self._data = data
        self._patches: dict[int, bytes] = {}
        self.size = len(data)
        self.bad = ()
        for _ in range(chance.choice((1, 2, 5, 30))):
            at = min(len(data) - 8, chance.choice(sectors) + chance.randrange(512))
            kind = chance.randrange(5)
            if kind == 0:
                self._patches[at] = bytes([data[at] ^ 1 << chance.randrange(8)])
            elif kind == 1:
                self._patches[at] = struct.pack(chance.choice("<>") + "I", chance.choice(_INTERESTING))
            elif kind == 2:
                self._patches[at] = struct.pack(chance.choice("<>") + "H", chance.choice(_INTERESTING) & 0xFFFF)
            elif kind == 3:
                self._patches[at] = chance.randbytes(8)
            else:
                other = chance.choice(sectors)
                self._patches[at // 512 * 512] = data[other : other + 512]
        if chance.random() < 0.1:
            self.size = chance.randrange(len(data))

    def pread(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.size)
        if offset < 0 or end <= offset:
            return b""
        held = bytearray(self._data[offset:end])
        for at, patch in self._patches.items():
            low, high = max(at, offset), min(at + len(patch), end)
            if low < high:
                held[low - offset : high - offset] = patch[low - at : high - at]
        return bytes(held)

    def close(self) -> None:
        return None


def walk(volume: ByteSource) -> None:
    """Everything that an examination does with a volume."""
    tree = open_filesystem(volume)
    if tree is None:
        return
    examined(tree)
    deleted = getattr(tree, "deleted", None)
    if deleted is not None:
        examined(deleted)
        assert recovered.frame(recovered.recovered_of(deleted), "deleted").height <= 1_000_000


def examined(tree: Tree) -> None:
    """One view of a volume: listed, its files read, its warnings and coverage asked for."""
    opened = 0
    for _, entries in macb_batches(tree):
        for entry in entries:
            opened += 1
            if opened < 60:
                file = tree.open(entry.key)
                file.pread(0, 65536)
                file.pread(max(0, file.size - 100), 200)
                assert all(reason for _, _, reason, _ in file.bad)
                tree.extents(entry.key)
    assert all(gap.detail for gap in tree.warnings)
    sum(1 for _ in tree.coverage())


def main(image: str, first: int, last: int, seed: int) -> None:
    data = Path(image).read_bytes()
    sectors = busy(data)
    for number in range(first, last):
        print(f"mutant {number}", flush=True)
        started = time.process_time()
        try:
            walk(Mutant(data, sectors, seed + number))
        except Exception as error:
            print(f"FAULT {number} {type(error).__name__}: {error}", flush=True)
        if time.process_time() - started > _SECONDS:
            print(f"FAULT {number} took {time.process_time() - started:.1f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *(int(a) for a in sys.argv[2:5]))
