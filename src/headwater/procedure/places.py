# SPDX-License-Identifier: Apache-2.0
"""Tables of a case that say where addresses belong: asked for the addresses that logged in, kept with their digest.

A table is read when the case has been examined; the case keeps what it says of the case's own addresses (``places.json``, its
digest in the ledger with the findings), so that what rests on it can be derived again when the table is gone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater.model.errors import DetectError
from headwater.model.kinds import EventKind
from headwater.model.nouns import Text
from headwater.model.paths import encode_name
from headwater.model.ports import Place
from headwater.procedure.kept_files import KeptFile
from headwater.procedure.known import check as check

if TYPE_CHECKING:  # what starts a case needs no tables
    from headwater.formats.address_places import PlaceTable
    from headwater.store.events import EventStore

FILE = KeptFile("places.json", "tables", "HW6012")
_MOST_DATABASE = 512 << 20  # bytes of a database, which is held in memory
_TAIL = 128 << 10
Json = dict[str, Any]


def keep(case: Path, given: Sequence[Path], store: EventStore) -> None:
    """Read the tables and keep what they say of the addresses that logged in; without any, what the case holds stands.

    Raises:
        DetectError: HW6012.
    """
    if not given:
        return
    wanted = _addresses(store)
    tables = [(encode_name(os.fsencode(path.name)), _read(path, wanted)) for path in given]
    names = {number: said for _, one in tables for number, said in one.names.items()}
    held = []
    for name, one in tables:
        places = [[a, p.country, p.latitude, p.longitude, p.town] for a, p in sorted(one.named(names).items())]
        held.append(
            {"name": name, "form": one.form, "sha256": one.sha256, "rows": one.rows, "unread": one.unread,
             "asked": len(wanted), "places": places}
        )  # fmt: skip
    FILE.write(case, held)


def _read(path: Path, wanted: Sequence[str]) -> PlaceTable:
    from headwater.formats.address_places import csv_places, database_places
    from headwater.formats.maxmind import BadDatabase, is_database

    try:
        with open(path, "rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _TAIL))
            database = is_database(stream.read(_TAIL))
            stream.seek(0)
            if database and size > _MOST_DATABASE:
                raise DetectError("HW6012", str(path), what=f"more than {_MOST_DATABASE >> 20} MiB")
            table = database_places(stream.read(), wanted) if database else csv_places(stream, wanted)
    except OSError as error:
        raise DetectError("HW6012", str(path), what=error.strerror or str(error)) from error
    except BadDatabase as error:
        raise DetectError("HW6012", str(path), what=str(error)) from error
    if not table.rows:
        raise DetectError("HW6012", str(path), what="no line states a range and a place")
    return table


def _addresses(store: EventStore) -> list[str]:
    """The addresses outside from which somebody logged in, in order."""
    import polars as pl

    from headwater.detect.addresses import outside

    if not store.feeds():
        return []
    rows = store.scan(kinds=[EventKind.AUTH_SUCCESS, EventKind.SESSION_OPEN]).select("src_ip").drop_nulls().unique()
    found: list[str] = rows.collect(engine="streaming").get_column("src_ip").cast(pl.String).to_list()
    return sorted(a for a in found if outside(a))


def of_case(case: Path) -> dict[str, Place]:
    """Where addresses belong by the tables that the case keeps: the first that states coordinates, else the first."""
    found: dict[str, Place] = {}
    for one in FILE.read(case):
        table = Place("", table=str(one["name"]), sha256=str(one["sha256"]))
        for address, country, latitude, longitude, town in one["places"]:
            held = found.get(address)
            if held is None or (held.latitude is None and latitude is not None):
                found[address] = replace(table, country=country, latitude=latitude, longitude=longitude, town=town)
    return found


def told(case: Path) -> list[Json]:
    """What the report says of the tables: name, form, digest, lines, how many addresses they place."""
    keys = ("name", "form", "sha256", "rows", "unread", "asked")
    return [{k: one[k] for k in keys} | {"placed": len(one["places"])} for one in FILE.read(case)]


def words(said: Sequence[Mapping[str, Any]]) -> Iterator[Text]:
    """What a report says of the tables, one sentence for each."""
    for one in said:
        yield Text(
            f"地址归属表 {one['name']}（{one['form']}，SHA-256 {one['sha256']}）：{one['rows']:,} 条，未用 {one['unread']:,} 条；"
            f"登录过的 {one['asked']:,} 个外部地址中有 {one['placed']:,} 个见于该表。归属为该表所称，不等于登录者所在。",
            f"Table of places {one['name']} ({one['form']}, SHA-256 {one['sha256']}): {one['rows']:,} entries, {one['unread']:,} not "
            f"used; of {one['asked']:,} addresses outside that logged in it places {one['placed']:,}. A place is the table's word, not "
            "where somebody sat.",
        )
