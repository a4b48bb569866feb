# SPDX-License-Identifier: Apache-2.0
"""Log files of ESE databases: which one it is, and that its changes are not replayed (windows.ese_log).

Reads:  edb*.log, SRU*.log, V01*.log and svc*.log beside the databases of BITS, SRUM, the web cache and user access logging.
Time:   none: when the file was begun stands in the gap's words, as its header says it.
Format: LGFILEHDR_FIXED in https://github.com/microsoft/Extensible-Storage-Engine (dev/ese/src/inc), little-endian.
Limits: no record is read: a database that was closed in order needs none; of another one the header says how many it needs
        (the gap at its state), and what stands in those alone is seen nowhere.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from headwater.model.kinds import GapReason
from headwater.model.records import File, Gap, Record

FEED = "windows.ese_log"
VERSION = 1
READS = (
    "/Windows/System32/sru/SRU*.log",
    "/Network/Downloader/edb*.log",
    "/WebCache/V01*.log",
    "/LogFiles/Sum/*.log",
    "/Windows/System32/catroot2/edb*.log",
    "/Windows/security/database/edb*.log",
    "/Windows/security/edb*.log",
    "/Windows/NTDS/edb*.log",
)
_HEAD = 671  # bytes up to the end of the file's type
_LOG = 3  # JET_filetypeLog
_MAJOR = (7, 8)


def parse(file: File) -> Iterator[Record]:
    if file.size:
        said = _said(file.pread(0, _HEAD))
        reason = GapReason.NOT_REPLAYED if said else GapReason.NOT_THIS_FORMAT
        yield Gap(0, file.size, reason, said or "no header of a log of ESE databases")


def _said(head: bytes) -> str | None:
    if len(head) < _HEAD:
        return None
    generation, sector = struct.unpack_from("<IH", head, 4)
    (major,) = struct.unpack_from("<I", head, 32)
    (kind,) = struct.unpack_from("<I", head, 667)
    # logs before the type was kept there have zeros
    if not generation or sector not in (512, 4096) or major not in _MAJOR or kind not in (0, _LOG):
        return None
    begun = _moment(head[16:24])
    return f"log file of ESE databases, generation {generation}{f', begun {begun}' if begun else ''}: not replayed"


def _moment(stored: bytes) -> str | None:
    """LOGTIME as text: second, minute, hour, day, month, years since 1900, and whether that is UTC."""
    second, minute, hour, day, month, year, flags, _ = stored
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61 and year):
        return None
    return f"{1900 + year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{' UTC' if flags & 1 else ''}"
