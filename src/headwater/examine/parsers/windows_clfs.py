# SPDX-License-Identifier: Apache-2.0
"""Logs of Windows' common log file system, which transactional registry changes go through: stated, not read (windows.clfs).

Reads:  *.blf and *.regtrans-ms beside hives and in System32/config/TxR and SMI, $TxfLog of a volume.
Time:   none.
Format: https://github.com/ionescu007/clfs-docs: a base file begins with a block whose control record bears a magic number; a
        container holds blocks of records.
Limits: no record is read: a transaction that was committed and not yet written to its hive is seen nowhere. Programs have
        hidden code in such files: what lies in them is there for YARA and ``find`` as bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.model.kinds import GapReason
from headwater.model.records import File, Gap, Record, Skip

FEED = "windows.clfs"
VERSION = 1
READS = ("*.blf", "*.regtrans-ms", "/$TxfLog/*")
_MAGIC, _MAGIC_AT = (
    bytes.fromhex("1c5f0000f5c1f5c1"),
    0x78,
)  # CLFS_CONTROL_RECORD behind the head of its block and its count
_READ = 1 << 20
_MOST = 64 << 20


def parse(file: File) -> Iterator[Record]:
    if not file.size:
        return
    if file.pread(_MAGIC_AT, len(_MAGIC)) == _MAGIC:
        yield Gap(0, file.size, GapReason.UNSUPPORTED, "the base file of a CLFS log: its transactions are not read")
    elif _zeros(file):
        yield Skip(0, file.size, "a CLFS container that holds nothing but zeros")
    else:
        yield Gap(0, file.size, GapReason.UNSUPPORTED, "a container of a CLFS log: its records are not read")


def _zeros(file: File) -> bool:
    """Whether there is nothing in it, as in most containers; a long one is not asked."""
    if file.size > _MOST:
        return False
    return not any(file.pread(at, _READ).strip(b"\0") for at in range(0, file.size, _READ))
