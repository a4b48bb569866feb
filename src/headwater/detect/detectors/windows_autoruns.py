# SPDX-License-Identifier: Apache-2.0
"""Start-up items of Windows that are unusual: services, tasks, Run keys, Winlogon, debuggers, LSA packages, COM servers.

Needs:      state.service, state.schedule and state.autorun of registry hives (windows.service, windows.task, windows.autorun).
Technique:  T1543.003 services; T1053.005 tasks; T1547.001 Run keys; T1547.004 Winlogon; T1546.008/012 debuggers; T1547.005 LSA.
Says:       which item starts what, and what is unusual in it: its place, its command, or that such an item is there at all.
False when: an administrator's own script lies in a public folder; a debugger or an LSA package of a product is registered.
"""

from __future__ import annotations

import ntpath
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import polars as pl

from headwater.detect.frames import state, take
from headwater.detect.windows_commands import program_of, signs
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.paths import file_layer
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="windows-autoruns",
    version="1",
    author="Headwater",
    title=Text("异常的 Windows 自启动项", "Unusual start-up items of Windows"),
    stage=Stage.PERSIST,
    techniques=("T1543.003", "T1053.005", "T1547.001", "T1547.004", "T1546.008", "T1546.012", "T1547.005", "T1546.015"),
    severity=Severity.HIGH,
)
CLAIMS = (
    "kind",
    "user",
    "command_line",
    "key",
    "unit",
    "library",
    "start",
    "account",
    "hidden",
    "spot",
    "name",
    "target",
    "action",
)
FEEDS = ("windows.service", "windows.task", "windows.task_file", "windows.autorun", "windows.lnk")
_HEADER = ["user", "command_line", "host", "t_recorded"]
_OWN = [
    "key",
    "unit",
    "library",
    "failure_command",
    "start",
    "account",
    "hidden",
    "spot",
    "name",
    "target",
    "action",
    "technique",
    "state",
    "in_use",
]
_ACCESSIBLE = frozenset(
    {"sethc.exe", "utilman.exe", "osk.exe", "narrator.exe", "magnify.exe", "displayswitch.exe", "atbroker.exe"}
)
_PACKAGES = frozenset(
    {
        "", '""', "kerberos", "msv1_0", "schannel", "wdigest", "tspkg", "pku2u", "livessp", "cloudap", "negoexts", "negotiate",
        "scecli", "rassfm",
        "credssp.dll", "msapsspc.dll", "schannel.dll", "digest.dll", "msnsspc.dll", "pwdssp.dll", "wdigest.dll", "tspkg.dll",
    }
)  # fmt: skip
_WORDS = {
    EventKind.STATE_SERVICE.value: ("服务", "service"),
    EventKind.STATE_SCHEDULE.value: ("计划任务", "scheduled task"),
    EventKind.STATE_AUTORUN.value: ("自启动项", "start-up item"),
}
_PRODUCTS = lazy_regex(r"\\program files|vsjitdebugger|\\windows kits\\|^ntsd|drwtsn32")
_DISK_CHECK = lazy_regex(r"(?:autocheck autochk\S*\s*(?:/\S+\s*)*\*?\s*)+")
# Places with hardly an honest use, or where a library outside the system's folder has none: fits(spot, name, text).
_RARE: tuple[tuple[Callable[[str, str, str], bool], str, str, str], ...] = (
    (lambda spot, name, text: name == "appinit_dlls", "T1546.010", "每个图形程序都会装入该库",
     "every program with a window loads this library"),
    (lambda spot, name, text: spot.endswith("silentprocessexit"), "T1546.012", "该程序退出时运行另一程序",
     "another program runs whenever this one ends"),
    (lambda spot, name, text: name == "userinitmprlogonscript", "T1037.001", "登录脚本设在极少有正当用途的位置",
     "a logon script in a place with hardly an honest use"),
    (lambda spot, name, text: name == "cor_profiler_path", "T1574.012", "每个 .NET 程序都会装入该库",
     "every .NET program loads this library"),
    (lambda spot, name, text: spot.endswith("appcertdlls"), "T1546.009", "每个启动程序的进程都会装入该库",
     "every process that starts another loads this library"),
    (lambda spot, name, text: spot.endswith("\\netsh") and "\\" in text and "\\system32\\" not in text, "T1546.007",
     "netsh 会装入系统目录以外的库", "netsh loads a library outside the system's folder"),
    (lambda spot, name, text: spot.endswith("print\\monitors") and "\\" in text, "T1547.010", "打印监视器库不在系统目录",
     "a print monitor outside the system's folder"),
)  # fmt: skip
Reason = tuple[Severity, str, str, str]  # severity, technique, Chinese, English


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """One finding per item, in order of source, path and place; the same item in two states of a hive counts once."""
    rows = take(events, feeds=FEEDS, header=_HEADER, own=_OWN, where=_worth())
    seen: set[tuple[Any, ...]] = set()
    for row in rows.sort("source", "path", "offset", "ordinal").iter_slices(1):
        said = row.to_dicts()[0]
        mark = (
            said["source"],
            said["kind"],
            said["key"],
            said["unit"],
            said["name"],
            said["command_line"],
            said["library"],
        )
        reasons = list(_reasons(said))
        if reasons and mark not in seen:
            seen.add(mark)
            yield _finding(events, row, said, reasons)


def _worth() -> Any:
    started = pl.col("command_line").is_not_null() | pl.col("library").is_not_null() | pl.col("hidden").is_not_null()
    # of a task's several rows the one that tells its action
    task = (pl.col("kind") != EventKind.STATE_SCHEDULE.value) | pl.col("action").is_not_null()
    link = (pl.col("feed") != "windows.lnk") | (pl.col("kind") == EventKind.STATE_AUTORUN.value)  # others start nothing
    return started & task & link


def _reasons(said: dict[str, Any]) -> Iterator[Reason]:
    kind = said["kind"]
    for text in (said["command_line"], said["library"], said["failure_command"]):
        yield from _command(text or "", said)
    if kind == EventKind.STATE_SCHEDULE.value and said["hidden"] == "no security descriptor":
        yield (
            Severity.HIGH,
            "T1053.005",
            "任务缺少安全描述符，系统工具中看不到它",
            "it has no security descriptor, so that no tool of Windows shows it",
        )
    if kind == EventKind.STATE_AUTORUN.value:
        yield from _spot(said)


def _command(text: str, said: dict[str, Any]) -> Iterator[Reason]:
    """What the signs of a command weigh here: a user's own Run entry in an odd place weighs less than a service there."""
    if said["spot"] and said["spot"].endswith("User Shell Folders"):
        return
    once = bool(said["spot"]) and "runonce" in said["spot"].lower()
    for sign in signs(text):
        if not sign.strong:
            weighs = sign.name == "dual-use" or (sign.place and said["kind"] != EventKind.STATE_AUTORUN.value)
            severity = Severity.MEDIUM if weighs else Severity.LOW
        else:
            # installers leave what they clean up in a temporary folder for the next start
            severity = Severity.LOW if sign.place and once else Severity.HIGH
        yield severity, sign.technique, sign.zh, sign.en


def _spot(said: dict[str, Any]) -> Iterator[Reason]:
    """What is unusual because of the very place in which it is registered."""
    spot, name, text = (str(said[k] or "").lower() for k in ("spot", "name", "command_line"))
    if spot.endswith("image file execution options") and name == "debugger":
        yield from _debugger(str(said["target"] or "").lower(), text)
    elif spot.endswith("\\winlogon"):
        yield from _logon(name, text)
    elif spot.startswith("control\\lsa") or spot == "control\\securityproviders":
        odd = " ".join(p for p in re.split(r"[\s,]+", text) if p not in _PACKAGES)
        if odd:
            yield (
                Severity.HIGH,
                "T1547.005",
                f"LSA 会装入不属于系统的包 {odd}",
                f"the LSA loads a package that is not the system's: {odd}",
            )
    elif spot == "control\\session manager" and name == "bootexecute":
        if not _DISK_CHECK.fullmatch(text):
            yield (
                Severity.MEDIUM,
                "T1547",
                "启动早期运行的程序不只磁盘检查",
                "more than the disk check runs early at boot",
            )
    else:
        for fits, technique, zh, en in _RARE:
            if fits(spot, name, text):
                yield Severity.MEDIUM, technique, zh, en


def _debugger(target: str, text: str) -> Iterator[Reason]:
    if target in _ACCESSIBLE:
        yield (
            Severity.HIGH,
            "T1546.008",
            "登录界面上的辅助程序被换成别的程序",
            "a helper of the logon screen is replaced by another program",
        )
    elif not _PRODUCTS.search(text):
        yield (
            Severity.MEDIUM,
            "T1546.012",
            "启动该程序时实际运行的是另一程序",
            "another program runs whenever this one is started",
        )


def _logon(name: str, text: str) -> Iterator[Reason]:
    if name == "shell" and _others(text, "explorer.exe"):
        yield Severity.HIGH, "T1547.004", "登录外壳不是 explorer.exe", "the shell at logon is not explorer.exe alone"
    elif name == "userinit" and _others(text, "userinit.exe"):
        yield (
            Severity.HIGH,
            "T1547.004",
            "登录时除 userinit.exe 外还运行别的程序",
            "besides userinit.exe another program runs at logon",
        )


def _others(text: str, usual: str) -> bool:
    return any(ntpath.basename(part.strip().strip('"')) != usual for part in text.split(",") if part.strip())


def _finding(events: Events, row: pl.DataFrame, said: dict[str, Any], reasons: list[Reason]) -> Finding:
    order = [Severity.LOW, Severity.MEDIUM, Severity.HIGH]
    severity = max((r[0] for r in reasons), key=order.index)
    zh_kind, en_kind = _WORDS[said["kind"]]
    # what stands in a file of its own (a task, a shortcut) has no key
    where = said["key"] or file_layer(said["path"])
    name = said["unit"] or said["target"] or said["name"] or re.split(r"[\\/]", where)[-1]
    shown = (said["command_line"] or said["library"] or "")[:200]
    zh_why = "；".join(dict.fromkeys(r[2] for r in reasons))
    en_why = "; ".join(dict.fromkeys(r[3] for r in reasons))
    replayed = said["state"] == "replayed"
    zh_state, en_state = ("（事务日志重放后的状态）", ", as replayed from the log") if replayed else ("", "")
    zh = f"{zh_kind}“{name}”启动 {shown or '（命令未知）'}：{zh_why}。位置：{where}{zh_state}。"
    en = f"The {en_kind} “{name}” starts {shown or '(an unknown command)'}: {en_why}. It stands in {where}{en_state}."
    techniques = tuple(
        dict.fromkeys((*(r[1] for r in reasons), *([said["technique"]] if said["technique"] else []), *RULE.techniques))
    )
    facts = {"item": name, "program": program_of(shown) if shown else None, "key": said["key"], "reasons": len(reasons)}
    confidence = (
        Confidence.HIGH
        if severity is Severity.HIGH
        else Confidence.MEDIUM
        if severity is Severity.MEDIUM
        else Confidence.LOW
    )
    return state(
        events,
        replace(RULE, techniques=techniques),
        row,
        CLAIMS,
        Text(zh, en),
        severity=severity,
        confidence=confidence,
        facts=facts,
    )
