# SPDX-License-Identifier: Apache-2.0
"""Lists of address ranges by country, as CSV or MaxMind's databases: ``network,country`` or ``first,last,country`` on each line.

The form in which registries' figures are commonly passed on (https://www.nro.net/about/rirs/statistics/): a network as
RFC 4632 writes it or the two ends of a range, as addresses or whole numbers, quoted or not. No list comes with the program.
"""

from __future__ import annotations

import csv
import hashlib
import io
import ipaddress
from bisect import bisect_right
from dataclasses import dataclass

from headwater.formats.maxmind import BadDatabase, Database, open_database

MOST_RANGES = 2_000_000
_BACK = 64  # ranges looked at before an address: of nested ones the narrowest answers


@dataclass(frozen=True, slots=True)
class Ranges:
    """Ranges in order of their first address, by version; ``unread``: lines that state none; ``sha256`` of the list."""

    starts: dict[int, list[int]]
    held: dict[int, list[tuple[int, int, str]]]
    unread: int
    sha256: str

    def __len__(self) -> int:
        return sum(len(v) for v in self.held.values())

    def country(self, text: str) -> str | None:
        """The country of the narrowest range around an address; None where the list has none, or this is no address."""
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return None
        held, number = self.held[address.version], int(address)
        at = bisect_right(self.starts[address.version], number)
        around = [r for r in held[max(0, at - _BACK) : at] if r[1] >= number]
        return min(around, key=lambda r: r[1] - r[0])[2] if around else None


def ranges(data: bytes) -> Ranges:
    """Read a list; lines that state no range, such as a head line, are counted and passed over."""
    found: dict[int, list[tuple[int, int, str]]] = {4: [], 6: []}
    unread = count = 0
    for row in csv.reader(io.StringIO(data.decode("utf-8-sig", "replace").replace("\0", ""))):
        if not row or row[0].startswith("#"):
            continue
        one = _range([cell.strip() for cell in row])
        if one is None or count >= MOST_RANGES:
            unread += 1
            continue
        count += 1
        found[one[0]].append(one[1])
    for held in found.values():
        held.sort()
    return Ranges(
        {v: [r[0] for r in held] for v, held in found.items()}, found, unread, hashlib.sha256(data).hexdigest()
    )


def _range(row: list[str]) -> tuple[int, tuple[int, int, str]] | None:
    """The version, both ends and the country of one line."""
    try:
        if "/" in row[0] and len(row) >= 2 and row[1]:
            network = ipaddress.ip_network(row[0], strict=False)
            return network.version, (int(network[0]), int(network[-1]), row[1][:64])
        if len(row) < 3 or not (country := country_of(row)):
            return None
        first, last = (ipaddress.ip_address(int(c) if c.isdecimal() else c) for c in row[:2])
    except ValueError:
        return None
    if first.version != last.version or int(first) > int(last):
        return None
    return first.version, (int(first), int(last), country[:64])


def country_of(row: list[str]) -> str:
    """The country of a line ``first,last,…``: DB-IP's lists by town name the continent before it."""
    towns = len(row) >= 8 and len(row[2]) == 2 and len(row[3]) == 2 and row[3].isalpha()
    found = row[3] if towns else row[2]
    return "" if found == "-" else found


@dataclass(frozen=True, slots=True)
class DatabaseRanges:
    """The countries of a database in MaxMind's form, asked as :class:`Ranges` is; ``count`` networks."""

    database: Database
    count: int
    sha256: str
    unread: int = 0

    def __len__(self) -> int:
        return self.count

    def country(self, text: str) -> str | None:
        """The country that the database gives an address; None where it gives none, or its record is broken."""
        try:
            found = self.database.record(text)
        except BadDatabase:
            return None
        return (country_in(found[0]) or None) if found else None


def country_in(record: object) -> str:
    """The ISO code in a record of GeoLite2 and DB-IP (``country.iso_code``) or of flat databases (``country_code``)."""
    said = record if isinstance(record, dict) else {}
    held = said.get("country")
    code = held.get("iso_code") if isinstance(held, dict) else said.get("country_code") or held
    return code[:64] if isinstance(code, str) else ""


def database_ranges(data: bytes) -> DatabaseRanges:
    """The countries of a database.

    Raises:
        BadDatabase: it is none.
    """
    database = open_database(data)
    return DatabaseRanges(database, database.networks(), hashlib.sha256(data).hexdigest())
