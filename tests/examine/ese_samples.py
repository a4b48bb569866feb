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


FIXTURES = {
    "windows_srum/SRUDB.dat": srum,
    "windows_ual/Current.mdb": ual,
    "windows_ual/SystemIdentity.mdb": identity,
}

if __name__ == "__main__":
    for place, make in FIXTURES.items():
        target = Path(__file__).parents[1] / "golden" / place
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(make())
