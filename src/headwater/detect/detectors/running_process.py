# SPDX-License-Identifier: Apache-2.0
"""Processes that ran while a live collection was made: suspicious command lines, and shells that talk to another host.

Needs:      state.process of a live collection; for shells also the links /proc/PID/fd and exe (fs.macb) and state.socket.
Technique:  T1059.004 Unix shell; those of the traits in detect/command_table.py (reverse shells, tunnels, miners, scans).
Says:       which processes ran with which command line; which shell had its input or output on a connection to which address.
False when: an administrator tunnels or scans on purpose; a service that hands its connection to a shell on purpose (inetd).
            A command line is what the process says of itself, and can be overwritten.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.addresses import outside
from headwater.detect.command_findings import Kept, found_in
from headwater.detect.frames import state, take
from headwater.detect.intrusion import entries
from headwater.detect.live_view import LINK_CLAIMS, USUAL_HIDDEN, collected, links, programs
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="running-process",
    version="1",
    author="Headwater",
    title=Text("正在运行的可疑进程", "Suspicious processes that were running"),
    stage=Stage.SPREAD,
    techniques=("T1059.004",),
    severity=Severity.HIGH,
)
CLAIMS = ("kind", "pid", "user", "process", "command_line")
SOCKET = ("kind", "src_ip", "dst_ip", "inode", "state", "local_port", "remote_port")
_SHELLS = r"/(?:ba|da|z|k|c|tc|fi|a)?sh$|/busybox$"
_MOST = 20


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Command lines by item of evidence, then shells on connections in order of source and process number."""
    if not collected(events):
        return
    rows = take(
        events, kinds=[EventKind.STATE_PROCESS], feeds=[f for f in events.feeds() if f.startswith("live.")],
        header=["pid", "user", "process", "command_line", "host"],
        where=pl.col("command_line").is_not_null() & ~pl.col("command_line").str.contains(USUAL_HIDDEN),
    )  # fmt: skip
    # the same process stands in ps, in top and in /proc
    rows = rows.sort("source", "path", "offset", "ordinal").unique(
        ["source", "pid", "command_line"], keep="first", maintain_order=True
    )
    kept = Kept(
        RULE,
        "实时采集时正在运行的进程中",
        "Of the processes that ran during the live collection",
        "command_line",
        CLAIMS,
    )
    for part in rows.partition_by("source", maintain_order=True):
        yield from found_in(events, part, kept, None, entries(events, settings))
    yield from _connected(events)


def _connected(events: Events) -> Iterator[Finding]:
    """Shells whose standard input or output is a connection that the socket table leads to another address."""
    shells = programs(events).filter(pl.col("program").str.contains(_SHELLS))
    if shells.is_empty():
        return
    ends = links(events, r"^/proc/\d+/fd/[012]$")
    ends = ends.with_columns(pl.col("target").str.extract(r"^socket:\[(\d+)\]$", 1).alias("socket")).drop_nulls(
        "socket"
    )
    ends = ends.join(shells.select("source", "pid"), on=["source", "pid"], how="semi", maintain_order="left")
    if ends.is_empty():
        return
    sockets = take(
        events, kinds=[EventKind.STATE_SOCKET], header=["src_ip", "dst_ip", "host"],
        own=["inode", "state", "local_port", "remote_port"], where=pl.col("dst_ip").is_not_null(),
    )  # fmt: skip
    sockets = sockets.with_columns(pl.col("inode").cast(pl.String).alias("socket"))
    for end in ends.partition_by("source", "pid", maintain_order=True)[:_MOST]:
        mine = sockets.filter((pl.col("source") == end["source"][0]) & pl.col("socket").is_in(end["socket"].to_list()))
        if mine.height:
            yield _shell(events, end, mine, shells)


def _shell(events: Events, end: pl.DataFrame, mine: pl.DataFrame, shells: pl.DataFrame) -> Finding:
    source, pid, address = end["source"][0], int(end["pid"][0]), str(mine["dst_ip"][0])
    shell = shells.filter((pl.col("source") == source) & (pl.col("pid") == pid)).head(1)
    program, far = str(shell["program"][0]), outside(address)
    zh = f"进程 {pid}（{program}）的标准输入输出接在与 {address} 的网络连接上：这是一个受远端控制的 shell。"
    en = f"Process {pid} ({program}) has its standard input or output on a connection with {address}: a shell that the other end controls."
    return state(
        events, RULE, end, LINK_CLAIMS, Text(zh, en), severity=Severity.HIGH,
        confidence=Confidence.HIGH if far else Confidence.MEDIUM,
        facts={"pid": pid, "program": program, "address": address, "outside": far},
        more=[(shell, LINK_CLAIMS), (mine, SOCKET)], moments=(), src_ip=None,
    )  # fmt: skip
