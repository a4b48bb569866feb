# SPDX-License-Identifier: Apache-2.0
"""Programs that crashed, by the core dumps that are kept of them (linux.core).

Reads:  /var/lib/systemd/coredump/core.*, /var/crash/core*, and whatever else is an ELF core by its header.
Time:   the name's microseconds since 1970 (UTC) where systemd-coredump named it; otherwise none.
Format: ELF(5) with e_type ET_CORE, notes NT_PRPSINFO and NT_PRSTATUS of core(5), 64-bit; systemd-coredump(8) for the name.
Limits: the notes alone are read; the memory behind them is left to strings, YARA and find. 32-bit cores are a gap.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from headwater.examine.parsers._text import name_of
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason, Outcome, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "linux.core"
VERSION = 1
READS = ("/var/lib/systemd/coredump/core.*", "/var/crash/core", "/var/crash/core.*", "/core.?????", "/core.??????")

_HEADER, _SEGMENT = 64, 56  # bytes of an ELF header and of a program header, 64-bit
_NOTES_MOST = 1 << 20
_SEGMENTS_MOST = 4096  # looked at; the notes come first
_PT_NOTE, _PRSTATUS, _PRPSINFO = 4, 1, 3
_PRPSINFO_SIZE = 136  # struct elf_prpsinfo, 64-bit (linux/elfcore.h)
# core.COMM.UID.BOOT.PID.MICROSECONDS
_NAME = lazy_regex(r"core\.(.+)\.(\d{1,10})\.([0-9a-f]{32})\.(\d{1,10})\.(\d{15,17})(?:\.zst|\.xz|\.lz4)?")
_SIGNALS = {
    3: "QUIT",
    4: "ILL",
    5: "TRAP",
    6: "ABRT",
    7: "BUS",
    8: "FPE",
    11: "SEGV",
    24: "XCPU",
    25: "XFSZ",
    31: "SYS",
}


def recognise(head: bytes) -> bool:
    """An ELF file of type ET_CORE."""
    return head[:4] == b"\x7fELF" and head[16:18] == (b"\x00\x04" if head[5:6] == b"\x02" else b"\x04\x00")


def parse(file: File) -> Iterator[Record]:
    """The notes are the record; what lies around them is memory of the process."""
    head = file.pread(0, _HEADER)
    if len(head) < _HEADER or head[:4] != b"\x7fELF" or head[4] != 2 or head[5] not in (1, 2):
        yield Gap(0, file.size, GapReason.UNSUPPORTED, "no 64-bit ELF core")
        return
    order = "<" if head[5] == 1 else ">"
    place = _notes(file, head, order)
    if place is None:
        yield Gap(0, file.size, GapReason.NOT_THIS_FORMAT, "a core without notes")
        return
    offset, whole = place
    length = min(whole, _NOTES_MOST)
    found = _read(file.pread(offset, length), order)
    if not found:
        yield Gap(0, file.size, GapReason.NOT_THIS_FORMAT, "notes that name no process")
        return
    if offset:
        yield Skip(0, offset, "headers of a core")
    yield _event(file, offset, length, found)
    if length < whole:
        yield Gap(offset + length, whole - length, GapReason.LIMIT, "notes of more than 1 MiB")
    if offset + whole < file.size:
        yield Skip(offset + whole, file.size - offset - whole, "memory of the process")


def _notes(file: File, head: bytes, order: str) -> tuple[int, int] | None:
    """Where the notes stand."""
    (table,) = struct.unpack_from(order + "Q", head, 32)
    size, count = struct.unpack_from(order + "HH", head, 54)
    if size != _SEGMENT:
        return None
    raw = file.pread(table, min(count, _SEGMENTS_MOST) * _SEGMENT) if table < file.size else b""
    for at in range(0, len(raw) - _SEGMENT + 1, _SEGMENT):
        kind, _, offset, _, _, length = struct.unpack_from(order + "IIQQQQ", raw, at)
        if kind == _PT_NOTE and length > 0 and offset >= _HEADER and offset + length <= file.size:
            return offset, length
    return None


def _read(raw: bytes, order: str) -> dict[str, Value]:
    """What the notes say: process, its numbers, arguments and the signal that ended it."""
    found: dict[str, Value] = {}
    at = 0
    while at + 12 <= len(raw):
        name, size, kind = struct.unpack_from(order + "III", raw, at)
        begin = at + 12 + (name + 3) // 4 * 4
        body = raw[begin : begin + size]
        if len(body) < size:
            break
        if kind == _PRPSINFO and size >= _PRPSINFO_SIZE and "process" not in found:
            uid, gid, pid, parent = struct.unpack_from(order + "IIii", body, 16)
            words = (
                part.partition(b"\0")[0].decode("utf-8", "surrogateescape") for part in (body[40:56], body[56:136])
            )
            found["process"], found["command_line"] = (word.rstrip(" ") for word in words)
            found.update(uid=uid, gid=gid, pid=pid, ppid=parent)
        elif kind == _PRSTATUS and size >= 16 and "signal" not in found:
            (found["signal"],) = struct.unpack_from(order + "h", body, 12)
        at = begin + (size + 3) // 4 * 4
    return found if "process" in found else {}


def _event(file: File, offset: int, length: int, found: dict[str, Value]) -> Event:
    named = _NAME.fullmatch(name_of(file.path))
    signal = found.pop("signal", None)
    process, command, pid = found.pop("process"), found.pop("command_line"), found.pop("pid")
    if isinstance(signal, int):
        found["signal"] = signal
        found["signal_name"] = _SIGNALS.get(signal, str(signal))
    if named:
        found["boot_id"] = named[3]
    return Event(
        offset, length, EventKind.PROCESS_EXIT, int(named[5]) * 1000 if named else None,
        TimeBasis.UTC if named else TimeBasis.NONE, outcome=Outcome.FAILURE, process=str(process) or None,
        command_line=str(command) or None, pid=pid if isinstance(pid, int) else None, fields=found,
    )  # fmt: skip
