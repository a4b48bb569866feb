# SPDX-License-Identifier: Apache-2.0
"""Programs that Windows kept traces of, by name a tool of intruders or in a place where programs do not lie.

Needs:      execution.trace of registry hives (shimcache, amcache, userassist, bam, muicache).
Technique:  T1204 execution; T1588.002 tools; T1036.005 places.
Says:       which traces name the program, with their times; what each trace means of its having run stands with its feed.
False when: an administrator's own copy of a tool (PsExec, a scanner), or a setup program that unpacked itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from headwater.detect.frames import state, take
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings
from headwater.model.records import Value

RULE = Rule(
    id="windows-traces",
    version="1",
    author="Headwater",
    title=Text("可疑程序的执行痕迹", "Traces of suspicious programs"),
    stage=Stage.PERSIST,
    techniques=("T1204.002", "T1588.002", "T1036.005"),
    severity=Severity.MEDIUM,
)
CLAIMS = ("kind", "user", "file_path", "hash", "trace", "ran", "runs", "t_kind")
_STRONG = lazy_regex(
    r"\\(?:mimikatz|mimidrv|rubeus|sharphound|bloodhound|lazagne|secretsdump|wce(?:32|64)?|gsecdump|pwdump\d*|fgdump|kekeo|safetykatz"
    r"|juicypotato|printspoofer|godpotato|sweetpotato|incognito|meterpreter|beacon|winpeas\w*|seatbelt|crackmapexec|nbtscan|advanced_?(?:port|ip)_?scanner\w*"
    r"|softperfect\w*|netscan|masscan|fscan(?:32|64)?|frpc?|chisel|ngrok|plink|lcx|rclone|megasync|psexesvc|processhacker|pchunter\w*|gmer)[\w.-]*\.(?:exe|dll|sys)$",
    re.IGNORECASE,
)
_EQUIVOCAL = frozenset(
    {"plink", "rclone", "megasync", "processhacker", "gmer", "netscan", "nbtscan", "psexesvc", "frp", "frpc", "ngrok"}
)
_PLACE = lazy_regex(
    r"\\users\\public\\[^\\]+\.(?:exe|dll|ps1|bat|com|scr)$|\\perflogs\\.*\.(?:exe|dll|ps1|bat)$|\\\$recycle\.bin\\.*\.(?:exe|dll|ps1|bat)$"
    r"|\\windows\\(?:temp|debug|fonts|help|addins|media)\\[^\\]+\.(?:exe|com|scr|ps1|bat)$|\\programdata\\[^\\]+\.(?:exe|dll|ps1|bat|scr)$",
    re.IGNORECASE,
)


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """One finding per program name and host, with all traces of it; tools before places."""
    rows = take(
        events, kinds=[EventKind.EXECUTION_TRACE], header=["user", "host", "file_path", "hash", "t_kind"],
        own=["trace", "ran", "runs", "state"],
        where=pl.col("file_path").is_not_null(),
    )  # fmt: skip
    if rows.is_empty():
        return
    paths = rows["file_path"].unique().sort().to_list()
    tools = {p for p in paths if _STRONG.search("\\" + p.replace("/", "\\"))}
    places = {p for p in paths if p not in tools and _PLACE.search(p)}
    for wanted, tool in ((tools, True), (places, False)):
        named: dict[str, list[str]] = {}
        for path in sorted(wanted):
            named.setdefault(path.rpartition("\\")[2].lower(), []).append(path)
        for name, group in sorted(named.items()):
            part = rows.filter(pl.col("file_path").is_in(group))
            for one in part.partition_by("source", maintain_order=True):
                yield _finding(events, one, name, group, tool)


def _finding(events: Events, part: pl.DataFrame, name: str, paths: list[str], tool: bool) -> Finding:
    traces = part["trace"].drop_nulls().unique().sort().to_list()
    ran = part.filter((pl.col("t_kind") == "run") | (pl.col("ran").cast(pl.String) == "true")).height > 0
    stem = name.rpartition(".")[0].lower()
    severity = Severity.MEDIUM if (tool and stem not in _EQUIVOCAL) or ran else Severity.LOW
    zh_why = "名称属于已知攻击或管理工具" if tool else "位于通常不放程序的目录"
    en_why = "its name is that of a tool which intruders use" if tool else "it lies where programs usually do not"
    zh_ran, en_ran = (
        ("；痕迹表明曾运行", "; a trace says that it ran")
        if ran
        else ("；痕迹只表明曾存在", "; the traces say only that it was there")
    )
    zh = f"程序 {paths[0]} 留有痕迹（{'、'.join(traces)}）：{zh_why}{zh_ran}。"
    en = f"There are traces of {paths[0]} ({', '.join(traces)}): {en_why}{en_ran}."
    first = "T1588.002" if tool else "T1036.005"
    rule = replace(RULE, techniques=(first, *(t for t in RULE.techniques if t != first)))
    confidence = Confidence.MEDIUM if severity is Severity.MEDIUM else Confidence.LOW
    facts: dict[str, Value] = {"program": name, "ran": ran, "traces": part.height}
    return state(events, rule, part, CLAIMS, Text(zh, en), severity=severity, confidence=confidence, facts=facts)
