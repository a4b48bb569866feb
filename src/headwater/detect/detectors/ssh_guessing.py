# SPDX-License-Identifier: Apache-2.0
"""Passwords guessed over the network, and a login from the same address after it.

Needs:      auth.failure and auth.success with an address: linux.auth, linux.journal, linux.btmp.
Technique:  T1110.001 password guessing; T1078 where a login follows.
Says:       per address the exact number of failed attempts in one log (beyond 200 addresses of one log the least busy
            ones together); each first login that follows a run of failures (beyond 2,000 the rest together).
False when: one address stands for many people (a gateway) and they mistype; a program holds an old password.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from headwater.detect.frames import DAY, ORDER, names, somebody, state
from headwater.detect.grouped import (
    LOGINS,
    PLACE,
    TOLD,
    chosen,
    collected,
    counted,
    edges,
    fetched,
    placed,
    spread,
    tally,
    users,
)  # fmt: skip
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
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
ENTERS = True  # a high finding of this detector is an entry into the host
_KEYS = ("source", "src_ip")
_SHOWN = ("src_ip", "user", "host", "method", "repeat", "pam_module")


def _rows(events: Events) -> tuple[Any, Any]:
    """The failures and the logins of every address, unread.

    Failures that only PAM's own line tells, as old systems log them (``sshd(pam_unix)[…]: authentication failure``),
    count for addresses of which sshd says nothing: beside sshd's own line they would count an attempt twice.
    """
    kinds = [EventKind.AUTH_FAILURE, EventKind.AUTH_SUCCESS, EventKind.AUTH_PROBE]
    rows = events.scan(kinds=kinds, columns=("method", "repeat", "pam_module")).filter(pl.col("src_ip").is_not_null())
    told = rows.filter(pl.col("kind") == EventKind.AUTH_FAILURE.value)
    pam = rows.filter((pl.col("kind") == EventKind.AUTH_PROBE.value) & pl.col("pam_module").is_not_null())
    pam = pam.join(told.select(_KEYS).unique(), on=list(_KEYS), how="anti")
    passed = (pl.col("kind") == EventKind.AUTH_SUCCESS.value) & somebody()
    return pl.concat([told, pam], how="vertical"), rows.filter(passed)


def _guessing(events: Events, group: dict[str, Any], part: pl.DataFrame, cited: pl.DataFrame) -> Finding:
    """What one address failed at: ``part`` all its places, ``cited`` the rows that are shown."""
    address, feed, source, count = group["src_ip"], group["feed"], group["source"], part.height
    shown, total = group["users"]
    where = {"kind": str(cited["kind"][0]), "feed": feed, "src_ip": address, "source": str(source)}
    if where["kind"] == EventKind.AUTH_PROBE.value:
        where["pam_module"] = str(cited["pam_module"][0])
    zh = f"{feed} 中有 {count} 条来自 {address} 的认证失败记录"
    en = f"{feed} holds {count} authentication failures from {address}"
    if total:
        zh += f"，所试账户：{names(shown, total, 'zh')}"
        en += f"; accounts tried: {names(shown, total, 'en')}"
    if group["acts"] != count:
        zh += f"；连同“message repeated”所述共 {group['acts']} 次"
        en += f"; {group['acts']} attempts with those that syslog says were repeated"
    times = part["ts"].drop_nulls()
    return state(
        events, RULE, cited, CLAIMS, Text(zh + "。", en + "."),
        severity=Severity.LOW, confidence=Confidence.HIGH,
        facts={"failures": count, "attempts": group["acts"], "accounts": total, "feed": feed},
        tally=tally(where, part), limit=40, moments=[times[0], times[-1]] if times.len() else [],
        src_ip=address, user=shown[0] if total == 1 else None, host=group["host"],
    )  # fmt: skip


def _rest(events: Events, rest: pl.DataFrame, rows: pl.DataFrame, failed: Any) -> Iterator[Finding]:
    """The addresses that are not told one by one, together for each log."""
    for group in rest.partition_by("source", "feed", maintain_order=True):
        part = rows.filter(pl.col("g").is_in(group["g"].implode())).sort(ORDER, nulls_last=True)
        cited = fetched(failed, edges(part.with_columns(pl.lit(0, pl.UInt32).alias("g")), 40), _SHOWN)[0]
        feed, addresses = group["feed"][0], group.height
        zh = f"{feed} 中另有 {addresses} 个地址的认证失败记录共 {part.height} 条，每个地址次数较少，未逐一列出。"
        en = f"{feed} holds {part.height} more authentication failures from {addresses} addresses with fewer each, not told one by one."
        yield state(
            events, RULE, cited, CLAIMS, Text(zh, en), severity=Severity.LOW, confidence=Confidence.HIGH,
            facts={"failures": part.height, "addresses": addresses, "feed": feed}, limit=40, src_ip=None, user=None,
        )  # fmt: skip


def _logins(logins: pl.DataFrame, rows: pl.DataFrame) -> list[tuple[dict[str, Any], int, int]]:
    """Each login after a run of failures of its address, and where that run begins and ends in ``rows``."""
    found = []
    times = rows["ts"].fill_null(np.iinfo(np.int64).max).to_numpy()
    ranges = spread(rows)
    for key, part in logins.partition_by("g", as_dict=True, maintain_order=True).items():
        start, end = ranges[int(key[0])]
        mine = times[start:end]
        when = part["ts"].to_numpy()
        # the failures since the address last logged in, at most a day back
        since = np.maximum(np.r_[when[:1] - WINDOW, when[:-1]], when - WINDOW)
        low, high = np.searchsorted(mine, since, "left"), np.searchsorted(mine, when, "right")
        for at in np.flatnonzero(high - low >= RUN_BEFORE_SUCCESS).tolist():
            found.append((part.row(at, named=True), start + int(low[at]), start + int(high[at])))
    return found


def _success(
    events: Events, login: dict[str, Any], run: pl.DataFrame, last: pl.DataFrame, own: pl.DataFrame
) -> Finding:
    """One login after a run of failures: ``run`` all its places, ``last`` the last of its rows, ``own`` the login's row."""
    tried_it = bool((run["user"] == login["user"]).any()) if login["user"] else False
    address, user, method, when = login["src_ip"], login["user"] or "?", login["method"] or "?", int(login["ts"])
    zh = f"{address} 在 {run.height} 次认证失败之后，以 {method} 方式成功登录账户 {user}"
    en = f"After {run.height} failures {address} logged in as {user} by {method}"
    zh += "，此前该账户曾被猜解。" if tried_it else "，此前未见对该账户的猜解。"
    en += "; that account had been guessed at." if tried_it else "; that account had not been guessed at."
    by_key = method == "publickey"
    return state(
        events, SUCCESS, pl.concat([last, own], how="diagonal_relaxed"), CLAIMS, Text(zh, en),
        severity=Severity.MEDIUM if by_key else Severity.HIGH,
        confidence=Confidence.HIGH if tried_it and not by_key else Confidence.MEDIUM,
        facts={"failures": run.height, "method": method, "account_guessed": tried_it, "login_ts": when},
        src_ip=address, user=login["user"], host=login["host"], moments=[when],
    )  # fmt: skip


def _more(events: Events, rest: list[dict[str, Any]], passed: Any) -> Finding:
    """The logins after guessing that are not told one by one, together."""
    times = sorted(int(login["ts"]) for login in rest)
    ends = sorted(rest, key=lambda login: int(login["ts"]))
    ends = ends if len(ends) <= 40 else ends[:20] + ends[-20:]
    picks = pl.DataFrame([{"k": 0} | {c: login[c] for c in PLACE} for login in ends]).with_columns(
        pl.col("k").cast(pl.UInt32)
    )
    addresses, accounts = len({login["src_ip"] for login in rest}), len({login["user"] for login in rest})
    zh = f"另有 {len(rest)} 次登录发生在各自地址的一连串认证失败之后（{addresses} 个地址、{accounts} 个账户），未逐一列出。"
    en = f"{len(rest)} more logins followed runs of failures of their addresses ({addresses} addresses, {accounts} accounts); "
    en += "not told one by one."
    return state(
        events, SUCCESS, fetched(passed, picks, _SHOWN)[0], CLAIMS, Text(zh, en), severity=Severity.HIGH, confidence=Confidence.MEDIUM,
        facts={"logins": len(rest), "addresses": addresses, "accounts": accounts, "login_ts": times[0]}, limit=40,
        src_ip=None, user=None, moments=times,
    )  # fmt: skip


def _successes(events: Events, groups: pl.DataFrame, rows: pl.DataFrame, failed: Any, passed: Any) -> Iterator[Finding]:
    """The logins of each address that follow a run of failures without a login in between."""
    mine = chosen(counted(passed, *_KEYS, repeat=True), *_KEYS).drop("g")
    named = mine.select(*_KEYS, "feed").join(groups.select("g", *_KEYS), on=list(_KEYS)).lazy()
    logins = collected(
        passed.join(named, on=[*_KEYS, "feed"]).select("g", *PLACE, "ts", "src_ip", "user", "host", "method")
    )
    logins = logins.drop_nulls("ts").sort("g", "ts", "offset", "ordinal", "path")
    found = _logins(logins, rows)
    # of many the ones with the longest runs of failures before them
    chosen_ones = {k for k, _ in sorted(enumerate(found), key=lambda f: (f[1][1] - f[1][2], f[0]))[:LOGINS]}
    rest = [login for k, (login, _, _) in enumerate(found) if k not in chosen_ones]
    found = [one for k, one in enumerate(found) if k in chosen_ones]
    picks = [
        rows.slice(max(low, high - 40), min(40, high - low)).select(pl.lit(k, pl.UInt32).alias("k"), *PLACE)
        for k, (_, low, high) in enumerate(found)
    ]
    own = [
        pl.DataFrame([{"k": k} | {c: login[c] for c in PLACE}], schema=picks[k].schema)
        for k, (login, _, _) in enumerate(found)
    ]
    lasts = fetched(failed, pl.concat(picks), _SHOWN) if picks else {}
    owns = fetched(passed, pl.concat(own), _SHOWN) if own else {}
    for k, (login, low, high) in enumerate(found):
        yield _success(events, login, rows.slice(low, high - low), lasts[k], owns[k])
    if rest:
        yield _more(events, rest, passed)


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Findings in order of the addresses' first failures; then the logins."""
    failed, passed = _rows(events)
    groups = chosen(counted(failed, *_KEYS, repeat=True), *_KEYS)
    groups = groups.filter(pl.col("acts") >= GUESSES)
    if groups.is_empty():
        return
    rows = placed(failed, groups, *_KEYS)
    most = groups.sort("acts", "source", "src_ip", descending=[True, False, False])
    told, rest = most.head(TOLD), most.tail(max(0, groups.height - TOLD)).sort("g")
    shown = rows.filter(pl.col("g").is_in(told["g"].implode()))
    ranges, tried = spread(shown), users(shown)
    cited = fetched(failed, edges(shown, 40), _SHOWN)
    order = sorted(ranges, key=lambda g: _first(cited[g]))
    by_number = {int(r["g"]): r for r in told.iter_rows(named=True)}
    for g in order:
        start, end = ranges[g]
        group = by_number[g] | {"users": tried.get(g, ([], 0))}
        yield _guessing(events, group, shown.slice(start, end - start), cited[g])
    yield from _rest(events, rest, rows, failed)
    yield from _successes(events, groups, rows, failed, passed)


def _first(cited: pl.DataFrame) -> tuple[Any, ...]:
    row = cited.row(0, named=True)
    probe = row["kind"] != EventKind.AUTH_FAILURE.value
    return probe, row["ts"] is None, row["ts"] or 0, *(row[c] for c in PLACE)
