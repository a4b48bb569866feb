# SPDX-License-Identifier: Apache-2.0
"""Logins of one account from two places that nobody travels between in the time.

Needs:      auth.success with an address (linux.auth, linux.journal), else session.open of linux.wtmp; a table of places that the
            person gives (`investigate --places`): with coordinates told by speed, with countries alone by two of them in 3 hours.
Technique:  T1078 valid accounts.
Says:       the account, both addresses, times and places of the fastest pair, the distance as the crow flies, the speed that it
            would take, and the table with its digest. It does not say where anybody sat: a VPN, a proxy, an operator that gives
            roaming telephones addresses of home, and a table that is old or wrong place an address elsewhere.
False when: somebody switches a tunnel on or uses a cloud's desktop; an account is shared or used by machines; two countries meet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import polars as pl

from headwater.detect.frames import HOUR, SECOND, state
from headwater.detect.grouped import TOLD
from headwater.detect.logins import SYSTEM, network_logins
from headwater.model.kinds import Confidence, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Place, Settings
from headwater.model.times import rfc3339

RULE = Rule(
    id="impossible-login",
    version="1",
    author="Headwater",
    title=Text(
        "同一账户的两次登录相距过远、相隔过短", "One account logged in from two places too far apart for the time"
    ),
    stage=Stage.LOGIN,
    techniques=("T1078",),
    severity=Severity.MEDIUM,
)
CLAIMS = ("kind", "user", "src_ip", "method")
FASTEST = 1000  # km/h; an airliner makes some 900 over the ground
NEAREST = 500  # km; tables place an address within some hundred, its town or its operator's seat
WITHIN = 3 * HOUR  # of two countries without coordinates
_RADIUS = 6371.0088  # km, mean radius of the earth (IUGG)
_MILLION = 1_000_000


def distance(a: Place, b: Place) -> int | None:
    """Kilometres between two places on a great circle, rounded down; None where one has no coordinates."""
    if a.latitude is None or a.longitude is None or b.latitude is None or b.longitude is None:
        return None
    north_a, north_b = (math.radians(p / _MILLION) for p in (a.latitude, b.latitude))
    east = math.radians((b.longitude - a.longitude) / _MILLION)
    half = math.sin((north_b - north_a) / 2) ** 2 + math.cos(north_a) * math.cos(north_b) * math.sin(east / 2) ** 2
    return int(2 * _RADIUS * math.asin(min(1.0, math.sqrt(half))))


def speed(kilometres: int, apart: int) -> int:
    """Kilometres per hour for a distance in a time (ns); of logins in the same second as if one lay between."""
    return kilometres * 3600 // max(1, apart // SECOND)


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """One finding for each account that has such a pair, by source and account; beyond the bound the rest together."""
    if not settings.places:
        return
    logins = network_logins(events, settings.visits)
    logins = logins.filter(pl.col("src_ip").is_in(list(settings.places)))
    key = [*SYSTEM, "user"]
    rows = logins.sort(*key, "ts", maintain_order=True)
    before = rows.select(pl.col("ts", "src_ip").shift(1).over(key).name.suffix("_before"))
    rows = pl.concat([rows, before], how="horizontal").with_columns((pl.col("ts") - pl.col("ts_before")).alias("apart"))
    changed = rows.filter((pl.col("src_ip") != pl.col("src_ip_before")).fill_null(False))
    pairs = changed.select("src_ip_before", "src_ip", "apart").iter_rows()
    judged = [_judged(settings.places[a], settings.places[b], apart) for a, b, apart in pairs]
    changed = changed.with_columns(
        pl.Series("fast", [j is not None for j in judged], pl.Boolean),
        pl.Series("km", [j[0] if j else None for j in judged], pl.Int64),
        pl.Series("km_h", [j[1] if j else None for j in judged], pl.Int64),
    ).filter("fast")
    told = changed.partition_by(key, maintain_order=True)
    for part in told[:TOLD]:
        yield _one(events, settings, part, _both(rows, part))
    if told[TOLD:]:
        yield from _rest(events, pl.concat(told[TOLD:]))


def _judged(a: Place, b: Place, apart: int) -> tuple[int, int] | None:
    """Distance and speed where nobody travels so; zeros where two countries are all that is known; else None."""
    kilometres = distance(a, b)
    if kilometres is not None:
        needed = speed(kilometres, apart)
        return (kilometres, needed) if kilometres >= NEAREST and needed > FASTEST else None
    return (0, 0) if a.country and b.country and a.country != b.country and apart <= WITHIN else None


def _both(rows: pl.DataFrame, part: pl.DataFrame) -> pl.DataFrame:
    """The second logins of these pairs and the first ones."""
    key = [*SYSTEM, "user"]
    firsts = part.select(*key, pl.col("ts_before").alias("ts"), pl.col("src_ip_before").alias("src_ip"))
    seconds = part.select(*key, "ts", "src_ip")
    return rows.join(
        pl.concat([firsts, seconds]).unique(), on=[*key, "ts", "src_ip"], how="semi", maintain_order="left"
    )


def _where(place: Place, language: str) -> str:
    """A place as words: town, country, coordinates to a hundredth of a degree."""
    said = [n for n in (place.town, place.country) if n]
    if place.latitude is not None and place.longitude is not None:
        north, east = place.latitude / _MILLION, place.longitude / _MILLION
        said.append(f"{abs(north):.2f}°{'N' if north >= 0 else 'S'} {abs(east):.2f}°{'E' if east >= 0 else 'W'}")
    return ("，" if language == "zh" else ", ").join(said)


def _one(events: Events, settings: Settings, part: pl.DataFrame, both: pl.DataFrame) -> Finding:
    worst = part.sort("km_h", "apart", descending=[True, False], maintain_order=True).row(0, named=True)
    a, b, count = worst["src_ip_before"], worst["src_ip"], part.height
    first, second, kilometres = settings.places[a], settings.places[b], worst["km"]
    user, seconds = worst["user"], worst["apart"] // SECOND
    times = rfc3339(worst["ts_before"]), rfc3339(worst["ts"])
    zh = f"账户 {user} 于 {times[0]} 自 {a}（{_where(first, 'zh')}）登录，{seconds} 秒后（{times[1]}）"
    zh += f"又自 {b}（{_where(second, 'zh')}）登录，"
    en = f"{user} logged in from {a} ({_where(first, 'en')}) at {times[0]} and {seconds} s later, at {times[1]}, "
    en += f"from {b} ({_where(second, 'en')})"
    if kilometres:
        zh += f"两地直线相距约 {kilometres:,} 公里，须以每小时 {worst['km_h']:,} 公里以上的速度前往，常人无法做到"
        en += f"; the places are some {kilometres:,} km apart, and to travel so far in that time takes at least {worst['km_h']:,} km/h"
    else:
        zh += "两地分属两国，相隔不足三小时"
        en += "; the places are of two countries, less than three hours apart"
    tables = dict.fromkeys((p.table, p.sha256) for p in (first, second))
    named = "、".join(f"{n}（SHA-256 {d}）" for n, d in tables), ", ".join(f"{n} (SHA-256 {d})" for n, d in tables)
    zh += (
        f"；此类先后登录共 {count} 对" if count > 1 else ""
    ) + f"。归属依据 {named[0]}；VPN、代理、漫游与有误的表均可致此。"
    en += (
        f"; there are {count} such pairs" if count > 1 else ""
    ) + f". Places by {named[1]}; a VPN, a proxy, roaming or a wrong table can do the same."
    measured = bool(kilometres)
    return state(
        events, RULE, both, CLAIMS, Text(zh, en), severity=Severity.MEDIUM if measured else Severity.LOW,
        confidence=Confidence.MEDIUM if measured else Confidence.LOW, limit=40, src_ip=None,
        facts={"pairs": count, "seconds": seconds, "km": kilometres, "km_h": worst["km_h"],
               "countries": f"{first.country},{second.country}", "table": ",".join(n for n, _ in tables),
               "table_sha256": ",".join(d for _, d in tables)},
    )  # fmt: skip


def _rest(events: Events, rest: pl.DataFrame) -> Iterator[Finding]:
    """The accounts that are not told one by one, together for each source."""
    for part in rest.partition_by("source", maintain_order=True):
        accounts, count = part["user"].n_unique(), part.height
        zh = f"另有 {accounts} 个账户的先后登录相距过远、相隔过短，共 {count} 对，未逐一列出。"
        en = f"{accounts} more accounts logged in from places too far apart for the time, {count} pairs; not told one by one."
        yield state(
            events, RULE, part, CLAIMS, Text(zh, en), severity=Severity.LOW, confidence=Confidence.LOW,
            facts={"pairs": count, "accounts": accounts}, limit=40, src_ip=None, user=None,
        )  # fmt: skip
