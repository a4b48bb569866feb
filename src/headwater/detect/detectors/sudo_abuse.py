# SPDX-License-Identifier: Apache-2.0
"""Abuse of sudo and su: programs that lead to a shell, service accounts that become root, refused attempts.

Needs:      privilege.use and privilege.denied (linux.auth, linux.journal).
Technique:  T1548.003 sudo; T1078.003 local accounts.
Says:       who ran which command as whom; for the programs of GTFOBins only where the command itself opens a shell.
False when: an administrator uses such a command on purpose; a service is meant to use sudo.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.commands import often, quoted
from headwater.detect.frames import ORDER, main_feed, state, take
from headwater.detect.web_evidence import WEB_USERS
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="sudo-abuse",
    version="1",
    author="Headwater",
    title=Text("滥用 sudo 或 su 提权", "Abuse of sudo or su"),
    stage=Stage.ESCALATE,
    techniques=("T1548.003",),
    severity=Severity.HIGH,
)
CLAIMS = ("kind", "user", "command_line", "target_user", "tty", "pwd")
_SH = r"(?:/\S*/)?(?:ba|da|z|k|c|tc|fi)?sh\b"
# Commands that open a shell from a permitted program; facts as collected at https://gtfobins.github.io/
_ESCAPES = lazy_regex(
    rf"\bfind\b.*\s-(?:exec|execdir|ok)\s+{_SH}|\b(?:vim?|view|rvim|vimdiff|nvim|ex)\b.*(?::!|:shell|:sh\b|:py|:lua|os\.exec)"
    rf"|\b[gmn]?awk\b.*system\s*\(|\btar\b.*--checkpoint-action|\btar\b.*(?:--to-command|-I\s*['\"]?{_SH})"
    rf"|\b(?:python[\d.]*|perl|ruby|lua|node|php)\b.*\s-[cer]\b.*(?:system|exec|spawn|pty|popen)|\benv\s+(?:\S+=\S*\s+)*{_SH}"
    rf"|\bnmap\b.*--(?:interactive|script=?\s*/tmp)|\bman\b\s.*-P|\bgit\b.*(?:core\.pager=|--exec|-p\s+help)|\bzip\b.*-TT"
    rf"|\brsync\b.*-e\s*['\"]?{_SH}|\bssh\b.*ProxyCommand=\S*;|\btcpdump\b.*\s-z\s|\bxargs\b.*\s{_SH}|\bbash\s+-p\b"
    rf"|\b(?:nice|timeout|strace|watch|script|stdbuf|setarch|flock|ionice|unshare|chroot|time)\b(?:\s+-\S+|\s+\S+)*\s+{_SH}"
    rf"|\bdocker\b.*\s-v\s+/:|\bapt(?:-get)?\b.*(?:Pre-Invoke|Dpkg::Pre)|\bsystemctl\s+link\s+/(?:tmp|dev/shm)|\bsed\b.*\s['\"]?1e\s"
)
_SHELL = lazy_regex(rf"^(?:{_SH}|(?:/\S*/)?su(?:\s+-\S*)*(?:\s+root)?)\s*(?:-[il]\s*)?$")
# Accounts of services beside the web server's: a shell of theirs through sudo is not administration.
_SERVICES = WEB_USERS | {"postgres", "mysql", "redis", "nobody", "daemon", "mongodb", "git", "jenkins", "elasticsearch"}


def _why(row: dict[str, str | None]) -> tuple[str, Severity, str, str] | None:
    user, command = row["user"] or "", (row["command_line"] or "")[:4096]
    if _ESCAPES.search(command):
        zh = "借助获准程序打开 shell"
        return "escape", Severity.HIGH, zh, "opened a shell through a permitted program"
    if user in _SERVICES and (_SHELL.match(command) or row["process"] == "su"):
        return "service-shell", Severity.HIGH, "以服务账户身份取得 shell", "got a shell from a service account"
    if user in WEB_USERS:
        return "service-use", Severity.MEDIUM, "以 Web 服务账户身份使用 sudo", "used sudo from the web server's account"
    return None


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """What ran, by source, account and reason; then what was refused, by source and account."""
    rows = main_feed(
        take(
            events,
            kinds=[EventKind.PRIVILEGE_USE, EventKind.PRIVILEGE_DENIED],
            header=["user", "command_line", "host", "process", "src_ip"],
            own=["target_user", "tty", "pwd"],
        ),
        "source",
    )
    groups: dict[tuple[int, str, str], list[pl.DataFrame]] = {}
    whys: dict[tuple[int, str, str], tuple[str, Severity, str, str]] = {}
    ran = rows.filter(pl.col("kind") == EventKind.PRIVILEGE_USE.value)
    by = ["source", "user", "command_line", "process"]
    for row in ran.select(by).unique(maintain_order=True).iter_rows(named=True):
        why = _why(row)
        if why is not None:
            key = (row["source"], row["user"] or "?", why[0])
            same = pl.all_horizontal([pl.col(c).eq_missing(pl.lit(row[c])) for c in by])
            groups.setdefault(key, []).append(ran.filter(same))
            whys[key] = why
    for key, parts in groups.items():
        name, severity, zh_why, en_why = whys[key]
        part = pl.concat(parts).sort(ORDER, nulls_last=True)
        shown = part["command_line"].drop_nulls().unique(maintain_order=True).to_list()
        zh = f"账户 {key[1]} {zh_why} {part.height} 次：{quoted(shown, 'zh')}。"
        en = f"The account {key[1]} {en_why} {often(part.height)}: {quoted(shown, 'en')}."
        yield state(
            events, RULE, part, CLAIMS, Text(zh, en), severity=severity, confidence=Confidence.HIGH,
            facts={"reason": name, "times": part.height},
        )  # fmt: skip
    denied = rows.filter(pl.col("kind") == EventKind.PRIVILEGE_DENIED.value)
    for part in denied.partition_by("source", "user", maintain_order=True):
        user = part["user"][0] or "?"
        zh = f"账户 {user} 使用 sudo 或 su 被拒绝 {part.height} 次。"
        en = f"The account {user} was refused sudo or su {often(part.height)}."
        yield state(
            events, RULE, part, CLAIMS, Text(zh, en),
            severity=Severity.MEDIUM if user in WEB_USERS else Severity.LOW, confidence=Confidence.HIGH,
            facts={"reason": "denied", "times": part.height},
        )  # fmt: skip
