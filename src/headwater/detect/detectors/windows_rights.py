# SPDX-License-Identifier: Apache-2.0
"""User rights that hand the system to whom they should not, and access lists that let anyone replace what starts by itself.

Needs:      state.right (SECURITY hive); windows.mft with windows.sds, and windows.service, windows.task, windows.autorun.
Technique:  T1134 tokens; T1098 rights of accounts; T1574.010 writable programs of services; T1547.001 of start-up items.
Says:       which account has which right that opens the system; which program anyone may overwrite, and what starts it.
False when: a database's or web server's service account was given rights by its installer; an administrator shares a folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import polars as pl

from headwater.detect.frames import names, state, take
from headwater.detect.program_view import place_of
from headwater.detect.windows_commands import program_of
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="windows-rights",
    version="1",
    author="Headwater",
    title=Text("异常的 Windows 权利与访问控制", "Unusual rights and access lists of Windows"),
    stage=Stage.ESCALATE,
    techniques=("T1134", "T1098", "T1574.010"),
    severity=Severity.MEDIUM,
)
# Everyone, anonymous, authenticated users, users, guests, interactive
WIDE = {
    "S-1-1-0": ("Everyone", "所有人"), "S-1-5-7": ("anonymous", "匿名登录"), "S-1-5-11": ("authenticated users", "已验证用户"),
    "S-1-5-32-545": ("Users", "普通用户组"), "S-1-5-32-546": ("Guests", "来宾组"), "S-1-5-4": ("interactive users", "交互式用户"),
}  # fmt: skip
# what gives the whole system, by the documentation of each constant
_MIGHTY = {
    "SeDebugPrivilege": ("可读写任何进程", "opens any process"),
    "SeTcbPrivilege": ("可充当操作系统", "acts as the system"),
    "SeCreateTokenPrivilege": ("可伪造令牌", "makes tokens"),
    "SeLoadDriverPrivilege": ("可装载驱动", "loads drivers"),
    "SeTakeOwnershipPrivilege": ("可取得任何对象的所有权", "takes ownership of anything"),
    "SeRestorePrivilege": ("可改写任何文件", "writes any file"),
    "SeBackupPrivilege": ("可读取任何文件", "reads any file"),
    "SeAssignPrimaryTokenPrivilege": ("可替换进程令牌", "replaces a process's token"),
    "SeImpersonatePrivilege": ("可冒用客户端身份", "takes on a client's identity"),
    "SeEnableDelegationPrivilege": ("可委派账户", "trusts accounts for delegation"),
    "SeSecurityPrivilege": ("可清除安全日志", "clears the security log"),
}
_NOTABLE = {"SeRemoteInteractiveLogonRight": ("可远程桌面登录", "logs on by remote desktop")}
_BUILT_IN = lazy_regex(
    r"S-1-5-(?:18|19|20|6|9|80-[0-9-]+|82-[0-9-]+|83-[0-9-]+|90-[0-9-]+|32-(?:544|547|549|550|551|554|555|556|559|562|568|580))\Z"
)
_ACE = lazy_regex(r"\(A;([A-Z]*);(0x[0-9a-fA-F]+);[^;)]*;[^;)]*;([^;)]+)\)")
_WRITE = (
    0x2 | 0x4 | 0x40000 | 0x80000 | 0x10000 | 0x10000000 | 0x40000000
)  # data, append, DAC, owner, delete, all, write
_TOLD = 4


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """The rights first, one finding per item and account, then one per item for writable programs."""
    yield from _rights(events)
    yield from _writable(events)


def _rights(events: Events) -> Iterator[Finding]:
    rows = take(
        events, kinds=[EventKind.STATE_RIGHT], feeds=["windows.right"], header=["host"], own=["sid", "data", "key"]
    )
    rows = rows.filter(pl.col("sid").is_not_null()).sort("source", "path", "sid", "offset", "ordinal")
    for part in rows.partition_by("source", "path", "sid", maintain_order=True):
        sid = str(part["sid"][0])
        held = sorted({right for text in part["data"].drop_nulls() for right in str(text).split()})
        mighty = [right for right in held if right in _MIGHTY]
        wide = WIDE.get(sid)
        notable = [right for right in held if right in _NOTABLE] if wide else []
        if (not mighty and not notable) or _BUILT_IN.match(sid):
            continue
        why_zh = "、".join(f"{r}（{(_MIGHTY | _NOTABLE)[r][0]}）" for r in [*mighty, *notable])
        why_en = ", ".join(f"{r} ({(_MIGHTY | _NOTABLE)[r][1]})" for r in [*mighty, *notable])
        who_zh, who_en = (f"{sid}（{wide[1]}）", f"{sid} ({wide[0]})") if wide else (sid, sid)
        yield state(
            events, replace(RULE, techniques=("T1134" if mighty else "T1098",)), part, ("kind", "sid", "data", "key"),
            Text(f"账户 {who_zh} 拥有权利 {why_zh}，系统默认不授予。",
                 f"The account {who_en} holds {why_en}, which it has not by default."),
            severity=Severity.HIGH if wide and mighty else Severity.MEDIUM if mighty else Severity.LOW,
            confidence=Confidence.MEDIUM, facts={"sid": sid, "rights": " ".join([*mighty, *notable])},
        )  # fmt: skip


def open_to(dacl: str) -> tuple[str, ...]:
    """The wide groups that an access list in SDDL lets write, by SID; a denying entry before it is not weighed."""
    if dacl == "D:NO_ACCESS_CONTROL":
        return ("S-1-1-0",)
    found = [
        sid for flags, mask, sid in _ACE.findall(dacl)
        if sid in WIDE and int(mask, 16) & _WRITE and "IO" not in re.findall("..", flags)
    ]  # fmt: skip
    return tuple(dict.fromkeys(found))


def _writable(events: Events) -> Iterator[Finding]:
    feeds = set(events.feeds())
    if not {"windows.mft", "windows.sds"} <= feeds:
        return
    lists = take(events, feeds=["windows.sds"], own=["security_id", "dacl"]).filter(pl.col("dacl").is_not_null())
    bad = {
        (int(source), _volume(str(path)), int(number)): open_to(str(dacl))
        for source, path, number, dacl in lists.select("source", "path", "security_id", "dacl").iter_rows()
        if number is not None and open_to(str(dacl))
    }
    starts = _starts(events, feeds)
    if not bad or starts.is_empty():
        return
    numbers = sorted({number for _, _, number in bad})
    small = pl.col("file_path").str.to_lowercase()
    files = take(
        events, feeds=["windows.mft"], header=["file_path", "host"], own=["security_id", "allocated"],
        where=pl.col("security_id").is_in(numbers) & small.is_in(starts["place"].unique().to_list()),
    ).filter(pl.col("allocated").fill_null(True))  # fmt: skip
    files = files.unique(["source", "path", "file_path"], keep="first", maintain_order=True)
    who = [bad.get((s, _volume(p), n), ()) for s, p, n in files.select("source", "path", "security_id").iter_rows()]
    files = files.with_columns(pl.Series("open", [" ".join(w) for w in who], dtype=pl.String), small.alias("place"))
    for part in (
        files.filter(pl.col("open") != "").sort("source", "file_path").partition_by("source", maintain_order=True)
    ):
        yield _open_finding(events, part, starts, lists)


def _volume(path: str) -> str:
    return path.rpartition("!")[0]


def _starts(events: Events, feeds: set[str]) -> pl.DataFrame:
    """What starts by itself, with the place of its program."""
    wanted = [f for f in ("windows.service", "windows.task", "windows.task_file", "windows.autorun") if f in feeds]
    if not wanted:
        return pl.DataFrame()
    rows = take(events, feeds=wanted, header=["command_line", "host"], own=["library", "unit", "name"])
    places = [
        place_of(str(library)) if library else place_of(program_of(str(command))) if command else None
        for command, library in rows.select("command_line", "library").iter_rows()
    ]
    return rows.with_columns(pl.Series("place", places, dtype=pl.String)).filter(pl.col("place").is_not_null())


def _open_finding(events: Events, part: pl.DataFrame, starts: pl.DataFrame, lists: pl.DataFrame) -> Finding:
    paths = part["file_path"].to_list()
    groups: list[Any] = sorted({sid for text in part["open"].to_list() for sid in str(text).split()})
    zh = f"{names(paths[:_TOLD], len(paths), 'zh')} 由系统或用户登录时自动运行，而{'、'.join(WIDE[g][1] for g in groups)}可以改写"
    en = f"{names(paths[:_TOLD], len(paths), 'en')}: started by itself, and {', '.join(WIDE[g][0] for g in groups)} may overwrite it"
    source = part["source"][0]
    begun = starts.filter((pl.col("source") == source) & pl.col("place").is_in(part["place"].to_list()))
    rules = lists.filter((pl.col("source") == source) & pl.col("security_id").is_in(part["security_id"].to_list()))
    return state(
        events, replace(RULE, techniques=("T1574.010",)), part, ("kind", "file_path", "security_id"), Text(zh + "。", en + "."),
        severity=Severity.HIGH, confidence=Confidence.MEDIUM, facts={"programs": len(paths), "open_to": " ".join(groups)}, limit=40,
        more=[(rules, ("kind", "security_id", "dacl")), (begun.head(20), ("kind", "command_line", "library", "unit", "name"))], moments=[],
    )  # fmt: skip
