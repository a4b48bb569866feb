# SPDX-License-Identifier: Apache-2.0
"""A login from an address never seen before for that account, at an unusual hour.

Needs:      auth.success with an address (linux.auth, linux.journal), else session.open of linux.wtmp.
Technique:  T1078 valid accounts.
Says:       account, address and the local hour by the case's zone; weightier where the address also failed to log in.
False when: someone travels, works at night, or changes provider; the logs begin shortly before.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl

from headwater.detect.addresses import inside
from headwater.detect.frames import SECOND, main_feed, state, take
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


def _logins(events: Events) -> pl.DataFrame:
    """Logins over the network: from the authentication log, else from wtmp, so that none is told twice."""
    own = ["method"]
    has_address = pl.col("src_ip").is_not_null() & pl.col("user").is_not_null() & pl.col("ts").is_not_null()
    rows = take(events, kinds=[EventKind.AUTH_SUCCESS], header=["src_ip", "user", "host"], own=own, where=has_address)
    rows = main_feed(rows, "source")
    sources = rows["source"].unique().to_list()
    sessions = take(
        events,
        kinds=[EventKind.SESSION_OPEN],
        feeds=["linux.wtmp"],
        header=["src_ip", "user", "host"],
        own=own,
        where=has_address & ~pl.col("source").is_in(sources),
    )
    return pl.concat([rows, sessions], how="diagonal_relaxed").sort("source", "ts", "offset", "ordinal")


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """The first login of each account from each new address, by source and time; the first address of all is known."""
    zone = ZoneInfo(settings.zone)
    first_hour, last_hour = settings.usual_hours
    logins = _logins(events)
    failed = take(
        events, kinds=[EventKind.AUTH_FAILURE], header=["src_ip", "user"], where=pl.col("src_ip").is_not_null()
    )
    failed = main_feed(failed, "source", "src_ip")
    seen: dict[tuple[int, str], set[str]] = {}
    firsts = logins.unique(["source", "user", "src_ip"], keep="first", maintain_order=True)
    for row in firsts.iter_slices(1):
        source, user, address, when = (row[c][0] for c in ("source", "user", "src_ip", "ts"))
        known = seen.setdefault((source, user), set())
        if address in known:
            continue
        known.add(address)
        moment = _local(when, zone)
        if len(known) == 1 or first_hour <= moment.hour < last_hour or inside(address):
            continue
        tried = failed.filter((pl.col("src_ip") == address) & (pl.col("source") == source) & (pl.col("ts") <= when))
        guessed = tried.height
        zh = f"账户 {user} 于当地时间 {moment:%Y-%m-%d %H:%M:%S}({settings.zone})自 {address} 登录，"
        en = f"{user} logged in at {moment:%Y-%m-%d %H:%M:%S} local time ({settings.zone}) from {address}, "
        zh += f"该账户此前的登录均不来自此地址，且不在通常时段（{first_hour} 时至 {last_hour} 时）内"
        en += f"an address not seen before for that account, outside the usual hours ({first_hour} to {last_hour})"
        if guessed >= GUESSED:
            zh += f"；同一地址此前有 {guessed} 次认证失败"
            en += f"; the same address had failed {guessed} times before"
        yield state(
            events, RULE, row, CLAIMS, Text(zh + "。", en + "."),
            severity=Severity.MEDIUM if guessed >= GUESSED else Severity.LOW,
            confidence=Confidence.MEDIUM if guessed >= GUESSED else Confidence.LOW,
            facts={"local_hour": moment.hour, "failures": guessed},
            more=[(tried.tail(20), CLAIMS)],
        )  # fmt: skip
