# SPDX-License-Identifier: Apache-2.0
"""Start-up settings that give a way in by what they name: prepended PHP, pictures run as PHP, shells on a port, rootkits, rights.

Needs:      linux.startup, linux.setting (modules), linux.sudoers.
Technique:  T1205.001 port knocking;
            T1505.003 web server scripts; T1547.006 kernel modules; T1548.003 sudo; T1543 inetd; T1542 boot; T1133 Docker's port.
Says:       which line of which file does it. Commands that are suspicious by their words are told by ``settings_abuse``.
False when: an administrator chose it: a tracing library that PHP prepends, a laboratory's module, a build account with all rights.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.detect.commands import excerpt
from headwater.detect.frames import state, take
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.paths import file_layer
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="odd-startup",
    version="1",
    author="Headwater",
    title=Text("启动与加载设置留有后门", "A way in by what start-up settings name"),
    stage=Stage.PERSIST,
    techniques=("T1505.003", "T1547.006", "T1548.003", "T1543", "T1542", "T1133", "T1205.001"),
    severity=Severity.HIGH,
)
CLAIMS = ("kind", "user", "mechanism", "setting", "value", "module", "rule", "commands", "nopasswd")
_OWN = ("mechanism", "setting", "value", "module", "rule", "commands", "nopasswd", "entry")
_TEMPORARY = lazy_regex(r"(?:^|[\s\"'=])/(?:tmp|var/tmp|dev/shm)/|/\.[A-Za-z0-9_]")
_PICTURE = lazy_regex(r"\.(?:jpe?g|png|gif|ico|bmp|webp|txt|css|log)\b", re.IGNORECASE)
_PHP = lazy_regex(r"php|proxy:(?:unix|fcgi)", re.IGNORECASE)
_SHELL = lazy_regex(r"(?:^|\s)/(?:usr/)?(?:local/)?bin/(?:ba|da|z|k|c)?sh\b|(?:^|\s)/(?:usr/)?bin/(?:nc|ncat|socat)\b")
# Public rootkits by the names of their modules (each named after its own repository or the reports on it).
_ROOTKITS = lazy_regex(
    r"(?i)^(?:diamorphine|reptile(?:_module)?|suterusu|adore(?:-ng)?|knark|kovid|brokepkg|puszek|nurupo|rkit|azazel|jynx2?|vlany|umbreon"
    r"|drovorub|syslogk|puma|kitsune|singularity|caraxes|skidmap|netlinkrootkit|wnps|enyelkm|rial|heroin|phalanx2?)(?:\.ko)?$"
)
# accounts under which servers run: none of them needs another's rights without a password
_SERVICE = frozenset(
    {
        "www-data",
        "apache",
        "nginx",
        "httpd",
        "http",
        "www",
        "wwwrun",
        "tomcat",
        "mysql",
        "postgres",
        "redis",
        "nobody",
        "ftp",
        "mail",
        "ALL",
    }
)
_ALL_COMMANDS = lazy_regex(r"(?:^|[:,\s])ALL\s*(?:,|$)|\b(?:ba|da|z)?sh\b\s*(?:,|$)")

Found = tuple[str, str, Severity, str, str]  # reason, technique, severity, what it does in Chinese and in English


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """By source, path and place; one finding for each line."""
    rows = take(
        events, kinds=[EventKind.STATE_SETTING, EventKind.STATE_SUDO], feeds=["linux.startup", "linux.setting", "linux.sudoers"],
        header=["user", "host", "command_line", "file_path"], own=_OWN,
    )  # fmt: skip
    for row in rows.sort("source", "path", "offset", "ordinal").iter_slices(1):
        said = {k: str(v) for k, v in row.to_dicts()[0].items() if v is not None}
        for reason, technique, severity, zh, en in _line(said):
            path = file_layer(said["path"])
            shown = excerpt(said.get("rule") or said.get("value", ""), 160)
            rule = Rule(
                RULE.id, RULE.version, RULE.author, RULE.title, RULE.stage,
                (technique, *(t for t in RULE.techniques if t != technique)), RULE.severity,
            )  # fmt: skip
            yield state(
                events, rule, row, CLAIMS, Text(f"{path} {zh}：{shown}。", f"{path} {en}: {shown}."), severity=severity,
                confidence=Confidence.HIGH if severity is Severity.HIGH else Confidence.MEDIUM,
                facts={"reason": reason, "path": path},
            )  # fmt: skip


def _line(said: dict[str, str]) -> Iterator[Found]:
    mechanism, name, value = said.get("mechanism", ""), said.get("setting", "").lower(), said.get("value", "")
    odd = bool(_TEMPORARY.search(value))
    if said.get("entry") == "rule":
        yield from _sudo(said)
    elif mechanism == "php" and name.startswith("auto_") and value.lower() != "none":
        bad = odd or bool(_PICTURE.search(value))
        words = "使每个页面先后运行所列文件", "makes every page run the file that it names"
        yield "prepended", "T1505.003", Severity.HIGH if bad else Severity.LOW, *words
    elif (
        mechanism == "php"
        and name in ("addtype", "addhandler", "sethandler", "forcetype")
        and _PHP.search(value)
        and _PICTURE.search(value)
    ):
        yield (
            "picture-as-code",
            "T1505.003",
            Severity.HIGH,
            "让图片或文本文件按 PHP 代码执行",
            "has pictures or texts run as PHP",
        )
    elif mechanism in ("php", "server-module") and odd:
        yield (
            "loaded",
            "T1505.003",
            Severity.HIGH,
            "从临时或隐藏目录装入模块",
            "loads a module from a temporary or hidden place",
        )
    elif mechanism in ("inetd", "xinetd") and _SHELL.search(value):
        yield (
            "shell-on-port",
            "T1543",
            Severity.HIGH,
            "在网络端口上提供 shell",
            "offers a shell on a port of the network",
        )
    elif mechanism == "grub" and name.endswith("init") and odd:
        yield (
            "boot",
            "T1542",
            Severity.HIGH,
            "使系统由临时或隐藏目录中的程序启动",
            "boots by a program in a temporary or hidden place",
        )
    elif mechanism == "docker" and re.search(r"tcp://(?:0\.0\.0\.0|\[::\])?:2375", value):
        words = "把容器引擎的无认证端口开放给网络", "opens the container engine's port without authentication"
        yield "docker-port", "T1133", Severity.MEDIUM, *words
    elif mechanism == "knock" and name.endswith("command") and re.search(r"\bACCEPT\b|\baccept\b|\ballow\b", value):
        words = "在收到约定的敲门序列后打开端口", "opens a port to whoever knocks in an agreed order"
        yield "port-knocking", "T1205.001", Severity.LOW, *words
    elif mechanism == "modules-load" and _ROOTKITS.match(value.split()[0] if value.split() else ""):
        yield (
            "rootkit",
            "T1547.006",
            Severity.HIGH,
            "在启动时装入与已知 rootkit 同名的内核模块",
            "loads a module named like a known rootkit",
        )


def _sudo(said: dict[str, str]) -> Iterator[Found]:
    """Accounts of servers, or everybody, that may run everything as another without a password."""
    if (
        said.get("nopasswd", "").lower() == "true"
        and said.get("user") in _SERVICE
        and _ALL_COMMANDS.search(said.get("commands", ""))
    ):
        words = (
            "使服务账户或任何人无须口令即可以他人身份运行任意命令",
            "lets an account of a server, or anybody, run anything without a password",
        )
        yield "sudo", "T1548.003", Severity.HIGH, *words
