# SPDX-License-Identifier: Apache-2.0
"""A login from an address never seen before for that account, at an unusual hour.

Needs:      auth.success with an address (linux.auth, linux.journal), else session.open of linux.wtmp.
Technique:  T1078 valid accounts.
Says:       account, address and the local hour by the case's zone; weightier where the address also failed to log in
            (beyond 200 such logins the lighter ones of one source together). Logins that the ledger records as our
            own visits, by address, port and time, are not told.
False when: someone travels, works at night, or changes provider; the logs begin shortly before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from headwater.detect.addresses import inside
from headwater.detect.frames import SECOND, state
from headwater.detect.grouped import PLACE, TOLD, chosen, counted, fetched, placed, spread
from headwater.detect.logins import SYSTEM, network_logins
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="new-address-login",
    version="1",
    author="Headwater",
    title=Text("陌生地址在异常时段登录", "A login from a new address at an unusual hour"),
    stage=Stage.LOGIN,
    techniques=("T1078",),
    severity=Severity.LOW,
)
CLAIMS = ("kind", "user", "src_ip", "method")
# Failures that tell a guesser from someone who mistypes (as in ssh_guessing).
GUESSED = 5


def _local(ns: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(ns // SECOND, UTC).astimezone(zone)


def _zone(settings: Settings, clock: str | None) -> str:
    """The zone of the host or container that an event is of."""
    return settings.zones.get(clock or "", settings.zone)


@dataclass(frozen=True, slots=True)
class _New:
    """A login to tell: its row in the frame of logins, its local time, and the failures of the address before it."""

    at: int
    moment: datetime
    guessed: int
    low: int  # where the last twenty of these failures begin and end in the frame of failures
    high: int


def _new(logins: pl.DataFrame, settings: Settings) -> Iterator[tuple[int, datetime]]:
    """The first login of each account from each further address of outside at an unusual hour; row and local time."""
    first_hour, last_hour = settings.usual_hours
    known: set[tuple[int, str, str]] = set()
    columns = logins.select(*SYSTEM, "user", "src_ip", "ts").iter_rows()
    for at, (source, clock, user, address, when) in enumerate(columns):
        first = (source, clock, user) not in known
        known.add((source, clock, user))
        moment = _local(when, ZoneInfo(_zone(settings, clock)))
        if not (first or first_hour <= moment.hour < last_hour or inside(address)):
            yield at, moment


def _told(found: list[_New]) -> tuple[list[_New], list[_New]]:
    """The logins that are told one by one, those with most failures before first chosen; and the rest."""
    chosen = {n.at for n in sorted(found, key=lambda n: (-n.guessed, n.at))[:TOLD]}
    return [n for n in found if n.at in chosen], [n for n in found if n.at not in chosen]


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """The first login of each account from each new address, by source and time; the first address of all is known."""
    logins = network_logins(events, settings.visits).unique(
        [*SYSTEM, "user", "src_ip"], keep="first", maintain_order=True
    )
    fresh = list(_new(logins, settings))
    if not fresh:
        return
    asked = logins[[at for at, _ in fresh]].select("source", "src_ip").unique().lazy()
    failed = events.scan(kinds=[EventKind.AUTH_FAILURE]).filter(pl.col("src_ip").is_not_null())
    failed = failed.join(asked, on=["source", "src_ip"], how="semi")
    groups = chosen(counted(failed, "source", "src_ip"), "source", "src_ip")
    rows = placed(failed, groups, "source", "src_ip").drop_nulls("ts")
    number = {(s, a): g for g, s, a in groups.select("g", "source", "src_ip").iter_rows()}
    ranges, times = spread(rows), rows["ts"].to_numpy()
    found = []
    for at, moment in fresh:
        login = logins.row(at, named=True)
        low, end = ranges.get(number.get((login["source"], login["src_ip"]), -1), (0, 0))
        high = low + int(np.searchsorted(times[low:end], login["ts"], "right"))
        found.append(_New(at, moment, high - low, max(low, high - 20), high))
    single, rest = _told(found)
    picks = [
        rows.slice(n.low, n.high - n.low).select(pl.lit(n.at, pl.UInt32).alias("k"), *PLACE)
        for n in single
        if n.guessed
    ]
    tried = fetched(failed, pl.concat(picks), ["src_ip", "user"]) if picks else {}
    for new in single:
        yield _one(events, settings, new, logins.slice(new.at, 1), tried.get(new.at))
    yield from _rest(events, settings, logins[[n.at for n in rest]])


def _one(events: Events, settings: Settings, new: _New, row: pl.DataFrame, tried: pl.DataFrame | None) -> Finding:
    first_hour, last_hour = settings.usual_hours
    user, address, moment, guessed = row["user"][0], row["src_ip"][0], new.moment, new.guessed
    zone = _zone(settings, row["clock"][0])
    zh = f"账户 {user} 于当地时间 {moment:%Y-%m-%d %H:%M:%S}（{zone}）自 {address} 登录，"
    en = f"{user} logged in at {moment:%Y-%m-%d %H:%M:%S} local time ({zone}) from {address}, "
    zh += f"该账户此前的登录均不来自此地址，且不在通常时段（{first_hour} 时至 {last_hour} 时）内"
    en += f"an address not seen before for that account, outside the usual hours ({first_hour} to {last_hour})"
    if guessed >= GUESSED:
        zh += f"；同一地址此前有 {guessed} 次认证失败"
        en += f"; the same address had failed {guessed} times before"
    more: list[tuple[pl.DataFrame, Any]] = [] if tried is None else [(tried, CLAIMS)]
    return state(
        events, RULE, row, CLAIMS, Text(zh + "。", en + "."),
        severity=Severity.MEDIUM if guessed >= GUESSED else Severity.LOW,
        confidence=Confidence.MEDIUM if guessed >= GUESSED else Confidence.LOW,
        facts={"local_hour": moment.hour, "failures": guessed}, more=more,
    )  # fmt: skip


def _rest(events: Events, settings: Settings, rest: pl.DataFrame) -> Iterator[Finding]:
    """The logins that are not told one by one, together for each source."""
    first_hour, last_hour = settings.usual_hours
    for part in rest.partition_by("source", maintain_order=True):
        accounts, addresses = part["user"].n_unique(), part["src_ip"].n_unique()
        zh = f"另有 {part.height} 次登录来自相应账户此前未见的地址（{accounts} 个账户、{addresses} 个地址），"
        zh += f"且不在通常时段（{first_hour} 时至 {last_hour} 时）内，未逐一列出。"
        en = f"{part.height} more logins came from addresses not seen before for their accounts ({accounts} accounts, "
        en += f"{addresses} addresses), outside the usual hours ({first_hour} to {last_hour}); not told one by one."
        yield state(
            events, RULE, part, CLAIMS, Text(zh, en), severity=Severity.LOW, confidence=Confidence.LOW,
            facts={"logins": part.height, "accounts": accounts, "addresses": addresses}, limit=40,
            src_ip=None, user=None,
        )  # fmt: skip
