# SPDX-License-Identifier: Apache-2.0
"""What each program of each user took an hour: network, processor, disk, as Windows counts it (windows.srum).

Reads:  /Windows/System32/sru/SRUDB.dat, an ESE database of the last 30 to 60 days.
Time:   an OLE date in UTC when the hour's figures were written, so that what they count lies before it; FILETIMEs.
Format: tables by GUID, programs and users by number in SruDbIdMapTable; names of tables by the registry's
        SRUM\\Extensions: https://www.sans.org/white-papers/36660 (Khatri) and libyal/esedb-kb, documentation/SRUM.
Limits: on servers there only with the service that counts (Diagnostic Policy) running; the last hour stands in the registry
        until it is written; columns keep the engine's names; state and log files as for every ESE database (formats/ese_file).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from headwater.examine.parsers._ese import Make, days, filetime, own, rows_of, time_text, value, whole
from headwater.formats.ese_file import Database, Row
from headwater.formats.security_descriptor import sid_text
from headwater.model.kinds import EventKind as K
from headwater.model.records import Event, File, Record, Value

FEED = "windows.srum"
VERSION = 1
READS = ("/Windows/System32/sru/SRUDB.dat", "/windows/system32/sru/srudb.dat", "/SRUDB.dat", "/srudb.dat")
_MAP = "SruDbIdMapTable"
_TABLES: dict[str, tuple[str, K]] = {
    "{973F5D5C-1D90-4944-BE8E-24B94231A174}": ("network data", K.NETWORK_USAGE),
    "{DD6636C4-8929-4683-974E-22C046A43763}": ("network connectivity", K.NETWORK_USAGE),
    "{D10CA2FE-6FCF-4F6D-848E-B2E99266FA89}": ("application resources", K.EXECUTION_TRACE),
    "{D10CA2FE-6FCF-4F6D-848E-B2E99266FA86}": ("push notifications", K.EXECUTION_TRACE),
    "{5C8CF1C7-7257-4F13-B223-970EF5939312}": ("application timeline", K.EXECUTION_TRACE),
    "{7ACBBAA3-D029-4BE4-9A7A-0885927F1D8F}": ("tagged energy (vfu)", K.EXECUTION_TRACE),
    "{DA73FB89-2BEA-4DDC-86B8-6E048C6DA477}": ("energy estimation", K.EXECUTION_TRACE),
    "{FEE4E14F-02A9-4550-B5CE-5FA2DA202E37}": ("energy usage", K.LOG_MESSAGE),
    "{FEE4E14F-02A9-4550-B5CE-5FA2DA202E37}LT": ("energy usage, long term", K.LOG_MESSAGE),
    "{17F4D97B-F26A-5E79-3A82-90040A47D13D}": ("volumes", K.LOG_MESSAGE),
    "{841A7317-3805-518B-C2EA-AD224CB4AF84}": ("physical disks", K.LOG_MESSAGE),
    "{DC3D3B50-BB90-5066-FA4E-A5F90DD8B677}": ("processors", K.LOG_MESSAGE),
    "{EEE2F477-0659-5C47-EF03-6D6BEFD441B3}": ("network of the host", K.NETWORK_USAGE),
}
_INTERFACES = {
    6: "ethernet",
    23: "ppp",
    24: "loopback",
    53: "virtual",
    71: "wireless",
    131: "tunnel",
    243: "mobile",
    244: "mobile",
}
_ENTRIES_MOST = 1_000_000
_RAN = "application resources"
_SPENT = ("AppId", "UserId", "TimeStamp")


def parse(file: File) -> Iterator[Record]:
    yield from rows_of(file, _plan, "SRUM")


def _plan(database: Database) -> Mapping[str, Make]:
    tables = database.tables()
    if _MAP not in tables:
        return {}
    names: dict[int, tuple[int, str]] = {}
    for row in database.rows(tables[_MAP]):
        number = whole(row, "IdIndex") if isinstance(row, Row) else None
        if isinstance(row, Row) and number is not None and len(names) < _ENTRIES_MOST:
            names[number] = _named(row)
    database.seen.clear()
    makers: dict[str, Make] = {_MAP: partial(_entry, names)}
    for name, table in tables.items():
        if {"TimeStamp", "AppId", "UserId"} <= set(table.names):
            what, kind = _TABLES.get(name, ("unknown", K.LOG_MESSAGE))
            makers[name] = partial(_usage, name, what, kind, names)
    return makers


def _named(row: Row) -> tuple[int, str]:
    """What a number stands for: kind 3 is a user's SID, all others are text."""
    kind, blob = whole(row, "IdType") or 0, row.values.get("IdBlob")
    if not isinstance(blob, bytes) or not blob:
        return kind, ""
    if kind == 3:
        return kind, sid_text(blob) or blob.hex()
    return kind, blob[: len(blob) & ~1].decode("utf-16-le", "replace").rstrip("\0")


def _entry(names: Mapping[int, tuple[int, str]], row: Row) -> list[Event]:
    """An entry of the table of names: it outlives the figures of its program."""
    number = whole(row, "IdIndex")
    if number is None:
        return []
    kind, name = names.get(number, (0, ""))
    fields = own(_MAP, row, ("IdBlob",)) | ({"name": name} if name else {})
    if kind == 3:
        return [
            Event(row.offset, row.length, K.EXECUTION_TRACE, user=name or None, fields=fields | {"trace": "srum names"})
        ]
    process, path, more = _program(name)
    return [
        Event(
            row.offset, row.length, K.EXECUTION_TRACE, process=process, file_path=path,
            fields=fields | more | {"trace": "srum names"},
        )
    ]  # fmt: skip


def _usage(table: str, what: str, kind: K, names: Mapping[int, tuple[int, str]], row: Row) -> list[Event]:
    """One line of figures: an event at the time it was written, one more where it says when a connection began."""
    app, user = whole(row, "AppId"), whole(row, "UserId")
    fields = own(table, row, _SPENT) | {"trace": f"srum {what}"}
    process = path = None
    if app is not None:
        fields["AppId"] = app
        if app in names and names[app][1]:
            fields["application"] = names[app][1]
            process, path, more = _program(names[app][1])
            fields |= more
    sid = names.get(user, (3, ""))[1] if user is not None else ""
    if user is not None:
        fields["UserId"] = user
    fields |= _interface(whole(row, "InterfaceLuid"))
    if what == _RAN:
        fields["ran"] = True  # it counts what a program took while it ran
    for name in ("ConnectStartTime", "StartTime", "EndTime"):
        said = time_text(row.values.get(name))
        if said:
            fields[name] = said
    when = days(row.values.get("TimeStamp"))
    if when[0] is None and "TimeStamp" in row.values:
        fields["time_text"] = str(value(row.values["TimeStamp"]))
    made = [
        Event(
            row.offset, row.length, kind, when[0], when[1], "recorded", process=process, file_path=path, user=sid or None,
            provider="SRUM", fields=fields,
        )
    ]  # fmt: skip
    began = filetime(row.values.get("ConnectStartTime"))
    if began[0] is not None:
        made.append(
            Event(
                row.offset, row.length, kind, began[0], began[1], "connected", process=process, file_path=path,
                user=sid or None, provider="SRUM", fields=fields,
            )
        )  # fmt: skip
    return made


def _program(name: str) -> tuple[str | None, str | None, dict[str, Value]]:
    """The program, its path and what else a name says.

    ``\\Device\\HarddiskVolume2\\…`` is a path; ``!!name!time of its link!its checksum!service`` a program without one.
    """
    if name.startswith("!!"):
        parts = name[2:].split("!")
        told = {k: v for k, v in zip(("linked", "checksum", "service"), parts[1:], strict=False) if v}
        return parts[0] or None, None, dict(told)
    if "\\" in name:
        return name.rpartition("\\")[2] or None, name, {}
    return name or None, None, {}


def _interface(luid: int | None) -> dict[str, Value]:
    """A network interface's number: its upper 16 bits are the IANA type, the 24 below them count."""
    if luid is None:
        return {}
    kind = luid >> 48 & 0xFFFF
    said: dict[str, Value] = {
        "interface_type": _INTERFACES.get(kind, str(kind)),
        "interface_index": luid >> 24 & 0xFFFFFF,
    }
    return said
