# SPDX-License-Identifier: Apache-2.0
"""Web shells on disk: scripts that run what a request says, weighed by their code, their place and their use.

Needs:      web.script, web.compiled; fs.macb for the file's times; web.access for its use.
Technique:  T1505.003 web shell.
Says:       which script passes which parameter to a shell or interpreter, and who called it with an answer. Of compiled code:
            that one class (of .NET: one assembly) reads requests and starts commands or loads code; not that one reaches the other.
False when: an administrator's own diagnostic page or a package's test file does the same on purpose; compiled applications that
            start programs for honest reasons (converters, schedulers): low unless they lie where uploads or temporary files go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from headwater.detect.commands import often
from headwater.detect.frames import names, state, take
from headwater.detect.system_view import of_same_files
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="web-shell",
    version="1",
    author="Headwater",
    title=Text("网站目录中的后门脚本", "A web shell on disk"),
    stage=Stage.PERSIST,
    techniques=("T1505.003",),
    severity=Severity.HIGH,
)
# A page of the site itself that runs what it is told is the way in rather than a planted way back.
PAGE = Rule(
    id="web-script-exec",
    version="1",
    author="Headwater",
    title=Text("可被用来执行命令的网页脚本", "A page that lets visitors run commands"),
    stage=Stage.EXPLOIT,
    techniques=("T1190",),
    severity=Severity.HIGH,
)
# What has hardly any honest use / what honest code does as well.
HARD = ("eval-of-request", "callback-of-request")
_SOFT = (
    "exec-of-request", "eval-of-encoded", "include-of-request", "deserialise-of-request", "exec-beside-request", "eval-beside-request",
    "known-family",
)  # fmt: skip
# Places that hold what visitors upload or what a program writes: no script belongs there.
PLACE = lazy_regex(
    r"/(?:uploads?|upfiles?|files?|images?|img|pictures?|avatars?|attachments?|media|tmp|temp|cache|static)/"
    r"|^/(?:tmp|var/tmp|dev/shm)/|\.(?:jpe?g|png|gif|bmp|ico|webp)$|/\.[^/]+$",
    re.IGNORECASE,
)
# Test files and libraries of packages that evaluate text on purpose.
_PACKAGED = lazy_regex(r"^/usr/(?:share|lib)/(?!nginx/)|/vendor/(?:phpunit|composer)/|/node_modules/")
_TRAIT = {
    "eval-of-request": ("把请求内容当作代码执行", "evaluates what a request says as code"),
    "callback-of-request": ("以请求内容作为函数调用", "calls the function that a request names"),
    "exec-of-request": ("把请求参数交给 shell 执行", "passes a request's parameter to a shell"),
    "eval-of-encoded": ("执行经编码隐藏的代码", "evaluates code hidden by encoding"),
    "include-of-request": ("包含请求所指定的文件", "includes the file that a request names"),
    "deserialise-of-request": ("把请求内容反序列化为对象", "turns what a request says into objects"),
    "exec-beside-request": (
        "为编译代码，其中一处既读取请求又启动系统命令",
        "is compiled code that reads requests and starts commands in one class",
    ),
    "eval-beside-request": ("为编译代码，其中一处既读取请求又装入代码", "is compiled code that reads requests and loads code in one class"),
    "known-family": ("含已知后门工具的特征字样", "contains words of a known web shell"),
}  # fmt: skip
CLAIMS = ("kind", "file_path", "trait", "match", "parameter")
_USE = ("src_ip", "cs-method", "cs-uri-stem", "cs-uri-query", "sc-status")


def _used(events: Events, paths: list[str]) -> pl.DataFrame:
    """Answered requests whose path is the end of one of these files: POST, or with a query."""
    names_ = sorted({p.rsplit("/", 1)[-1] for p in paths})
    if not names_:
        return pl.DataFrame()
    stem = pl.col("cs-uri-stem").cast(pl.String)
    return take(
        events,
        kinds=[EventKind.WEB_REQUEST],
        header=["src_ip"],
        own=_USE[1:],
        where=stem.str.contains_any(["/" + n for n in names_])
        & pl.col("sc-status").cast(pl.Int64, strict=False).is_between(200, 299)
        & (
            (pl.col("cs-method").cast(pl.String) == "POST")
            | (pl.col("cs-uri-query").cast(pl.String).str.len_chars() > 1)
        ),
    )


def _calls(used: pl.DataFrame, path: str, parameters: list[str]) -> pl.DataFrame:
    if used.is_empty():
        return used
    stem, query = pl.col("cs-uri-stem").cast(pl.String), pl.col("cs-uri-query").cast(pl.String).fill_null("")
    whole = pl.lit(path).str.ends_with(stem) & (stem.str.len_chars() > 1)
    asks = pl.lit(not parameters) | (pl.col("cs-method").cast(pl.String) == "POST")
    for parameter in parameters:
        asks = asks | query.str.contains(rf"(?:^|&){re.escape(parameter)}=.")
    return used.filter(whole & asks)


def _moments(mine: pl.DataFrame, calls: pl.DataFrame) -> list[int]:
    """When the file was last written and when it was used; content itself has no time."""
    made = mine.filter(pl.col("kind") != EventKind.FILE_CHANGED.value)["ts"].drop_nulls().to_list()
    return made + (calls["ts"].drop_nulls().to_list() if calls.height else [])


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Findings in order of source and path."""
    rows = take(
        events,
        kinds=[EventKind.STATE_CONTENT],
        feeds=["web.script", "web.compiled"],
        header=["file_path", "host"],
        own=["trait", "match", "parameter"],
        where=pl.col("trait").is_in([*HARD, *_SOFT]),
    )
    if rows.is_empty():
        return
    used = _used(events, rows["file_path"].drop_nulls().unique().to_list())
    kinds = [EventKind.FILE_CREATED, EventKind.FILE_MODIFIED, EventKind.FILE_CHANGED]
    named = rows["file_path"].drop_nulls().unique().to_list()
    times = take(events, kinds=kinds, header=["file_path"], own=["uid"], where=pl.col("file_path").is_in(named))
    for part in rows.sort("source", "path", "offset", "ordinal").partition_by("source", "path", maintain_order=True):
        yield _finding(events, part, used, times)


def _finding(events: Events, part: pl.DataFrame, used: pl.DataFrame, times: pl.DataFrame) -> Finding:
    path = str(part["file_path"][0])
    traits = [t for t in (*HARD, *_SOFT) if t in part["trait"].to_list()]
    parameters = sorted(part["parameter"].drop_nulls().unique().to_list())
    calls = _calls(used, path, parameters) if any(t.endswith("-of-request") for t in traits) else used.head(0)
    place = bool(PLACE.search(path))
    hard = any(t in HARD for t in traits) and not _PACKAGED.search(path)
    high = hard or (place and traits != ["known-family"]) or calls.height > 0
    zh = f"{path} " + "，".join(_TRAIT[t][0] for t in traits)
    en = f"{path} " + ", ".join(_TRAIT[t][1] for t in traits)
    if parameters:
        zh += f"（参数 {'、'.join(parameters[:5])}）"
        en += f" (parameter {', '.join(parameters[:5])})"
    if place:
        zh += "；该文件位于上传或临时目录，或为隐藏、图片文件"
        en += "; it lies where uploads or temporary files go, or is a hidden or picture file"
    who: list[str] = []
    if calls.height:
        who = calls["src_ip"].drop_nulls().unique().sort().to_list()
        zh += f"；{names(who[:5], len(who), 'zh')} 以带参数或 POST 方式请求 {calls.height} 次并得到 2xx 应答"
        en += f"; {names(who[:5], len(who), 'en')} called it {often(calls.height)} (parameter or POST), answered 2xx"
    if not high:
        zh += "；未见其被使用的记录，也可能是管理用途"
        en += "; no record shows its use, and it may serve administration"
    mine = of_same_files(times, part)
    return state(
        events, RULE if hard or place else PAGE, part, CLAIMS, Text(zh + "。", en + "."),
        severity=Severity.HIGH if high else Severity.LOW,
        confidence=Confidence.HIGH if hard and (place or calls.height) else Confidence.MEDIUM,
        facts={"traits": ",".join(traits), "place": place, "calls": calls.height, "path": path},
        more=[(mine, ("kind", "file_path", "uid")), (calls, _USE)], limit=100,
        # a page that the administrator put there long ago matters from when it was used
        moments=_moments(mine if hard or place or not calls.height else mine.head(0), calls), src_ip=who[0] if len(who) == 1 else None,
    )  # fmt: skip
