# SPDX-License-Identifier: Apache-2.0
"""What the memory of a server holds that points outside or at an intruder: commands, pools, hidden services, wallets, logins.

Needs:      memory.ram (the ranges of a LiME image).
Technique:  T1059.004 shell commands; T1496 for pools and wallets; T1090.003 for hidden services; T1574.006 for LD_PRELOAD.
Says:       which string stands at which physical address; a string in memory is no proof that anybody used it.
False when: it is the text of a rule, a manual or a log that somebody read, or of this program's own login; memory holds
            what was free long ago as well.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.addresses import outside
from headwater.detect.commands import quoted
from headwater.detect.frames import state, take
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings, Visit

RULE = Rule(
    id="memory-strings",
    version="1",
    author="Headwater",
    title=Text("内存中的可疑字符串", "Telling strings in memory"),
    stage=Stage.SPREAD,
    techniques=("T1059.004",),
    severity=Severity.INFO,
)
CLAIMS = ("kind", "class", "part", "physical")
CITED = 40
_CALLS_BACK = r"^/dev/(?:tcp|udp)/|^(?:nc|ncat) -[a-z]*e|^socat -.*(?i:exec)|^bash -i.*/dev/(?:tcp|udp)/"
_POOL = r"^stratum\+|^(?:ldaps?|rmi)://"
_NUMERIC = r"^(?:https?|ftp)://(?:\d{1,3}\.){3}\d{1,3}\b"
_INSIDE = r"://(?:127|0|10|192\.168)\."
# what is said of each kind of them, gravest first: the words, and how grave
_SAID: tuple[tuple[str, Text, Severity], ...] = (
    ("calls back", Text("反向连接命令", "commands that call back"), Severity.MEDIUM),
    ("hidden service", Text("矿池、钱包、隐藏服务或远程加载的地址",
                            "pools, wallets, hidden services or addresses to load from"), Severity.LOW),
    ("preload", Text("指定预加载库的环境变量", "environments that name a library to preload"), Severity.LOW),
    ("outside", Text("以数字地址下载的命令或链接", "commands or links that fetch from a numeric address"), Severity.LOW),
    ("login", Text("来自外部地址的登录记录", "records of logins from outside"), Severity.INFO),
)  # fmt: skip


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """One finding for each item and kind of string, gravest first."""
    own = ["class", "part", "physical"]
    rows = take(events, kinds=[EventKind.STATE_MEMORY], header=["host"], own=own)
    if rows.is_empty():
        return
    name, part = pl.col("class"), pl.col("part")
    numeric = part.str.contains(_NUMERIC) & ~part.str.contains(_INSIDE)
    login = pl.Series([_login(p, settings.visits) for p in rows["part"].to_list()], dtype=pl.Boolean)
    rows = rows.with_columns(
        pl.when((name == "command") & part.str.contains(_CALLS_BACK)).then(pl.lit("calls back"))
        .when(name.is_in(["onion", "wallet"]) | ((name == "url") & part.str.contains(_POOL))).then(pl.lit("hidden service"))
        .when((name == "environment") & part.str.contains(r"^LD_PRELOAD=/")).then(pl.lit("preload"))
        .when((name == "url") & numeric).then(pl.lit("outside"))
        .when((name == "command") & part.str.contains(r"(?:\d{1,3}\.){3}\d{1,3}") & ~part.str.contains(_INSIDE)).then(pl.lit("outside"))
        .when((name == "log") & login).then(pl.lit("login"))
        .alias("said")
    )  # fmt: skip
    for item in rows.drop_nulls("said").partition_by("source", maintain_order=True):
        for key, words, severity in _SAID:
            held = item.filter(pl.col("said") == key)
            if not held.is_empty():
                yield _finding(events, held.drop("said"), words, severity)


def _login(text: str, visits: tuple[Visit, ...]) -> bool:
    """Whether a line of sshd's accepts somebody from outside; our own visits, by address and port, are none."""
    words = text.rpartition(" from ")[2].split()
    ours = len(words) >= 3 and f"{words[0]} {words[2]}" in {v.origin for v in visits}
    return text.startswith("Accepted ") and not ours and outside(words[0] if words else "")


def _finding(events: Events, held: pl.DataFrame, words: Text, severity: Severity) -> Finding:
    parts = held["part"].to_list()
    at = held["physical"].drop_nulls().to_list()
    more = len(parts) > 1
    where_zh = f"（物理地址 {at[0]}{' 等' if more else ''}）" if at else ""
    where_en = f" (physical address {at[0]}{' and on' if more else ''})" if at else ""
    zh = f"内存镜像中有{words.zh} {len(parts)} 处{where_zh}：{quoted(parts, 'zh', 5)}。"
    en = f"The memory image holds {words.en}, {len(parts)} in all{where_en}: {quoted(parts, 'en', 5)}."
    return state(
        events, RULE, held, CLAIMS, Text(zh, en), severity=severity, confidence=Confidence.LOW,
        facts={"strings": len(parts)}, limit=CITED, moments=(),
    )  # fmt: skip
