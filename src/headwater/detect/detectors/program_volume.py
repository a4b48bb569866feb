# SPDX-License-Identifier: Apache-2.0
"""Programs that sent far more over the network than they received, by the figures that Windows keeps of each of them.

Needs:      network.usage with BytesSent, BytesRecvd and process (windows.srum).
Technique:  T1048 exfiltration over another protocol; T1567.002 to cloud storage; T1041 over the channel of command.
Says:       how many bytes which program of which user sent, and in which hours. To whom, and what, SRUM does not keep.
False when: a backup, a synchronisation or an upload of one's own, a server program that is not among the known ones, a tool
            of transfer in regular use. Where SRUM has no row it counted nothing: it is off on many servers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from headwater.detect.frames import state, take
from headwater.detect.grouped import collected
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="program-volume",
    version="1",
    author="Headwater",
    title=Text("程序大量外发数据", "A program sent much data"),
    stage=Stage.IMPACT,
    techniques=("T1048", "T1567.002", "T1041"),
    severity=Severity.MEDIUM,
)
MIB = 1 << 20
LEAST = 1024 * MIB  # of a program of which nothing else is known
LEAST_TELLING = 100 * MIB  # of a tool of transfer, or of a program where programs do not lie
TIMES = 2  # sent as a multiple of received: a server that answers is left out by name, a client that fetches by this
TOLD = 50
CITED = 50  # hourly records of a program, the largest
_TOOLS = lazy_regex(
    r"(?i)^(?:rclone|mega(?:sync|cmd\w*|-\w+)|winscp|pscp|psftp|filezilla|freefilesync|azcopy|s3browser\w*|restic|curl|wget|ftp|scp|sftp"
    r"|ssh|plink|chisel\w*|frpc?|ngrok|cloudflared|bitsadmin|certutil|ossutil\w*|coscli\w*|bypy|baidupcs\w*)(?:\.exe)?$"
)
_PLACES = lazy_regex(
    r"(?i)\\users\\public\\|\\perflogs\\|\\\$recycle\.bin\\|\\windows\\(?:temp|debug|fonts|help|media)\\|\\programdata\\[^\\]+$"
    r"|\\users\\[^\\]+\\(?:downloads|desktop|documents|music|videos|pictures|appdata\\local\\temp)\\"
)
# programs of servers, whose business it is to send
_SERVERS = (
    "system", "w3wp.exe", "httpd.exe", "nginx.exe", "tomcat9.exe", "java.exe", "sqlservr.exe", "mysqld.exe", "postgres.exe", "oracle.exe",
    "svchost.exe", "store.exe", "edgetransport.exe", "dns.exe", "lsass.exe", "vmms.exe", "vmwp.exe", "ftpsvc.exe", "node.exe",
)  # fmt: skip
_WHAT = "srum network data"
CLAIMS = ("kind", "user", "process", "file_path", "BytesSent", "BytesRecvd", "interface_type")


def _rows(events: Events) -> Any:
    sent, received = (pl.col(name).cast(pl.Int64, strict=False) for name in ("BytesSent", "BytesRecvd"))
    return (
        events.scan(kinds=[EventKind.NETWORK_USAGE], columns=("BytesSent", "BytesRecvd", "trace"))
        .filter((pl.col("trace").cast(pl.String) == _WHAT) & pl.col("process").is_not_null() & (sent > 0))
        .with_columns(sent.alias("sent"), received.fill_null(0).alias("received"))
    )


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """One finding for each program, path and user of an item of evidence, the largest first; at most ``TOLD`` of each item."""
    keys = ("source", "process", "file_path", "user")
    sums = collected(
        _rows(events).group_by(*keys).agg(pl.col("sent").sum(), pl.col("received").sum(), pl.len().alias("hours"))
    )
    if sums.is_empty():
        return
    sums = sums.filter(pl.col("sent") >= LEAST_TELLING).sort(
        "source", "sent", *keys[1:], descending=[False, True, False, False, False]
    )
    for part in sums.partition_by("source", maintain_order=True):
        told = 0
        for row in part.iter_rows(named=True):
            weight = _weight(row)
            if weight is not None and told < TOLD:
                told += 1
                yield _finding(events, row, *weight)


def _weight(row: dict[str, Any]) -> tuple[bool, bool] | None:
    """Whether it is a tool of transfer, and whether it lies where programs do not; None where it is nothing to tell."""
    name = str(row["process"]).lower()
    tool = bool(_TOOLS.match(name))
    place = bool(row["file_path"] and _PLACES.search(row["file_path"]))
    if not (tool or place) and (row["sent"] < LEAST or name in _SERVERS):
        return None
    # a server that answers sends more than it gets too: only what is no server by name or place is told for it
    return (tool, place) if row["sent"] >= TIMES * row["received"] else None


def _finding(events: Events, row: dict[str, Any], tool: bool, place: bool) -> Finding:
    same = [pl.col(k).eq_missing(pl.lit(row[k])) for k in ("process", "file_path", "user")]
    rows = take(
        events, kinds=[EventKind.NETWORK_USAGE], header=["user", "host", "process", "file_path"],
        own=["BytesSent", "BytesRecvd", "interface_type", "trace"],
        where=(pl.col("source") == row["source"]) & same[0] & same[1] & same[2] & (pl.col("trace").cast(pl.String) == _WHAT),
    )  # fmt: skip
    largest = rows.sort(
        pl.col("BytesSent").cast(pl.Int64, strict=False), descending=True, nulls_last=True, maintain_order=True
    )
    kept = largest.head(CITED).sort("ts", "path", "offset", nulls_last=True)
    program = row["file_path"] or row["process"]
    sent, received = _size(row["sent"]), _size(row["received"])
    zh = f"程序 {program} 经网络发出 {sent}，收到 {received}（SRUM 按小时记录 {row['hours']:,} 条）"
    en = f"{program} sent {sent} over the network and received {received} ({row['hours']:,} hourly records of SRUM)"
    if rows.height > kept.height:  # what the cited records prove by themselves
        cited = int(kept["BytesSent"].cast(pl.Int64, strict=False).sum())
        zh += f"，所引最大的 {kept.height} 条合计发出 {_size(cited)}"
        en += f", the {kept.height} largest, which are cited, {_size(cited)} together"
    if row["user"]:
        zh += f"，所属用户 {row['user']}"
        en += f", as {row['user']}"
    if tool:
        zh += "；其名称为传输或隧道工具"
        en += "; its name is that of a tool of transfer or tunnelling"
    if place:
        zh += "；其位于通常不放程序的目录"
        en += "; it lies where programs usually do not"
    both = tool and place
    severity = Severity.HIGH if both and row["sent"] >= LEAST else Severity.MEDIUM if tool or place else Severity.LOW
    return state(
        events, RULE, kept, CLAIMS, Text(zh + "。", en + "."), severity=severity,
        confidence=Confidence.MEDIUM if tool or place else Confidence.LOW,
        facts={"bytes_sent": row["sent"], "bytes_received": row["received"], "records": row["hours"], "tool": tool, "unusual_place": place},
        limit=CITED,
    )  # fmt: skip


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count / MIB:.1f} MiB"
