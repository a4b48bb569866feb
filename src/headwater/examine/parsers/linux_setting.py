# SPDX-License-Identifier: Apache-2.0
"""Settings of the system as they stand, line by line: names, mounts, modules, devices, shells, auditing (linux.setting).

Reads:  hosts, resolv.conf, nsswitch.conf, fstab, exports, sysctl, modules-load.d, modprobe.d, ld.so.conf, environment,
        hosts.allow and .deny, udev rules, audit rules, shells' start files of the system and of accounts; ``mechanism``
        says which.
Time:   none; the files state no time.
Format: the files' own manual pages, section 5; bash(1) INVOCATION; udev(7); auditctl(8).
Limits: what a program made of the file, and when, is not said; lines of a shell's file stand as written, not as they run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._settings import Joined, joined
from headwater.examine.parsers._text import user_of
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Record, Value

FEED = "linux.setting"
VERSION = 1
READS = (
    "/etc/hosts",
    "/etc/hosts.allow",
    "/etc/hosts.deny",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/fstab",
    "/etc/exports",
    "/etc/exports.d/*",
    "/etc/sysctl.conf",
    "/etc/sysctl.d/*",
    "/etc/modules",
    "/etc/modules-load.d/*",
    "/etc/modprobe.conf",
    "/etc/modprobe.d/*",
    "/lib/modprobe.d/*",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d/*",
    "/etc/environment",
    "/etc/udev/rules.d/*",
    "/lib/udev/rules.d/*",
    "/etc/audit/audit.rules",
    "/etc/audit/rules.d/*",
    "/etc/bash.bashrc",
    "/etc/bashrc",
    "/etc/zsh/z*",
    "/.bashrc",
    "/.bash_profile",
    "/.bash_login",
    "/.bash_logout",
    "/.bash_aliases",
    "/.profile",
    "/.zshrc",
    "/.zshenv",
    "/.zprofile",
)
# Which mechanism a file belongs to, by a part of its path; the first that holds.
_MECHANISMS = (
    ("/etc/hosts.", "hosts-access"),
    ("/etc/hosts", "hosts"),
    ("/etc/resolv.conf", "resolver"),
    ("/etc/nsswitch.conf", "nsswitch"),
    ("/etc/fstab", "fstab"),
    ("/etc/exports", "exports"),
    ("sysctl", "sysctl"),
    ("modprobe", "modprobe"),
    ("/etc/modules", "modules-load"),
    ("/etc/ld.so.conf", "ld.so.conf"),
    ("/etc/environment", "environment"),
    ("/udev/rules.d/", "udev"),
    ("/etc/audit/", "audit-rules"),
)
_PAIR = lazy_regex(r"-?\s*([^=\s]+)\s*=\s*(.*)", re.DOTALL)
_UDEV_RUN = lazy_regex(r'\b(?:RUN(?:\{program\})?|PROGRAM|IMPORT\{program\})\s*(?:\+?=|==|:=)\s*e?"((?:[^"\\]|\\.)*)"')
_PRELOAD = lazy_regex(r"(?:export\s+)?(LD_PRELOAD|LD_LIBRARY_PATH|PROMPT_COMMAND|BASH_ENV|PATH)=")
_ALIAS = lazy_regex(r"alias\s+([A-Za-z0-9_.-]+)=")


def _mechanism(path: str) -> str:
    return next((name for part, name in _MECHANISMS if part in path), "shell-start")


def parse(file: File) -> Iterator[Record]:
    path = file_layer(file.path)
    mechanism = _mechanism(path)
    shell = mechanism == "shell-start"
    user = user_of(file.path) if shell else None
    for line in joined(file, b"#;" if mechanism in ("sysctl", "resolver") else b"#", join=mechanism != "hosts"):
        yield _event(line, path, mechanism, user) if isinstance(line, Joined) else line


def _event(line: Joined, path: str, mechanism: str, user: str | None) -> Event:
    text = line.text.strip()
    fields: dict[str, Value] = {"mechanism": mechanism, "value": text}
    command: str | None = None
    first, _, rest = text.partition(" ")
    if mechanism == "shell-start":
        command = text
        if match := _PRELOAD.match(text) or _ALIAS.match(text):
            fields["setting"] = match[1]
    elif mechanism in ("sysctl", "environment"):
        if match := _PAIR.fullmatch(text):
            fields |= {"setting": match[1], "value": match[2]}
    elif mechanism == "modprobe":
        fields |= _modprobe(text)
        words = text.split(None, 2)
        command = words[2] if words[0] in ("install", "remove") and len(words) == 3 else None
    elif mechanism == "udev":
        command = "\n".join(c.replace('\\"', '"') for c in _UDEV_RUN.findall(text)) or None
    elif mechanism in ("hosts", "resolver", "fstab", "exports"):
        words = text.partition("#")[0].split(None, 1) or [text]
        fields |= {"setting": words[0], "value": words[1].strip() if len(words) > 1 else None}
    elif mechanism in ("nsswitch", "hosts-access"):
        name, _, value = text.partition(":")
        fields |= {"setting": name.strip(), "value": value.strip() or None}
        command = _spawned(value) if mechanism == "hosts-access" else None
    elif mechanism == "audit-rules":
        fields |= {"setting": first, "value": rest.strip() or None}
    return Event(
        line.offset, line.length, EventKind.STATE_SETTING, user=user, command_line=command, file_path=path,
        fields={k: v for k, v in fields.items() if v is not None},
    )  # fmt: skip


def _modprobe(text: str) -> dict[str, Value]:
    words = text.split(None, 2)
    return {"setting": words[0], "module": words[1] if len(words) > 1 else None}


def _spawned(value: str) -> str | None:
    """The command of ``spawn`` or ``twist`` in hosts_options(5)."""
    match = re.search(r"\b(?:spawn|twist)\s*=?\s*\(?(.+?)\)?\s*&?\s*$", value)
    return match[1] if match else None
