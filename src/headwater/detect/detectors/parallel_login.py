# SPDX-License-Identifier: Apache-2.0
"""Logins of one account from two places outside, so soon after each other that one person can hardly have made both.

Needs:      auth.success with an address (linux.auth, linux.journal), else session.open of linux.wtmp.
Technique:  T1078 valid accounts.
Says:       the account, both addresses and times of the closest pair, and how many such pairs there are: two addresses
            outside whose networks differ (the first 16 bits of IPv4, 32 of IPv6), at most half an hour apart.
            It does not say where the addresses are: where a table of places (`investigate --places`) knows both, the pair is
            left to ``impossible-login``. Our own recorded visits are not told.
False when: an account is shared, or used by machines (deployment keys); someone changes from an office line to a mobile
            one or switches a tunnel on.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.addresses import inside, parsed
from headwater.detect.frames import MINUTE, SECOND, state
from headwater.detect.grouped import TOLD
from headwater.detect.logins import SYSTEM, network_logins
from headwater.model.kinds import Confidence, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings
from headwater.model.times import rfc3339

RULE = Rule(
    id="parallel-login",
    version="2",
    author="Headwater",
    title=Text("同一账户短时间内自两处登录", "One account logged in from two places within a short time"),
    stage=Stage.LOGIN,
    techniques=("T1078",),
    severity=Severity.LOW,
)
CLAIMS = ("kind", "user", "src_ip", "method")
WITHIN = 30 * MINUTE
_SHORTEST = {4: 16, 6: 32}  # bits of an address that one provider's line or office keeps


def _network(text: str) -> str | None:
    """The network of an address of outside; None for what is inside or no address."""
    address = parsed(text)
    if address is None or inside(text):
        return None
    return f"{address.version} {int(address) >> (address.max_prefixlen - _SHORTEST[address.version])}"


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """One finding for each account that has such a pair, by source and account; beyond the bound the rest together."""
    logins = network_logins(events, settings.visits)
    networks = {text: _network(text) for text in logins["src_ip"].unique()}
    key = [*SYSTEM, "user"]
    rows = logins.with_columns(
        pl.col("src_ip").replace_strict(networks, default=None, return_dtype=pl.String).alias("net")
    )
    rows = rows.drop_nulls("net").sort(*key, "ts", maintain_order=True)
    before = rows.select(pl.col("ts", "net", "src_ip").shift(1).over(key).name.suffix("_before"))
    rows = pl.concat([rows, before], how="horizontal").with_columns((pl.col("ts") - pl.col("ts_before")).alias("apart"))
    second = (pl.col("net") != pl.col("net_before")) & (pl.col("apart") <= WITHIN)
    placed = list(settings.places)  # where both places are known, impossible-login judges the pair by them
    second = second & ~(pl.col("src_ip").is_in(placed) & pl.col("src_ip_before").is_in(placed))
    rows = rows.with_columns(second.fill_null(False).alias("second"))
    rows = rows.with_columns(pl.col("second").shift(-1, fill_value=False).over(key).alias("first"))
    pairs = rows.filter(pl.col("first") | pl.col("second"))
    told = pairs.partition_by(key, maintain_order=True)
    for part in told[:TOLD]:
        yield _one(events, part)
    if told[TOLD:]:
        yield from _rest(events, pl.concat(told[TOLD:]))


def _one(events: Events, part: pl.DataFrame) -> Finding:
    count = int(part["second"].sum())
    closest = part.filter("second").sort("apart", maintain_order=True).row(0, named=True)
    user, seconds = closest["user"], closest["apart"] // SECOND
    times = rfc3339(closest["ts_before"]), rfc3339(closest["ts"])
    a, b = closest["src_ip_before"], closest["src_ip"]
    zh = f"账户 {user} 于 {times[0]} 自 {a} 登录，{seconds} 秒后（{times[1]}）又自 {b} 登录，两个外部地址不属同一网络，"
    zh += "同一人难以在此时间内往返两地" + (f"；此类先后登录共 {count} 对" if count > 1 else "")
    en = f"{user} logged in from {a} at {times[0]} and {seconds} s later, at {times[1]}, from {b}; the two addresses outside "
    en += "are of different networks, and one person can hardly have been at both"
    en += f"; there are {count} such pairs" if count > 1 else ""
    return state(
        events, RULE, part, CLAIMS, Text(zh + "。", en + "."), severity=Severity.LOW, confidence=Confidence.LOW,
        facts={"pairs": count, "seconds": seconds, "addresses": part["src_ip"].n_unique()}, limit=40, src_ip=None,
    )  # fmt: skip


def _rest(events: Events, rest: pl.DataFrame) -> Iterator[Finding]:
    """The accounts that are not told one by one, together for each source."""
    for part in rest.partition_by("source", maintain_order=True):
        accounts, count = part["user"].n_unique(), int(part["second"].sum())
        zh = f"另有 {accounts} 个账户在半小时内先后自不同网络的外部地址登录，共 {count} 对，未逐一列出。"
        en = f"{accounts} more accounts logged in from addresses of different networks outside within half an hour, {count} pairs; "
        en += "not told one by one."
        yield state(
            events, RULE, part, CLAIMS, Text(zh, en), severity=Severity.LOW, confidence=Confidence.LOW,
            facts={"pairs": count, "accounts": accounts}, limit=40, src_ip=None, user=None,
        )  # fmt: skip
