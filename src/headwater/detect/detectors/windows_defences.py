# SPDX-License-Identifier: Apache-2.0
"""Defences of a Windows host that are switched off or opened: credentials in memory, Defender, remote desktop, firewall, UAC.

Needs:      state.setting of windows.security_setting, windows.remote_desktop and windows.firewall_rule.
Technique:  T1112 registry; T1003.001 WDigest; T1562.001 Defender; T1562.004 firewall; T1021.001 remote desktop; T1548.002 UAC.
Says:       which setting stands how, and what that lets somebody do; a setting says nothing of who chose it.
False when: an administrator chose it: another antivirus in Defender's place, remote desktop on a port of the site's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from headwater.detect.frames import state, take
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings
from headwater.model.records import Value

RULE = Rule(
    id="windows-defences",
    version="1",
    author="Headwater",
    title=Text("Windows 防护被削弱", "Defences of Windows weakened"),
    stage=Stage.COVER,
    techniques=("T1112", "T1562.001", "T1562.004", "T1003.001", "T1021.001", "T1548.002"),
    severity=Severity.HIGH,
)
CLAIMS = ("kind", "key", "setting", "data", "sort")
FEEDS = ("windows.security_setting", "windows.remote_desktop", "windows.firewall_rule")


class Weak(NamedTuple):
    """``setting`` as the feeds name it (a pattern), the data that is weak, and what follows from it."""

    setting: str
    weak: Callable[[str], bool]
    severity: Severity
    technique: str
    stage: Stage
    zh: str
    en: str


def _is(*texts: str) -> Callable[[str], bool]:
    return lambda data: data in texts


_ODD = lazy_regex(
    r"\\users\\public|\\temp\b|\\perflogs|^[a-z]:\\?\*?$|\\programdata\\?$|\\windows\\?$|\\system32\\?$|\\users\\?$|\\downloads|^\.?(?:exe|dll|ps1|bat|vbs|js)$"
    r"|powershell|cmd\.exe|mshta|wscript|cscript|rundll32|regsvr32",
    re.IGNORECASE,
)
TABLE = (
    Weak("WDigest UseLogonCredential", _is("1"), Severity.HIGH, "T1003.001", Stage.SPREAD,
         "登录口令会以明文留在内存中", "passwords of logons are kept in memory as plain text"),
    Weak("Lsa DisableRestrictedAdmin", _is("0"), Severity.MEDIUM, "T1550.002", Stage.SPREAD,
         "可凭口令散列登录远程桌面", "a password's hash is enough to log in over remote desktop"),
    Weak("Lsa RunAsPPL", _is("0"), Severity.LOW, "T1003.001", Stage.SPREAD,
         "LSA 进程不受保护", "the LSA process is not protected"),
    Weak("Lsa LmCompatibilityLevel", _is("0", "1"), Severity.MEDIUM, "T1557", Stage.SPREAD,
         "接受并使用过时的 LM/NTLMv1 应答", "answers of LM and NTLMv1 are given and taken"),
    Weak("UserAuthentication", _is("0"), Severity.LOW, "T1021.001", Stage.LOGIN,
         "远程桌面在网络级身份验证之前就给出登录界面", "remote desktop shows its logon screen before network level authentication"),
    Weak("PortNumber", lambda data: data not in ("3389", ""), Severity.LOW, "T1021.001", Stage.LOGIN,
         "远程桌面使用非默认端口", "remote desktop listens on a port that is not the usual one"),
    Weak("Shadow", _is("2", "4"), Severity.LOW, "T1021.001", Stage.LOGIN,
         "无须同意即可旁观他人的远程桌面会话", "sessions of others may be watched without their consent"),
    Weak("System EnableLUA", _is("0"), Severity.MEDIUM, "T1548.002", Stage.ESCALATE,
         "用户账户控制被关闭", "user account control is off"),
    Weak("System LocalAccountTokenFilterPolicy", _is("1"), Severity.LOW, "T1550.002", Stage.SPREAD,
         "本地管理员可凭散列远程取得完整权限", "local administrators have full rights over the network, with a hash alone"),
    Weak("EventLog Start", _is("4"), Severity.HIGH, "T1562.002", Stage.COVER, "事件日志服务被禁用", "the event log service is disabled"),
    Weak("WinDefend Start", _is("4"), Severity.MEDIUM, "T1562.001", Stage.COVER,
         "Defender 服务被禁用", "the service of Defender is disabled"),
    Weak("Windows Defender DisableAnti(?:Spyware|Virus)", _is("1"), Severity.MEDIUM, "T1562.001", Stage.COVER,
         "Defender 被关闭", "Defender is switched off"),
    Weak("Real-Time Protection Disable.*", _is("1"), Severity.MEDIUM, "T1562.001", Stage.COVER,
         "Defender 的实时防护被关闭", "Defender's protection in real time is switched off"),
    Weak("Defender exclusion", lambda data: bool(_ODD.search(data)), Severity.HIGH, "T1562.001", Stage.COVER,
         "Defender 不检查程序常被放入的位置或系统脚本程序", "Defender does not look where programs are dropped, or at script hosts"),
    Weak("firewall \\w+ EnableFirewall", _is("0"), Severity.LOW, "T1562.004", Stage.COVER, "防火墙被关闭", "the firewall is off"),
    Weak("ScriptBlockLogging EnableScriptBlockLogging", _is("0"), Severity.LOW, "T1562.002", Stage.COVER,
         "PowerShell 脚本块日志被关闭", "logging of PowerShell's script blocks is off"),
    Weak("Microsoft-Windows-.* Enabled", _is("0"), Severity.MEDIUM, "T1562.002", Stage.COVER,
         "事件日志通道被关闭", "a channel of the event log is switched off"),
    Weak("Winlogon AutoAdminLogon", _is("1"), Severity.LOW, "T1552.002", Stage.SPREAD,
         "开机自动登录，口令存于注册表或 LSA 中", "the host logs in by itself; the password stands in the registry or with the LSA"),
    Weak("SpecialAccounts .*", _is("0"), Severity.HIGH, "T1564.002", Stage.PERSIST,
         "账户不在登录界面上显示", "an account is not shown on the logon screen"),
)  # fmt: skip


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """One finding per weak setting (its exclusions, its accounts together), in the table's order."""
    rows = take(
        events,
        kinds=[EventKind.STATE_SETTING],
        feeds=FEEDS,
        header=["host"],
        own=["key", "setting", "data", "sort", "value", "state"],
    )
    for weak in TABLE:
        chosen = [
            n
            for n, (setting, data) in enumerate(rows.select("setting", "data").iter_rows())
            if setting is not None and data is not None and re.fullmatch(weak.setting, setting) and weak.weak(data)
        ]
        for part in (
            rows[chosen].sort("source", "path", "offset").partition_by("source", maintain_order=True) if chosen else ()
        ):
            told = [
                f"{setting} = {data}"
                for setting, data in part.select("setting", "data").unique(maintain_order=True).iter_rows()
            ]
            shown = "、".join(t[:120] for t in told[:5])
            keys = part["key"].unique(maintain_order=True).to_list()
            zh = f"{weak.zh}（{shown}）。位置：{keys[0]}。"
            en = f"{weak.en[0].upper()}{weak.en[1:]} ({', '.join(t[:120] for t in told[:5])}). It stands in {keys[0]}."
            techniques = (weak.technique, *(t for t in RULE.techniques if t != weak.technique))
            rule = replace(RULE, stage=weak.stage, techniques=techniques)
            confidence = Confidence.LOW if weak.severity is Severity.LOW else Confidence.MEDIUM
            facts: dict[str, Value] = {"setting": told[0][:200], "settings": len(told)}
            yield state(
                events, rule, part, CLAIMS, Text(zh, en), severity=weak.severity, confidence=confidence, facts=facts
            )
