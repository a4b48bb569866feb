# SPDX-License-Identifier: Apache-2.0
"""Every address that events name: when it was seen, in which parts, by which sources, and how its attempts ended.

Counted from the event store alone; nothing is judged anew. The country is that of a list which the person gives: it says
to whom a range was assigned when the list was made, not where anybody sat.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from headwater.detect.addresses import inside
from headwater.detect.frames import main_feeds
from headwater.formats.address_ranges import DatabaseRanges, Ranges, database_ranges, ranges
from headwater.formats.maxmind import BadDatabase, is_database
from headwater.model.errors import UsageError
from headwater.model.nouns import Finding, Text
from headwater.model.phrases import DETAILS, in_chinese
from headwater.model.times import rfc3339
from headwater.report.address_data import AddressRow, AddressTable
from headwater.store.events import EventStore

EVERY = 100_000  # addresses that are listed at most
MOST_LIST = 256 << 20  # bytes of a list of countries
REPORTED = 200  # addresses that the long form of a report lists
# The part an address plays, by the beginning of an event's kind; the first that fits.
_ROLES = (
    ("auth.", "login"), ("session.", "login"), ("web.", "web-client"), ("network.", "network"), ("privilege.", "login"),
    ("firewall.", "network"), ("process.", "process"), ("state.", "setting"),
)  # fmt: skip
# Logs in which one login of a Linux system stands again.
_SAME_LOGINS = (
    "linux.auth", "linux.secure", "linux.journal", "linux.syslog", "linux.messages", "linux.audit", "linux.btmp", "linux.wtmp",
    "linux.utmp", "linux.wtmpdb", "linux.lastlog", "linux.faillock",
)  # fmt: skip
ROLE_TEXT = {
    "login": Text("登录来源", "login source"),
    "web-client": Text("网页客户端", "web client"),
    "network": Text("网络连接方", "network peer"),
    "process": Text("进程相关", "named by a process"),
    "setting": Text("配置所载", "in a setting"),
    "destination": Text("连接目的", "destination"),
    "other": Text("其他", "other"),
}


@dataclass(frozen=True, slots=True)
class Address:
    """An address: first and last seen (RFC 3339, UTC), how its attempts ended, whether it lies inside.

    ``events`` counts records; ``success`` and ``failure`` count attempts: a line "message repeated N times" stands for N, and
    what several logs of one system tell counts once.

    ``roles``: names of :data:`ROLE_TEXT`. ``feeds``: which sources name it. ``country``: None where no list says it.
    """

    address: str
    inside: bool
    events: int
    success: int
    failure: int
    first: str | None
    last: str | None
    findings: int
    roles: tuple[str, ...] = ()
    feeds: tuple[str, ...] = ()
    country: str | None = None


def addresses(
    store: EventStore, findings: Iterable[Finding], most: int, countries: Ranges | DatabaseRanges | None = None
) -> tuple[tuple[Address, ...], int]:
    """The addresses that findings name most, then the busiest, ``most`` of them; and how many there are."""
    if not store.feeds():
        return (), 0
    held = Counter(f.src_ip for f in findings if f.src_ip)
    parts = [_counted(store, "src_ip"), _counted(store, "dst_ip")]
    rows = pl.concat(parts).group_by("address").agg(
        pl.col("n", "success", "failure").sum(), pl.col("first").min(), pl.col("last").max(),
        pl.col("role").unique().sort(), pl.col("feed").unique().sort(),
    )  # fmt: skip
    named = pl.DataFrame(
        {"address": list(held), "findings": list(held.values())}, schema={"address": pl.String, "findings": pl.Int64}
    )
    best = (
        rows.join(named, on="address", how="left")
        .with_columns(pl.col("findings").fill_null(0))
        .sort(["findings", "n", "address"], descending=[True, True, False])
        .head(most)
    )
    found = tuple(
        Address(
            r["address"], inside(r["address"]), r["n"], r["success"], r["failure"], rfc3339(r["first"]),
            rfc3339(r["last"]), r["findings"], tuple(r["role"]), tuple(r["feed"]),
            countries.country(r["address"]) if countries is not None else None,
        )
        for r in best.iter_rows(named=True)
    )  # fmt: skip
    return found, rows.height


def countries_from(path: str) -> Ranges | DatabaseRanges:
    """The list of ranges by country in a file.

    Raises:
        UsageError: HW0001, a file that cannot be read, is too large, or states no range.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_LIST + 1)
    except OSError as error:
        raise UsageError("HW0001", what=_no_list(path, error.strerror or str(error))) from error
    if len(data) <= MOST_LIST and is_database(data):
        try:
            return database_ranges(data)
        except BadDatabase as error:
            raise UsageError("HW0001", what=_no_list(path, str(error))) from error
    found = ranges(data) if len(data) <= MOST_LIST else None
    if not found:
        why = "no line states a range and a country" if found is not None else "too large"
        raise UsageError("HW0001", what=_no_list(path, why))
    return found


def _no_list(path: str, why: str) -> Text:
    return Text(f"--countries {path}：{in_chinese(why, DETAILS)}", f"--countries {path}: {why}")


def address_table(store: EventStore, findings: Iterable[Finding]) -> AddressTable:
    """The table of the report, without countries: a list of the day must not change a report that is made again."""
    held = list(findings)
    found, total = addresses(store, held, REPORTED)
    named: dict[str, list[str]] = {}
    for finding in held:
        if finding.src_ip:
            named.setdefault(finding.src_ip, []).append(finding.id)
    rows = (
        AddressRow(
            a.address, a.inside, tuple(ROLE_TEXT[r] for r in a.roles), a.feeds, a.first, a.last, a.events, a.success,
            a.failure, tuple(sorted(named.get(a.address, ()))[:8]),
        )
        for a in found
    )  # fmt: skip
    return AddressTable(total, tuple(rows))


def _counted(store: EventStore, column: str) -> pl.DataFrame:
    """The events of each address in one column, by role and feed."""
    kind = pl.col("kind")
    role = pl.lit("other")
    for beginning, name in reversed(_ROLES):
        role = pl.when(kind.str.starts_with(beginning)).then(pl.lit(name)).otherwise(role)
    source = column == "src_ip"
    frame = store.scan(columns=("repeat",)).filter(pl.col(column).is_not_null())
    acts = pl.col("repeat").cast(pl.Int64, strict=False).fill_null(1)
    rows = (
        frame.group_by(
            pl.col(column).alias("address"), (role if source else pl.lit("destination")).alias("role"), "feed", "source"
        )
        .agg(
            pl.len().cast(pl.Int64).alias("n"),
            acts.filter((pl.col("outcome") == "success") & source).sum().alias("success"),
            acts.filter((pl.col("outcome") == "failure") & source).sum().alias("failure"),
            pl.col("ts").min().alias("first"),
            pl.col("ts").max().alias("last"),
        )
        .collect(engine="streaming")
    )
    return _once(rows).drop("source")


def _once(rows: pl.DataFrame) -> pl.DataFrame:
    """Attempts that several logs of one system tell count once, as findings count them: by the log that tells most."""
    twice = (pl.col("role") == "login") & pl.col("feed").is_in(_SAME_LOGINS)
    logins = rows.filter(twice).with_columns((pl.col("success") + pl.col("failure")).alias("acts"))
    best = main_feeds(logins, "source", "address")
    second = logins.join(best, on=["source", "address", "feed"], how="anti").drop("acts")
    zeroed = second.with_columns(pl.lit(0, pl.Int64).alias("success"), pl.lit(0, pl.Int64).alias("failure"))
    keys = ["source", "address", "role", "feed"]
    return pl.concat([rows.join(second, on=keys, how="anti"), zeroed])
