# SPDX-License-Identifier: Apache-2.0
"""Rules of polkit that grant everybody, or an account of a server, what belongs to administrators.

Needs:      linux.polkit.
Technique:  T1548 abuse of elevation control mechanisms.
Says:       which rule grants what without asking who, or grants an account under which servers run the right to run programs or
            to start services. It does not say that anybody used it: pkexec writes that to the authentication log.
False when: a kiosk or a test machine is meant to ask nobody; polkitd is not installed, or too new to read .pkla files.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.detect.commands import excerpt
from headwater.detect.frames import state, take
from headwater.detect.web_evidence import WEB_USERS
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.paths import file_layer
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="polkit-rule",
    version="1",
    author="Headwater",
    title=Text("polkit 规则放行特权操作", "A polkit rule that grants what belongs to administrators"),
    stage=Stage.PERSIST,
    techniques=("T1548",),
    severity=Severity.HIGH,
)
CLAIMS = ("kind", "mechanism", "setting", "identity", "action", "result", "condition")
_OWN = (*CLAIMS[1:], "unconditional", "value")
# By these anything else can be had: run a program as another, write and start units, change accounts, install packages.
_MIGHTY = lazy_regex(
    r"(?:^|[\s;,])(?:\*|org\.\*|org\.freedesktop\.\*|org\.freedesktop\.policykit\.(?:exec|\*)|org\.freedesktop\.systemd1\.(?:manage-unit\S*|\*)"
    r"|org\.freedesktop\.accounts\.(?:user-administration|\*)|org\.freedesktop\.packagekit\.(?:package-install\S*|\*)"
    r"|org\.freedesktop\.machine1\.(?:host-)?(?:shell|login))(?=[\s;,]|$)"
)
_SUBJECT = lazy_regex(r"\bsubject\s*\.\s*\w+")
_EVERYBODY = lazy_regex(r"(?:^|[\s;,])(?:unix-user:\*|unix-group:\*|default)(?=[\s;,]|$)")
_SERVERS = WEB_USERS | {"nobody", "mysql", "postgres", "redis", "ftp", "mail"}
_WORDS = {
    "all": (
        "不问何人即放行一切操作", "grants everything without asking who", Severity.HIGH,
    ),
    "mighty": (
        "不问何人即放行可据以取得 root 权限的操作", "grants, without asking who, what root's rights can be had by", Severity.HIGH,
    ),
    "server": (
        "给予服务账户可据以取得 root 权限的操作", "grants an account of a server what root's rights can be had by", Severity.HIGH,
    ),
}  # fmt: skip


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """By source, path and place; one finding for each rule."""
    rows = take(events, kinds=[EventKind.STATE_SETTING], feeds=["linux.polkit"], header=["host", "file_path"], own=_OWN)
    for row in rows.sort("source", "path", "offset").iter_slices(1):
        said = {k: str(v) for k, v in row.to_dicts()[0].items() if v is not None}
        reason = _entry(said) if said["path"].endswith(".pkla") else _rule(said)
        if reason is None:
            continue
        path, (zh, en, severity) = file_layer(said["path"]), _WORDS[reason]
        shown = excerpt(said.get("value", ""), 200)
        yield state(
            events, RULE, row, CLAIMS, Text(f"{path} 中的 polkit 规则{zh}：{shown}。", f"A polkit rule in {path} {en}: {shown}."),
            severity=severity, confidence=Confidence.HIGH, facts={"reason": reason, "path": path},
        )  # fmt: skip


def _rule(said: dict[str, str]) -> str | None:
    """Why a rule of JavaScript is told, or None."""
    if "yes" not in said.get("result", "").split() or said.get("setting") != "addRule":
        return None
    condition, action = said.get("condition", ""), said.get("action", "")
    if said.get("unconditional", "").lower() == "true" or (not action and condition.strip() in ("true", "1", "!false")):
        return "all"
    if not _MIGHTY.search(action):
        return None
    accounts = {u.removeprefix("unix-user:") for u in said.get("identity", "").split()}
    if accounts & _SERVERS:
        return "server"
    return None if _SUBJECT.search(condition) or _SUBJECT.search(said.get("value", "")) else "mighty"


def _entry(said: dict[str, str]) -> str | None:
    """Why an entry of a .pkla file is told, or None."""
    if not any(word.endswith("=yes") for word in said.get("result", "").split()):
        return None
    identity, action = said.get("identity", ""), said.get("action", "")
    if not _MIGHTY.search(action):
        return None
    if _EVERYBODY.search(identity):
        return "all" if "*" in action.replace(",", ";").split(";") else "mighty"
    accounts = {u.strip().removeprefix("unix-user:") for u in identity.replace(",", ";").split(";")}
    return "server" if accounts & _SERVERS else None
