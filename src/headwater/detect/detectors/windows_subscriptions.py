# SPDX-License-Identifier: Apache-2.0
"""WMI subscriptions that run a command or script, or write a file that a server would run, whenever an event comes.

Needs:      state.autorun of windows.wmi.
Technique:  T1546.003 WMI event subscription.
Says:       which consumer runs what, on which event, who made it, whether it is in use and bound, or left over from before.
False when: management software (SCCM, vendors' agents) subscribes; Windows' own (SCM Event Log Consumer, BVTConsumer) is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from headwater.detect.commands import excerpt
from headwater.detect.frames import state, take
from headwater.detect.windows_commands import signs
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import SEVERITY_ORDER, Confidence, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings
from headwater.model.records import Value

RULE = Rule(
    id="windows-subscriptions",
    version="1",
    author="Headwater",
    title=Text("WMI 永久事件订阅", "Permanent WMI subscriptions"),
    stage=Stage.PERSIST,
    techniques=("T1546.003",),
    severity=Severity.HIGH,
)
FEED = "windows.wmi"
MOST = 200  # findings of one repository; what is beyond is counted in the last one's facts
CLAIMS = ("kind", "class", "state", "command_line", "file_path", "Name", "CreatorSID")
_BESIDE = ("kind", "class", "state", "Name", "Query", "Filter", "Consumer", "CreatorSID")
_OWN = (
    "class", "sort", "state", "in_use", "Name", "CreatorSID", "Query", "Filter", "Consumer", "Text", "Filename", "ScriptingEngine", "texts",
    "namespace",
)  # fmt: skip
_RUNS = ("CommandLineEventConsumer", "ActiveScriptEventConsumer")
_WRITES = "LogFileEventConsumer"
_REFERENCE = lazy_regex(r'(?:^|:)(\w+)\.Name="((?:[^"\\]|\\.)*)"')
# what Windows 7 and Server 2008 R2 bring with them, and nothing else under that name
_OWN_OF_WINDOWS = {("CommandLineEventConsumer", "BVTConsumer"): "cscript KernCap.vbs"}
_SERVED = lazy_regex(r"(?i)\.(?:aspx?|ashx|asmx|php\d?|jspx?|cer|asa|bat|cmd|ps1|vbs|js|hta|mof)$|\\startup\\")
_SCRIPT_DOES = lazy_regex(
    r"(?i)wscript\.shell|shellexecute|\.run\b|\.exec\b|xmlhttp|adodb\.stream|scripting\.filesystemobject|win32_process|eval\(|execute"
)
Reason = tuple[Severity, str, str]


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """One finding per consumer that runs or writes something, in order of source, path and place."""
    if FEED not in events.feeds():
        return
    rows = take(events, feeds=[FEED], header=["command_line", "file_path", "host"], own=_OWN)
    rows = rows.sort("source", "path", "offset", "ordinal")
    for repository in rows.partition_by("source", "path", maintain_order=True):
        consumers = repository.filter(pl.col("class").is_in([*_RUNS, _WRITES]))
        telling = [
            (row, said, reasons)
            for row in consumers.iter_slices(1)
            if (reasons := list(_reasons(said := row.to_dicts()[0])))
        ]
        for at, (row, said, reasons) in enumerate(telling[:MOST], 1):
            beyond = len(telling) - MOST if at == MOST else 0
            yield _finding(events, row, said, reasons, *_bound(repository, said), beyond)


def _reasons(said: Mapping[str, Any]) -> Iterator[Reason]:
    command = said["command_line"] or ""
    if said["class"] == _WRITES:
        if said["Filename"] and _SERVED.search(said["Filename"]):
            yield Severity.HIGH, "事件触发时写入可被执行的文件", "it writes a file that can be run"
        return
    known = _OWN_OF_WINDOWS.get((said["class"], said["Name"] or ""))
    if known is not None and command.strip().lower() == known.lower():
        return
    yield Severity.MEDIUM, "事件触发时运行命令或脚本", "it runs a command or script whenever the event comes"
    for sign in signs(command):
        yield (Severity.HIGH if sign.strong else Severity.MEDIUM), sign.zh, sign.en
    if said["class"] == "ActiveScriptEventConsumer" and _SCRIPT_DOES.search(command):
        yield Severity.HIGH, "脚本启动程序、取回内容或读写文件", "its script starts programs, fetches or writes"


def _named(reference: str | None) -> tuple[str, str] | None:
    """Class and name, in lower case, of what a binding points to."""
    match = _REFERENCE.search(reference or "")
    return (match.group(1).lower(), re.sub(r"\\(.)", r"\1", match.group(2)).lower()) if match else None


def _bound(repository: pl.DataFrame, said: Mapping[str, Any]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The bindings of a consumer, and the filters that they name; those in use where any is."""
    me = (str(said["class"]).lower(), str(said["Name"] or "").lower())
    bindings = repository.filter(pl.col("sort") == "binding")
    mine = bindings.filter(pl.Series([_named(c) == me for c in bindings["Consumer"].to_list()], dtype=pl.Boolean))
    names = {found[1] for found in map(_named, mine["Filter"].to_list()) if found is not None}
    filters = repository.filter((pl.col("sort") == "filter") & pl.col("Name").str.to_lowercase().is_in(list(names)))
    return _current(mine), _current(filters)


def _current(rows: pl.DataFrame) -> pl.DataFrame:
    used = rows.filter(pl.col("in_use").cast(pl.Boolean).fill_null(False))
    return used if used.height else rows


def _finding(
    events: Events,
    row: pl.DataFrame,
    said: Mapping[str, Any],
    reasons: list[Reason],
    bindings: pl.DataFrame,
    filters: pl.DataFrame,
    beyond: int,
) -> Finding:
    severity = max((r[0] for r in reasons), key=lambda s: SEVERITY_ORDER[s])
    left_over = str(said["state"]).startswith("left over")
    if left_over and severity is Severity.MEDIUM:
        severity = Severity.LOW
    used = bool(said["in_use"]) and bindings["in_use"].cast(pl.Boolean).fill_null(False).any()
    confidence = Confidence.HIGH if used else Confidence.LOW if left_over else Confidence.MEDIUM
    queries = [q for q in filters["Query"].to_list() if q]
    shown = excerpt(said["command_line"] or said["Filename"] or said["texts"] or "?", 160)
    zh, en = _words(said, shown, queries, bindings.height, used, left_over)
    zh += "异常之处：" + "；".join(dict.fromkeys(r[1] for r in reasons)) + "。"
    en += " " + "; ".join(dict.fromkeys(r[2] for r in reasons)) + "."
    facts: dict[str, Value] = {
        "item": said["Name"], "class": said["class"], "state": said["state"], "bindings": bindings.height, "filters": filters.height,
        "creator": said["CreatorSID"], "query": queries[0] if queries else None,
        "beyond": beyond or None,
    }  # fmt: skip
    return state(
        events, replace(RULE, severity=severity), row, CLAIMS, Text(zh, en), severity=severity, confidence=confidence,
        facts={k: v for k, v in facts.items() if v is not None},
        more=[(bindings, _BESIDE), (filters, _BESIDE)] if bindings.height else (), user=None,
    )  # fmt: skip


def _words(
    said: Mapping[str, Any], shown: str, queries: list[str], bindings: int, used: bool, left_over: bool
) -> tuple[str, str]:
    name, kind = said["Name"] or "?", said["class"]
    zh = f"WMI 使用者“{name}”（{kind}）的内容：{shown}。"
    en = f"The WMI consumer “{name}” ({kind}) holds: {shown}."
    if queries:
        zh += f"触发条件：{excerpt(queries[0], 160)}。"
        en += f" It is started by: {excerpt(queries[0], 160)}."
    if said["CreatorSID"]:
        zh += f"创建者 {said['CreatorSID']}。"
        en += f" It was made by {said['CreatorSID']}."
    if used:
        zh, en = zh + "该订阅仍在使用且已绑定。", en + " It is in use and bound."
    elif left_over:
        zh, en = (
            zh + "该记录已不在使用，系数据库中的残留。",
            en + " The record is not in use any more: it is left over in the repository.",
        )
    elif not bindings:
        zh, en = zh + "未见与其绑定的触发条件。", en + " Nothing is seen that binds it to an event."
    else:
        zh, en = zh + "是否仍在使用无法确定。", en + " Whether it is in use cannot be told."
    return zh, en
