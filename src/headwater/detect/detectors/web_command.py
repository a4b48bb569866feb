# SPDX-License-Identifier: Apache-2.0
"""System commands in web requests, and how far they came: requested, answered, or confirmed on the host.

Needs:      web.access with query strings; confirmation from web.script, fs.macb, linux.audit, web.error, linux.auth.
Technique:  T1190 exploitation of a public-facing application; T1059 command interpreter.
Says:       who asked for which commands; "confirmed" only where the host itself agrees: a script that passes the
            parameter to a shell, a process of the web account, a file the command names, an error of the shell.
False when: a site lets people write shell text into a form whose script also runs commands; a security test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from headwater.detect.addresses import Client, client, networks
from headwater.detect.commands import excerpt
from headwater.detect.frames import names, state, take
from headwater.detect.web_evidence import Host, Proof
from headwater.detect.web_requests import HEADER_SIEVE, SIEVE, WebCommand, command_in, value_of
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="web-command",
    version="1",
    author="Headwater",
    title=Text("网页请求中的系统命令", "System commands in web requests"),
    stage=Stage.EXPLOIT,
    techniques=("T1190", "T1059.004"),
    severity=Severity.HIGH,
)
ENTERS = True  # a high finding of this detector is an entry into the host
CLAIMS = ("src_ip", "cs-method", "cs-uri-stem", "cs-uri-query", "sc-status", "x-forwarded-for")
_OWN = ("cs-method", "cs-uri-stem", "cs-uri-query", "cs-uri", "sc-status", "cs-user-agent", "x-forwarded-for")
_DYNAMIC = (".php", ".phtml", ".jsp", ".jspx", ".asp", ".aspx", ".ashx", ".cgi", ".pl", ".py", ".sh", ".do", ".action")
_PROOF_TEXT = {
    "process": ("审计日志记录到 Web 服务账户执行了相应命令", "the audit log records the web account running it"),
    "privilege": ("认证日志记录到 Web 服务账户的相应 sudo 操作", "the auth log records the web account's sudo"),
    "error": ("错误日志出现该命令的 shell 报错", "the error log holds the shell's error for it"),
    "file": ("命令所指文件随后在盘上出现或改变", "the file that the command names then appeared or changed on disk"),
}


@dataclass
class _Group:
    """The requests of one client to one path."""

    who: Client
    stem: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    found: list[WebCommand] = field(default_factory=list)

    def answered(self) -> list[int]:
        return [i for i, r in enumerate(self.rows) if 200 <= int(r["sc-status"] or 0) < 300]


def _candidates(events: Events, host: Host) -> pl.DataFrame:
    """Requests that the sieve lets through, or that go to a script which passes a parameter to a shell."""
    query = pl.coalesce(pl.col("cs-uri-query").cast(pl.String), pl.lit(""))
    stem = pl.coalesce(pl.col("cs-uri-stem").cast(pl.String), pl.col("cs-uri").cast(pl.String), pl.lit(""))
    scripts = sorted({p.rsplit("/", 1)[-1] for p in host.scripts["file_path"].drop_nulls().to_list()})
    hit = (
        (query.str.len_bytes() > 1) & query.str.contains(SIEVE)
        | stem.str.contains(SIEVE)
        | pl.col("cs-user-agent").cast(pl.String).str.contains(HEADER_SIEVE).fill_null(False)
    )
    if scripts:
        hit = hit | ((query.str.len_bytes() > 1) & stem.str.contains_any(["/" + s for s in scripts]))
    return take(events, kinds=[EventKind.WEB_REQUEST], header=["src_ip", "host"], own=_OWN, where=hit)


def _command(row: dict[str, Any], host: Host) -> WebCommand | None:
    stem, query = str(row["cs-uri-stem"] or row["cs-uri"] or ""), str(row["cs-uri-query"] or "")
    if not query and "?" in stem:
        stem, _, query = stem.partition("?")
    found = command_in(stem, "" if query == "-" else query, str(row["cs-user-agent"] or ""))
    if found is not None:
        return found
    for parameter in host.parameters(stem):
        value = value_of(query, parameter)
        if value is not None:
            return WebCommand("script-parameter", parameter, value[:300], "plain")
    return None


def _groups(rows: pl.DataFrame, host: Host, settings: Settings) -> list[_Group]:
    trusted = networks(settings.trusted_proxies)
    groups: dict[tuple[str, str], _Group] = {}
    for row in rows.iter_rows(named=True):
        found = _command(row, host)
        if found is None or row["src_ip"] is None:
            continue
        forwarded = row["x-forwarded-for"]
        who = client(row["src_ip"], None if forwarded is None else str(forwarded), trusted)
        stem = str(row["cs-uri-stem"] or row["cs-uri"] or "").partition("?")[0]
        group = groups.setdefault((who.address, stem), _Group(who, stem))
        group.rows.append(row)
        group.found.append(found)
    return list(groups.values())


def _frame(rows: list[dict[str, Any]], like: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=like.schema)


def source_words(who: Client, language: str) -> str:
    """How the address was found and what stays open about it."""
    zh, en = who.address, who.address
    if who.by_proxy:
        zh += f"（经可信代理 {who.peer_ip} 转发，依 X-Forwarded-For 自右向左取得）"
        en += f" (through the trusted proxy {who.peer_ip}, from X-Forwarded-For read right to left)"
    if who.origin_open:
        zh += "（内网地址：直接来源，真实来源待查）"
        en += " (a private address: the immediate source, its origin is open)"
    return zh if language == "zh" else en


def _shown(group: _Group, picked: list[int]) -> tuple[str, str]:
    commands = list(dict.fromkeys(excerpt(group.found[i].command, 60) for i in picked))
    quoted = [f"“{c}”" for c in commands[:4]]
    return names(quoted, len(commands), "zh"), names([f'"{c}"' for c in commands[:4]], len(commands), "en")


def _answered(events: Events, like: pl.DataFrame, group: _Group, picked: list[int], host: Host) -> Finding:
    """Requests that got a 2xx answer: confirmed where the host agrees."""
    proofs: list[Proof] = []
    for i in picked[:400]:
        when, found = group.rows[i]["ts"], group.found[i]
        if when is not None:
            proofs += host.proofs(int(when), found.command, group.who.address, group.who.peer_ip)
    parameters = list(dict.fromkeys(group.found[i].parameter for i in picked))
    script = pl.concat([host.script(group.stem, p) for p in parameters]).unique(maintain_order=True)
    kinds = sorted({p.kind for p in proofs})
    zh_commands, en_commands = _shown(group, picked)
    count = len(picked)
    zh = f"{source_words(group.who, 'zh')} 向 {group.stem} 发出 {count} 次含系统命令的请求（{zh_commands}）"
    en = f"{source_words(group.who, 'en')} sent {count} request(s) with system commands to {group.stem} ({en_commands})"
    zh += "，服务器以 2xx 应答"
    en += " that were answered 2xx"
    confirmed = bool(kinds) or script.height > 0
    if script.height:
        zh += f"；盘上 {script['file_path'][0]} 的代码把该参数交给 shell 或解释器执行"
        en += f"; the code of {script['file_path'][0]} on disk passes that parameter to a shell or interpreter"
    for kind in kinds:
        zh += f"；{_PROOF_TEXT[kind][0]}"
        en += f"; {_PROOF_TEXT[kind][1]}"
    if confirmed and not kinds:
        zh += "；命令的执行由脚本代码与应答推断，未见主机上的直接痕迹"
        en += "; that the commands ran is inferred from the code and the answer, no direct trace on the host was found"
    if not confirmed:
        zh += "；主机上未见相应痕迹，不能认定命令已执行"
        en += "; nothing on the host agrees, so it is not established that any command ran"
    weak = not group.stem.lower().endswith(_DYNAMIC) or group.stem.rsplit("/", 1)[-1].startswith("index.")
    severity = Severity.HIGH if confirmed else Severity.LOW if weak else Severity.MEDIUM
    facts = _facts(group, "confirmed" if confirmed else "answered", len(picked))
    facts["evidence"] = ",".join([*(["script"] if script.height else []), *kinds])
    more: list[tuple[pl.DataFrame, tuple[str, ...]]] = []
    if script.height:
        more.append((script, ("kind", "file_path", "trait", "match", "parameter")))
    more += [(p.rows, p.claims) for p in proofs[:40]]
    return state(
        events, RULE, _frame([group.rows[i] for i in picked], like), CLAIMS, Text(zh + "。", en + "."),
        severity=severity, confidence=Confidence.HIGH if kinds else Confidence.MEDIUM if confirmed else Confidence.LOW,
        facts=facts, more=more, src_ip=group.who.address,
    )  # fmt: skip


def _facts(group: _Group, reach: str, count: int) -> dict[str, Any]:
    return {
        "reach": reach,
        "requests": count,
        "stem": group.stem,
        "peer_ip": group.who.peer_ip,
        "forwarded_for": group.who.forwarded_for,
        "origin_open": group.who.origin_open,
        "encodings": ",".join(sorted({f.encoding for f in group.found})),
        "commands": " ⏎ ".join(dict.fromkeys(excerpt(f.command, 200) for f in group.found[:20])),
    }


def _requested(events: Events, like: pl.DataFrame, groups: list[_Group]) -> Finding:
    """What one client asked for in vain: told once per client, whatever the number of paths."""
    who = groups[0].who
    rows = [r for g in groups for i, r in enumerate(g.rows) if i not in set(g.answered())]
    stems = list(dict.fromkeys(g.stem for g in groups))
    zh = f"{source_words(who, 'zh')} 发出 {len(rows)} 次含系统命令的请求，均未得到 2xx 应答"
    zh += f"（路径：{names(stems[:4], len(stems), 'zh')}）。"
    en = f"{source_words(who, 'en')} sent {len(rows)} request(s) with system commands, none answered 2xx"
    en += f" (paths: {names(stems[:4], len(stems), 'en')})."
    facts = _facts(groups[0], "requested", len(rows)) | {"paths": len(stems)}
    return state(
        events, RULE, _frame(rows, like), CLAIMS, Text(zh, en),
        severity=Severity.LOW, confidence=Confidence.HIGH, facts=facts, src_ip=who.address,
    )  # fmt: skip


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Answered requests first, by first time; then what was merely requested, per client."""
    host = Host(events)
    rows = _candidates(events, host)
    groups = _groups(rows, host, settings)
    vain: dict[str, list[_Group]] = {}
    for group in groups:
        picked = group.answered()
        if picked:
            yield _answered(events, rows, group, picked, host)
        if len(picked) < len(group.rows):
            vain.setdefault(group.who.address, []).append(group)
    for held in vain.values():
        yield _requested(events, rows, held)
