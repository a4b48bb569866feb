# SPDX-License-Identifier: Apache-2.0
"""Programs that wait for connections and that no package brought.

Needs:      live.proc_net, the exe and fd links of /proc in a live collection (fs.macb), the package database of the same system.
Technique:  T1571 non-standard port; T1543 create or modify system process; T1205 traffic signaling.
Says:       which port which program holds open, by the inode of its socket, and that no package names the program.
False when: software was installed by hand, which is usual in /usr/local, /opt and a panel's folders and is told as low; programs of
            containers are left out; the package database lies on the same disk and is no independent witness.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.frames import names, state
from headwater.detect.live_view import (
    LINK_CLAIMS,
    SYSTEM,
    collected,
    contained,
    links,
    odd_place,
    plain,
    programs,
    rows,
    starts,
)
from headwater.detect.package_view import packages
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings
from headwater.model.records import Value

RULE = Rule(
    id="hidden-listener",
    version="1",
    author="Headwater",
    title=Text("监听端口的程序不属于任何软件包", "A listening program that no package brought"),
    stage=Stage.PERSIST,
    techniques=("T1571", "T1543", "T1205"),
    severity=Severity.MEDIUM,
)
CLAIMS = ("kind", "protocol", "state", "local_address", "local_port", "inode", "uid")
_USUAL = r"^/(?:usr/local|opt|srv|www|app|data|snap)/"
_LOCAL = r"^127\.|^::1$"
MOST = 100


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """By source and program."""
    if not collected(events):
        return
    view = packages(events)
    if view is None:
        return
    listening = rows(
        events, ["live.proc_net"], list(CLAIMS[1:]), EventKind.STATE_SOCKET,
        pl.col("protocol").str.starts_with("tcp") & (pl.col("state") == "LISTEN") & ~pl.col("path").str.contains("/@raw/"),
        whole=False,
    )  # fmt: skip
    if listening.is_empty():
        return
    number = pl.col("target").str.extract(r"^socket:\[(\d+)\]$", 1).cast(pl.Int64, strict=False)
    held = (
        links(events, r"^/proc/\d+/fd/\d+$").with_columns(number.alias("inode")).filter(pl.col("inode").is_not_null())
    )
    inside, began = contained(events), starts(events)
    exe = programs(events).filter(
        ~pl.struct("source", "pid").map_elements(lambda r: (r["source"], r["pid"]) in inside, pl.Boolean)
    )
    place = pl.col("program").str.replace(r"^/(bin|sbin|lib|lib32|lib64|libx32)/", "/usr/${1}/").alias("place")
    known = view.owned.select("source", "place").unique()
    systems = known.select("source").unique()
    foreign = (
        exe.with_columns(place).join(systems, on="source", how="semi").join(known, on=["source", "place"], how="anti")
    )
    sockets = listening.with_columns(pl.col("inode").cast(pl.Int64, strict=False))
    joined = (
        held.select("source", "pid", "inode")
        .unique()
        .join(foreign.select("source", "pid", "program"), on=["source", "pid"])
    )
    chosen = joined.sort("source", "program", "pid").partition_by("source", "program", maintain_order=True)
    told = 0
    for part in chosen:
        source = int(part["source"][0])
        open_now = sockets.filter(
            (pl.col("source") == source) & pl.col("inode").is_in(part["inode"].unique().to_list())
        )
        if open_now.is_empty() or told >= MOST:
            continue
        told += 1
        links_of = foreign.filter((pl.col("source") == source) & pl.col("pid").is_in(part["pid"].to_list()))
        fds = held.filter((pl.col("source") == source) & pl.col("inode").is_in(open_now["inode"].to_list()))
        yield _finding(events, open_now, links_of, fds, began)


def _finding(
    events: Events, sockets: pl.DataFrame, exe: pl.DataFrame, fds: pl.DataFrame, began: dict[tuple[int, int], int]
) -> Finding:
    program = str(exe["program"][0])
    ports = [str(p) for p in sockets["local_port"].unique().sort().to_list()]
    odd = bool(exe.select(odd_place(pl.col("program")).any()).item()) or program.startswith("/memfd:")
    local = bool(sockets["local_address"].str.contains(_LOCAL).all())
    if odd:
        severity = Severity.HIGH
    elif exe["program"].str.contains(_USUAL).any() or local:
        severity = Severity.LOW
    else:
        severity = (
            Severity.MEDIUM
            if exe["program"].str.contains(SYSTEM).any() or program.startswith(("/home/", "/root/"))
            else Severity.LOW
        )
    pid = exe["pid"][0]
    zh = (
        f"进程 {pid} 的程序 {program} 监听 TCP 端口 {names(ports[:5], len(ports), 'zh')}，而没有软件包包含该程序；"
        "软件包数据库与文件同盘，不是独立的佐证。"
    )
    en = (
        f"The program {program} of process {pid} listens on TCP port {names(ports[:5], len(ports), 'en')}, and no package brought it; "
        "the package database is no independent witness."
    )
    values: dict[str, Value] = {"reason": "unowned", "program": program, "ports": ",".join(ports[:20]), "pid": pid}
    return state(
        events, RULE, plain(sockets, CLAIMS), CLAIMS, Text(zh, en), severity=severity,
        confidence=Confidence.MEDIUM if severity == Severity.HIGH else Confidence.LOW, facts=values,
        more=[(exe, LINK_CLAIMS), (fds, LINK_CLAIMS)], limit=20,
        moments=[began[key] for key in exe.select("source", "pid").unique().sort("pid").iter_rows() if key in began],
    )  # fmt: skip
