# SPDX-License-Identifier: Apache-2.0
"""Writes small Windows event logs for tests, after the specification: templates, substitution values, checksums.

https://github.com/libyal/libevtx/blob/main/documentation/Windows%20XML%20Event%20Log%20(EVTX).asciidoc
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

CHUNK = 65_536
START = 132_539_328_000_000_000  # 2021-01-01 in units of 100 ns since 1601
Value = tuple[int, bytes]


def text(value: str) -> Value:
    return 0x01, value.encode("utf-16-le")


def texts(*values: str) -> Value:
    return 0x81, "".join(v + "\0" for v in values).encode("utf-16-le")


def number(value: int, kind: int = 0x08) -> Value:
    sizes = {0x04: 1, 0x06: 2, 0x08: 4, 0x0A: 8, 0x14: 4, 0x15: 8, 0x11: 8, 0x0D: 4}
    return kind, value.to_bytes(sizes[kind], "little")


def sid(*subs: int) -> Value:
    return 0x13, bytes((1, len(subs))) + (5).to_bytes(6, "big") + struct.pack(f"<{len(subs)}I", *subs)


NOTHING: Value = (0x00, b"")


@dataclass(frozen=True)
class Happening:
    """One event: ``data`` are (name or None, value) of its EventData; ``user_data``: under UserData instead."""

    provider: str
    code: int
    channel: str
    data: Sequence[tuple[str | None, Value]]
    computer: str = "SRV-FILE01"
    user: Value = NOTHING
    user_data: str = ""
    seconds: float = 0.0


@dataclass
class ChunkWriter:
    """One chunk; names and templates are written where they are first used."""

    data: bytearray = field(default_factory=lambda: bytearray(512))
    names: dict[str, int] = field(default_factory=dict)
    templates: dict[object, tuple[int, int]] = field(default_factory=dict)

    def name(self, word: str) -> None:
        place = self.names.get(word)
        here = len(self.data) + 4
        if place is None:
            self.names[word] = here
            self.data += struct.pack("<IIHH", here, 0, zlib.crc32(word.encode()) & 0xFFFF, len(word))
            self.data += word.encode("utf-16-le") + b"\0\0"
        else:
            self.data += struct.pack("<I", place)

    def literal(self, word: str) -> None:
        self.data += struct.pack("<BBH", 0x05, 1, len(word)) + word.encode("utf-16-le")

    def part(self, part: str | int) -> None:
        if isinstance(part, str):
            self.literal(part)
        else:
            self.data += struct.pack("<BHB", 0x0E, part, 0x01)

    def element(self, word: str, attributes: dict[str, str | int], content: Sequence[object]) -> None:
        """Content: texts, substitution numbers, or (name, attributes, content)."""
        self.data += struct.pack("<BHI", 0x41 if attributes else 0x01, 0xFFFF, 0)
        self.name(word)
        if attributes:
            self.data += struct.pack("<I", 0)
            for i, (key, value) in enumerate(attributes.items()):
                self.data.append(0x46 if i + 1 < len(attributes) else 0x06)
                self.name(key)
                self.part(value)
        if not content:
            self.data.append(0x03)
            return
        self.data.append(0x02)
        for child in content:
            if isinstance(child, str | int):
                self.part(child)
            else:
                self.element(*child)  # type: ignore[misc]
        self.data.append(0x04)

    def instance(
        self, key: object, tree: tuple[str, dict[str, str | int], Sequence[object]], values: Sequence[Value]
    ) -> None:
        """A fragment with one template instance; the definition follows where it is new to the chunk."""
        self.data += b"\x0f\x01\x01\x00"
        guid = zlib.crc32(repr(key).encode()).to_bytes(4, "little") + bytes(12)
        here = len(self.data) + 10
        place, _ = self.templates.get(key, (here, 0))
        self.data += b"\x0c\x01" + guid[:4] + struct.pack("<I", place)
        if key not in self.templates:
            self.data += struct.pack("<I16sI", 0, guid, 0)
            start = len(self.data)
            self.data += b"\x0f\x01\x01\x00"
            self.element(*tree)
            self.data.append(0x00)
            struct.pack_into("<I", self.data, start - 4, len(self.data) - start)
            self.templates[key] = (here, len(self.data) - start)
        self.data += struct.pack("<I", len(values))
        for kind, value in values:
            self.data += struct.pack("<HBB", len(value), kind, 0)
        for _, value in values:
            self.data += value

    def record(self, serial: int, event: Happening) -> None:
        start = len(self.data)
        moment = START + int(event.seconds * 10_000_000)
        self.data += struct.pack("<4sIQQ", b"**\0\0", 0, serial, moment)
        values: list[Value] = [
            number(event.code, 0x06), number(moment, 0x11), number(serial, 0x0A), number(4), number(88),
            text(event.channel), text(event.computer), event.user,
        ]  # fmt: skip
        system = [
            ("Provider", {"Name": event.provider}, []),
            ("EventID", {}, [0]),
            ("Level", {}, ["4"]),
            ("Keywords", {}, ["0x8020000000000000"]),
            ("TimeCreated", {"SystemTime": 1}, []),
            ("EventRecordID", {}, [2]),
            ("Execution", {"ProcessID": 3, "ThreadID": 4}, []),
            ("Channel", {}, [5]),
            ("Computer", {}, [6]),
            ("Security", {"UserID": 7}, []),
        ]
        tree = (
            "Event",
            {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"},
            [("System", {}, system), 8],
        )
        inner = self._inner(start, event, values, tree)
        self.data += inner
        size = (len(self.data) - start + 4 + 7) // 8 * 8
        self.data += bytes(size - (len(self.data) - start) - 4) + struct.pack("<I", size)
        struct.pack_into("<I", self.data, start + 4, size)

    def _inner(
        self,
        start: int,
        event: Happening,
        values: list[Value],
        tree: tuple[str, dict[str, str | int], Sequence[object]],
    ) -> bytes:
        """The outer instance with a nested value last, whose size is known once it is written behind."""
        self.instance(("outer", event.provider), tree, [*values, (0x21, b"")])
        size_at = len(self.data) - sum(len(v) for _, v in values) - 4
        begin = len(self.data)
        key = (event.provider, event.code, tuple(n for n, _ in event.data))
        if event.user_data:
            leaves = [(n or "Data", {}, [i]) for i, (n, _) in enumerate(event.data)]
            body = ("UserData", {}, [(event.user_data, {"xmlns": "urn:x"}, leaves)])
        else:
            leaves = [("Data", {"Name": n} if n else {}, [i]) for i, (n, _) in enumerate(event.data)]
            body = ("EventData", {}, leaves)
        self.instance(key, body, [v for _, v in event.data])  # type: ignore[arg-type]
        struct.pack_into("<H", self.data, size_at, len(self.data) - begin)
        return b""

    def done(self, first: int, last: int, free: int | None = None) -> bytes:
        """The whole chunk with its header and checksums; ``free``: where it says that its records end."""
        free = len(self.data) if free is None else free
        whole = bytes(self.data) + bytes(CHUNK - len(self.data))
        head = bytearray(whole[:512])
        struct.pack_into("<8sQQQQII", head, 0, b"ElfChnk\0", first, last, first, last, 128, 0)
        struct.pack_into("<III", head, 44, 0, free, zlib.crc32(whole[512:free]))
        struct.pack_into("<I", head, 124, zlib.crc32(bytes(head[128:512]), zlib.crc32(bytes(head[:120]))))
        return bytes(head) + whole[512:]


def log_file(chunks: Sequence[bytes], following: int, counted: int | None = None, flags: int = 0) -> bytes:
    """A whole file; ``counted``: how many chunks its header admits."""
    count = len(chunks) if counted is None else counted
    head = bytearray(4096)
    struct.pack_into("<8sQQQIHHHH", head, 0, b"ElfFile\0", 0, max(0, count - 1), following, 128, 1, 3, 4096, count)
    struct.pack_into("<I", head, 120, flags)
    struct.pack_into("<I", head, 124, zlib.crc32(bytes(head[:120])))
    return bytes(head) + b"".join(chunks)


SECURITY = "Microsoft-Windows-Security-Auditing"


def logon(code: int, user: str, address: str, seconds: float) -> Happening:
    """An event 4624 or 4625."""
    data: list[tuple[str | None, Value]] = [
        ("SubjectUserSid", sid(18)), ("TargetUserName", text(user)), ("TargetLogonId", number(0x3E7A1, 0x15)),
        ("LogonType", number(10)), ("IpAddress", text(address)), ("IpPort", text("50123")),
        ("ProcessId", number(0x2A4, 0x15)), ("ProcessName", text("C:\\Windows\\System32\\svchost.exe")),
    ]  # fmt: skip
    return Happening(SECURITY, code, "Security", data, seconds=seconds)


def sample() -> list[Happening]:
    """Events of several providers, with what is awkward about each."""
    created = [
        ("NewProcessId", number(0x1F0C, 0x15)), ("NewProcessName", text("C:\\Windows\\System32\\vssadmin.exe")),
        ("CommandLine", text("vssadmin delete shadows /all /quiet")), ("SubjectUserName", text("管理员")),
    ]  # fmt: skip
    service = [
        ("ServiceName", text("wsvc\0")), ("ImagePath", text("C:\\ProgramData\\w.exe")), ("param1", NOTHING),
        ("EventID", text("not the event's number")),
    ]  # fmt: skip
    cleared = [("SubjectUserName", text("administrator")), ("Channel", text("System"))]
    classic = [(None, texts("Available", "None", "HostApplication=powershell -enc AAAA")), (None, number(1, 0x0D))]
    odd = [("broken", (0x01, b"A\0\x00\xd8B\0")), ("short", (0x15, b"\1\2\3")), ("when", number(START, 0x11))]
    return [
        logon(4625, "administrator", "::ffff:203.0.113.9", 1), logon(4624, "administrator", "203.0.113.9", 2.5),
        Happening(SECURITY, 4688, "Security", created, seconds=3),
        Happening("Service Control Manager", 7045, "System", service, user=sid(21, 1, 2, 3, 500), seconds=4),
        Happening("Microsoft-Windows-Eventlog", 104, "System", cleared, user_data="LogFileCleared", seconds=5),
        Happening("PowerShell", 400, "Windows PowerShell", classic, seconds=6),
        Happening("Odd", 1, "Application", odd, seconds=7),
    ]  # fmt: skip


def chunk_of(events: Sequence[Happening], first: int = 1, told: int | None = None) -> bytes:
    """A chunk of these events, of which its header tells of the first ``told`` only."""
    writer = ChunkWriter()
    told, free = len(events) if told is None else told, None
    for i, event in enumerate(events):
        if i == told:
            free = len(writer.data)
        writer.record(first + i, event)
    return writer.done(first, first + told - 1, free)


def closed() -> bytes:
    """A log that was closed: a chunk with two older records in its slack, and one that is not used."""
    return log_file([chunk_of(sample(), told=5), bytes(CHUNK)], 6, counted=1)


def dirty() -> bytes:
    """A log that was not closed: the header counts one chunk, the second has more records than it says."""
    return log_file([chunk_of(sample()[:3]), chunk_of(sample(), first=4, told=2)], 4, counted=1, flags=1)


def cut() -> bytes:
    """A log that ends within its last record."""
    whole = log_file([chunk_of(sample())], 8)
    return whole[: len(whole.rstrip(b"\0")) - 90]
