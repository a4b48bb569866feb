# SPDX-License-Identifier: Apache-2.0
"""Sessions of remote-control programs (AnyDesk, TeamViewer, ToDesk, RustDesk), and commands sent through the hole in Sunlogin.

Needs:      remote.anydesk, remote.teamviewer, remote.todesk, remote.rustdesk, remote.sunlogin.
Technique:  T1219 remote access software; T1190 for CNVD-2022-10270.
Says:       which remote number, name or address was let in, how and when, where need be by the line of the same log that names
            the other side within two minutes before; which commands a request asked Sunlogin to run.
False when: the administrator works that way; a scanner sent the request and the version is mended.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from headwater.detect.frames import MINUTE, names, state, take
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="remote-control",
    version="1",
    author="Headwater",
    title=Text("经远程控制软件进入", "Entered through a remote-control program"),
    stage=Stage.LOGIN,
    techniques=("T1219", "T1190"),
    severity=Severity.MEDIUM,
)
_NAMES = {
    "remote.anydesk": "AnyDesk",
    "remote.teamviewer": "TeamViewer",
    "remote.todesk": "ToDesk",
    "remote.rustdesk": "RustDesk",
    "remote.sunlogin": "向日葵 (Sunlogin)",
}
_LET_IN = (EventKind.AUTH_SUCCESS, EventKind.SESSION_OPEN)
_AROUND = (EventKind.NETWORK_CONNECTION, EventKind.AUTH_PROBE, EventKind.AUTH_FAILURE)
_OWN = ["remote_id", "remote_name", "method", "message"]
CLAIMS = ("kind", "user", "src_ip", "remote_id", "remote_name", "method")
_TOLD = 5
_ASKED = 2 * MINUTE  # from the line that names the other side to the one that lets it in


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """One finding per item and program, then one per item and address that sent commands to Sunlogin."""
    feeds = [feed for feed in _NAMES if feed in events.feeds()]
    if not feeds:
        return
    rows = take(events, feeds=feeds, kinds=[*_LET_IN, *_AROUND], header=["user", "host", "src_ip"], own=_OWN)
    for part in rows.sort("source", "feed", "ts", "path", "offset", "ordinal", nulls_last=True).partition_by(
        "source", "feed", maintain_order=True
    ):
        found = _sessions(events, part)
        if found is not None:
            yield found
    if "remote.sunlogin" in feeds:
        yield from _commands(events)


def _sessions(events: Events, part: pl.DataFrame) -> Finding | None:
    """What was let in; a connection that only knocked is told beside it and by itself says nothing."""
    kinds = [str(kind) for kind in _LET_IN]
    part = _asked(part)
    let_in = part.filter(pl.col("kind").is_in(kinds))
    if let_in.is_empty():
        return None
    tool = _NAMES[str(part["feed"][0])]
    others = part.filter(~pl.col("kind").is_in(kinds))
    entries = _entries(let_in)
    who = (
        let_in.select(pl.coalesce("remote_id", "remote_name", "asked", "src_ip"))["remote_id"]
        .drop_nulls()
        .unique(maintain_order=True)
        .to_list()
    )
    # the lines that name who was let in first: they carry the statement, the others only surround it
    others = others.with_columns(~pl.col("remote_id").is_in(who).fill_null(False).alias("beside")).sort(
        "beside", maintain_order=True
    )
    seen = part["src_ip"].drop_nulls().unique(maintain_order=True).to_list()
    ways = let_in["method"].drop_nulls().unique(maintain_order=True).to_list()
    zh = f"{tool} 记有 {entries} 次远程进入"
    en = f"{tool} records {entries} entr{'y' if entries == 1 else 'ies'} from outside"
    if who:
        zh += f"，对方标识 {names(who[:_TOLD], len(who), 'zh')}"
        en += f", by {names(who[:_TOLD], len(who), 'en')}"
    if ways:
        zh += f"，方式 {names(ways[:3], len(ways), 'zh')}"
        en += f", by way of {names(ways[:3], len(ways), 'en')}"
    if seen:
        zh += f"；同一日志中出现的对方地址 {names(seen[:_TOLD], len(seen), 'zh')}"
        en += f"; addresses of other sides in the same log: {names(seen[:_TOLD], len(seen), 'en')}"
    refused = others.filter(pl.col("kind") == str(EventKind.AUTH_FAILURE)).height
    if refused:
        zh += f"；另有 {refused} 次被拒"
        en += f"; {refused} more were refused"
    return state(
        events, RULE, let_in, CLAIMS, Text(zh + "。", en + "."), severity=Severity.MEDIUM, confidence=Confidence.MEDIUM, limit=40,
        facts={"tool": str(part["feed"][0]), "entries": entries, "refused": refused}, more=[(others.head(20), CLAIMS)],
    )  # fmt: skip


def _asked(part: pl.DataFrame) -> pl.DataFrame:
    """``asked``: the other side that the same log named last, where that was shortly before."""
    log = ["source", "path"]
    named = pl.when(pl.col("remote_id").is_not_null()).then(pl.col("ts"))
    near = pl.col("ts") - named.forward_fill().over(log) <= _ASKED
    return part.with_columns(pl.when(near).then(pl.col("remote_id").forward_fill().over(log)).alias("asked"))


def _entries(let_in: pl.DataFrame) -> int:
    """How often somebody was let in: by the lines that say so, and in a log without such lines by sessions begun."""
    logs = let_in.group_by("path").agg(
        (pl.col("kind") == str(EventKind.AUTH_SUCCESS)).sum().alias("let"), pl.len().alias("all")
    )
    return int(logs.select(pl.when(pl.col("let") > 0).then(pl.col("let")).otherwise(pl.col("all")).sum()).item())


def _commands(events: Events) -> Iterator[Finding]:
    rows = take(
        events, feeds=["remote.sunlogin"], kinds=[EventKind.WEB_REQUEST], header=["src_ip", "host", "command_line"], own=["cs-uri"],
        where=pl.col("command_line").str.contains(r"\.\.[/\\]|[|&;`]"),
    )  # fmt: skip
    for part in rows.sort("source", "src_ip", "ts", "offset").partition_by("source", "src_ip", maintain_order=True):
        asked = part["command_line"].unique(maintain_order=True).to_list()
        address = part["src_ip"][0] or "?"
        zh = f"{address} 向向日葵的本地网页服务发出 {part.height} 次带命令的请求（CNVD-2022-10270），"
        zh += f"如 {str(asked[0])[:160]}；记录只说明请求，不说明是否执行"
        en = (
            f"{address} sent {part.height} request{'' if part.height == 1 else 's'} with commands to Sunlogin's local web service "
            f"(CNVD-2022-10270), such as {str(asked[0])[:160]}; the log says what was asked, not whether it ran"
        )
        yield state(
            events, replace(RULE, id="remote-control-hole", stage=Stage.EXPLOIT, techniques=("T1190",)), part,
            ("kind", "src_ip", "command_line", "cs-uri"), Text(zh + "。", en + "."), severity=Severity.HIGH, confidence=Confidence.MEDIUM,
            limit=40, facts={"requests": part.height, "commands": len(asked)},
        )  # fmt: skip
