# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 (a table of patterns: one row per sign reads better than wrapped text)
"""What a PowerShell text says by itself, as written and decoded.

A *strong* sign has next to no honest use on a server; a *weak* one is everyday work that an intruder does as well. The
names of functions are those of the frameworks' own sources and of Microsoft's documentation.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from headwater.detect.decoding import decoded, innermost
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import Stage

LONGEST = 64 << 10


@dataclass(frozen=True, slots=True)
class Sign:
    """One row of the table; ``technique`` is MITRE ATT&CK's."""

    name: str
    strong: bool
    stage: Stage
    technique: str
    zh: str
    en: str
    pattern: str


_FETCH = r"(?:downloadstring|downloaddata|downloadfile|invoke-webrequest|\biwr\b|invoke-restmethod|\birm\b|net\.webclient|start-bitstransfer)"
SIGNS: tuple[Sign, ...] = (
    Sign("reverse-shell", True, Stage.SPREAD, "T1059.001", "反弹 shell", "a reverse shell",
         r"net\.sockets\.tcpclient.{0,2000}getstream.{0,4000}(?:iex|invoke-expression|cmd\.exe|pty)|\bpowercat\b|invoke-powershelltcp"),
    Sign("download-run", True, Stage.EXPLOIT, "T1105", "下载并直接执行", "downloads and runs",
         rf"(?:\biex\b|invoke-expression|\[scriptblock\]::create).{{0,400}}{_FETCH}|{_FETCH}.{{0,400}}\|\s*(?:iex\b|invoke-expression)|{_FETCH}.{{0,600}}(?:start-process|invoke-item|\bii\b|invoke-expression)"),
    Sign("packed-run", True, Stage.EXPLOIT, "T1027.010", "执行打包编码的脚本", "runs a packed and encoded script",
         r"(?:scriptblock\]::create|\biex\b|invoke-expression).{0,600}(?:gzipstream|deflatestream|frombase64string)|(?:gzipstream|deflatestream).{0,4000}(?:\biex\b|invoke-expression)"),
    Sign("memory-load", True, Stage.EXPLOIT, "T1620", "在内存中装载代码", "loads code into memory",
         r"\bvirtualalloc(?:ex)?\b|getdelegateforfunctionpointer|createremotethread|reflection\.assembly\]::load\s*\(|invoke-reflectivepeinjection|\[system\.reflection\.assembly\]::load\s*\(|invoke-shellcode"),
    Sign("scan-interface-off", True, Stage.COVER, "T1562.001", "绕过或关闭 AMSI", "passes by AMSI",
         r"amsiinitfailed|amsiscanbuffer|amsiutils|amsicontext"),
    Sign("protection-off", True, Stage.COVER, "T1562.001", "关闭防护或加白目录", "switches off protection or exempts a folder",
         r"set-mppreference\b.{0,200}-disable\w+\s+(?:\$?true|1)|add-mppreference\b.{0,200}-exclusion|uninstall-windowsfeature\b.{0,100}defender|netsh\s+advfirewall\s+set\s+\w+\s+state\s+off"),
    Sign("log-clear", True, Stage.COVER, "T1070.001", "清除事件日志", "clears event logs",
         r"\bclear-eventlog\b|\bremove-eventlog\b|wevtutil(?:\.exe)?[\"']?\s+(?:cl|clear-log)\b|limit-eventlog\b.{0,100}-maximumsize\s+64"),
    Sign("credentials", True, Stage.SPREAD, "T1003.001", "取得口令", "takes passwords",
         r"sekurlsa::|lsadump::|invoke-mimikatz|minidumpwritedump|comsvcs(?:\.dll)?[\"',\s]+#?(?:24|minidump)|invoke-kerberoast|get-gpppassword|out-minidump|invoke-dcsync"),
    Sign("framework", True, Stage.SPREAD, "T1588.002", "攻击框架的函数", "functions of an attack framework",
         r"\binvoke-(?:bloodhound|psexec|smbexec|wmiexec|thehash|portscan|privesc|allchecks|userhunter|phant0m|obfuscation)\b|\bpowerup\b|\bpowerview\b|\bnishang\b|\bpowersploit\b|get-domaincontroller\b.{0,2000}get-domainuser|promptforcredential\b.{0,400}validatecredentials"),
    Sign("copies-destroyed", True, Stage.IMPACT, "T1490", "删除卷影副本或备份", "deletes shadow copies or backups",
         r"win32_shadowcopy.{0,200}(?:delete|remove)|\bvssadmin\b.{0,60}\bdelete\b|\bwbadmin\b.{0,60}\bdelete\b|\bbcdedit\b.{0,120}(?:recoveryenabled\s+no|ignoreallfailures)"),
    Sign("persistence", False, Stage.PERSIST, "T1053.005", "建立计划任务、服务或启动项", "makes a task, a service or a start-up item",
         r"register-scheduledtask|schtasks(?:\.exe)?\s+/create|new-service\b|\bsc(?:\.exe)?\s+create\b|set-wmiinstance|__eventfilter|currentversion\\run\b"),
    Sign("account", False, Stage.PERSIST, "T1136.001", "建立账户或加入管理员组", "makes an account or an administrator",
         r"new-localuser\b|\bnet1?\s+user\s+\S+\s+\S+\s+/add|add-localgroupmember\b|\bnet1?\s+localgroup\s+\S+\s+\S+\s+/add"),
    Sign("hidden-window", False, Stage.EXPLOIT, "T1564.003", "隐藏窗口运行", "runs with a hidden window",
         r"\s[-/]w(?:in\w*)?\s+(?:hid\w*|1)\b|windowstyle\s*=?\s*['\"]?hidden"),
    Sign("encoded", False, Stage.EXPLOIT, "T1027.010", "编码命令", "an encoded command",
         r"(?:powershell|pwsh)(?:\.exe)?[\"']?\s.{0,200}[-/]e(?:c|n|nc|nco|ncod\w*)?\s+[\"']?[A-Za-z0-9+/=]{24,}|frombase64string"),
    Sign("policy", False, Stage.EXPLOIT, "T1059.001", "绕过执行策略", "passes by the execution policy", r"[-/](?:ep|ex\w*)\s+(?:bypass|unrestricted)\b"),
    Sign("download", False, Stage.EXPLOIT, "T1105", "下载文件", "downloads files", _FETCH),
)  # fmt: skip
# the first cheap sieve over a column (Rust's regex); everything that the table finds passes it
SIEVE = (
    r"(?i)tcpclient|powercat|invoke-|\biex\b|scriptblock\]|downloads|downloadd|downloadf|\biwr\b|\birm\b|webclient|bitstransfer"
    r"|virtualalloc|getdelegate|createremotethread|assembly\]::load|amsi|mppreference|defender|advfirewall|eventlog|wevtutil"
    r"|sekurlsa|lsadump|minidump|kerberoast|gpppassword|powerup|powerview|nishang|powersploit|domaincontroller|validatecredentials"
    r"|shadowcopy|vssadmin|wbadmin|bcdedit|scheduledtask|schtasks|new-service|\bsc(?:\.exe)?\s+create|wmiinstance|__eventfilter"
    r"|currentversion\\run|localuser|localgroup|\bnet1?\s+user|hidden|\s[-/]e|frombase64|bypass|unrestricted"
)
_URL = lazy_regex(r"https?://[\w./%?=&:-]+", re.IGNORECASE)
# how these package managers tell everybody to install them
_INSTALLER = lazy_regex(
    r"https://(?:(?:community\.)?chocolatey\.org/install\.ps1|(?:get|raw)\.scoop\.sh/?\S*|get\.scoop\.sh)",
    re.IGNORECASE,
)
_TWISTED = lazy_regex(r"\[char\]|'\s*\+\s*'|\"\s*\+\s*\"|-f\s*'|\w`\w|-join|-replace|-bxor|\[::-1\]", re.IGNORECASE)
TWISTS = 12  # so many signs of obfuscation in one text are one strong sign
OBFUSCATED = Sign("obfuscated", True, Stage.EXPLOIT, "T1027", "混淆的脚本", "an obfuscated script", "")


@functools.cache
def _compiled() -> tuple[tuple[Sign, re.Pattern[str]], ...]:
    return tuple((s, re.compile(s.pattern, re.IGNORECASE | re.DOTALL)) for s in SIGNS)


@functools.lru_cache(maxsize=8192)
def signs(text: str) -> tuple[Sign, ...]:
    """The signs of a text and of what stands encoded in it, in the table's order."""
    texts = [text[:LONGEST], *(form.text[:LONGEST] for form in decoded(text))]
    found = [sign for sign, pattern in _compiled() if any(pattern.search(t) for t in texts)]
    if any(s.name == "download-run" for s in found) and all(
        _INSTALLER.fullmatch(u) for u in _URL.findall(" ".join(texts)) or [""]
    ):
        found = [s for s in found if s.name != "download-run"]
    names = {s.name for s in found}
    found = [s for s in found if not (s.name == "download" and "download-run" in names)]
    if len(_TWISTED.findall(text[:LONGEST])) >= TWISTS:
        found.append(OBFUSCATED)
    return tuple(found)


def plainly(text: str) -> str | None:
    """The longest of what stands encoded in a text and has a sign of its own, with how it was encoded."""
    forms = [f for f in innermost(text) if any(p.search(f.text[:LONGEST]) for _, p in _compiled())]
    best = max(forms, key=lambda f: (len(f.text), f.how), default=None)
    return None if best is None else f"{best.how}: {best.text}"
