# SPDX-License-Identifier: Apache-2.0
"""Passwords guessed over the network, and a login from the same address after it.

Needs:      auth.failure and auth.success with an address: linux.auth, linux.journal, linux.btmp.
Technique:  T1110.001 password guessing; T1078 where a login follows.
Says:       per address the exact number of failed attempts in one log; each first login that follows a run of failures.
False when: one address stands for many people (a gateway) and they mistype; a program holds an old password.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.frames import DAY, listed, main_feed, names, state, take
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Tally, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="ssh-guessing",
    version="1",
    author="Headwater",
    title=Text("口令猜解", "Password guessing"),
    stage=Stage.LOGIN,
    techniques=("T1110.001",),
    severity=Severity.LOW,
)
SUCCESS = Rule(
    id="ssh-guessing-success",
    version="1",
    author="Headwater",
    title=Text("口令猜解后登录成功", "A login after password guessing"),
    stage=Stage.LOGIN,
    techniques=("T1110.001", "T1078"),
    severity=Severity.HIGH,
)

# Fewer failures are what people do who mistype: sshd closes a connection after six (MaxAuthTries, sshd_config(5)).
GUESSES = 5
# A login counts as a success of guessing after this many failures since the address last logged in, within a day.
RUN_BEFORE_SUCCESS = 10
WINDOW = DAY
CLAIMS = ("kind", "src_ip", "user", "method")


def _guessing(events: Events, rows: pl.DataFrame) -> Finding:
    address, feed, source = rows["src_ip"][0], rows["feed"][0], int(rows["source"][0])
    users, total = listed(rows, "user")
    # these rows are all that match: each address counted by a scan of its own would cost a scan per address
    where = {"kind": str(rows["kind"][0]), "feed": feed, "src_ip": address, "source": str(source)}
    if where["kind"] == EventKind.AUTH_PROBE.value:
        where["pam_module"] = str(rows["pam_module"][0])
    tally = Tally.over(where, rows.select("source", "path", "offset", "ordinal").iter_rows())
    repeated = int(rows["repeat"].cast(pl.Int64, strict=False).fill_null(1).sum())
    zh = f"{feed} 中有 {rows.height} 条来自 {address} 的认证失败记录"
    en = f"{feed} holds {rows.height} authentication failures from {address}"
    if total:
        zh += f"，所试账户：{names(users, total, 'zh')}"
        en += f"; accounts tried: {names(users, total, 'en')}"
    if repeated != rows.height:
        zh += f"；连同“message repeated”所述共 {repeated} 次"
        en += f"; {repeated} attempts with those that syslog says were repeated"
    facts = {"failures": rows.height, "attempts": repeated, "accounts": total, "feed": feed}
    return state(
        events, RULE, rows, CLAIMS, Text(zh + "。", en + "."),
        severity=Severity.LOW, confidence=Confidence.HIGH, facts=facts, tally=tally, limit=40,
        src_ip=address, user=users[0] if total == 1 else None,
    )  # fmt: skip


def _by_pam_alone(rows: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """Failures that only PAM's own line tells, as old systems log them (``sshd(pam_unix)[…]: authentication failure``).

    PAM's line beside sshd's own would count an attempt twice, so it counts for addresses of which sshd says nothing.
    """
    pam = rows.filter((pl.col("kind") == EventKind.AUTH_PROBE.value) & pl.col("pam_module").is_not_null())
    return pam.join(
        told.select("source", "src_ip").unique(), on=["source", "src_ip"], how="anti", maintain_order="left"
    )


def _successes(events: Events, failed: pl.DataFrame, passed: pl.DataFrame) -> Iterator[Finding]:
    """The logins of one address that follow a run of failures without a login in between."""
    merged = pl.concat([failed, passed], how="diagonal_relaxed").drop_nulls("ts").sort("ts", "offset", "ordinal")
    good = merged.filter(pl.col("kind") == EventKind.AUTH_SUCCESS.value)
    before: int | None = None
    for at in range(good.height):
        login = good.slice(at, 1)
        when = int(login["ts"][0])
        since = when - WINDOW if before is None else max(before, when - WINDOW)
        run = failed.filter(pl.col("ts").is_between(since, when))
        before = when
        tried_it = (run["user"] == login["user"][0]).any() if login["user"][0] else False
        if run.height < RUN_BEFORE_SUCCESS:
            continue
        address, user = login["src_ip"][0], login["user"][0] or "?"
        method = login["method"][0] or "?"
        zh = f"{address} 在 {run.height} 次认证失败之后，以 {method} 方式成功登录账户 {user}"
        en = f"After {run.height} failures {address} logged in as {user} by {method}"
        zh += "，此前该账户曾被猜解。" if tried_it else "，此前未见对该账户的猜解。"
        en += "; that account had been guessed at." if tried_it else "; that account had not been guessed at."
        by_key = method == "publickey"
        yield state(
            events, SUCCESS, pl.concat([run.tail(40), login], how="diagonal_relaxed"), CLAIMS, Text(zh, en),
            severity=Severity.MEDIUM if by_key else Severity.HIGH,
            confidence=Confidence.HIGH if tried_it and not by_key else Confidence.MEDIUM,
            facts={"failures": run.height, "method": method, "account_guessed": tried_it, "login_ts": when},
            src_ip=address, user=login["user"][0], host=login["host"][0], moments=[when],
        )  # fmt: skip


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Findings in order of source, then of the address's first failure."""
    rows = take(
        events,
        kinds=[EventKind.AUTH_FAILURE, EventKind.AUTH_SUCCESS, EventKind.AUTH_PROBE],
        header=["src_ip", "user", "host"],
        own=["method", "repeat", "pam_module"],
        where=pl.col("src_ip").is_not_null(),
    )
    told = rows.filter(pl.col("kind") == EventKind.AUTH_FAILURE.value)
    failures = main_feed(pl.concat([told, _by_pam_alone(rows, told)]), "source", "src_ip")
    tried = pl.col("repeat").cast(pl.Int64, strict=False).fill_null(1).sum()
    counts = failures.group_by("source", "src_ip").agg(tried.alias("tried")).filter(pl.col("tried") >= GUESSES)
    failures = failures.join(counts, on=["source", "src_ip"], how="semi", maintain_order="left")
    passed = rows.filter(pl.col("kind") == EventKind.AUTH_SUCCESS.value)
    by_address = {
        (int(k[0]), str(k[1])): part for k, part in passed.partition_by("source", "src_ip", as_dict=True).items()
    }
    for part in failures.partition_by("source", "src_ip", maintain_order=True):
        yield _guessing(events, part)
        logins = by_address.get((int(part["source"][0]), str(part["src_ip"][0])))
        if logins is not None:
            yield from _successes(events, part, main_feed(logins, "source", "src_ip"))
