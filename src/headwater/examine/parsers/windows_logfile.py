# SPDX-License-Identifier: Apache-2.0
"""Every operation in the transaction log of an NTFS volume: names that came, went and changed (windows.logfile).

Reads:  /$LogFile of a volume, and $LogFile collected as a file; beside it $MFT for the names of folders.
Time:   a log record has none; where it carries a directory entry or an entry of the change journal, that one's times,
        UTC, 100 ns, by the clock of the host that wrote them.
Format: https://flatcap.github.io/linux-ntfs/ntfs/files/logfile.html; operations as ntfs-3g's logfile.h names them.
Limits: paths are those that folders have now; the log is a ring of minutes to hours; who did it is not recorded; the
        log is read and not replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from headwater.examine.logfile_events import Meanings, Name, events
from headwater.examine.usn_paths import FolderNames
from headwater.formats.ntfs_log import PAGE, Log, LogRecord
from headwater.formats.ntfs_runs import parse_boot
from headwater.formats.ntfs_table import read_table, record_size
from headwater.model.kinds import EventKind, GapReason
from headwater.model.paths import file_layer
from headwater.model.records import Count, Event, File, Gap, Record, Value

FEED = "windows.logfile"
VERSION = 1
READS = ("/$LogFile",)
_RECORDS_MOST = 8_000_000
_COPIES = 4 * PAGE  # pages before this one are copies of the newest


def recognise(head: bytes) -> bool:
    return head[:4] == b"RSTR" and head[4:6] == b"\x1e\0"


def beside(path: str) -> tuple[str, ...]:
    folder = file_layer(path).rpartition("/")[0]
    return (f"{folder}/$MFT", f"{folder}/$Boot")


def parse(file: File) -> Iterator[Record]:
    """The restart pages, then every record in order of its sequence number, then what could not be read."""
    log = Log(file.pread, file.size)
    found: dict[int, LogRecord] = {}
    copies: list[LogRecord] = []
    for record in log.records():
        if record.at < _COPIES:
            copies.append(record)
        else:
            found.setdefault(record.lsn, record)
        if len(found) >= _RECORDS_MOST:
            yield Gap(record.at, file.size - record.at, GapReason.LIMIT, f"more than {_RECORDS_MOST} log records")
            break
    for record in copies:
        found.setdefault(record.lsn, record)
    for restart in log.restarts:
        fields: dict[str, Value] = {"lsn": restart.current, "clean": restart.clean, "redo": "RestartPage",
                  "version": ".".join(map(str, restart.version))}  # fmt: skip
        yield Event(restart.at, min(PAGE, file.size - restart.at), EventKind.LOG_MESSAGE, fields=fields)
    boot = next((parse_boot(other.pread(0, 512)) for path, other in file.beside.items() if path.endswith("Boot")), None)
    cluster, size = (boot.cluster, boot.record) if boot is not None else (None, 1024)
    yield from events(Meanings(list(found.values()), cluster, size), _paths(file))
    yield from log.gaps
    if not log.restarts and not found and file.size and not log.gaps:
        head = file.pread(0, PAGE)
        if head.strip(b"\xff") and head.strip(b"\0"):
            yield Gap(0, file.size, GapReason.NOT_THIS_FORMAT, "no log of NTFS")
    yield Count(len(found) + len(log.restarts) + log.lost, log.lost, log.slack)


def _paths(file: File) -> Callable[[int, Name], str] | None:
    """How a name's path is found: through $MFT where it is there."""
    import numpy as np

    other = next((f for path, f in file.beside.items() if path.endswith("MFT")), None)
    size = record_size(other.pread(0, 65536)) if other is not None else 0
    if other is None or not size:
        return None
    folders = FolderNames(read_table(other.pread, other.size, size))
    known: dict[tuple[int, int], str] = {}

    def path(at: int, name: Name) -> str:
        key = (name.parent, name.parent_sequence)
        if key not in known:
            known[key] = folders.paths(np.array([at]), np.array([name.parent]), np.array([name.parent_sequence]))[0]
        return known[key] + name.text

    return path
