# SPDX-License-Identifier: Apache-2.0
"""Local Windows accounts that hide: a name that ends in $, the number of another account, a name without a record.

Needs:      state.account and state.group of windows.account (the SAM hive).
Technique:  T1136.001 local account; T1564.002 hidden users; T1098 account manipulation (RID hijacking).
Says:       which account has whose number, which name is kept out of sight, and whether it is an administrator.
False when: a managed service account of a product ends in $ (those of a domain do not stand in the SAM).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import polars as pl

from headwater.detect.frames import state, take
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="windows-accounts",
    version="1",
    author="Headwater",
    title=Text("隐藏或被克隆的 Windows 账户", "Hidden or cloned Windows accounts"),
    stage=Stage.PERSIST,
    techniques=("T1136.001", "T1564.002", "T1098"),
    severity=Severity.HIGH,
)
CLAIMS = ("kind", "user", "key", "rid", "f_rid", "flags", "listed_as")
GROUP_CLAIMS = ("kind", "key", "group", "members")
_GUEST = 501
_ADMINISTRATORS = "00000220"


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """One finding per account and reason, in order of source and place."""
    own = ["key", "rid", "f_rid", "flags", "listed_as", "disabled", "group", "members", "state"]
    rows = take(events, feeds=["windows.account"], header=["user", "host"], own=own)
    groups = rows.filter(pl.col("kind") == EventKind.STATE_GROUP.value)
    accounts = rows.filter((pl.col("kind") == EventKind.STATE_ACCOUNT.value) & pl.col("f_rid").is_not_null())
    for row in accounts.sort("source", "path", "offset").iter_slices(1):
        said = row.to_dicts()[0]
        admin = _administrators(groups, said)
        for severity, technique, zh, en in _reasons(said, admin.height > 0):
            rest = tuple(t for t in RULE.techniques if t != technique)
            facts = {
                "account": said["user"],
                "rid": said["rid"],
                "f_rid": said["f_rid"],
                "administrator": admin.height > 0,
            }
            yield state(
                events, replace(RULE, techniques=(technique, *rest)), row, CLAIMS, Text(zh, en), severity=severity,
                confidence=Confidence.HIGH if severity is Severity.HIGH else Confidence.MEDIUM, facts=facts,
                more=[(admin, GROUP_CLAIMS)], user=said["user"],
            )  # fmt: skip


def _administrators(groups: pl.DataFrame, said: dict[str, Any]) -> pl.DataFrame:
    """The group of administrators of the same hive, where the account is a member of it."""
    mine = groups.filter((pl.col("source") == said["source"]) & (pl.col("path") == said["path"]))
    ending = f"-{said['rid']}"
    member = pl.col("members").str.split(" ").list.eval(pl.element().str.ends_with(ending)).list.any()
    return mine.filter(pl.col("key").str.ends_with(_ADMINISTRATORS) & member)


def _reasons(said: dict[str, Any], admin: bool) -> Iterator[tuple[Severity, str, str, str]]:
    name, rid, own = said["user"] or "?", said["rid"], said["f_rid"]
    zh_admin, en_admin = ("，且属于管理员组", ", and is an administrator") if admin else ("", "")
    if rid is not None and own != rid:
        zh = f"账户 {name}（RID {rid}）的记录中写的是 RID {own}：登录后具有后者的身份（RID 劫持）{zh_admin}。"
        en = f"The record of account {name} (RID {rid}) has RID {own}: whoever logs in with it is the latter (RID hijacking){en_admin}."
        yield Severity.HIGH, "T1098", zh, en
    if name.endswith("$"):
        zh = f"本地账户 {name} 的名称以 $ 结尾，net user 等命令不会列出它{zh_admin}。"
        en = f"The name of the local account {name} ends in $, so that net user does not list it{en_admin}."
        yield Severity.HIGH if admin else Severity.MEDIUM, "T1564.002", zh, en
    if said["listed_as"] is None:
        zh = f"账户 {name}（RID {rid}）有记录而不在名称表中，用户管理工具中看不到它{zh_admin}。"
        en = (
            f"Account {name} (RID {rid}) has a record and no entry among the names, so that no tool shows it{en_admin}."
        )
        yield Severity.HIGH, "T1564.002", zh, en
    if rid == _GUEST and str(said["disabled"]).lower() == "false":
        zh = f"来宾账户 {name} 已启用{zh_admin}。"
        en = f"The guest account {name} is enabled{en_admin}."
        yield Severity.MEDIUM if admin else Severity.LOW, "T1098", zh, en
