# SPDX-License-Identifier: Apache-2.0
"""Ports that the kernel has open and the server's own ss or netstat leaves out, or the other way round.

Needs:      live.ss, live.netstat or live.lsof, with live.proc_net of the same collection.
Technique:  T1014 rootkit; T1564 hide artifacts; T1574.006 a preloaded library that answers for reads of /proc/net.
Says:       which port which outputs leave out and which hold it, and which process has it open, by the inode of its socket.
False when: the port was opened or closed between two outputs; ports that come and go (connections, ports of a resolver) are
            one finding of information. Of a system with more than 5,000 waiting ports the first 5,000 are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from headwater.detect.frames import SECOND, names, state
from headwater.detect.live_view import (
    LINK_CLAIMS,
    by_view,
    called,
    collected,
    first_time,
    links,
    neighbours,
    plain,
    programs,
    read_at,
    rows,
    sightings,
    starts,
)
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.paths import file_layer
from headwater.model.ports import Events, Settings
from headwater.model.records import Value

RULE = Rule(
    id="hidden-port",
    version="1",
    author="Headwater",
    title=Text("被隐藏的网络端口", "A hidden network port"),
    stage=Stage.COVER,
    techniques=("T1014", "T1564", "T1574.006"),
    severity=Severity.HIGH,
)
KERNEL = ("live.proc_net",)
TOOLS = ("live.ss", "live.netstat", "live.lsof")
CLAIMS = (
    "kind",
    "pid",
    "process",
    "protocol",
    "state",
    "local_address",
    "local_port",
    "remote_address",
    "remote_port",
    "inode",
)
_OWN = [*CLAIMS[3:], "uid"]
_ANY = ("*", "0.0.0.0", "::")  # noqa: S104 - addresses as the outputs state them
_EPHEMERAL = 32_768  # net.ipv4.ip_local_port_range begins here unless changed
_LESS = 2 * SECOND  # a start is reckoned in hundredths, the boot in whole seconds
MOST = 50
MOST_PORTS = 5_000  # of one system that are compared, in order


@dataclass(frozen=True, slots=True)
class _Owners:
    """Who has which socket open: the fd and exe links of /proc, and when each process (source, number) began."""

    fds: pl.DataFrame
    exe: pl.DataFrame
    starts: dict[tuple[int, int], int]
    seen: dict[tuple[int, int], int]  # when it was last read from /proc
    read: dict[tuple[int, str], int]  # when each of the kernel's tables was read, by source and path

    def of(self, part: pl.DataFrame) -> tuple[list[int], pl.DataFrame, pl.DataFrame]:
        """The processes on these sockets, with the links that say so."""
        source = int(part["source"][0])
        inodes = [f"socket:[{i}]" for i in part["inode"].drop_nulls().unique().sort().to_list()]
        held = self.fds.filter((pl.col("source") == source) & pl.col("target").is_in(inodes))
        pids = sorted({*held["pid"].drop_nulls().to_list(), *part["pid"].drop_nulls().to_list()})
        return pids, held, self.exe.filter((pl.col("source") == source) & pl.col("pid").is_in(pids))

    def lived(self, part: pl.DataFrame, pids: list[int], lacking: dict[str, pl.DataFrame]) -> bool | None:
        """Whether an owner was there before and after every output that lacks the socket; None where that is not known."""
        source = int(part["source"][0])
        times = [self.read.get((source, file_layer(p)), first_time(v)) for p, v in lacking.items()]
        made = [t for t in times if t is not None]
        answers = []
        for pid in pids:
            began, seen = self.starts.get((source, pid)), self.seen.get((source, pid))
            known = began is not None and seen is not None and bool(made)
            answers.append(began + _LESS < min(made) and seen >= max(made) if known else None)  # type: ignore[operator]
        return True if True in answers else None if None in answers or not answers else False


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Listening ports by source, protocol and port; then what comes and goes, one finding for each source."""
    if not collected(events):
        return
    bound = (pl.col("local_port").cast(pl.Int64, strict=False) > 0) & pl.col("protocol").str.contains(
        r"^(?:tcp|udp)6?$"
    )
    every = rows(events, [*KERNEL, *TOOLS], _OWN, EventKind.STATE_SOCKET, bound)
    if every.is_empty():
        return
    address = pl.col("local_address").str.strip_prefix("::ffff:")
    every = every.with_columns(
        pl.col("protocol").str.slice(0, 3).alias("base"),
        pl.when(address.is_in(_ANY)).then(pl.lit("*")).otherwise(address).alias("at"),
        pl.col("feed").is_in(KERNEL).alias("kernel"),
        pl.col("local_port").cast(pl.Int64, strict=False).alias("port"),
        _waiting().alias("waiting"),
    )
    began = starts(events)
    tables = {file_layer(p) for p in every.filter(pl.col("kernel"))["path"].unique().to_list()}
    read = {(s, path): at for path in sorted(tables) for s, at in read_at(events, path).items()}
    owners = links(events, r"^/proc/\d+/fd/\d+$").filter(pl.col("target").str.starts_with("socket:["))
    exe = programs(events)
    for mine in every.partition_by("source", maintain_order=True):
        if mine["kernel"].any() and not mine["kernel"].all():
            yield from _of_system(events, mine, _Owners(owners, exe, began, sightings(events), read))


def _waiting() -> pl.Expr:
    """A socket that waits for others: a listener, or a datagram socket without a peer."""
    tcp = pl.col("protocol").str.starts_with("tcp")
    peerless = pl.col("remote_port").cast(pl.Int64, strict=False).fill_null(0) == 0
    return pl.when(tcp).then(pl.col("state").is_in(["LISTEN"])).otherwise(peerless)


@dataclass(frozen=True, slots=True)
class _View:
    """One output: its rows, the protocols that it tells of, its file's name, and whose word it is."""

    rows: pl.DataFrame
    bases: frozenset[str]
    name: str
    kernel: bool
    lsof: bool

    @staticmethod
    def of(path: str, view: pl.DataFrame) -> _View:
        name = file_layer(path).rpartition("/")[2]
        bases = frozenset(view["base"].unique().to_list())
        lsof = bool(view["feed"].eq("live.lsof").any())
        return _View(view, bases, name, bool(view["kernel"].any()), lsof)

    def covers(self, base: str) -> bool:
        """Whether this output tells of the protocol at all."""
        named = {"tcp": ("ss-antp", "netstat-antp"), "udp": ("ss-anup",)}[base]
        return base in self.bases or self.name.startswith(named)

    def tells(self, part: pl.DataFrame, base: str) -> bool:
        """Whether this output is of the same kind of table: /proc/net/tcp does not hold what /proc/net/tcp6 does."""
        if not self.kernel:
            return not self.lsof  # lsof reads what processes have open: of an owner that it may not see it says nothing
        if part["kernel"].any():
            return bool(part.filter(pl.col("kernel"))["protocol"].eq(self.name).any())
        old = part["local_address"].str.contains(r"^\d+\.\d+\.\d+\.\d+$").all()
        return self.name == base if old else self.name in (base, base + "6")


def _of_system(events: Events, mine: pl.DataFrame, owners: _Owners) -> Iterator[Finding]:
    views = {p: _View.of(p, v) for p, v in by_view(mine).items()}
    key = ["base", "port", "at"]
    waiting = mine.filter(pl.col("waiting"))
    chosen = waiting.select(key).unique().sort(key).head(MOST_PORTS)
    parts = waiting.join(chosen, on=key, how="semi", nulls_equal=True).sort([*key, "path", "offset", "ordinal"])
    passing: list[pl.DataFrame] = []
    told = 0
    for part in parts.partition_by(key, maintain_order=True):
        base, port, shown = str(part["base"][0]), int(part["port"][0]), set(part["path"].to_list())
        lacking = {p: v.rows for p, v in views.items() if p not in shown and v.covers(base) and v.tells(part, base)}
        if not lacking:
            continue
        how = _weigh(part, list(lacking.values()), base, port)
        if how is None:
            passing.append(part)
        elif told < MOST:
            told += 1
            yield _finding(events, part, lacking, how, owners)
    passing.extend(_connections(mine, views))
    if passing and (finding := _transient(events, pl.concat(passing))) is not None:
        yield finding


def _connections(mine: pl.DataFrame, views: dict[str, _View]) -> Iterator[pl.DataFrame]:
    """Connections that two copies of the kernel's table hold and no tool shows."""
    key = ["base", "at", "port", "remote", "remote_port"]
    far = pl.col("remote_address").str.strip_prefix("::ffff:").alias("remote")
    open_now = mine.filter(pl.col("state").is_in(["ESTAB", "ESTABLISHED"])).with_columns(far)
    if not any(v.covers("tcp") for v in views.values() if not v.kernel):
        return
    counts = open_now.group_by(key).agg(pl.col("path").n_unique().alias("copies"), pl.col("kernel").all().alias("only"))
    chosen = counts.filter(pl.col("only") & (pl.col("copies") >= 2))
    yield open_now.join(chosen.select(key), on=key, how="semi", maintain_order="left").drop("remote")


def _weigh(part: pl.DataFrame, lacking: list[pl.DataFrame], base: str, port: int) -> tuple[Severity, Confidence] | None:
    copies = part.filter(pl.col("kernel"))["path"].n_unique()
    tools = part.filter(~pl.col("kernel"))["path"].n_unique()
    tools_lacking = sum(not v["kernel"].any() for v in lacking)
    if base == "udp" and (port >= _EPHEMERAL or copies + tools < 2):
        return None
    sure = copies >= 2 or (copies and tools) or tools_lacking >= 2 or tools >= 2
    high = Severity.HIGH if base == "tcp" else Severity.MEDIUM
    return (high, Confidence.HIGH if copies >= 2 and tools_lacking >= 2 else Confidence.MEDIUM) if sure else (
        Severity.MEDIUM, Confidence.LOW
    )  # fmt: skip


def _finding(
    events: Events, part: pl.DataFrame, lacking: dict[str, pl.DataFrame], how: tuple[Severity, Confidence],
    owners: _Owners,
) -> Finding:  # fmt: skip
    port, base = int(part["port"][0]), str(part["base"][0])
    pids, held, program = owners.of(part)
    lived = owners.lived(part, pids, lacking)
    if lived is False or (lived is None and port >= _EPHEMERAL):
        how = Severity.LOW, Confidence.LOW  # who has it open began after, or ended before, an output that lacks it
    elif lived is None:  # who has it open is hidden as well, or has ended meanwhile
        how = min(how[0], Severity.MEDIUM, key=list(Severity).index), Confidence.MEDIUM
    where = f"{base.upper()} {part['local_address'][0]}:{port}"
    paths = set(part["path"].to_list())
    zh = f"{where} 见于 {called(paths, 'zh')}，而 {called(lacking, 'zh')} 中没有"
    en = f"{where} stands in {called(paths, 'en')} and not in {called(lacking, 'en')}"
    if pids:
        which = ", ".join(str(p) for p in pids[:5])
        what = program["target"].unique().sort().to_list()
        zh += f"；持有该套接字的进程为 {which}" + (f"（{names(what[:3], len(what), 'zh')}）" if what else "")
        en += f"; the socket is held by process {which}" + (f" ({names(what[:3], len(what), 'en')})" if what else "")
    else:
        zh, en = f"{zh}；未见持有它的进程", f"{en}; no process was seen to hold it"
    near = pl.concat([neighbours(v, "port", port) for v in lacking.values()], how="diagonal_relaxed")
    values: dict[str, Value] = {
        "reason": "listener",
        "port": port,
        "protocol": base,
        "pids": ",".join(map(str, pids[:20])),
    }
    return state(
        events, RULE, plain(part, CLAIMS), CLAIMS, Text(zh + "。", en + "."), severity=how[0], confidence=how[1],
        facts=values, more=[(held, LINK_CLAIMS), (program, LINK_CLAIMS), (plain(near, CLAIMS), CLAIMS)], limit=40,
        moments=[*part["ts"].drop_nulls().to_list(), *near["ts"].drop_nulls().to_list()],
    )  # fmt: skip


def _transient(events: Events, part: pl.DataFrame) -> Finding | None:
    if part.is_empty():
        return None
    ports = [str(p) for p in part["port"].unique().sort().to_list()]
    zh = f"有 {len(ports)} 个端口（{names(ports[:5], len(ports), 'zh')}）属随时开闭的连接或临时端口，只见于部分输出；单凭此不能认为被隐藏。"
    en = f"{len(ports)} ports ({names(ports[:5], len(ports), 'en')}) of connections or passing sockets stand in some outputs only; "
    return state(
        events, RULE, plain(part, CLAIMS), CLAIMS, Text(zh, en + "such ports come and go, which by itself hides nothing."),
        severity=Severity.INFO, confidence=Confidence.LOW, facts={"reason": "transient", "ports": len(ports)}, limit=20,
    )  # fmt: skip
