# SPDX-License-Identifier: Apache-2.0
"""New and changed accounts, accounts with UID 0 that are not root, and empty passwords.

Needs:      account.create, account.change, group.change (linux.auth, linux.journal); state.account; package.*.
Technique:  T1136.001 local account; T1098 account manipulation.
Says:       which account was made or changed when, and how passwd and shadow stand now.
False when: an administrator adds a colleague: alone that is told as low; a package makes its own account: not told.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.frames import MINUTE, main_feed, state, take
from headwater.detect.intrusion import Entries, after_words, cited, entries, entries_before
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="account-change",
    version="1",
    author="Headwater",
    title=Text("新增或异常账户", "New or unusual accounts"),
    stage=Stage.PERSIST,
    techniques=("T1136.001",),
    severity=Severity.MEDIUM,
)
CLAIMS = ("kind", "user", "target_user", "uid", "gid", "shell", "home", "group", "message")
STATE_CLAIMS = ("kind", "user", "uid", "shell", "home", "password_state")
_OWN = ("target_user", "uid", "gid", "shell", "home", "group", "message")
_NO_LOGIN = r"(?:nologin|/false|/sync|/shutdown|/halt)$"
# An account with UID 0 is root by another name: that is a gain of rights before it is a way back.
ROOT = Rule(
    id="uid0-account",
    version="1",
    author="Headwater",
    title=Text("UID 为 0 的非 root 账户", "An account with UID 0 that is not root"),
    stage=Stage.ESCALATE,
    techniques=("T1136.001", "T1098"),
    severity=Severity.HIGH,
)
# A package's own account is made while it is being installed.
AROUND_PACKAGE = 5 * MINUTE
_DID = {
    "account.create": ("新建账户", "an account was made"),
    "account.change": ("账户被修改", "an account was changed"),
    "account.delete": ("账户被删除", "an account was deleted"),
    "group.change": ("用户组被修改", "a group was changed"),
}


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """First what stands in passwd and shadow, then what was logged, each by source and place."""
    yield from _standing(events)
    yield from _logged(events, settings)


def _standing(events: Events) -> Iterator[Finding]:
    rows = take(
        events,
        kinds=[EventKind.STATE_ACCOUNT],
        header=["user", "host"],
        own=["uid", "shell", "home", "password_state"],
    ).sort("source", "path", "offset")
    zero = rows.filter((pl.col("uid").cast(pl.String) == "0") & (pl.col("user") != "root"))
    for row in _each_user(zero):
        user = row["user"][0]
        text = Text(
            f"账户 {user} 的 UID 为 0，与 root 权限相同（登录 shell：{row['shell'][0] or '未记录'}）。",
            f"The account {user} has UID 0, the same rights as root (shell: {row['shell'][0] or 'not recorded'}).",
        )
        facts = {"reason": "uid-0"}
        yield state(
            events, ROOT, row, STATE_CLAIMS, text, severity=Severity.HIGH, confidence=Confidence.HIGH, facts=facts
        )
    shells = {
        (r["source"], r["user"]): r["shell"]
        for r in rows.filter(pl.col("shell").is_not_null()).iter_rows(named=True)
        if r["shell"] and not r["shell"].endswith(("nologin", "/false", "/sync"))
    }
    for row in _each_user(rows.filter(pl.col("password_state").cast(pl.String) == "empty")):
        user = row["user"][0]
        can = (row["source"][0], user) in shells
        text = Text(
            f"账户 {user} 的口令为空" + ("，且有登录 shell。" if can else "，但未见登录 shell。"),
            f"The account {user} has an empty password" + (" and a login shell." if can else ", but no login shell."),
        )
        yield state(
            events, RULE, row, STATE_CLAIMS, text,
            severity=Severity.MEDIUM if can else Severity.LOW, confidence=Confidence.HIGH,
            facts={"reason": "empty-password"},
        )  # fmt: skip


def _each_user(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """passwd and its backup passwd- say the same of one account: told once, the first path first."""
    yield from rows.unique(["source", "user"], keep="first", maintain_order=True).iter_slices(1)


def _logged(events: Events, settings: Settings) -> Iterator[Finding]:
    kinds = [
        EventKind.ACCOUNT_CREATE,
        EventKind.ACCOUNT_CHANGE,
        EventKind.ACCOUNT_DELETE,
        EventKind.GROUP_CHANGE,
    ]
    rows = take(events, kinds=kinds, header=["user", "host", "process"], own=_OWN)
    rows = rows.filter(pl.col("target_user").is_not_null() | (pl.col("kind") == EventKind.ACCOUNT_CREATE.value))
    installs = take(
        events,
        kinds=[EventKind.PACKAGE_INSTALL, EventKind.PACKAGE_UPGRADE, EventKind.PACKAGE_STATUS],
        where=pl.col("ts").is_not_null(),
    )
    held = entries(events, settings)
    rows = main_feed(rows, "source")
    for part in rows.partition_by("source", "target_user", maintain_order=True):
        yield from _one(events, part, installs, held)


def _one(events: Events, part: pl.DataFrame, installs: pl.DataFrame, held: Entries) -> Iterator[Finding]:
    name, source = part["target_user"][0], part["source"][0]
    made = part.filter(pl.col("kind") == EventKind.ACCOUNT_CREATE.value)
    first = next(iter(part["ts"].drop_nulls().sort().to_list()), None)
    near = installs.filter(
        (pl.col("source") == source) & ((pl.col("ts") - pl.lit(first)).abs() <= AROUND_PACKAGE)
    ) if first is not None else installs.head(0)  # fmt: skip
    no_shell = made.height > 0 and bool(made["shell"].cast(pl.String).str.contains(_NO_LOGIN).fill_null(False).all())
    zero = bool((made["uid"].cast(pl.String) == "0").fill_null(False).any())
    if (near.height or no_shell) and not zero:
        return  # a package's own account
    came = entries_before(held, source, first)
    did = list(dict.fromkeys(part["kind"].to_list()))
    zh = f"账户 {name or '（未记录）'}：" + "、".join(_DID[k][0] for k in did)
    en = f"Account {name or '(not recorded)'}: " + ", ".join(_DID[k][1] for k in did)
    groups = part["group"].drop_nulls().unique(maintain_order=True).to_list() if "group" in part.columns else []
    if groups:
        zh += f"（涉及用户组 {'、'.join(map(str, groups[:5]))}）"
        en += f" (groups: {', '.join(map(str, groups[:5]))})"
    severity = Severity.HIGH if zero else Severity.LOW
    if came and not zero:
        severity = Severity.HIGH if made.height else Severity.MEDIUM
    if came:
        words = after_words(came)
        zh, en = zh + words[0], en + words[1]
    yield state(
        events, ROOT if zero else RULE, part, CLAIMS, Text(zh + "。", en + "."), severity=severity,
        confidence=Confidence.HIGH if zero or not came else Confidence.MEDIUM,
        facts={"reason": ",".join(did), "account": name}, beside=cited(came),
        user=name,
    )  # fmt: skip
