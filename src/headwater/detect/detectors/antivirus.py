# SPDX-License-Identifier: Apache-2.0
"""What an antivirus program of the host found itself, by threat: where, when, and what it did about it.

Needs:      malware.detected of windows.mplog, windows.quarantine, windows.defender_history, antivirus.trendmicro.
Technique:  by the threat's name: T1505.003 web shells, T1486 ransomware, T1003 credential tools, else T1204 malware.
Says:       which threat the program named in which files, how often, and whether it put them away.
False when: the program was wrong; an administrator's own tool bears a name of tools of intruders; a test file was used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from headwater.detect.frames import names, state, take
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="antivirus",
    version="1",
    author="Headwater",
    title=Text("杀毒软件的检出", "What the antivirus found"),
    stage=Stage.PERSIST,
    techniques=("T1204", "T1505.003", "T1486", "T1003"),
    severity=Severity.HIGH,
)
CLAIMS = ("kind", "threat", "file_path", "action", "hash")
_OWN = ["threat", "action", "resource", "stored_as"]
_ABOUT: tuple[tuple[str, Severity, Stage, str], ...] = (
    (r"\A\Z", Severity.MEDIUM, Stage.PERSIST, "T1204"),
    (r"eicar", Severity.INFO, Stage.PERSIST, "T1204"),
    (r"\A(?:pua|adware|softwarebundler|puadl\w*|app)\b", Severity.LOW, Stage.PERSIST, "T1204"),
    (r"web_?shell|chopper|\Abackdoor:(?:asp|php|jsp)", Severity.HIGH, Stage.PERSIST, "T1505.003"),
    (r"\Aransom|cryptor|filecoder", Severity.CRITICAL, Stage.IMPACT, "T1486"),
    (r"mimikatz|credential|lsass|passwordstealer|\Apws:|lazagne|kekeo", Severity.HIGH, Stage.SPREAD, "T1003"),
    (r"cobaltstrike|meterpreter|beacon|sliver|metasploit", Severity.HIGH, Stage.SPREAD, "T1071"),
    (r"coinminer|xmrig", Severity.HIGH, Stage.IMPACT, "T1496"),
    (r"\Aexploit:", Severity.HIGH, Stage.ESCALATE, "T1068"),
    (r"\A(?:hacktool|remoteaccess)", Severity.MEDIUM, Stage.SPREAD, "T1588.002"),
)
_TOLD, _MOST = 4, 200
_MAKERS = {"trend-micro": ("趋势科技", "Trend Micro")}
_PUT_AWAY = lazy_regex(r"quarantine|remove|clean|blocked", re.IGNORECASE)


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """One finding per item and threat, by item and name; at most 200 of an item."""
    rows = take(
        events,
        kinds=[EventKind.MALWARE_DETECTED],
        header=["file_path", "host", "user", "hash", "t_recorded", "provider"],
        own=_OWN,
    )
    named = pl.col("threat").fill_null("").alias("named")  # a name that is not there is not claimed to be empty
    rows = rows.with_columns(named).sort("source", "named", "ts", "path", "offset", "ordinal")
    for item in rows.partition_by("source", maintain_order=True):
        for part in item.partition_by("named", maintain_order=True)[:_MOST]:
            yield _finding(events, part)


def _finding(events: Events, part: pl.DataFrame) -> Finding:
    threat = str(part["named"][0])
    severity, stage, technique = next(
        ((s, g, t) for pattern, s, g, t in _ABOUT if re.search(pattern, threat, re.IGNORECASE)), (Severity.HIGH, RULE.stage, "T1204")
    )  # fmt: skip
    paths = part["file_path"].drop_nulls().unique(maintain_order=True).to_list()
    actions = part["action"].drop_nulls().unique().sort().to_list()
    where_zh = f"，位于 {names(paths[:_TOLD], len(paths), 'zh')}" if paths else ""
    where_en = f" in {names(paths[:_TOLD], len(paths), 'en')}" if paths else ""
    named_zh, named_en = (
        (f"威胁 {threat}", f"the threat {threat}")
        if threat
        else ("未记名称的威胁", "a threat that the record does not name")
    )
    by = [
        _MAKERS.get(str(p), ("Windows Defender", "Windows Defender"))
        for p in part["provider"].unique().sort().to_list()
    ]
    by = list(dict.fromkeys(by))
    zh = f"{'、'.join(zh for zh, _ in by)} 的记录 {part.height} 次提到{named_zh}{where_zh}"
    en = f"Records of {' and '.join(en for _, en in by)} name {named_en}{where_en}, {part.height} time{'' if part.height == 1 else 's'}"
    done = [a for a in actions if _PUT_AWAY.search(str(a))]
    if done:
        zh += f"；所记处置为 {names(done[:3], len(done), 'zh')}"
        en += f"; what was done, as recorded: {names(done[:3], len(done), 'en')}"
    else:
        zh += "；未见处置记录"
        en += "; nothing is recorded of an action against it"
    return state(
        events, replace(RULE, stage=stage, techniques=(technique,)), part, CLAIMS, Text(zh + "。", en + "."), severity=severity,
        confidence=Confidence.MEDIUM, limit=40, facts={"threat": threat, "records": part.height, "files": len(paths)},
    )  # fmt: skip
