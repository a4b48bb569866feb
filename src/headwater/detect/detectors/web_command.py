# SPDX-License-Identifier: Apache-2.0
"""System commands in web requests, and how far they came: requested, answered, or confirmed on the host.

Needs:      web.access with query strings; confirmation from web.script, fs.macb, linux.audit, web.error, linux.auth.
Technique:  T1190 exploitation of a public-facing application; T1059 command interpreter.
Says:       who asked for which commands; "confirmed" only where the host itself agrees: a script that passes the
            parameter to a shell, a process of the web account, a file the command names, an error of the shell. Beyond 2,000
            confirmed, 200 answered and 200 clients that asked in vain the rest of each sort together.
False when: a site lets people write shell text into a form whose script also runs commands; a security test.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from headwater.detect.addresses import Client, client, networks
from headwater.detect.commands import excerpt
from headwater.detect.frames import names, state, take
from headwater.detect.grouped import LOGINS, TOLD
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
SCRIPT_CLAIMS = ("kind", "file_path", "trait", "match", "parameter")
CLAIMS = ("src_ip", "cs-method", "cs-uri-stem", "cs-uri-query", "sc-status", "x-forwarded-for")
_OWN = ("cs-method", "cs-uri-stem", "cs-uri-query", "cs-uri", "sc-status", "cs-user-agent", "x-forwarded-for")
_DYNAMIC = (".php", ".phtml", ".jsp", ".jspx", ".asp", ".aspx", ".ashx", ".cgi", ".pl", ".py", ".sh", ".do", ".action")
_PROOF_TEXT = {
    "process": ("审计日志记录到 Web 服务账户执行了相应命令", "the audit log records the web account running it"),
    "privilege": ("认证日志记录到 Web 服务账户的相应 sudo 操作", "the auth log records the web account's sudo"),
    "error": ("错误日志出现该命令的 shell 报错", "the error log holds the shell's error for it"),
    "file": ("命令所指文件随后在盘上出现或改变", "the file that the command names then appeared or changed on disk"),
}
_REST = {
    "confirmed": ("获 2xx 应答，且有主机痕迹或盘上脚本代码印证", "answered 2xx and confirmed by the host (traces, or a script's code)"),
    "answered": ("获 2xx 应答，主机上未见相应痕迹", "answered 2xx, nothing on the host agrees"),
    "requested": ("均未得到 2xx 应答", "none answered 2xx"),
}  # fmt: skip


@dataclass(slots=True)
class _Group:
    """The requests of one client to one path, by their places in the frame of requests."""

    who: Client
    stem: str
    rows: list[int] = field(default_factory=list)
    found: list[WebCommand] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)  # places in ``rows`` of those answered 2xx


@dataclass(frozen=True, slots=True)
class _Asked:
    """All requests that hold a command, and the host that may confirm them."""

    rows: pl.DataFrame
    times: Sequence[int | None]
    host: Host


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


def _command(stem: str, query: str, agent: str, host: Host) -> WebCommand | None:
    if not query and "?" in stem:
        stem, _, query = stem.partition("?")
    found = command_in(stem, "" if query == "-" else query, agent)
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
    text = [
        pl.col(c).cast(pl.String) for c in ("cs-uri-stem", "cs-uri", "cs-uri-query", "cs-user-agent", "x-forwarded-for")
    ]
    columns = rows.select("src_ip", *text, pl.col("sc-status").cast(pl.Int64, strict=False))
    for at, (peer, stem, uri, query, agent, forwarded, status) in enumerate(columns.iter_rows()):
        path = stem or uri or ""
        found = None if peer is None else _command(path, query or "", agent or "", host)
        if found is None:
            continue
        who = client(peer, forwarded, trusted)
        stem = path.partition("?")[0]
        group = groups.setdefault((who.address, stem), _Group(who, stem))
        if 200 <= (status or 0) < 300:
            group.answered.append(len(group.rows))
        group.rows.append(at)
        group.found.append(found)
    return list(groups.values())


def counted(count: int) -> str:
    """So many requests, in English."""
    return f"{count} request{'s' * (count != 1)}"


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


def _proofs(group: _Group, asked: _Asked) -> list[Proof]:
    """What the host recorded of the commands that were answered."""
    proofs: list[Proof] = []
    for i in group.answered[:400]:
        when, found = asked.times[group.rows[i]], group.found[i]
        if when is not None:
            proofs += asked.host.proofs(int(when), found.command, group.who.address, group.who.peer_ip)
    return proofs


def _script(group: _Group, asked: _Asked) -> pl.DataFrame:
    """The script that was asked for, where its code takes a parameter of these requests."""
    parameters = list(dict.fromkeys(group.found[i].parameter for i in group.answered))
    return pl.concat([asked.host.script(group.stem, p) for p in parameters]).unique(maintain_order=True)


def _answered(events: Events, asked: _Asked, group: _Group) -> Finding:
    """Requests that got a 2xx answer: confirmed where the host agrees."""
    picked = group.answered
    proofs, script = _proofs(group, asked), _script(group, asked)
    kinds = sorted({p.kind for p in proofs})
    zh_commands, en_commands = _shown(group, picked)
    count = len(picked)
    zh = f"{source_words(group.who, 'zh')} 向 {group.stem} 发出 {count} 次含系统命令的请求（{zh_commands}）"
    en = f"{source_words(group.who, 'en')} sent {counted(count)} with system commands to {group.stem} ({en_commands})"
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
    severity = Severity.HIGH if confirmed else Severity.LOW if _weak(group) else Severity.MEDIUM
    facts = _facts(group, "confirmed" if confirmed else "answered", len(picked))
    facts["evidence"] = ",".join([*(["script"] if script.height else []), *kinds])
    more: list[tuple[pl.DataFrame, tuple[str, ...]]] = []
    if script.height:
        more.append((script, SCRIPT_CLAIMS))
    more += [(p.rows, p.claims) for p in proofs[:40]]
    return state(
        events, RULE, asked.rows[[group.rows[i] for i in picked]], CLAIMS, Text(zh + "。", en + "."),
        severity=severity, confidence=Confidence.HIGH if kinds else Confidence.MEDIUM if confirmed else Confidence.LOW,
        facts=facts, more=more, src_ip=group.who.address,
    )  # fmt: skip


def _weak(group: _Group) -> bool:
    """Whether an answer may well be the site's ordinary page, whatever was asked."""
    return not group.stem.lower().endswith(_DYNAMIC) or group.stem.rsplit("/", 1)[-1].startswith("index.")


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


def _requested(events: Events, asked: _Asked, groups: list[_Group]) -> Finding:
    """What one client asked for in vain: told once per client, whatever the number of paths."""
    who = groups[0].who
    rows = [row for g in groups for row in _vain(g)]
    stems = list(dict.fromkeys(g.stem for g in groups))
    zh = f"{source_words(who, 'zh')} 发出 {len(rows)} 次含系统命令的请求，均未得到 2xx 应答"
    zh += f"（路径：{names(stems[:4], len(stems), 'zh')}）。"
    en = f"{source_words(who, 'en')} sent {counted(len(rows))} with system commands, none answered 2xx"
    en += f" (paths: {names(stems[:4], len(stems), 'en')})."
    facts = _facts(groups[0], "requested", len(rows)) | {"paths": len(stems)}
    return state(
        events, RULE, asked.rows[rows], CLAIMS, Text(zh, en),
        severity=Severity.LOW, confidence=Confidence.HIGH, facts=facts, src_ip=who.address,
    )  # fmt: skip


def _vain(group: _Group) -> list[int]:
    answered = set(group.answered)
    return [row for i, row in enumerate(group.rows) if i not in answered]


def _rest(events: Events, asked: _Asked, sort: str, groups: list[_Group]) -> Iterator[Finding]:
    """The groups of one sort that are not told one by one, together."""
    if not groups:
        return
    rows = sorted(r for g in groups for r in (_vain(g) if sort == "requested" else [g.rows[i] for i in g.answered]))
    clients, stems = len({g.who.address for g in groups}), list(dict.fromkeys(g.stem for g in groups))
    zh = f"另有 {clients:,} 个客户端发出 {len(rows):,} 次含系统命令的请求（路径：{names(stems[:4], len(stems), 'zh')}）"
    zh += f"，{_REST[sort][0]}，未逐一列出。"
    en = f"{clients:,} more clients sent {len(rows):,} requests with system commands"
    en += f" (paths: {names(stems[:4], len(stems), 'en')}), {_REST[sort][1]}; not told one by one."
    more = []
    for group in groups[:20] if sort == "confirmed" else ():
        more += [(_script(group, asked), SCRIPT_CLAIMS), *((p.rows, p.claims) for p in _proofs(group, asked)[:2])]
    medium = sort == "answered" and not all(map(_weak, groups))
    yield state(
        events, RULE, asked.rows[rows], CLAIMS, Text(zh, en), limit=40, more=more, src_ip=None,
        severity=Severity.HIGH if sort == "confirmed" else Severity.MEDIUM if medium else Severity.LOW,
        confidence={"confirmed": Confidence.MEDIUM, "answered": Confidence.LOW, "requested": Confidence.HIGH}[sort],
        facts={"reach": sort, "requests": len(rows), "clients": clients, "paths": len(stems)},
    )  # fmt: skip


def _sorts(groups: list[_Group], asked: _Asked) -> tuple[list[_Group], list[_Group]]:
    """The groups that were answered: those that the host confirms, and the others; those with the most behind them first."""
    weighed: list[tuple[int, _Group]] = []
    scripts: dict[tuple[str, frozenset[str | None]], bool] = {}
    for group in groups:
        if group.answered:
            key = group.stem, frozenset(group.found[i].parameter for i in group.answered)
            if key not in scripts:
                scripts[key] = _script(group, asked).height > 0
            weighed.append((2 if _proofs(group, asked) else int(scripts[key]), group))
    weighed.sort(key=lambda w: (-w[0], -len(w[1].answered)))
    return [g for w, g in weighed if w], [g for w, g in weighed if not w]


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Answered requests first, by first time; then what was merely requested, per client; then the rest of each sort."""
    host = Host(events)
    rows = _candidates(events, host)
    asked = _Asked(rows, rows["ts"].to_list(), host)
    groups = _groups(rows, host, settings)
    confirmed, answered = _sorts(groups, asked)
    for group in sorted([*confirmed[:LOGINS], *answered[:TOLD]], key=lambda g: g.rows[0]):
        yield _answered(events, asked, group)
    vain: dict[str, list[_Group]] = {}
    for group in groups:
        if len(group.answered) < len(group.rows):
            vain.setdefault(group.who.address, []).append(group)
    most = sorted(vain.values(), key=lambda held: -sum(len(g.rows) - len(g.answered) for g in held))
    told = {held[0].who.address for held in most[:TOLD]}
    for address, held in vain.items():
        if address in told:
            yield _requested(events, asked, held)
    yield from _rest(events, asked, "confirmed", confirmed[LOGINS:])
    yield from _rest(events, asked, "answered", answered[TOLD:])
    yield from _rest(events, asked, "requested", [g for held in most[TOLD:] for g in held])
