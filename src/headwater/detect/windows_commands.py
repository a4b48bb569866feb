# SPDX-License-Identifier: Apache-2.0
"""What the command line of a Windows start-up item says by itself: where its program lies, and what it does.

A trait is strong where no ordinary product does so. Places that users can write to are strong for what runs as the system.
"""

from __future__ import annotations

import functools
import ntpath
import re
from dataclasses import dataclass

from headwater.formats.patterns import lazy_regex

LONGEST = 4096
_EXECUTABLE = r"\.(?:exe|dll|com|scr|bat|cmd|ps1|vbs|vbe|js|jse|wsf|hta|cpl|ocx|sys|msi)\b"


@dataclass(frozen=True, slots=True)
class Sign:
    """``strong``: enough by itself; ``place``: about where the program lies rather than what it does."""

    name: str
    strong: bool
    technique: str
    zh: str
    en: str
    pattern: str
    place: bool = False


SIGNS: tuple[Sign, ...] = (
    Sign("encoded", True, "T1027.010", "PowerShell 运行编码命令", "PowerShell runs an encoded command",
         r"(?:powershell|pwsh)\b.*\s[-/]e(?:c|n|nc|nco|ncod\w*)?\s+[\"']?[A-Za-z0-9+/=]{24,}"),
    Sign("download", True, "T1105", "下载并运行", "downloads and runs",
         r"\b(?:iex|invoke-expression|downloadstring|downloadfile|downloaddata|invoke-webrequest|iwr|start-bitstransfer)\b"
         r"|\bbitsadmin\b.*/transfer|\bcertutil\b.*[-/]urlcache|\bmsiexec\b.*\shttps?:|\bcurl\b.*\shttps?://.*(?:-o|>|\|)"),
    Sign("script-host", True, "T1218", "借系统程序运行脚本", "runs a script through a system program",
         r"\bmshta(?:\.exe)?[\"']?\s+[\"']?(?:javascript|vbscript|https?):|\brundll32(?:\.exe)?[\"']?\s+[\"']?javascript:"
         r"|\bregsvr32(?:\.exe)?\b.*/i:\s*https?:|\bscrobj\.dll"),
    Sign("pipe", True, "T1134.001", "经命名管道取得系统权限", "takes the system's rights through a named pipe",
         r"\becho\s+\w+\s*>\s*\\\\\.\\pipe\\"),
    Sign("shell-service", True, "T1569.002", "经命令解释器转而运行脚本", "runs a script by way of a shell",
         r"(?:%comspec%|\bcmd(?:\.exe)?)[\"']?\s+/[bcq]\b.*(?:powershell|pwsh|\\\\127\.0\.0\.1\\|\\\\localhost\\|__output|\.bat\b.*&.*del\b)"),
    Sign("memory-load", True, "T1620", "PowerShell 在内存中装载代码", "PowerShell loads code into memory",
         r"frombase64string|reflection\.assembly|\bvirtualalloc\b|\bgzipstream\b"),
    Sign("hidden-window", False, "T1564.003", "PowerShell 隐藏窗口", "PowerShell with a hidden window",
         r"(?:powershell|pwsh)\b.*\s[-/]w(?:indowstyle)?\s+(?:hid|1\b)"),
    Sign("shadow-delete", True, "T1490", "删除卷影副本或备份", "deletes shadow copies or backups",
         r"\bvssadmin\b.*\b(?:delete|resize)\b|\bwmic\b.*shadowcopy.*delete|\bwbadmin\b.*\bdelete\b|\bbcdedit\b.*(?:recoveryenabled\s+no|ignoreallfailures)"),
    Sign("tool", True, "T1588.002", "已知攻击工具", "a known tool of intruders",
         r"\b(?:mimikatz|mimilib|rubeus|sharphound|lazagne|psexesvc|meterpreter|cobaltstrike|procdump\d*(?:\.exe)?\b.*lsass)\b"),
    Sign("dual-use", False, "T1219", "常被入侵者借用的工具", "a tool of administrators that intruders use as well",
         r"\b(?:chisel|frpc|frps|ngrok|rclone|psexec(?:64)?|plink)(?:\.exe)?\b"),
    Sign("public", True, "T1036.005", "程序位于公用或临时目录", "its program lies in a public or temporary folder",
         r"\\users\\public\\(?!desktop\\)|\\windows\\temp\\|%windir%\\temp\\|%systemroot%\\temp\\|\\perflogs\\|\\\$recycle\.bin\\|%public%\\"
         rf"|(?:\\appdata\\local\\temp\\|%temp%\\|%tmp%\\)[^\"]*?{_EXECUTABLE}", True),
    Sign("odd-place", False, "T1036.005", "程序位于少见的目录", "its program lies in an unusual folder",
         rf"(?:\\programdata\\|%programdata%\\|%allusersprofile%\\)[^\\\"]+{_EXECUTABLE}|^[\"']?[a-z]:\\[^\\\"]+{_EXECUTABLE}"
         rf"|\\users\\[^\\\"]+\\(?:downloads|desktop|documents|music|pictures|videos)\\[^\"]*?{_EXECUTABLE}"
         rf"|\\windows\\(?:fonts|help|debug|tracing|addins|media|tasks)\\[^\"]*?{_EXECUTABLE}", True),
)  # fmt: skip
# Literals of which at least one stands in every text that a strong sign matches: the first, cheap sieve.
SIEVE: tuple[str, ...] = (
    "powershell", "pwsh", "iex", "invoke-", "download", "iwr", "bits", "certutil", "msiexec", "curl", "mshta", "javascript:",
    "regsvr32", "scrobj.dll", "\\pipe\\", "cmd", "%comspec%", "base64", "assembly", "virtualalloc", "gzipstream", "vssadmin",
    "shadowcopy", "wbadmin", "bcdedit", "mimikatz", "mimilib", "rubeus", "sharphound", "lazagne", "psexesvc", "meterpreter",
    "cobaltstrike", "procdump", "\\users\\public", "temp\\", "%tmp%", "perflogs", "$recycle.bin", "%public%", "\\svchost", "\\lsass",
    "\\csrss", "\\services.exe", "\\winlogon", "\\smss", "\\wininit", "\\spoolsv", "\\lsm.exe", "\\taskhost", "\\dllhost", "\\conhost",
    "\\rundll32", "\\userinit", "\\dwm.exe", "\\ntoskrnl",
)  # fmt: skip
_SYSTEM = frozenset(
    {
        "svchost.exe", "lsass.exe", "csrss.exe", "services.exe", "winlogon.exe", "smss.exe", "wininit.exe", "spoolsv.exe", "lsm.exe",
        "taskhost.exe", "taskhostw.exe", "dllhost.exe", "conhost.exe", "rundll32.exe", "userinit.exe", "dwm.exe", "ntoskrnl.exe",
    }
)  # fmt: skip
_HOMES = lazy_regex(
    r"^(?:[a-z]:\\windows|%windir%|%systemroot%|\\systemroot|\\\?\?\\[a-z]:\\windows)\\(?:system32|syswow64|winsxs)\\|^(?:system32|syswow64)\\"
)
MASQUERADE = Sign(
    "masquerade", True, "T1036.005", "系统程序名出现在别处", "the name of a system program in another place", "", True
)


@functools.cache
def _compiled() -> tuple[tuple[Sign, re.Pattern[str]], ...]:
    return tuple((sign, re.compile(sign.pattern, re.IGNORECASE | re.DOTALL)) for sign in SIGNS)


def program_of(command: str) -> str:
    """The program that a command line starts, as it is written there, in lower case."""
    text = command.strip()
    if text.startswith('"'):
        return text[1:].partition('"')[0].lower()
    match = re.match(rf"(.+?{_EXECUTABLE})", text, re.IGNORECASE)
    return (match.group(1) if match else text.partition(" ")[0]).lower()


@functools.lru_cache(maxsize=16_384)
def signs(command: str) -> tuple[Sign, ...]:
    """The signs of a command line, in the table's order."""
    text = command[:LONGEST]
    found = [sign for sign, pattern in _compiled() if pattern.search(text)]
    program = program_of(text)
    folder, name = ntpath.split(program)
    if folder and name in _SYSTEM and not _HOMES.search(program):
        found.append(MASQUERADE)
    return tuple(found)
