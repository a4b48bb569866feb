# SPDX-License-Identifier: Apache-2.0
"""Processes that the kernel has and the server's own ps and top leave out.

Needs:      live.ps or live.top, with live.proc_pid or live.raw_pids of the same collection.
Technique:  T1564.001 hide artifacts; T1014 rootkit; T1574.006 a preloaded library that answers for readdir.
Says:       which process which outputs leave out and which views hold it; that it lived while ps ran is proved by its start and
            by views before and after ps, or the finding says that this is not proved.
False when: it began after ps or ended before it (numbers and starts are weighed), ps ran in another namespace, numbers began anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from headwater.detect.commands import excerpt
from headwater.detect.frames import MINUTE, SECOND, state, take
from headwater.detect.live_view import (
    LINK_CLAIMS,
    PID_CLAIMS,
    TOOLS,
    by_view,
    called,
    collected,
    facts,
    first_time,
    neighbours,
    of_pids,
    plain,
    programs,
    read_at,
    rows,
    sightings,
)
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings
from headwater.model.records import Value

RULE = Rule(
    id="hidden-process",
    version="1",
    author="Headwater",
    title=Text("被隐藏的进程", "A hidden process"),
    stage=Stage.COVER,
    techniques=("T1564.001", "T1014", "T1574.006"),
    severity=Severity.HIGH,
)
MOST = 50
_LESS = 2 * SECOND  # a start is reckoned in hundredths, the boot in whole seconds


@dataclass(frozen=True, slots=True)
class _Tool:
    """One output: its rows, the numbers that it lists, when it was begun, its own number and whether its row is marked."""

    rows: pl.DataFrame
    told: frozenset[int]
    ran: int | None
    number: int | None
    marked: bool

    @staticmethod
    def of(view: pl.DataFrame) -> _Tool:
        own = view.filter(pl.col("itself").cast(pl.String) == "true")["pid"]
        told = frozenset(view["pid"].drop_nulls().to_list())
        # of outputs that do not mark their own row, the highest number that they list
        return _Tool(view, told, first_time(view), own[0] if len(own) else max(told, default=None), bool(len(own)))


@dataclass(frozen=True, slots=True)
class _System:
    """The views of one source; times are UTC ns. ``seen``: the last sighting of a process by the kernel's views."""

    tools: dict[str, _Tool]
    status: pl.DataFrame
    starts: dict[int, int]
    raw: pl.DataFrame
    seen: dict[int, int]
    exists: frozenset[int]
    probed: int | None  # when the numbers began to be tried

    most: int | None  # up to which number it was tried
    listed: dict[int, bool]  # whether a number that was tried stands in the kernel's listing of /proc
    stands: frozenset[int]  # the processes that /proc, listed through the C library, told of

    def lacking(self, pid: int) -> dict[str, _Tool]:
        """The outputs without this process."""
        return {p: tool for p, tool in self.tools.items() if pid not in tool.told}


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Mounts over a process first; then by source and number of the process."""
    if not collected(events):
        return
    yield from _mounted_over(events)
    own = ["ppid", "listed", "fact", "itself", "probed_to"]
    tools = rows(events, TOOLS, own, EventKind.STATE_PROCESS)
    raw = rows(events, ["live.raw_pids"], own, EventKind.STATE_PROCESS)
    stated = facts(events, "status", "stat", "cmdline")
    exe, read = programs(events), (sightings(events), read_at(events, "/@raw/pids.txt"))
    for source in tools["source"].unique().sort().to_list():
        mine = stated.filter(pl.col("source") == source)
        system = _system(source, tools, mine, raw, read)
        found = []
        for pid in sorted(system.exists):
            lacking = system.lacking(pid)
            weighed = [(p, how) for p, v in lacking.items() if (how := _weigh(system, pid, v))]
            if weighed:
                best = min((how for _, how in weighed), key=lambda h: _ORDER.index(h[0]))
                found.append((pid, best, {p: lacking[p].rows for p, _ in weighed}))
        for pid, how, views in found[:MOST]:
            more = [(of_pids(mine, source, [pid]), PID_CLAIMS), (of_pids(exe, source, [pid]), LINK_CLAIMS)]
            yield _finding(events, system, pid, how, views, more, len(found))


def _mounted_over(events: Events) -> Iterator[Finding]:
    """A mount on a process's folder of /proc: ps and everything else then see what was mounted instead."""
    found = take(
        events, kinds=[EventKind.STATE_MOUNT], header=["file_path"], own=["device", "file_system"],
        where=pl.col("file_path").str.contains(r"^/proc/\d+$"),
    ).sort("source", "file_path", "path", "offset")  # fmt: skip
    for part in found.partition_by("source", "file_path", maintain_order=True)[:MOST]:
        place, device = str(part["file_path"][0]), str(part["device"][0])
        zh = f"{place} 上挂载了 {device}：该进程的内核记录被遮盖，ps 等工具看不到它。"
        en = (
            f"{device} is mounted on {place}: the kernel's own word of that process is covered, and ps does not see it."
        )
        yield state(
            events, RULE, part, ("kind", "file_path", "device", "file_system"), Text(zh, en), severity=Severity.HIGH,
            confidence=Confidence.HIGH, facts={"reason": "mounted", "pid": int(place.rpartition("/")[2])}, limit=20,
        )  # fmt: skip


def _system(
    source: int, tools: pl.DataFrame, stated: pl.DataFrame, raw: pl.DataFrame,
    read: tuple[dict[tuple[int, int], int], dict[int, int]],
) -> _System:  # fmt: skip
    status, raw = stated.filter(pl.col("fact") == "status"), raw.filter(pl.col("source") == source)
    started = stated.filter((pl.col("fact") == "stat") & pl.col("ts").is_not_null())
    seen = {pid: ts for (s, pid), ts in read[0].items() if s == source}
    if source in read[1]:
        seen |= {pid: max(read[1][source], seen.get(pid, 0)) for pid in raw["pid"].drop_nulls().to_list()}
    every = {p: _Tool.of(v) for p, v in by_view(tools.filter(pl.col("source") == source)).items()}
    # of a container or of one session a list is short: it cannot be held against the whole system
    views = {p: tool for p, tool in every.items() if len(tool.told) * 3 >= status.height or 1 in tool.told}
    stands = frozenset(status["pid"].drop_nulls().to_list())
    listed = {int(p): str(at).lower() != "false" for p, at in raw.select("pid", "listed").iter_rows() if p is not None}
    for tool in views.values():
        if tool.ran is not None:
            seen |= {pid: max(tool.ran, seen.get(pid, 0)) for pid in tool.told}
    started_at = dict(started.select("pid", "ts").iter_rows())
    most = raw["probed_to"].cast(pl.Int64, strict=False).max() if raw.height else None
    return _System(
        views, status, started_at, raw, seen, stands | frozenset(listed), read[1].get(source),
        most if isinstance(most, int) else None, listed, stands,
    )  # fmt: skip


def _numbered_before(system: _System, pid: int, tool: _Tool) -> bool:
    """Whether a number was given out before this output was made: numbers go round, so those given since lie in one arc.

    The arc runs from the tool's own number to that of a tool run later. Where none was run later, numbers above the tool's own
    count as later, and nothing is said where they may have begun anew since.
    """
    began = tool.number
    if began is None:
        return False
    last = max(system.probed or 0, system.seen.get(pid, 0), tool.ran or 0)
    later = [(t.ran, t.number) for t in system.tools.values() if t.ran and t.ran > last and t.number is not None]
    if later and tool.marked:
        ended = max(later)[1]
        since = began <= pid <= ended if began <= ended else (pid >= began or pid <= ended)
        return not since
    return pid < began and not (system.most is not None and began > system.most - system.most // 10)


_ORDER = ("proved", "unlisted", "library", "twice", "once")
_How = tuple[str, Severity, Confidence]


def _weigh(system: _System, pid: int, tool: _Tool) -> _How | None:
    """How far it is proved that the process was there while this output was made; None where it need not have been."""
    ran, start, seen = tool.ran, system.starts.get(pid), system.seen.get(pid)
    if start is not None and ran is not None:
        before = start + _LESS < ran
    else:
        before = _numbered_before(system, pid, tool)
    if not before or (seen is not None and ran is not None and seen <= ran):
        return None
    if not system.listed.get(pid, True):
        return "unlisted", Severity.HIGH, Confidence.MEDIUM
    if start is not None and seen is not None:
        return "proved", Severity.HIGH, Confidence.HIGH
    if pid not in system.stands:
        return "library", Severity.HIGH, Confidence.MEDIUM
    if pid in system.listed:
        return "twice", Severity.HIGH, Confidence.MEDIUM
    if start is not None and ran is not None and start + MINUTE < ran and not system.raw.height:
        return "once", Severity.MEDIUM, Confidence.LOW
    return None


_HOW = {
    "proved": (
        "它在这些工具运行之前已经启动，其后仍见于内核记录，工具运行时必然存在",
        "it had begun before these tools ran and the kernel still had it afterwards, so that it was there while they ran",
    ),
    "twice": (
        "两份内核记录中都有该进程",
        "two of the kernel's own views hold it",
    ),
    "library": (
        "经 C 库所列的 /proc 中也没有它，仅绕过 C 库逐号探测时才出现",
        "the listing of /proc through the C library lacks it as well; only trying each number past that library shows it",
    ),
    "unlisted": (
        "它有进程号并应答信号，却不在内核给出的 /proc 目录清单中",
        "it has a number and answers to signals, yet the kernel's listing of /proc leaves it out",
    ),
    "once": (
        "该进程在 ps 之前已运行一分钟以上；仅一次记录到它，不能排除其恰在两次采集之间结束",
        "it had run for over a minute before ps; it was seen once only, so that it may have ended just between the two",
    ),
}


def _finding(
    events: Events, system: _System, pid: int, how: _How, lacking: dict[str, pl.DataFrame],
    more: list[tuple[pl.DataFrame, tuple[str, ...]]], total: int,
) -> Finding:  # fmt: skip
    reason, severity, confidence = how
    mine = system.raw.filter(pl.col("pid") == pid)
    kernel = pl.concat([system.status.filter(pl.col("pid") == pid), mine], how="diagonal_relaxed")
    facts_of = more[0][0]
    name = next((str(n) for n in [*kernel["process"].drop_nulls()]), "?")
    line = next(iter(facts_of["command_line"].drop_nulls()), None)
    program = next(iter(more[1][0]["target"].drop_nulls()), None) if more[1][0].height else None
    near = pl.concat([neighbours(view, "pid", pid) for view in lacking.values()], how="diagonal_relaxed")
    zh = f"进程 {pid}（{name}"
    en = f"Process {pid} ({name}"
    if program:
        zh, en = f"{zh}，程序 {program}", f"{en}, program {program}"
    if line:
        zh, en = f"{zh}，命令行“{excerpt(str(line))}”", f"{en}, command line {excerpt(str(line))!r}"
    shown = set(kernel["path"].to_list())
    zh += f"）见于 {called(shown, 'zh')}，而服务器自身工具 {called(lacking, 'zh')} 的输出中没有；{_HOW[reason][0]}。"
    en += (
        f") stands in {called(shown, 'en')} and not in what the server's own tools printed ({called(lacking, 'en')}); "
    )
    values: dict[str, Value] = {"reason": reason, "pid": pid, "program": program, "hidden": total}
    return state(
        events, RULE, plain(kernel, PID_CLAIMS), PID_CLAIMS, Text(zh, en + _HOW[reason][1] + "."), severity=severity,
        confidence=confidence, facts={k: v for k, v in values.items() if v is not None},
        more=[*more, (plain(near, PID_CLAIMS), PID_CLAIMS)], moments=near["ts"].drop_nulls().to_list(),
    )  # fmt: skip
