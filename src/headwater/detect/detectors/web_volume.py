# SPDX-License-Identifier: Apache-2.0
"""Clients to which a web server sent far more than to others, weighed by what was fetched and by who came in.

Needs:      web.request with sc-bytes and src_ip (web.access, windows.iis).
Technique:  T1048.003 exfiltration over an unencrypted protocol; T1567 over a web service.
Says:       how many bytes the server logged as sent to which client, beside the population of all clients of that server.
            Bytes sent are the log's own figure; what they held is not in an access log.
False when: a mirror, a crawler, a backup or monitoring job of one's own, a proxy behind which many stand, video and large
            downloads that the site offers to all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from headwater.detect.addresses import inside
from headwater.detect.frames import listed, names, state, take
from headwater.detect.grouped import collected
from headwater.detect.intrusion import entries
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="web-volume",
    version="1",
    author="Headwater",
    title=Text("经网站外传大量数据", "Much data left by way of the web server"),
    stage=Stage.IMPACT,
    techniques=("T1048.003",),
    severity=Severity.MEDIUM,
)
MIB = 1 << 20
LEAST = 100 * MIB  # sent to one client, where nothing else is known of it
LEAST_ENTERED = 5 * MIB  # to a client that entered this host
TIMES = 20  # the volume of all but one client in a hundred
TIMES_ENTERED = 5  # the same, of a client that entered
CLIENTS = 20  # fewer are no population
TOLD = 20
# what a site's visitors do not fetch: dumps, archives, keys, configuration
_TELLING = (
    r"(?i)(?:\.(?:sql|bak|dump|dmp|mdb|sqlite3?|tar|tgz|7z|rar)|\.(?:sql|tar|dump|db)\.(?:gz|xz|bz2|zst)"
    r"|(?:backup|dump|database|db|www|wwwroot|site|html|data)[\w.-]*\.(?:zip|gz))$"
)
CLAIMS = ("kind", "src_ip", "cs-method", "cs-uri-stem", "sc-status", "sc-bytes")


def _requests(events: Events) -> Any:
    sent = pl.col("sc-bytes").cast(pl.Int64, strict=False)
    return (
        events.scan(kinds=[EventKind.WEB_REQUEST], columns=("sc-bytes", "cs-uri-stem"))
        .with_columns(sent.alias("sent"))
        .filter((pl.col("sent") > 0) & pl.col("src_ip").is_not_null())
    )


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Findings by source, the largest volume first; at most ``TOLD`` of each item of evidence."""
    telling = pl.col("cs-uri-stem").cast(pl.String).str.contains(_TELLING).fill_null(False)
    volumes = collected(
        _requests(events)
        .group_by("source", "src_ip")
        .agg(
            pl.col("sent").sum(), pl.len().alias("requests"), pl.col("sent").max().alias("largest"),
            pl.col("sent").filter(telling).sum().alias("told"),
        )
    )  # fmt: skip
    if volumes.is_empty():
        return
    volumes = volumes.filter(pl.col("sent") >= 0)  # a sum beyond 64 bits says nothing
    came = {
        (source, e.src_ip) for source in volumes["source"].unique() for e in entries(events, settings).of(int(source))
    }
    for part in volumes.sort("source", "sent", "src_ip", descending=[False, True, False]).partition_by(
        "source", maintain_order=True
    ):
        population = part.height >= CLIENTS
        told = 0
        for row in part.head(1000).iter_rows(named=True):
            entered = (row["source"], row["src_ip"]) in came
            finding = _weighed(events, row, part, population, entered, settings)
            if finding is not None:
                told += 1
                yield finding
            if told == TOLD:
                break


def _weighed(
    events: Events, row: dict[str, Any], part: pl.DataFrame, population: bool, entered: bool, settings: Settings
) -> Finding | None:
    """The finding on one client; None where its volume is nothing out of the ordinary."""
    if row["src_ip"] in settings.trusted_proxies or (inside(row["src_ip"]) and not entered):
        return None
    usual = _rest(part, row["src_ip"]) if population else float(LEAST) / TIMES
    much = population and row["sent"] >= LEAST and row["sent"] >= TIMES * max(usual, 1)
    files = row["told"] >= LEAST_ENTERED
    # one who came in and then browsed as all do took nothing that this log could show
    above = entered and row["sent"] >= LEAST_ENTERED and row["sent"] >= TIMES_ENTERED * usual
    if not (much or files or above):
        return None
    rows = take(
        events, kinds=[EventKind.WEB_REQUEST], header=["src_ip", "host", "outcome"],
        own=["cs-method", "cs-uri-stem", "sc-status", "sc-bytes"],
        where=(pl.col("src_ip") == row["src_ip"]) & (pl.col("source") == row["source"])
        & (pl.col("sc-bytes").cast(pl.Int64, strict=False) >= max(row["largest"] // 100, 1)),
    )  # fmt: skip
    kept = rows.sort(pl.col("sc-bytes").cast(pl.Int64, strict=False), descending=True, maintain_order=True).head(50)
    stems, count = listed(kept, "cs-uri-stem", 3)
    size, whole = _size(row["sent"]), int(part["sent"].sum())
    share = 100 * row["sent"] // max(whole, 1)
    zh = f"网站向 {row['src_ip']} 发出 {size}（{row['requests']:,} 次请求，占全部 {part.height:,} 个客户端总量的 {share} %）"
    asked = f"{row['requests']:,} request{'s' * (row['requests'] != 1)}"
    en = f"The web server sent {size} to {row['src_ip']} ({asked}, {share} % of what went to {part.height:,} clients)"
    if stems:
        zh += f"，最大的应答来自 {names(stems, count, 'zh')}"
        en += f", the largest from {names(stems, count, 'en')}"
    if files:
        zh += f"；其中 {_size(row['told'])} 为转储、归档类文件"
        en += f"; {_size(row['told'])} of it dumps and archives"
    if entered:
        zh += "；该地址另有进入本机的记录"
        en += "; that address also entered this host"
    severity = Severity.HIGH if entered and (files or much) else Severity.MEDIUM if entered or files else Severity.LOW
    return state(
        events, RULE, kept.sort("ts", "path", "offset", nulls_last=True), CLAIMS, Text(zh + "。", en + "."), severity=severity,
        confidence=Confidence.MEDIUM if entered or files else Confidence.LOW,
        facts={
            "bytes": row["sent"], "requests": row["requests"], "clients": part.height, "archive_bytes": row["told"],
            "entered": entered,
        },
        src_ip=row["src_ip"], limit=50,
    )  # fmt: skip


def _rest(part: pl.DataFrame, address: str) -> float:
    """The volume that 99 of a hundred other clients stay below."""
    return float(part.filter(pl.col("src_ip") != address)["sent"].quantile(0.99, "higher") or 0)


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count / MIB:.1f} MiB"
