# SPDX-License-Identifier: Apache-2.0
"""Services installed and tasks registered, as the event logs tell of them, whether they are still there or not.

Needs:      service.install and schedule.change of windows.eventlog (7045, 4697, 4698, 4699, 4702, 106, 141).
Technique:  T1543.003 services; T1569.002 service execution; T1053.005 tasks; T1021.002 shares.
Says:       which service or task was made when, by whom where that is logged, and what is unusual in its command;
            a task that was deleted within ten minutes; the ordinary ones together, by number and name.
False when: an administrator runs PsExec or a deployment tool; a setup program registers a task and deletes it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import unescape
from typing import Any

import polars as pl

from headwater.detect.commands import excerpt
from headwater.detect.frames import MINUTE, listed, names, state, take
from headwater.detect.windows_commands import program_of, signs
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import SEVERITY_ORDER, Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings
from headwater.model.records import Value

RULE = Rule(
    id="windows-installs",
    version="1",
    author="Headwater",
    title=Text("服务安装与任务创建记录", "Records of installed services and registered tasks"),
    stage=Stage.PERSIST,
    techniques=("T1543.003", "T1053.005", "T1569.002", "T1021.002"),
    severity=Severity.HIGH,
)
FEED = "windows.eventlog"
# as they stand in the record: the name and command under which a finding speaks of them are worked out from these
CLAIMS = ("kind", "event_code", "user", "ServiceName", "file_path", "AccountName", "StartType", "Security_UserID", "TaskName",
          "TaskContent", "TaskContentNew")  # fmt: skip
_OWN = ("ServiceName", "AccountName", "StartType", "Security_UserID", "TaskName", "TaskContent", "TaskContentNew", "UserContext",
        "EventRecordID")  # fmt: skip
_MADE, _GONE = ("7045", "4697", "4698", "4702", "106"), ("4699", "141")
_EXEC = lazy_regex(r"<Command>(.*?)</Command>\s*(?:<Arguments>(.*?)</Arguments>)?", re.DOTALL | re.IGNORECASE)
_LONGEST, _ACTIONS = 65_536, 32
SOON = 10 * MINUTE
_SHELLS = frozenset({"cmd", "%comspec%", "powershell", "pwsh", "rundll32", "regsvr32", "mshta", "wscript", "cscript"})
_RANDOM = lazy_regex(r"(?i:^\"?(?:%systemroot%|%windir%|[a-z]:\\windows))\\(?=[A-Za-z]*[a-z][A-Z])[A-Za-z]{8}\.exe\"?$")
_PIPE = lazy_regex(r"(?i)\becho\b[^|&]*>\s*\\\\\.\\pipe\\")
_SHARE = lazy_regex(r"(?i)^\"?\\\\[^\\]+\\(?:admin|[a-z])\$\\")
Reason = tuple[Severity, str, str, str]  # severity, technique, Chinese, English


@dataclass(frozen=True, slots=True)
class _Item:
    """A service or a task of one host, with all rows that made it."""

    service: bool
    name: str
    command: str
    part: pl.DataFrame
    reasons: tuple[Reason, ...]


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """What is unusual, one finding for each item and command; then the ordinary ones of each host together."""
    if FEED not in events.feeds():
        return
    rows = _rows(events)
    gone = rows.filter(pl.col("event_code").is_in(_GONE)).select("source", "host", "item", "ts")
    removed: dict[tuple[Any, ...], list[int]] = {}
    for source, host, item, when in gone.iter_rows():
        if when is not None:
            removed.setdefault((source, host, item), []).append(when)
    made = rows.filter(pl.col("event_code").is_in(_MADE))
    ordinary: list[pl.DataFrame] = []
    for part in made.partition_by("source", "host", "service", "item", "command", maintain_order=True):
        item = _item(part, removed)
        if item.reasons:
            yield _finding(events, item)
        else:
            ordinary.append(part.filter(pl.col("event_code") != "4702"))
    rest = pl.concat(ordinary) if ordinary else made.head(0)
    for part in rest.partition_by("source", "host", "service", maintain_order=True):
        yield _ordinary(events, part)


def _rows(events: Events) -> pl.DataFrame:
    """The rows with the name and command of their item; a record that stands in several copies of a log counts once."""
    rows = take(
        events, kinds=[EventKind.SERVICE_INSTALL, EventKind.SCHEDULE_CHANGE], feeds=[FEED],
        header=["user", "host", "event_code", "file_path"], own=_OWN,
        where=pl.col("event_code").is_in([*_MADE, *_GONE]),
    )  # fmt: skip
    rows = rows.with_columns(pl.col(c).cast(pl.String) for c in _OWN)
    rows = rows.with_columns(pl.coalesce("TaskContentNew", "TaskContent").alias("content"))
    contents = rows["content"].drop_nulls().unique().to_list()
    actions = {text: _commands(text) for text in contents}
    action = pl.col("content").replace_strict(actions, default=None, return_dtype=pl.String)
    service = pl.col("kind") == EventKind.SERVICE_INSTALL.value
    rows = rows.with_columns(
        service.alias("service"),
        pl.when(service).then(pl.col("ServiceName")).otherwise(pl.col("TaskName")).alias("item"),
        pl.when(service).then(pl.col("file_path")).otherwise(action).fill_null("").alias("command"),
    )
    # 7045 names the account that the service runs as, not who installed it
    rows = rows.with_columns(pl.when(pl.col("event_code") != "7045").then(pl.col("user")).alias("user"))
    rows = rows.filter(pl.col("item").is_not_null())
    copies = ["source", "host", "event_code", "EventRecordID", "ts", "item"]
    return rows.filter(pl.col("EventRecordID").is_null() | pl.struct(copies).is_first_distinct())


def _commands(content: str) -> str:
    """What a task's XML runs, one command to a line."""
    found = [
        f"{unescape(command).strip()} {unescape(arguments).strip()}".strip()
        for command, arguments in _EXEC.findall(content[:_LONGEST])[:_ACTIONS]
    ]
    return "\n".join(found)


def _item(part: pl.DataFrame, removed: dict[tuple[Any, ...], list[int]]) -> _Item:
    first = part.row(0, named=True)
    service, name, command = bool(first["service"]), str(first["item"]), str(first["command"])
    reasons = [r for line in command.split("\n") for r in _reasons(line, service)]
    ends = removed.get((first["source"], first["host"], name), [])
    times = part.filter(pl.col("event_code") != "4702")["ts"].drop_nulls().to_list()
    if not service and any(0 <= end - start <= SOON for end in ends for start in times):
        reasons.append(
            (Severity.LOW, "T1053.005", "任务在十分钟内又被删除", "the task was deleted again within ten minutes")
        )
    return _Item(service, name, command, part, tuple(dict.fromkeys(reasons)))


def _reasons(command: str, service: bool) -> Iterator[Reason]:
    if not command:
        return
    for sign in signs(command):
        # PsExec is a tool of administrators as well
        equivocal = sign.name == "tool" and "psexesvc" in command.lower()
        weak = Severity.MEDIUM if sign.name == "dual-use" or (sign.place and service) else Severity.LOW
        severity = Severity.MEDIUM if equivocal else Severity.HIGH if sign.strong else weak
        yield severity, sign.technique, sign.zh, sign.en
    if not service:
        return
    program = program_of(command).rpartition("\\")[2].removesuffix(".exe")
    if program in _SHELLS:
        yield (
            Severity.MEDIUM,
            "T1569.002",
            "以系统自带的命令或脚本程序作为服务",
            "a shell or script host of the system is run as a service",
        )
    if _RANDOM.search(command):
        yield (
            Severity.MEDIUM,
            "T1569.002",
            "程序名似随机生成且位于系统目录",
            "its program has a name as if made at random, in the system's folder",
        )
    if _PIPE.search(command) and not any(sign.name == "pipe" for sign in signs(command)):
        yield Severity.HIGH, "T1134.001", "经命名管道取得系统权限", "takes the system's rights through a named pipe"
    if _SHARE.search(command):
        yield (
            Severity.HIGH,
            "T1021.002",
            "程序经管理共享放入",
            "its program was put there through an administrative share",
        )


def _finding(events: Events, item: _Item) -> Finding:
    severity = max((r[0] for r in item.reasons), key=lambda s: SEVERITY_ORDER[s])
    kind = ("服务", "Service") if item.service else ("计划任务", "Task")
    zh_why = "；".join(r[2] for r in item.reasons)
    en_why = "; ".join(r[3] for r in item.reasons)
    shown = excerpt(item.command.replace("\n", " & "), 160) if item.command else "?"
    zh = f"事件日志记载{kind[0]} {item.name} 被创建或修改（{item.part.height} 条记录），命令：{shown}。异常之处：{zh_why}。"
    en = f"{kind[1]} {item.name} was made or changed (records: {item.part.height}) with the command {shown}: {en_why}."
    weightiest = [r[1] for r in item.reasons if r[0] is severity]
    techniques = tuple(dict.fromkeys((*weightiest, "T1543.003" if item.service else "T1053.005")))
    confidence = Confidence.LOW if severity is Severity.LOW else Confidence.MEDIUM
    facts: dict[str, Value] = {"item": item.name, "service": item.service, "records": item.part.height}
    return state(
        events, replace(RULE, techniques=techniques), item.part, CLAIMS, Text(zh, en),
        severity=severity, confidence=confidence, facts=facts, limit=40,
    )  # fmt: skip


def _ordinary(events: Events, part: pl.DataFrame) -> Finding:
    service = bool(part["service"][0])
    shown, total = listed(part, "item")
    zh = f"事件日志记载{'安装服务' if service else '创建计划任务'} {part.height} 次（{names(shown, total, 'zh')}），"
    zh += "其命令未见异常或未记录。"
    en = f"{part.height} {'installations of services' if service else 'registrations of tasks'} are recorded "
    en += f"({names(shown, total, 'en')}) whose commands show nothing unusual or are not recorded."
    return state(
        events, replace(RULE, techniques=("T1543.003",) if service else ("T1053.005",)), part, CLAIMS, Text(zh, en),
        severity=Severity.INFO, confidence=Confidence.HIGH,
        facts={"records": part.height, "items": total, "service": service}, limit=40, user=None,
    )  # fmt: skip
