# SPDX-License-Identifier: Apache-2.0
"""Settings that let somebody in or run a program unseen: PAM, sshd, shells' start files, hooks, modules, containers.

Needs:      state.setting as it stands; state.service of containers.
Technique:  T1556.003 PAM; T1098.004 sshd; T1574.006 LD_PRELOAD; T1546 hooks; T1547.006 modules; T1611 containers.
Says:       which line of which file does it; commands count where they are suspicious by themselves.
False when: an administrator chose the setting; a weak sshd setting alone says nothing of an intrusion and stays low.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from headwater.detect.command_table import Trait
from headwater.detect.commands import excerpt, quoted, suspicious, told
from headwater.detect.frames import state, take
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.paths import file_layer
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="settings_abuse",
    version="2",
    author="Headwater",
    title=Text("系统设置被用于留后门", "System settings used as a way in"),
    stage=Stage.PERSIST,
    techniques=("T1556.003", "T1098.004", "T1574.006", "T1546", "T1547.006", "T1611"),
    severity=Severity.HIGH,
)
CLAIMS = ("kind", "user", "command_line", "mechanism", "setting", "value", "service", "control", "module", "risks")
_OWN = ["mechanism", "setting", "value", "match", "effective", "control", "module", "arguments", "script", "risks"]
_WEAK_HERE = frozenset({"temp-run", "download-pipe", "download-temp"})
_TEMPORARY = lazy_regex(r"(?:^|[|=\s:\"'])/(?:tmp|var/tmp|dev/shm)/|/\.[A-Za-z0-9_]")
_PAM_HOME = lazy_regex(r"(?:/usr)?/lib(?:32|64|/[a-z0-9_]+-linux-[a-z0-9]+)?/security/[A-Za-z0-9_.-]+|[A-Za-z0-9_.$-]+")
_PRELOAD = lazy_regex(r"(?:export\s+)?LD_PRELOAD=\S")
_CORE = lazy_regex(r"\|\s*(?!/usr/|/lib/|/snap/|/bin/false|/bin/true|/wsl)\S")
_LIMIT = 2000
# The sub-technique of a command, by the place that runs it.
_PLACES = (
    ("/udev/rules.d/", "T1546.017"), ("/apt/apt.conf", "T1546.016"), ("/autostart/", "T1547.013"), ("/modprobe.d/", "T1547.006"),
    ("/system-generators/", "T1543.002"), ("/user-generators/", "T1543.002"), ("/dbus-1/", "T1543.002"), ("/polkit-1/", "T1548"),
    (".pth", "T1546.018"), ("sitecustomize.py", "T1546.018"), ("usercustomize.py", "T1546.018"),
    ("/ssh", "T1098.004"), ("/pam.d/", "T1556.003"),
    ("/.bash", "T1546.004"), ("/.profile", "T1546.004"), ("/.zsh", "T1546.004"), ("/.zprofile", "T1546.004"), ("/etc/bash", "T1546.004"),
    ("/etc/profile", "T1546.004"), ("/etc/zsh", "T1546.004"), ("/initramfs-tools/", "T1542"), ("/grub", "T1542"),
)  # fmt: skip
Found = tuple[str, str, Severity, Text]  # reason, technique, severity, text


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """By source and path; in one file suspicious commands first, then single lines in order."""
    rows = take(
        events, kinds=[EventKind.STATE_SETTING, EventKind.STATE_SERVICE],
        header=["user", "command_line", "host", "file_path"], own=_OWN,
        where=(pl.col("kind") == EventKind.STATE_SETTING.value) | (pl.col("risks").is_not_null() & (pl.col("mechanism") == "docker")),
    )  # fmt: skip
    parts = rows.sort("source", "path", "offset").partition_by("source", "path", maintain_order=True)
    files = [(part, _run_by(part)) for part in parts]
    every = [n for _, lines in files for ns in lines.values() for n in ns]
    known = suspicious(pl.DataFrame({"line": every}, {"line": pl.String}), "line")
    counted = {n: kept for n, ts in known.items() if (kept := [t for t in ts if t.strong or t.name in _WEAK_HERE])}
    for part, lines in files:
        path = file_layer(part["path"][0])
        yield from _commands(events, part, path, lines, counted)
        for row in part.iter_slices(1):
            for reason, technique, severity, text in _line(row.to_dicts()[0], path):
                yield _finding(events, row, path, reason, technique, severity, text)
    yield from _root_by_password(events, rows)


def _finding(
    events: Events, rows: pl.DataFrame, path: str, reason: str, technique: str, severity: Severity, text: Text
) -> Finding:
    rest = tuple(t for t in RULE.techniques if t != technique)
    rule = Rule(RULE.id, RULE.version, RULE.author, RULE.title, RULE.stage, (technique, *rest), RULE.severity)
    confidence = Confidence.HIGH if severity is Severity.HIGH else Confidence.MEDIUM
    facts = {"reason": reason, "path": path}
    return state(events, rule, rows, CLAIMS, text, severity=severity, confidence=confidence, facts=facts)


def _run_by(part: pl.DataFrame) -> dict[int, list[str]]:
    """The lines that a file's settings run, by where the setting stands."""
    return {
        int(at): [n.strip() for n in f"{command or ''}\n{script or ''}".split("\n")[:_LIMIT] if _runs(n)]
        for at, command, script in part.select("offset", "command_line", "script").iter_rows()
    }


def _commands(
    events: Events,
    part: pl.DataFrame,
    path: str,
    lines: Mapping[int, Sequence[str]],
    counted: Mapping[str, Sequence[Trait]],
) -> Iterator[Finding]:
    """What a file's lines run, where that is suspicious by itself."""
    odd = [n for ns in lines.values() for n in ns if n in counted]
    if not odd:
        return
    traits = [t for n in odd for t in counted[n]]
    shown = list(dict.fromkeys(odd))
    zh = f"设置文件 {path} 所运行的命令属于可疑类别“{told(traits, 'zh')}”：{quoted(shown, 'zh')}。"
    en = f"What the settings in {path} run is of a suspicious kind ({told(traits, 'en')}): {quoted(shown, 'en')}."
    severity = Severity.HIGH if any(t.strong for t in traits) else Severity.MEDIUM
    cited = part.filter(pl.col("offset").is_in([at for at, ns in lines.items() if any(n in counted for n in ns)]))
    technique = next((t for part, t in _PLACES if part in path), "T1546")
    technique = (
        "T1546.005"
        if any(t.name == "trap-run" or n.startswith("trap ") for n in odd for t in counted[n])
        else technique
    )
    yield _finding(events, cited, path, "command", technique, severity, Text(zh, en))


def _runs(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _line(row: dict[str, object], path: str) -> Iterator[Found]:
    """What one line does by itself."""
    said = {k: str(v) for k, v in row.items() if v is not None}
    mechanism, value = said.get("mechanism", ""), said.get("value", "")
    shown = excerpt(value, 160)
    if mechanism == "pam":
        yield from _pam(said, path)
    elif mechanism in ("shell-start", "environment") and (_PRELOAD.match(value) or said.get("setting") == "LD_PRELOAD"):
        zh = f"{path} 设置了 LD_PRELOAD，所列的库会被装入此后启动的程序：{shown}。"
        en = f"{path} sets LD_PRELOAD; the library is loaded into every program started after it: {shown}."
        severity = Severity.HIGH if _TEMPORARY.search(value) else Severity.MEDIUM
        yield "preload", "T1574.006", severity, Text(zh, en)
    elif mechanism == "sysctl" and said.get("setting", "").endswith("core_pattern") and _CORE.match(value):
        zh = f"{path} 令内核在程序崩溃时以 root 身份运行 {shown}。"
        en = f"{path} makes the kernel run {shown} as root when a program crashes."
        yield "core-pattern", "T1546", Severity.HIGH if _TEMPORARY.search(value) else Severity.MEDIUM, Text(zh, en)
    elif mechanism == "modprobe" and "insmod" in said.get("command_line", ""):
        zh = f"{path} 在装入模块 {said.get('module')} 时另行装入内核模块：{shown}。"
        en = f"{path} loads another kernel module when {said.get('module')} is loaded: {shown}."
        yield "module", "T1547.006", Severity.MEDIUM, Text(zh, en)
    elif mechanism == "sshd" and said.get("setting", "").lower() == "permitemptypasswords" and value.lower() == "yes":
        text = Text(f"{path} 允许空口令登录。", f"{path} permits logins with an empty password.")
        yield "empty-password", "T1098.004", Severity.MEDIUM, text
    elif mechanism == "docker" and _escapes(said.get("risks", "")):
        risks = excerpt(said["risks"].replace("\n", ", "), 160)
        zh = f"容器以特权方式运行并挂载了主机的根目录（{risks}），容器内可改写主机任何文件。"
        en = f"A container runs privileged with its host's root mounted ({risks}); it can write any file of the host."
        yield "container", "T1611", Severity.MEDIUM, Text(zh, en)


def _escapes(risks: str) -> bool:
    return {"privileged", "mount=/"} <= set(risks.split("\n"))


def _pam(said: dict[str, str], path: str) -> Iterator[Found]:
    module, kind = said.get("module", ""), said.get("setting", "")
    control, arguments = said.get("control", ""), said.get("arguments", "")
    shown = excerpt(said.get("value", ""), 160)
    if module.endswith("pam_permit.so") and kind == "auth" and control == "sufficient":
        zh = f"{path} 的认证栈中 pam_permit 为充分条件，任何口令都能通过：{shown}。"
        en = f"{path} takes pam_permit as sufficient for authentication, so that any password passes: {shown}."
        yield "pam-permit", "T1556.003", Severity.HIGH, Text(zh, en)
    elif module.endswith("pam_exec.so") and kind in ("auth", "password"):
        zh = f"{path} 在认证时运行外部程序{'并交给它口令' if 'expose_authtok' in arguments else ''}：{shown}。"
        en = f"{path} runs a program at authentication{' and hands it the password' if 'expose_authtok' in arguments else ''}: {shown}."
        severity = Severity.HIGH if "expose_authtok" in arguments else Severity.MEDIUM
        yield "pam-exec", "T1556.003", severity, Text(zh, en)
    elif module and not _PAM_HOME.fullmatch(module):
        zh = f"{path} 使用了不在系统目录中的 PAM 模块：{shown}。"
        en = f"{path} uses a PAM module outside the system's folder: {shown}."
        severity = Severity.HIGH if _TEMPORARY.search(module) else Severity.MEDIUM
        yield "pam-module", "T1556.003", severity, Text(zh, en)


def _root_by_password(events: Events, rows: pl.DataFrame) -> Iterator[Finding]:
    """root may log in with a password: the setting says yes and none that counts forbids passwords."""
    mine = rows.filter(
        (pl.col("mechanism") == "sshd") & pl.col("match").is_null()
        & (pl.col("effective").cast(pl.String) != "false").fill_null(True)
    )  # fmt: skip
    for part in mine.partition_by("source", maintain_order=True):
        keyword, value = pl.col("setting").str.to_lowercase(), pl.col("value").str.to_lowercase()
        root = part.filter((keyword == "permitrootlogin") & (value == "yes"))
        forbidden = part.filter((keyword == "passwordauthentication") & (value == "no"))
        if root.height and not forbidden.height:
            path = file_layer(root["path"][0])
            zh = f"{path} 允许 root 经 SSH 以口令登录。"
            en = f"{path} lets root log in over SSH with a password."
            yield _finding(events, root, path, "root-password", "T1098.004", Severity.LOW, Text(zh, en))
