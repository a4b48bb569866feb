# SPDX-License-Identifier: Apache-2.0
"""Password spraying: many accounts tried a few times each, from one address or from many at once.

Needs:      auth.failure with address and account (linux.auth, linux.journal).
Technique:  T1110.003 password spraying.
Says:       addresses, how many accounts were tried how often, and a login to one of them within the hour after.
False when: a gateway stands for many people after a change of passwords.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.frames import HOUR, listed, main_feed, names, state, take
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="password-spraying",
    version="1",
    author="Headwater",
    title=Text("口令喷洒", "Password spraying"),
    stage=Stage.LOGIN,
    techniques=("T1110.003",),
    severity=Severity.LOW,
)
SUCCESS = Rule(
    id="password-spraying-success",
    version="1",
    author="Headwater",
    title=Text("口令喷洒后登录成功", "A login after password spraying"),
    stage=Stage.LOGIN,
    techniques=("T1110.003", "T1078"),
    severity=Severity.HIGH,
)
# At least this many accounts, each tried no more than a few times on average: else it is guessing, told elsewhere.
ACCOUNTS = 8
TRIES_EACH = 3.0
CLAIMS = ("kind", "src_ip", "user", "method")


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Findings by source and address; a login that follows is a finding of its own."""
    rows = take(
        events,
        kinds=[EventKind.AUTH_FAILURE, EventKind.AUTH_SUCCESS],
        header=["src_ip", "user", "host"],
        own=["method"],
        where=pl.col("src_ip").is_not_null() & pl.col("user").is_not_null() & (pl.col("feed") != "linux.btmp"),
    )
    failed = main_feed(rows.filter(pl.col("kind") == EventKind.AUTH_FAILURE.value), "source", "src_ip")
    passed = main_feed(rows.filter(pl.col("kind") == EventKind.AUTH_SUCCESS.value), "source", "src_ip")
    sprayed = (
        failed.group_by("source", "feed", "src_ip")
        .agg(pl.len().alias("tries"), pl.col("user").n_unique().alias("accounts"))
        .filter((pl.col("accounts") >= ACCOUNTS) & (pl.col("tries") <= pl.col("accounts") * TRIES_EACH))
    )
    held = failed.join(sprayed, on=["source", "feed", "src_ip"], how="semi", maintain_order="left")
    for part in held.partition_by("source", "feed", "src_ip", maintain_order=True):
        address, feed, source = part["src_ip"][0], part["feed"][0], part["source"][0]
        users, total = listed(part, "user")
        zh = f"{feed} 中 {address} 对 {total} 个账户（{names(users, total, 'zh')}）"
        zh += f"共尝试登录失败 {part.height} 次，每个账户仅数次"
        en = f"In {feed} {address} failed {part.height} times on {total} accounts"
        en += f" ({names(users, total, 'en')}), a few each"
        yield state(
            events, RULE, part, CLAIMS, Text(zh + "。", en + "."),
            severity=Severity.LOW, confidence=Confidence.MEDIUM,
            facts={"accounts": total, "failures": part.height, "feed": feed},
        )  # fmt: skip
        end = part["ts"].max()
        if end is None:
            continue
        mine = (pl.col("src_ip") == address) & (pl.col("source") == source)
        after = passed.filter(mine & (pl.col("method").cast(pl.String) != "publickey").fill_null(True))
        logins = after.filter(
            (pl.col("ts") >= part["ts"].min())
            & (pl.col("ts") <= pl.lit(end) + HOUR)
            & pl.col("user").is_in(part["user"].unique().to_list())
        )
        if logins.height:
            who = logins["user"].unique().sort().to_list()
            zh = f"{address} 对 {total} 个账户喷洒口令期间或其后一小时内，登录账户 {'、'.join(who)} 成功"
            en = f"While or within an hour after spraying {total} accounts, {address} logged in as {', '.join(who)}"
            yield state(
                events, SUCCESS, logins, CLAIMS, Text(zh + "。", en + "."),
                severity=Severity.HIGH, confidence=Confidence.HIGH,
                facts={"accounts": total, "failures": part.height}, more=[(part.tail(40), CLAIMS)],
            )  # fmt: skip
