# SPDX-License-Identifier: Apache-2.0
"""Runs of clusters: where a stream that is not resident stands, and the boot sector that says how large a cluster is.

Layout: https://flatcap.github.io/linux-ntfs/ntfs/concepts/data_runs.html and …/files/boot.html. The backup of the boot
sector stands in the last sector of the volume.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from headwater.model.ports import ByteSource

RUNS_MOST = 4_000_000
_CLUSTERS = 1 << 48


class Boot(NamedTuple):
    """Sizes in bytes; ``mft`` and ``mirror`` are cluster numbers; ``backup``: read from the volume's last sector."""

    sector: int
    cluster: int
    sectors: int
    mft: int
    mirror: int
    record: int
    index_block: int
    serial: int
    backup: bool


class Run(NamedTuple):
    """``length`` clusters from ``logical`` of the stream stand at ``physical`` of the volume; -1: a hole."""

    logical: int
    length: int
    physical: int


def _size(value: int, cluster: int) -> int:
    return value * cluster if value > 0 else 1 << min(-value, 31)


def parse_boot(sector: bytes, backup: bool = False) -> Boot | None:
    """What an NTFS boot sector says; None where it is none or cannot be."""
    if len(sector) < 512 or sector[3:11] != b"NTFS    ":
        return None
    (size,) = struct.unpack_from("<H", sector, 11)
    per = sector[13]
    clusters = per if per <= 0x80 else 1 << min(256 - per, 31)
    sectors, mft, mirror = struct.unpack_from("<QQQ", sector, 40)
    record, index = struct.unpack_from("<bxxxb", sector, 64)
    if size not in (256, 512, 1024, 2048, 4096) or not clusters or clusters & (clusters - 1) or not record or not index:
        return None
    cluster = size * clusters
    held = _size(record, cluster)
    if cluster > 1 << 21 or held not in (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536):
        return None
    blocks = _size(index, cluster)
    if mft >= _CLUSTERS or mirror >= _CLUSTERS or blocks > 1 << 20:
        return None
    return Boot(size, cluster, sectors, mft, mirror, held, blocks, struct.unpack_from("<Q", sector, 72)[0], backup)


def read_boot(source: ByteSource) -> Boot | None:
    """The boot sector of a volume, or its backup at the end where the first cannot be read."""
    found = parse_boot(source.pread(0, 512))
    if found is not None:
        return found
    for sector in (512, 4096):
        last = source.size // sector * sector - sector
        found = parse_boot(source.pread(last, 512), True) if last > 0 else None
        if found is not None:
            return found
    return None


def decode_runs(raw: bytes, lowest: int) -> tuple[list[Run], bool]:
    """The runs of one part of an attribute, from cluster ``lowest`` of the stream; whether the list ended as it should."""
    runs: list[Run] = []
    at, logical, physical = 0, lowest, 0
    while at < len(raw):
        head = raw[at]
        if not head:
            return runs, True
        sizes, places = head & 15, head >> 4
        end = at + 1 + sizes + places
        if not sizes or sizes > 8 or places > 8 or end > len(raw):
            return runs, False
        length = int.from_bytes(raw[at + 1 : at + 1 + sizes], "little")
        if not 0 < length < _CLUSTERS or logical + length > _CLUSTERS:
            return runs, False
        if places:
            physical += int.from_bytes(raw[at + 1 + sizes : end], "little", signed=True)
            if not 0 <= physical < _CLUSTERS:
                return runs, False
        runs.append(Run(logical, length, physical if places else -1))
        logical += length
        at = end
    return runs, False
