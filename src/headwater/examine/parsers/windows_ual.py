# SPDX-License-Identifier: Apache-2.0
"""Who used which role of a Windows server, from which address and how often, kept for up to three years (windows.ual).

Reads:  /Windows/System32/LogFiles/Sum/Current.mdb, {GUID}.mdb (one a year) and SystemIdentity.mdb, with the latter's names of
        roles where it stands beside; ESE databases of Windows Server 2012 and later.
Time:   FILETIME in UTC of the first and the last access; accesses a day by the day's number in the year, without an hour.
Format: https://www.crowdstrike.com/en-us/blog/user-access-logging-ual-overview, and the columns' own names.
Limits: written every 24 hours, so that the last day can be missing; a year's copy keeps the day counts of its year alone, and the
        year is that of the last access; the address is that which the role saw; columns that are zero on every day are left out.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial

from headwater.examine.parsers._ese import Make, When, filetime, guid, own, rows_of, text, whole
from headwater.examine.parsers._sqlite import ParserSource
from headwater.formats.ese_file import Database, NotEse, Row, open_ese
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.records import Event, File, Record, Value

FEED = "windows.ual"
VERSION = 1
_IDENTITY = "SystemIdentity.mdb"
READS = (
    "/LogFiles/Sum/*.mdb",
    "/LogFiles/SUM/*.mdb",
    "/Current.mdb",
    f"/{_IDENTITY}",
    "/{????????-????-????-????-????????????}.mdb",
)
_DAY = lazy_regex(r"Day(\d{1,3})")
_SECOND = 1_000_000_000
_ROLES_MOST = 10_000
# as ROLE_IDS of a Windows Server 2019 has them; the system's own table goes before
_ROLES = {
    "{C50FCC83-BC8D-4DF5-8A3D-89D7F80F074B}": "Active Directory Certificate Services",
    "{B4CDD739-089C-417E-878D-855F90081BE7}": "Active Directory Rights Management Service",
    "{48EED6B2-9CDC-4358-B5A5-8DEA3B2F3F6A}": "DHCP Server",
    "{7CC4B071-292C-4732-97A1-CF9A7301195D}": "FAX Server",
    "{10A9226F-50EE-49D8-A393-9A501D47CE04}": "File Server",
    "{BBD85B29-9DCC-4FD9-865D-3846DCBA75C7}": "Network Policy and Access Services",
    "{7FB09BD3-7FE6-435E-8348-7D8AEFB6CEA3}": "Print and Document Services",
    "{D6256CF7-98FB-4EB4-AA18-303F1DA1F770}": "Web Server",
    "{4116A14D-3840-4F42-A67F-F2F9FF46EB4C}": "Windows Deployment Services",
    "{D8DC1C8E-EA13-49CE-9A68-C9DCA8DB8B33}": "Windows Server Update Services",
    "{C23F1C6A-30A8-41B6-BBF7-F266563DFCD6}": "FTP Server",
    "{910CBAF9-B612-4782-A21F-F7C75105434A}": "BranchCache",
    "{952285D9-EDB7-4B6B-9D85-0C09E3DA0BBD}": "Remote Access",
    "{AD495FC3-0EAA-413D-BA7D-8B13FA7EC598}": "Active Directory Domain Services",
}


def beside(path: str) -> tuple[str, ...]:
    folder, _, name = path.rpartition("/")
    return () if name.lower() == _IDENTITY.lower() else (f"{folder}/{_IDENTITY}",)


def parse(file: File) -> Iterator[Record]:
    roles = dict(_ROLES)
    for other in file.beside.values():
        roles |= _roles(other)
    yield from rows_of(file, partial(_plan, roles), "user access logging")


def _roles(file: File) -> dict[str, str]:
    """The names of roles that a SystemIdentity.mdb has."""
    try:
        database = open_ese(ParserSource(file))
    except NotEse:
        return {}  # its own events say so
    found: dict[str, str] = {}
    table = database.tables().get("ROLE_IDS")
    for row in database.rows(table) if table else ():
        if isinstance(row, Row) and len(found) < _ROLES_MOST:
            number, name = guid(row, "RoleGuid"), text(row, "RoleName")
            if number and name:
                found[number] = name
    return found


def _plan(roles: Mapping[str, str], _database: Database) -> Mapping[str, Make]:
    return {
        "CLIENTS": partial(_client, roles),
        "ROLE_ACCESS": partial(_role, roles),
        "DNS": _name,
        "VIRTUALMACHINES": _machine,
        "SYSTEM_IDENTITY": _identity,
        "ROLE_IDS": _role_id,
        "CHAINED_DATABASES": _chained,
    }


def _twice(row: Row, kind: K, first: When, last: When, fields: dict[str, Value], **header: str | None) -> list[Event]:
    """An event for the first and one for the last time; one alone where they are the same or not stated."""
    times = [(when, said) for when, said in ((first, "first"), (last, "last")) if when[0] is not None]
    if len(times) == 2 and times[0][0] == times[1][0]:
        times.pop()
    return [
        Event(row.offset, row.length, kind, when[0], when[1], said, provider="UAL", fields=fields, **header)  # type: ignore[arg-type]
        for when, said in times or [(first, "first")]
    ]


def _client(roles: Mapping[str, str], row: Row) -> list[Event]:
    first, last = filetime(row.values.get("InsertDate")), filetime(row.values.get("LastAccess"))
    spent = ["RoleGuid", "TenantId", "Address", "InsertDate", "LastAccess"]
    counts: dict[int, int] = {}
    for name, stored in row.values.items():
        match = _DAY.fullmatch(name)
        if match and isinstance(stored, int):
            spent.append(name)
            if stored:
                counts[int(match.group(1))] = stored
    role = guid(row, "RoleGuid")
    fields = own("CLIENTS", row, spent) | _given({"RoleGuid": role, "TenantId": guid(row, "TenantId")})
    if role is not None and role in roles:
        fields["role"] = roles[role]
    if counts:
        fields["days"] = " ".join(f"{_day(number, last)}={count}" for number, count in sorted(counts.items()))
    raw = row.values.get("Address")
    source = _address(raw)
    if source is None and isinstance(raw, bytes):
        fields["Address"] = raw.hex()
    account = text(row, "AuthenticatedUserName") or ""
    domain, _, user = account.rpartition("\\")
    if domain:
        fields["domain"] = domain
    return _twice(row, K.SERVICE_ACCESS, first, last, fields, src_ip=source, user=user or None)


def _day(number: int, last: When) -> str:
    """A day's date by the year of the last access; its number where that says no year."""
    if last[0] is None:
        return f"Day{number}"
    year = datetime.fromtimestamp(last[0] // _SECOND, UTC).year
    found = date(year, 1, 1) + timedelta(days=number - 1)
    return found.isoformat() if found.year == year else f"Day{number}"


def _address(raw: object) -> str | None:
    """An address of 4 or 16 bytes, or one in text; an IPv4 address in IPv6 form as the former."""
    try:
        if not isinstance(raw, bytes | str):
            return None
        found = ipaddress.ip_address(raw.partition("%")[0] if isinstance(raw, str) else raw)
    except ValueError:
        return None
    return str(getattr(found, "ipv4_mapped", None) or found)


def _role(roles: Mapping[str, str], row: Row) -> list[Event]:
    role = guid(row, "RoleGuid")
    fields = own("ROLE_ACCESS", row, ("RoleGuid", "FirstSeen", "LastSeen")) | _given({"RoleGuid": role})
    if role is not None and role in roles:
        fields["role"] = roles[role]
    first, last = filetime(row.values.get("FirstSeen")), filetime(row.values.get("LastSeen"))
    return _twice(row, K.SERVICE_ACCESS, first, last, fields)


def _name(row: Row) -> list[Event]:
    when = filetime(row.values.get("LastSeen"))
    fields = own("DNS", row, ("LastSeen",))
    source = _address(row.values.get("Address"))
    return [
        Event(row.offset, row.length, K.STATE_NETWORK, *when, "last", src_ip=source, provider="UAL", fields=fields)
    ]  # fmt: skip


def _machine(row: Row) -> list[Event]:
    fields = own("VIRTUALMACHINES", row, ("VmGuid", "BIOSGuid", "CreationTime", "LastSeenActive"))
    fields |= _given({"VmGuid": guid(row, "VmGuid"), "BIOSGuid": guid(row, "BIOSGuid")})
    first, last = filetime(row.values.get("CreationTime")), filetime(row.values.get("LastSeenActive"))
    return _twice(row, K.STATE_HOST, first, last, fields)


def _identity(row: Row) -> list[Event]:
    fields = own("SYSTEM_IDENTITY", row, ("CreationTime",))
    when = filetime(row.values.get("CreationTime"))
    host = text(row, "SystemDNSHostName")
    return [Event(row.offset, row.length, K.STATE_HOST, *when, "recorded", host=host, provider="UAL", fields=fields)]


def _role_id(row: Row) -> list[Event]:
    fields = own("ROLE_IDS", row, ("RoleGuid",)) | _given({"RoleGuid": guid(row, "RoleGuid")})
    return [Event(row.offset, row.length, K.LOG_MESSAGE, provider="UAL", fields=fields)]


def _chained(row: Row) -> list[Event]:
    fields = own("CHAINED_DATABASES", row)
    if whole(row, "Year") is None and text(row, "FileName") is None:
        return []
    return [
        Event(row.offset, row.length, K.LOG_MESSAGE, file_path=text(row, "FileName"), provider="UAL", fields=fields)
    ]


def _given(said: Mapping[str, str | None]) -> dict[str, Value]:
    return {name: stated for name, stated in said.items() if stated is not None}
