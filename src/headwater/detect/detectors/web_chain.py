# SPDX-License-Identifier: Apache-2.0
"""One client's way through a website: scan, exploit attempt, upload, use of a shell, each with how far it came.

Needs:      web.access, web.modsecurity; confirmation from web.script, fs.macb, linux.audit, web.error, linux.auth.
Technique:  T1595 active scanning; T1190 exploitation of a public-facing application; T1505.003 web shell.
Says:       which stages one client (behind trusted proxies its forwarded address) came through, in order, and of each
            whether it was requested, answered or confirmed by evidence on the host. An answer alone proves nothing.
False when: a vulnerability scan that the owner ordered; many people behind one address; a shell placed for a test.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.detectors.web_command import source_words
from headwater.detect.frames import listed, one, state
from headwater.detect.web_attempts import NAMES
from headwater.detect.web_many import COMMAND, ERROR, SHELL, Many
from headwater.detect.web_stages import STAGES, Chain, Reached, chains
from headwater.model.kinds import Confidence, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings
from headwater.model.records import Value

RULE = Rule(
    id="web-chain",
    version="2",
    author="Headwater",
    title=Text("同一客户端的网站攻击链", "One client's attack on a website, stage by stage"),
    stage=Stage.EXPLOIT,
    techniques=("T1595", "T1190", "T1505.003"),
    severity=Severity.HIGH,
)
CLAIMS = (
    "kind",
    "src_ip",
    "cs-method",
    "cs-uri-stem",
    "cs-uri-query",
    "sc-status",
    "x-forwarded-for",
    "cs-user-agent",
    "body",
)
TOLD = 50  # clients that were only refused are told one by one up to here
_STAGE = {"scan": ("扫描探测", "scan"), "exploit": ("漏洞利用尝试", "exploit attempt"),
          "upload": ("上传文件", "upload"), "shell": ("使用后门脚本", "use of a shell")}  # fmt: skip
_REACH = {"requested": ("仅请求", "requested"), "answered": ("获 2xx 应答", "answered 2xx"),
          "confirmed": ("有主机痕迹印证", "confirmed on the host")}  # fmt: skip
_PROOF = {"script": ("盘上脚本代码", "the script's code"), "process": ("审计记录的进程", "an audited process"),
          "privilege": ("sudo 记录", "a sudo record"), "error": ("错误日志", "the error log"),
          "file": ("随后出现的文件", "files that then appeared")}  # fmt: skip


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """The chains by first request; of those that were refused everywhere the first ``TOLD``."""
    vain = 0
    for chain in chains(events, settings.trusted_proxies, TOLD):
        if isinstance(chain, Many):
            yield _rest(events, chain)
            continue
        severity, confidence = _weight(chain)
        vain += severity is Severity.LOW
        if severity is not Severity.LOW or vain <= TOLD:
            yield _finding(events, chain, severity, confidence)


def _weight(chain: Chain) -> tuple[Severity, Confidence]:
    """Severity by the furthest confirmed stage; confidence by what confirms it."""
    done = [s for s in STAGES if s in chain.stages and chain.stages[s].reach == "confirmed"]
    if not done:
        return Severity.LOW, Confidence.HIGH
    kinds = {p.kind for p in chain.stages[done[-1]].proofs}
    direct = bool(kinds & {"process", "privilege", "file"})
    if done[-1] == "shell" or (done[-1] == "exploit" and direct):
        return Severity.HIGH, Confidence.HIGH if direct else Confidence.MEDIUM
    return Severity.MEDIUM, Confidence.MEDIUM


def _said(name: str, stage: Reached, language: int) -> str:
    """One stage in words: what, how often, how far, by what evidence."""
    words = _STAGE[name][language]
    if stage.kinds:
        named = [NAMES[k].zh if language == 0 else NAMES[k].en for k in stage.kinds]
        words += f"（{'、'.join(named)}）" if language == 0 else f" ({', '.join(named)})"
    reach = _REACH[stage.reach][language]
    if name == "scan":  # its count is of refused paths
        counted = f"{stage.paths} 个路径" if language == 0 else f"{stage.paths} paths"
        return f"{words} {counted}" if language == 0 else f"{words} of {counted}"
    count = (
        f"{stage.rows.height} 次" if language == 0 else f"{stage.rows.height} request{'s' * (stage.rows.height != 1)}"
    )
    proofs = [_PROOF[k][language] for k in sorted({p.kind for p in stage.proofs})]
    if proofs:
        reach += f"：{'、'.join(proofs)}" if language == 0 else f": {', '.join(proofs)}"
    return f"{words} {count}（{reach}）" if language == 0 else f"{words}, {count} ({reach})"


def _finding(events: Events, chain: Chain, severity: Severity, confidence: Confidence) -> Finding:
    held = {n: chain.stages[n] for n in STAGES if n in chain.stages}
    rows = pl.concat([_plain(s.rows) for s in held.values()], how="diagonal_relaxed")
    rows = rows.unique(["source", "path", "offset", "ordinal"], maintain_order=True).sort(
        "ts", "path", "offset", "ordinal"
    )
    zh = f"{source_words(chain.who, 'zh')} 对网站的攻击过程：" + "；".join(_said(n, s, 0) for n, s in held.items())
    en = f"{source_words(chain.who, 'en')} against the website: " + "; ".join(_said(n, s, 1) for n, s in held.items())
    if severity is Severity.LOW:
        zh += "；主机上未见任何一步得手的痕迹"
        en += "; nothing on the host shows that any of it succeeded"
    agents, count = listed(rows, "cs-user-agent", 5)
    facts: dict[str, Value] = {f"{n}_reach": s.reach for n, s in held.items()}
    facts |= {f"{n}_requests": s.rows.height for n, s in held.items() if n != "scan"}
    facts |= {
        "kinds": ",".join(held["exploit"].kinds) if "exploit" in held else "",
        "scan_paths": held["scan"].paths if "scan" in held else 0,
        "user_agents": count,
        "user_agent": " ⏎ ".join(a[:200] for a in agents),
        "peer_ip": chain.who.peer_ip,
    }
    more = [(p.rows, p.claims) for s in held.values() for p in s.proofs[:20]]
    return state(
        events, RULE, rows, CLAIMS, Text(zh + "。", en + "."), severity=severity, confidence=confidence, facts=facts,
        more=more, src_ip=chain.who.address,
    )  # fmt: skip


def _rest(events: Events, many: Many) -> Finding:
    """The clients that are not looked at one by one and for which something on the host speaks."""
    used, ran, other = (many.clients[n] for n in (SHELL, COMMAND, ERROR))
    zh = f"另有 {used + ran + other:,} 个客户端的请求有主机痕迹印证，未逐一还原：{used:,} 个使用后门脚本并获 2xx 应答，"
    zh += f"{ran:,} 个所下命令与主机记录相符，{other:,} 个的请求前后有错误日志或新出现的脚本。"
    en = f"Requests of {used + ran + other:,} more clients agree with what the host recorded; they were not worked out one by one: "
    en += f"{used:,} used a planted script and were answered 2xx, of {ran:,} commands agree with records of the host, "
    en += f"beside requests of {other:,} stand error lines or scripts that then appeared."
    shown = many.rows.sort("spoken", "ts", "path", "offset", descending=[True, False, False, False]).head(40)
    return state(
        events, RULE, _plain(shown, 40).sort("ts", "path", "offset", "ordinal"), CLAIMS, Text(zh, en), limit=40,
        severity=Severity.HIGH if used or ran else Severity.MEDIUM, confidence=Confidence.MEDIUM,
        facts={"clients": used + ran + other, "shell_clients": used, "command_clients": ran, "requests": many.rows.height},
        more=[(p.rows, p.claims) for p in many.proofs], src_ip=None,
        moments=many.rows["ts"].to_list(), host=one(many.rows, "host"),
    )  # fmt: skip


def _plain(rows: pl.DataFrame, most: int = 16) -> pl.DataFrame:
    """The requests of a stage that are cited: its first and last, so that a long stage leaves room for the others."""
    picked = rows if rows.height <= most else pl.concat([rows.head(most // 2), rows.tail(most // 2)])
    own = [c for c in CLAIMS if c not in ("kind", "src_ip", "sc-status")]
    wanted = ["ts", "source", "path", "offset", "length", "ordinal", "feed", "kind", "host", "src_ip"]
    return picked.select(
        *wanted, pl.col("sc-status").cast(pl.Int64, strict=False), *(pl.col(c).cast(pl.String) for c in own)
    )
