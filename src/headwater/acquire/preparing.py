# SPDX-License-Identifier: Apache-2.0
"""Prepares blocks for writing: what an earlier session already wrote is left out, the last block may need padding."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from headwater.acquire.blocks import Block
from headwater.acquire.packing import Packed, as_is


class Prepared(NamedTuple):
    """What a block became: its runs of zeros, (offset, length) on the source, and what is to be written, if anything."""

    zeros: list[tuple[int, int]]
    packed: Packed | None


class Preparation:
    """``start``: bytes before it are in the image already; ``padding``: zeros behind the last of ``size`` bytes."""

    def __init__(self, pack: Callable[[memoryview], Packed], start: int, size: int, padding: int) -> None:
        self._pack = pack
        self._start = start
        self._size = size
        self._padding = padding

    def __call__(self, block: Block) -> Prepared:
        """Prepare one block; called by several threads."""
        held = min(max(0, self._start - block.offset), block.length)
        zeros = [(block.offset + at, length) for at, length in as_is(block.view[:held]).zeros] if held else []
        if held == block.length:
            return Prepared(zeros, None)
        end = block.length
        if self._padding and block.offset + end == self._size:
            end += self._padding
            block.view[block.length : end] = bytes(self._padding)
        packed = self._pack(block.view[held:end])
        for at, length in packed.zeros:
            offset = block.offset + held + at
            zeros.append((offset, min(length, self._size - offset)))
        return Prepared(zeros, packed)
