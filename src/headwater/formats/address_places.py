# SPDX-License-Identifier: Apache-2.0
"""Tables that say where addresses belong, with coordinates or by country alone, asked for the addresses that a case holds.

Read as they are commonly given out: CSV lines ``first,last,…`` of DB-IP (continent, country, province, town, latitude, longitude)
and IP2Location LITE (code, country, province, town, latitude, longitude; from DB1 on), the pair of GeoLite2 (blocks with
``geoname_id``, and locations), ``network,country`` and ``first,last,country``; databases in MaxMind's form (.mmdb).
https://db-ip.com/db/, https://lite.ip2location.com/, https://dev.maxmind.com/geoip/docs/databases/city-and-country
None comes with the program. A table is streamed: it may have millions of lines.
"""

from __future__ import annotations

import csv
import hashlib
import ipaddress
import socket
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from headwater.formats.address_ranges import country_in, country_of
from headwater.formats.maxmind import BadDatabase, open_database
from headwater.model.ports import Place

_LONGEST = 4096  # characters of a line
_MILLION = 1_000_000
_TOWN = 120


@dataclass(slots=True)
class PlaceTable:
    """What a table says of the addresses asked; ``names``: of GeoLite2's locations, country and town by number."""

    form: str = ""
    sha256: str = ""
    rows: int = 0
    unread: int = 0
    found: dict[str, Place] = field(default_factory=dict)
    numbers: dict[str, str] = field(
        default_factory=dict
    )  # address → number of its place, where names stand in another table
    names: dict[str, tuple[str, str]] = field(default_factory=dict)

    def named(self, names: Mapping[str, tuple[str, str]]) -> dict[str, Place]:
        """What it says, with countries and towns from a table of names."""
        known = {a: names[n] for a, n in self.numbers.items() if n in names}
        return {
            a: replace(p, country=known[a][0], town=known[a][1]) if a in known else p for a, p in self.found.items()
        }


def database_places(data: bytes, wanted: Sequence[str]) -> PlaceTable:
    """What a database in MaxMind's form says of these addresses; ``unread`` counts records that are broken.

    Raises:
        BadDatabase: it is none.
    """
    database = open_database(data)
    table = PlaceTable(f"mmdb {database.kind}".strip(), hashlib.sha256(data).hexdigest(), database.networks())
    for address in wanted:
        try:
            found = database.record(address)
        except BadDatabase:
            table.unread += 1
            continue
        if found is None or not isinstance(found[0], dict):
            continue
        said = found[0]
        location = said.get("location")
        held = location if isinstance(location, dict) else said
        city = said.get("city")
        names = city.get("names") if isinstance(city, dict) else None
        town = names.get("en") if isinstance(names, dict) else city
        latitude = _degrees(held.get("latitude", held.get("lat")), 90)
        longitude = _degrees(held.get("longitude", held.get("lng", held.get("lon"))), 180)
        place = _place(country_in(said), latitude, longitude, town if isinstance(town, str) else "")
        if place is not None:
            table.found[address] = place
    return table


def csv_places(stream: BinaryIO, wanted: Sequence[str]) -> PlaceTable:
    """What the lines of a table say of these addresses: of ranges in one another the narrowest."""
    table, digest = PlaceTable("csv"), hashlib.sha256()
    order = _sorted(wanted)
    widths: dict[str, int] = {}
    head: list[str] = []
    for row in csv.reader(_lines(stream, digest, table)):
        cells = list(map(str.strip, row))
        if not cells or cells[0].startswith("#"):
            continue
        if not head and cells[0] in ("network", "geoname_id"):
            head = cells
            table.form = "csv GeoLite2 " + ("blocks" if cells[0] == "network" else "locations")
            continue
        if head[:1] == ["geoname_id"]:
            said = dict(zip(head, cells, strict=False))
            table.names[cells[0]] = (said.get("country_iso_code", "")[:64], said.get("city_name", "")[:_TOWN])
            table.rows += 1
            continue
        _line(table, cells, head, order, widths)
    table.sha256 = digest.hexdigest()
    return table


def _lines(stream: BinaryIO, digest: hashlib._Hash, table: PlaceTable) -> Iterator[str]:
    """The lines as text; those too long are counted and passed over, so that a file without line ends costs nothing."""
    first = True
    while raw := stream.readline(1 << 20):
        digest.update(raw)
        if len(raw) > _LONGEST:
            table.unread += 1
            continue
        line = raw.decode("utf-8-sig" if first else "utf-8", "replace").replace("\0", "")
        first = False
        yield line if line.count('"') % 2 == 0 else line.replace('"', "")


def _sorted(wanted: Sequence[str]) -> dict[int, tuple[list[int], list[str]]]:
    """The addresses by version in order of their numbers."""
    held: dict[int, list[tuple[int, str]]] = {4: [], 6: []}
    for text in dict.fromkeys(wanted):
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        held[address.version].append((int(address), text))
    return {v: ([n for n, _ in sorted(pairs)], [t for _, t in sorted(pairs)]) for v, pairs in held.items()}


def _line(
    table: PlaceTable,
    cells: list[str],
    head: list[str],
    order: Mapping[int, tuple[list[int], list[str]]],
    widths: dict[str, int],
) -> None:
    """What one line says of the addresses that lie in its range."""
    ends = _ends(cells)
    if ends is None:
        table.unread += 1
        return
    table.rows += 1
    version, first, last = ends
    numbers, texts = order[version]
    at = bisect_left(numbers, first)
    while at < len(numbers) and numbers[at] <= last:
        address, at = texts[at], at + 1
        if last - first >= widths.get(address, 1 << 129):
            continue
        place, number = _said(cells, head)
        if place is not None:
            widths[address], table.found[address] = last - first, place
            table.numbers.pop(address, None)
            if number:
                table.numbers[address] = number


def _ends(cells: list[str]) -> tuple[int, int, int] | None:
    """Version, first and last address of a line."""
    try:
        if "/" in cells[0]:
            network = ipaddress.ip_network(cells[0], strict=False)
            return network.version, int(network[0]), int(network[-1])
        if len(cells) < 3:
            return None
        if "." in cells[0] and "." in cells[1] and ":" not in cells[0] + cells[1]:  # most lines; ten times as fast
            low, high = (int.from_bytes(socket.inet_pton(socket.AF_INET, c), "big") for c in cells[:2])
            return (4, low, high) if low <= high else None
        first, last = (ipaddress.ip_address(int(c) if c.isdecimal() else c) for c in cells[:2])
    except (ValueError, OSError):
        return None
    return (first.version, int(first), int(last)) if first.version == last.version and first <= last else None  # type: ignore[operator]


def _said(cells: list[str], head: list[str]) -> tuple[Place | None, str]:
    """The place of a line, and the number by which another table names it."""
    if head:
        said = dict(zip(head, cells, strict=False))
        latitude, longitude = _degrees(said.get("latitude"), 90), _degrees(said.get("longitude"), 180)
        number = said.get("geoname_id") or said.get("registered_country_geoname_id") or ""
        return _place(said.get("country", ""), latitude, longitude, "", bool(number)), number
    if "/" in cells[0]:
        return _place(cells[1] if len(cells) > 1 else "", None, None, ""), ""
    if len(cells) < 8:
        return _place(country_of(cells), None, None, cells[5] if len(cells) > 5 else ""), ""
    return _place(country_of(cells), _degrees(cells[6], 90), _degrees(cells[7], 180), cells[5]), ""


def _place(
    country: str, latitude: int | None, longitude: int | None, town: str, numbered: bool = False
) -> Place | None:
    """A place; without both coordinates it has none, without a country as well it is none."""
    whole = latitude is not None and longitude is not None and (latitude, longitude) != (0, 0)
    if not (country or whole or numbered):
        return None
    town = "" if town == "-" else town[:_TOWN]
    return Place(country[:64], latitude if whole else None, longitude if whole else None, town)


def _degrees(value: object, most: int) -> int | None:
    """Millionths of a degree; None where the value states none in bounds."""
    try:
        number = float(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else None
    except ValueError:
        return None
    return round(number * _MILLION) if number is not None and -most <= number <= most else None
