# SPDX-License-Identifier: Apache-2.0
"""Small databases as Windows keeps them in ESE form, made after the columns that are documented for them.

``python tests/examine/ese_samples.py`` writes the fixtures of their goldens.
"""

from __future__ import annotations

import struct
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "formats"))
from ese_writing import (
    BINARY,
    BIT,
    BYTE,
    DATE,
    GUID,
    LONG_BINARY,
    LONG_INT,
    LONG_TEXT,
    LONGLONG,
    TEXT,
    ULONG,
    USHORT,
    Tab,
    database,
)

NETWORK, CONNECTED = "{973F5D5C-1D90-4944-BE8E-24B94231A174}", "{DD6636C4-8929-4683-974E-22C046A43763}"
PROGRAMS, PUSHED = "{D10CA2FE-6FCF-4F6D-848E-B2E99266FA89}", "{D10CA2FE-6FCF-4F6D-848E-B2E99266FA86}"
ENERGY = "{FEE4E14F-02A9-4550-B5CE-5FA2DA202E37}"
FILE_SERVER, DOMAIN = "10a9226f-50ee-49d8-a393-9a501d47ce04", "ad495fc3-0eaa-413d-ba7d-8b13fa7ec598"
WIRED, WIRELESS = 6 << 48 | 0x8000 << 24, 71 << 48 | 1 << 24
USER, SYSTEM = (5, 21, 1111, 2222, 3333, 1104), (5, 18)
AT = 1_788_314_400  # 2026-09-02T02:00:00Z


def sid(parts: tuple[int, ...]) -> bytes:
    return struct.pack(">BBHI", 1, len(parts) - 1, 0, parts[0]) + struct.pack(f"<{len(parts) - 1}I", *parts[1:])


def filetime(seconds: float) -> int:
    return int((seconds + 11_644_473_600) * 10_000_000)


def stamp(seconds: float) -> bytes:
    """A FILETIME in a column of dates, as UAL has it."""
    return struct.pack("<Q", filetime(seconds))


def ole(seconds: float) -> float:
    return seconds / 86_400 + 25_569


def guid(text: str) -> bytes:
    return uuid.UUID(text).bytes_le


def srum(**how: object) -> bytes:
    """Two programs of a user and of the system; one of them sent 40 GB; an entry struck out; a name that is a path."""
    head = [("AutoIncId", LONG_INT), ("TimeStamp", DATE), ("AppId", LONG_INT), ("UserId", LONG_INT)]
    names = [
        {
            "IdType": 0,
            "IdIndex": 1,
            "IdBlob": "\\Device\\HarddiskVolume2\\Users\\ops\\rclone.exe\0".encode("utf-16-le"),
        },
        {"IdType": 0, "IdIndex": 2, "IdBlob": "!!svchost.exe!2016/07/16:02:19:34!1a2b3!BITS\0".encode("utf-16-le")},
        {"IdType": 3, "IdIndex": 3, "IdBlob": sid(USER)},
        {"IdType": 3, "IdIndex": 4, "IdBlob": sid(SYSTEM)},
        {"IdType": 2, "IdIndex": 5, "IdBlob": None},
    ]
    used = [
        {"AutoIncId": 1, "TimeStamp": ole(AT), "AppId": 1, "UserId": 3, "InterfaceLuid": WIRED, "L2ProfileId": 0,
         "L2ProfileFlags": 0, "BytesSent": 42_949_672_960, "BytesRecvd": 1_048_576},
        {"AutoIncId": 2, "TimeStamp": ole(AT), "AppId": 2, "UserId": 4, "InterfaceLuid": WIRED, "BytesSent": 900, "BytesRecvd": 70_000},
        {"AutoIncId": 3, "TimeStamp": ole(AT + 3600), "AppId": 1, "UserId": 3, "InterfaceLuid": WIRED, "BytesSent": 5, "BytesRecvd": 6},
        {"AutoIncId": 4, "TimeStamp": float("nan"), "AppId": 99, "UserId": 98, "BytesSent": 1, "BytesRecvd": 2},
    ]  # fmt: skip
    usage = [("InterfaceLuid", LONGLONG), ("L2ProfileId", ULONG), ("L2ProfileFlags", ULONG)]
    tables = [
        Tab("SruDbIdMapTable", [("IdType", BYTE), ("IdIndex", LONG_INT), ("IdBlob", LONG_BINARY)], names),
        Tab(NETWORK, [*head, *usage, ("BytesSent", LONGLONG), ("BytesRecvd", LONGLONG)], used, frozenset({2})),
        Tab(
            CONNECTED,
            [*head, *usage[:2], ("ConnectedTime", ULONG), ("ConnectStartTime", LONGLONG)],
            [{"AutoIncId": 1, "TimeStamp": ole(AT), "AppId": 2, "UserId": 4, "InterfaceLuid": WIRELESS, "L2ProfileId": 7,
              "ConnectedTime": 3540, "ConnectStartTime": filetime(AT - 3540)}],
        ),
        Tab(
            PROGRAMS,
            [*head, ("ForegroundCycleTime", LONGLONG), ("BackgroundBytesRead", LONGLONG), ("FaceTime", LONGLONG)],
            [{"AutoIncId": 1, "TimeStamp": ole(AT), "AppId": 1, "UserId": 3, "ForegroundCycleTime": 12_345_678_901,
              "BackgroundBytesRead": 42_949_672_960}],
        ),
        Tab(PUSHED, [*head, ("NotificationType", ULONG), ("PayloadSize", ULONG)],
            [{"AutoIncId": 1, "TimeStamp": ole(AT), "AppId": 5, "UserId": 3, "NotificationType": 3, "PayloadSize": 512}]),
        Tab(ENERGY, [*head, ("ChargeLevel", ULONG), ("EventTimestamp", LONGLONG)],
            [{"AutoIncId": 1, "TimeStamp": ole(AT), "AppId": 2, "UserId": 4, "ChargeLevel": 0, "EventTimestamp": filetime(AT)}]),
    ]  # fmt: skip
    return database(tables, **{"state": 2, "shadow": False} | how)  # type: ignore[arg-type]


def ual(**how: object) -> bytes:
    """A user from one address every day, a machine over IPv6, a role by an unknown number, names of the DNS service."""
    days = [(f"Day{n}", USHORT) for n in (1, 244, 245, 366)]
    columns = [("RoleGuid", GUID), ("TenantId", GUID), ("TotalAccesses", ULONG), ("InsertDate", DATE), ("LastAccess", DATE),
               *days, ("Address", BINARY), ("AuthenticatedUserName", LONG_TEXT), ("ClientName", LONG_TEXT)]  # fmt: skip
    none = bytes(16)
    clients = [
        {"RoleGuid": guid(FILE_SERVER), "TenantId": none, "TotalAccesses": 812, "InsertDate": stamp(AT - 86_400),
         "LastAccess": stamp(AT + 5), "Day1": 0, "Day244": 2, "Day245": 810, "Day366": 0, "Address": bytes((203, 0, 113, 9)),
         "AuthenticatedUserName": "CORP\\li.wei", "ClientName": None},
        {"RoleGuid": guid(DOMAIN), "TenantId": none, "TotalAccesses": 1, "InsertDate": stamp(AT), "LastAccess": stamp(AT),
         "Day1": 0, "Day244": 0, "Day245": 1, "Day366": 1, "Address": bytes.fromhex("fe80000000000000c12aa6fa11556d14"),
         "AuthenticatedUserName": "corp\\ws-7$"},
        {"RoleGuid": bytes(range(16)), "TenantId": none, "TotalAccesses": 3, "InsertDate": b"\0" * 8,
         "LastAccess": None, "Day1": 1, "Address": b"\x01\x02\x03", "AuthenticatedUserName": "访客"},
    ]  # fmt: skip
    tables = [
        Tab("ROLE_ACCESS", [("RoleGuid", GUID), ("FirstSeen", DATE), ("LastSeen", DATE)],
            [{"RoleGuid": guid(FILE_SERVER), "FirstSeen": stamp(AT - 86_400), "LastSeen": stamp(AT + 5)}]),
        Tab("CLIENTS", columns, clients),
        Tab("DNS", [("LastSeen", DATE), ("Address", LONG_TEXT), ("HostName", LONG_TEXT)],
            [{"LastSeen": stamp(AT), "Address": "10.0.11.10", "HostName": "WS-7"},
             {"LastSeen": stamp(AT), "Address": "no address", "HostName": "?"}]),
        Tab("VIRTUALMACHINES", [("VmGuid", GUID), ("BIOSGuid", GUID), ("CreationTime", DATE), ("LastSeenActive", DATE),
                                ("SerialNumber", LONG_TEXT)],
            [{"VmGuid": guid(DOMAIN), "BIOSGuid": none, "CreationTime": stamp(AT), "LastSeenActive": stamp(AT + 60),
              "SerialNumber": "0000-0011"}]),
    ]  # fmt: skip
    return database(tables, **{"shadow": False} | how)  # type: ignore[arg-type]


def identity(roles: Sequence[tuple[bytes, str]] = ((bytes(range(16)), "档案服务"),), **how: object) -> bytes:
    """A server that says its name, one role with a name of its own, a chained database."""
    tables = [
        Tab("SYSTEM_IDENTITY", [("CreationTime", DATE), ("MaximumMemory", LONGLONG), ("OSMajor", BYTE), ("OSBuildNumber", USHORT),
                                ("OSDaylightInEffect", BIT), ("SystemDNSHostName", LONG_TEXT), ("SystemDomainName", LONG_TEXT)],
            [{"CreationTime": stamp(AT - 9_000_000), "MaximumMemory": 17_179_869_184, "OSMajor": 10, "OSBuildNumber": 17763,
              "OSDaylightInEffect": False, "SystemDNSHostName": "FS-1", "SystemDomainName": "corp.example"}]),
        Tab("CHAINED_DATABASES", [("Year", USHORT), ("FileName", TEXT)],
            [{"Year": 2026, "FileName": "{C519A76A-D9B5-4F85-B667-5FAC08E0E1B4}.mdb"}, {"Year": None}]),
        Tab("ROLE_IDS", [("RoleGuid", GUID), ("ProductName", LONG_TEXT), ("RoleName", LONG_TEXT)],
            [{"RoleGuid": number, "ProductName": "own", "RoleName": name} for number, name in roles]),
    ]  # fmt: skip
    return database(tables, **{"shadow": False} | how)  # type: ignore[arg-type]


def _text(text: str) -> bytes:
    return struct.pack("<I", len(text) + 1) + (text + "\0").encode("utf-16-le") if text else struct.pack("<I", 0)


FILES = bytes.fromhex("36DA56776F515A43ACAC44A248FFF34D")
QUEUE = bytes.fromhex("47445F00A9BDBA449851C47BB6C07ACE")
OLD_FILE = bytes.fromhex("13F72BC84099124A9F1A3AAEBD894EEA")
SERVER_2012_R2 = bytes.fromhex("B346ED3D3B10F944BC2FE8378BD31986")


def bits_head(name: str, command: str = "", arguments: str = "", state: int = 3) -> bytes:
    """A job from its type to its notify flags."""
    head = struct.pack("<4I", 0, 1, state, 0) + uuid.UUID(int=len(name)).bytes_le
    return (
        head
        + b"".join(map(_text, (name, "", command, arguments, "S-1-5-21-1111-2222-3333-1104")))
        + struct.pack("<I", 3)
    )


def bits_times(created: float, modified: float, completed: float = 0, error: bytes = b"") -> bytes:
    counts = struct.pack("<III", 0, 600, 1_209_600)
    times = [filetime(created), filetime(modified), filetime(modified), filetime(completed) if completed else 0]
    return struct.pack("<I", 1 if error else 0) + error + counts + struct.pack("<4Q", *times) + bytes(30)


def bits_file(local: str, url: str, done: int, size: int) -> bytes:
    out = b"".join(map(_text, (local, url, local.rpartition("\\")[0] + "\\BIT1A2B.tmp"))) + struct.pack(
        "<QQB", done, size, 0
    )
    return out + _text("C:\\") + _text("\\\\?\\Volume{0a1b2c3d-0000-0000-0000-100000000000}\\")


def bits(**how: object) -> bytes:
    """A job that runs a program when it has fetched it, one that failed, one without a file; a file without a job."""
    form, kinds = uuid.UUID(int=77).bytes_le, bytes.fromhex("A15609E143AFC94292E66F9856EBA7F6")
    one, two, lone = (uuid.UUID(int=n).bytes_le for n in (101, 102, 103))

    def job(number: int, head: bytes, files: list[bytes], times: bytes) -> dict[str, object]:
        body = (
            kinds
            + head
            + b"\1\0\4\x80"
            + bytes(40)
            + FILES
            + struct.pack("<I", len(files))
            + b"".join(files)
            + FILES
            + times
        )
        return {"Id": uuid.UUID(int=number).bytes_le, "Blob": body}

    def file(number: bytes, body: bytes) -> dict[str, object]:
        return {"Id": number, "Blob": form + body + bytes(29) + struct.pack("<Q", filetime(AT - 1_000_000))}

    dropper = "C:\\Users\\Public\\updater.exe"
    jobs = [
        job(1, bits_head("Update", dropper, f"{dropper} /silent", 6), [one], bits_times(AT, AT + 30, AT + 31)),
        job(2, bits_head("Chrome 组件", state=4), [two], bits_times(AT + 60, AT + 90, error=bytes(range(1, 22)))),
        job(3, bits_head("empty"), [], bits_times(AT + 100, AT + 100)),
        {"Id": uuid.UUID(int=4).bytes_le, "Blob": b"\0" * 20},
    ]
    files = [
        file(one, bits_file(dropper, "http://203.0.113.66:8080/u.bin", 73_216, 73_216)),
        file(two, bits_file("C:\\Windows\\Temp\\c.crx", "https://dl.example.com/c.crx", 0, (1 << 64) - 1)),
        file(lone, bits_file("D:\\数据\\x.zip", "https://files.example.net/x.zip", 5, 10)),
    ]
    columns = [("Id", GUID), ("Blob", LONG_BINARY)]
    return database([Tab("Jobs", columns, jobs), Tab("Files", columns, files)], **{"shadow": False} | how)  # type: ignore[arg-type]


def old_bits() -> bytes:
    """A queue of Windows 8.1 with one job of two files, and behind its end a job of before."""

    def job(name: str, files: list[bytes], created: float) -> bytes:
        listed = FILES + struct.pack("<I", len(files)) + b"".join(struct.pack("<I", 3) + f for f in files) + FILES
        return SERVER_2012_R2 + bits_head(name, state=2) + bytes(24) + listed + bits_times(created, created + 5)

    first = [
        bits_file("C:\\Temp\\a.exe", "http://198.51.100.7/a.exe", 1, 2),
        bits_file("C:\\Temp\\b.dll", "http://198.51.100.7/b.dll", 0, 3),
    ]
    live = job("fetch", first, AT) + SERVER_2012_R2
    gone = job("before", [bits_file("C:\\Temp\\old.ps1", "http://203.0.113.5/old.ps1", 9, 9)], AT - 9000)
    queue = OLD_FILE + QUEUE + struct.pack("<I", 1) + live + QUEUE + bytes(8) + OLD_FILE
    return (bytes(16) + queue + bytes(300) + gone).ljust(8192, b"\0")


def webcache(**how: object) -> bytes:
    """A page, a local file, a download, a cached script; a container without a name, an entry struck out."""
    containers = [
        ("ContainerId", LONGLONG),
        ("PartitionId", LONG_TEXT),
        ("LastAccessTime", LONGLONG),
        ("Name", LONG_TEXT),
        ("Directory", LONG_TEXT),
    ]
    columns = [
        ("EntryId", LONGLONG),
        ("ContainerId", LONGLONG),
        ("FileSize", LONGLONG),
        ("AccessCount", ULONG),
        ("SyncTime", LONGLONG),
        ("CreationTime", LONGLONG),
        ("ExpiryTime", LONGLONG),
        ("ModifiedTime", LONGLONG),
        ("AccessedTime", LONGLONG),
        ("Url", LONG_TEXT),
        ("Filename", LONG_TEXT),
        ("ResponseHeaders", LONG_BINARY),
    ]
    home = "C:\\Users\\ops\\AppData\\Local\\Microsoft\\Windows\\"
    history = [
        {
            "EntryId": 1,
            "ContainerId": 1,
            "FileSize": 0,
            "AccessCount": 4,
            "SyncTime": filetime(AT),
            "CreationTime": 0,
            "ExpiryTime": filetime(AT + 2_246_400),
            "ModifiedTime": filetime(AT),
            "AccessedTime": filetime(AT),
            "Url": "Visited: ops@http://203.0.113.66:8080/tools/",
        },
        {
            "EntryId": 2,
            "ContainerId": 1,
            "AccessCount": 1,
            "AccessedTime": filetime(AT + 9),
            "Url": "Visited: ops@file:///C:/Users/ops/Desktop/%E8%B4%A6%E5%8F%B7.xlsx",
        },
        {
            "EntryId": 3,
            "ContainerId": 1,
            "AccessCount": 1,
            "AccessedTime": filetime(AT + 10),
            "Url": "Visited: ops@http://gone.example/",
        },
    ]
    wide = "http://203.0.113.66:8080/tools/nc.exe\0C:\\Users\\ops\\Downloads\\nc.exe\0".encode("utf-16-le")
    fetched = [
        {
            "EntryId": 1,
            "ContainerId": 2,
            "AccessedTime": filetime(AT + 20),
            "CreationTime": filetime(AT + 19),
            "Url": "iedownload:{8A2C1F00-0000-4000-8000-000000000001}",
            "ResponseHeaders": bytes(8) + b"\xff\xff" + bytes(2) + wide,
        }
    ]
    kept = [
        {
            "EntryId": 1,
            "ContainerId": 3,
            "FileSize": 1234,
            "AccessedTime": filetime(AT + 1),
            "CreationTime": filetime(AT + 1),
            "Url": "http://203.0.113.66:8080/a.js",
            "Filename": "a[1].js",
            "ResponseHeaders": b"HTTP/1.1 200 OK\r\nServer: x\r\n\0",
        }
    ]
    named = [
        {
            "ContainerId": 1,
            "PartitionId": "M",
            "LastAccessTime": filetime(AT),
            "Name": "History",
            "Directory": home + "History\\",
        },
        {"ContainerId": 2, "PartitionId": "M", "LastAccessTime": filetime(AT), "Name": "iedownload"},
        {
            "ContainerId": 3,
            "PartitionId": "M",
            "LastAccessTime": 0,
            "Name": "Content",
            "Directory": home + "INetCache\\IE\\",
        },
    ]
    tables = [
        Tab("Containers", containers, named),
        Tab("Container_1", columns, history, frozenset({2})),
        Tab("Container_2", columns, fetched),
        Tab("Container_3", columns, kept),
        Tab("Container_9", columns, []),
    ]
    return database(tables, **{"state": 2, "shadow": False} | how)  # type: ignore[arg-type]


FIXTURES = {
    "windows_srum/SRUDB.dat": srum,
    "windows_ual/Current.mdb": ual,
    "windows_ual/SystemIdentity.mdb": identity,
    "windows_bits/qmgr.db": bits,
    "windows_bits/qmgr0.dat": old_bits,
    "browser_webcache/WebCacheV01.dat": webcache,
}

if __name__ == "__main__":
    for place, make in FIXTURES.items():
        target = Path(__file__).parents[1] / "golden" / place
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(make())
