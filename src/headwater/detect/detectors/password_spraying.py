# SPDX-License-Identifier: Apache-2.0
"""Password spraying: many accounts tried a few times each, from one address or from many at once.

Needs:      auth.failure with address and account (linux.auth, linux.journal).
Technique:  T1110.003 password spraying.
Says:       addresses, how many accounts were tried how often (beyond 200 addresses the rest together), and a login
            to one of them within the hour after (beyond 2,000 addresses the rest together).
False when: a gateway stands for many people after a change of passwords.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from headwater.detect.frames import HOUR, ORDER, names, somebody, state
from headwater.detect.grouped import LOGINS, PLACE, TOLD, chosen, collected, counted, edges, fetched, placed, users
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
ENTERS = True  # a high finding of this detector is an entry into the host
_KEYS = ("source", "src_ip")
_SHOWN = ("src_ip", "user", "host", "method")
# Records cited of one address: where many addresses spray at once, the first and last twenty must do.
CITED, CITED_OF_MANY, MANY = 200, 40, 100


def _sprayed(failed: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The addresses that spray, with ``accounts``, ``first`` and ``last`` (UTC ns), and the places of their failures."""
    groups = chosen(counted(failed, *_KEYS), *_KEYS).filter(pl.col("rows") >= ACCOUNTS)
    rows = placed(failed, groups, *_KEYS)
    many = rows.group_by("g").agg(
        pl.col("user").n_unique().alias("accounts"), pl.col("ts").min().alias("first"), pl.col("ts").max().alias("last")
    )
    groups = groups.join(many, on="g").filter(
        (pl.col("accounts") >= ACCOUNTS) & (pl.col("rows") <= pl.col("accounts") * TRIES_EACH)
    )
    return groups, rows.filter(pl.col("g").is_in(groups["g"].implode()))


def _logins(passed: Any, groups: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """The logins with a password to accounts that the same address tried, up to an hour after its last failure."""
    best = chosen(counted(passed, *_KEYS), *_KEYS).select(*_KEYS, "feed")
    named = best.join(groups.select("g", *_KEYS, "first", "last"), on=list(_KEYS)).lazy()
    by_password = (pl.col("method").cast(pl.String) != "publickey").fill_null(True)
    within = pl.col("ts").is_between(pl.col("first"), pl.col("last") + HOUR)
    found = passed.filter(by_password).join(named, on=[*_KEYS, "feed"]).filter(within)
    tried = rows.select("g", "user").unique()
    return collected(found.select("g", *ORDER, "user")).join(tried, on=["g", "user"], how="semi").sort("g", *ORDER)


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Findings in order of the addresses' first failures; a login that follows is a finding of its own."""
    kinds = [EventKind.AUTH_FAILURE, EventKind.AUTH_SUCCESS]
    scan = events.scan(kinds=kinds, columns=("method",)).filter(
        pl.col("src_ip").is_not_null() & pl.col("user").is_not_null() & (pl.col("feed") != "linux.btmp")
    )
    failed = scan.filter(pl.col("kind") == EventKind.AUTH_FAILURE.value)
    passed = scan.filter((pl.col("kind") == EventKind.AUTH_SUCCESS.value) & somebody())
    groups, rows = _sprayed(failed)
    if groups.is_empty():
        return
    logins = _logins(passed, groups, rows)
    most = groups.sort("accounts", "rows", "source", "src_ip", descending=[True, True, False, False])
    told, rest = most.head(TOLD), most.tail(max(0, groups.height - TOLD)).sort("g")
    limit = CITED if told.height <= MANY else CITED_OF_MANY
    shown = rows.filter(pl.col("g").is_in(told["g"].implode()))
    tried = users(rows)
    cited = fetched(failed, edges(shown, limit), _SHOWN)
    entered_by = rows.filter(pl.col("g").is_in(logins["g"].unique().implode()))
    ends = entered_by.group_by("g", maintain_order=True).tail(40 if logins["g"].n_unique() <= MANY else 6)
    lasts = fetched(failed, ends.with_columns(pl.col("g").alias("k")), _SHOWN)
    busiest = groups.filter(pl.col("g").is_in(logins["g"].unique().implode()))
    busiest = busiest.sort("accounts", "rows", "g", descending=[True, True, False])
    named = pl.col("g").is_in(busiest["g"].head(LOGINS).implode())
    logins, others = logins.filter(named), logins.filter(~named)
    entered = fetched(passed, logins.with_columns(pl.col("g").alias("k")), _SHOWN)
    by_number = {int(r["g"]): r for r in groups.iter_rows(named=True)}
    for g in sorted(cited, key=lambda g: _first(cited[g])):
        yield _spraying(events, by_number[g], tried[g], cited[g], limit)
    yield from _rest(events, rest, rows, failed)
    for g in sorted(entered, key=lambda g: _first(entered[g])):
        yield _success(events, by_number[g], entered[g], lasts[g])
    if others.height:
        yield _more(events, others, passed)


def _first(rows: pl.DataFrame) -> tuple[Any, ...]:
    row = rows.row(0, named=True)
    return row["ts"] is None, row["ts"] or 0, *(row[c] for c in PLACE)


def _times(group: Mapping[str, Any]) -> list[int]:
    return [] if group["first"] is None else [int(group["first"]), int(group["last"])]


def _spraying(
    events: Events, group: Mapping[str, Any], tried: tuple[list[str], int], cited: pl.DataFrame, limit: int
) -> Finding:
    address, feed, count = group["src_ip"], group["feed"], int(group["rows"])
    shown, total = tried
    zh = f"{feed} 中 {address} 对 {total} 个账户（{names(shown, total, 'zh')}）"
    zh += f"共尝试登录失败 {count} 次，每个账户仅数次"
    en = f"In {feed} {address} failed {count} times on {total} accounts"
    en += f" ({names(shown, total, 'en')}), a few each"
    return state(
        events, RULE, cited, CLAIMS, Text(zh + "。", en + "."),
        severity=Severity.LOW, confidence=Confidence.MEDIUM,
        facts={"accounts": total, "failures": count, "feed": feed}, limit=limit, moments=_times(group),
        src_ip=address, user=None, host=group["host"],
    )  # fmt: skip


def _rest(events: Events, rest: pl.DataFrame, rows: pl.DataFrame, failed: Any) -> Iterator[Finding]:
    """The addresses that are not told one by one, together for each log."""
    for group in rest.partition_by("source", "feed", maintain_order=True):
        part = rows.filter(pl.col("g").is_in(group["g"].implode())).sort(ORDER, nulls_last=True)
        cited = fetched(failed, edges(part.with_columns(pl.lit(0, pl.UInt32).alias("g")), CITED_OF_MANY), _SHOWN)[0]
        feed, addresses = group["feed"][0], group.height
        zh = f"{feed} 中另有 {addresses} 个地址以同样方式各对多个账户尝试登录失败，共 {part.height} 次，未逐一列出。"
        en = f"In {feed} {addresses} more addresses failed on many accounts in the same way, {part.height} times in all; "
        en += "they are not told one by one."
        yield state(
            events, RULE, cited, CLAIMS, Text(zh, en), severity=Severity.LOW, confidence=Confidence.MEDIUM,
            facts={"addresses": addresses, "failures": part.height, "feed": feed}, limit=CITED_OF_MANY,
            src_ip=None, user=None,
        )  # fmt: skip


def _more(events: Events, logins: pl.DataFrame, passed: Any) -> Finding:
    """The logins of the addresses that are not told one by one, together."""
    logins = logins.sort(ORDER)
    ends = logins if logins.height <= CITED_OF_MANY else pl.concat([logins.head(20), logins.tail(20)])
    cited = fetched(passed, ends.with_columns(pl.lit(0, pl.UInt32).alias("k")), _SHOWN)[0]
    addresses, accounts = logins["g"].n_unique(), logins["user"].n_unique()
    zh = f"另有 {addresses} 个喷洒口令的地址共登录成功 {logins.height} 次（{accounts} 个账户），未逐一列出。"
    en = f"{addresses} more addresses that sprayed passwords logged in {logins.height} times ({accounts} accounts); not told one by one."
    return state(
        events, SUCCESS, cited, CLAIMS, Text(zh, en), severity=Severity.HIGH, confidence=Confidence.HIGH,
        facts={"addresses": addresses, "accounts": accounts, "logins": logins.height}, limit=CITED_OF_MANY,
        src_ip=None, user=None, moments=logins["ts"].drop_nulls().to_list(),
    )  # fmt: skip


def _success(events: Events, group: Mapping[str, Any], logins: pl.DataFrame, last: pl.DataFrame) -> Finding:
    address, total = group["src_ip"], int(group["accounts"])
    who = logins["user"].unique().sort().to_list()
    zh = f"{address} 对 {total} 个账户喷洒口令期间或其后一小时内，登录账户 {'、'.join(who)} 成功"
    en = f"While or within an hour after spraying {total} accounts, {address} logged in as {', '.join(who)}"
    return state(
        events, SUCCESS, logins, CLAIMS, Text(zh + "。", en + "."),
        severity=Severity.HIGH, confidence=Confidence.HIGH,
        facts={"accounts": total, "failures": int(group["rows"])}, more=[(last, CLAIMS)],
    )  # fmt: skip
