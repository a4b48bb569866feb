# SPDX-License-Identifier: Apache-2.0
"""Finds the grains of a stream-optimised VMDK that was cut off before its directory, by walking their markers.

Each compressed grain stands behind a marker with its place on the disk and its length, so a stream can be read as far
as it goes (VMware, "Virtual Disk Format 5.0", "Stream-Optimized Compressed Sparse Extents").
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headwater.formats.virtual_blocks import faults_in
from headwater.model.ports import ByteSource

_SECTOR = 512
_MARKER = struct.Struct("<QII")
_TABLE, _DIRECTORY, _FOOTER = 1, 2, 3
_GRAINS = 4 << 20  # that are remembered: 256 GiB of disk at the usual 64 KiB


@dataclass(frozen=True, slots=True)
class Found:
    """Numbers of grains in order and the sectors of their markers; ``directory``: where a whole one stands, else 0."""

    numbers: npt.NDArray[np.int64]
    sectors: npt.NDArray[np.int64]
    directory: int

    def sector_of(self, grain: int) -> int:
        """Where a grain's marker stands; 0 if it was not found."""
        index = int(np.searchsorted(self.numbers, grain))
        return int(self.sectors[index]) if index < len(self.numbers) and self.numbers[index] == grain else 0


def walk(source: ByteSource, start: int, grain: int) -> Found:
    """Walk from ``start`` (bytes) to the end of the stream or to where a marker makes no sense."""
    numbers, sectors = array("q"), array("q")
    directory, at = 0, start
    while at + _MARKER.size <= source.size and len(numbers) < _GRAINS:
        value, size, kind = _MARKER.unpack(source.pread(at, _MARKER.size))
        if faults_in(source, at, _MARKER.size):
            break
        if size:
            if value * _SECTOR % grain or size > 2 * grain + 1024 or value >= 1 << 53:
                break
            if at + 12 + size > source.size:
                break
            numbers.append(value * _SECTOR // grain)
            sectors.append(at // _SECTOR)
            at += -(-(12 + size) // _SECTOR) * _SECTOR
            continue
        # the stream's end is a sector of zeros, as is a tail that was never written: it proves nothing
        if kind not in (_TABLE, _DIRECTORY, _FOOTER) or value >= 1 << 40:
            break
        if kind == _DIRECTORY and at + _SECTOR * (1 + value) <= source.size:
            directory = at + _SECTOR
        at += _SECTOR * (1 + value)
    found = np.frombuffer(numbers, np.int64), np.frombuffer(sectors, np.int64)
    order = np.argsort(found[0], kind="stable")
    return Found(found[0][order], found[1][order], directory)
