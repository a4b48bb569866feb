# SPDX-License-Identifier: Apache-2.0
"""Files that are not what their names say, and programs where none belongs.

Needs:      fs.content; fs.macb for the file's times.
Technique:  T1036.008 masquerade file type; T1564.001 hidden files; T1027.009 embedded payloads.
Says:       which file holds what its ending does not promise, a picture with PHP inside, a program in a temporary folder.
False when: a site keeps a renamed file on purpose, a builder or installer leaves its programs under /tmp.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.frames import state, take
from headwater.detect.system_view import of_same_files
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings
from headwater.model.records import Value

RULE = Rule(
    id="disguised-file",
    version="1",
    author="Headwater",
    title=Text(
        "文件类型与名称不符，或程序位于不应有程序之处",
        "A file is not what its name says, or a program lies where none belongs",
    ),
    stage=Stage.PERSIST,
    techniques=("T1036.008", "T1564.001"),
    severity=Severity.MEDIUM,
)
CLAIMS = ("kind", "file_path", "hash", "type", "disguised", "php_inside")
MOST = 200  # findings; what is beyond is counted in the last one's facts
_PROGRAMS = ("elf", "pe", "mach-o", "java-class")
_CODE = (*_PROGRAMS, "script", "php")
_TEMPORARY = r"^/(?:tmp|var/tmp|dev/shm|run/shm)/"
_WEB = r"^/(?:var/www|srv|www|usr/share/nginx|opt/lampp/htdocs|home/[^/]+/public_html)/"
_HIDDEN = r"/\.[^/]+$|/\.{2,}[^/]*/|/\.\s"
# the package manager's own copies keep the name of what they stand for
_NAMED_AFTER = r"^/var/lib/(?:dpkg/(?:alternatives|info|triggers)|alternatives|ucf)/|^/etc/alternatives/"
_REASONS: dict[str, tuple[str, str]] = {
    "php-inside": ("图片或文档中夹有 PHP 代码", "PHP code stands inside a picture or document"),
    "code-disguised": ("内容是可执行代码，扩展名却是另一类文件", "it is code under the ending of another kind of file"),
    "hidden-program": ("以隐藏文件名存放的程序", "a program under a hidden name"),
    "temporary-program": ("程序存放在临时目录", "a program in a temporary folder"),
    "web-program": ("编译程序存放在网站目录", "a compiled program in a web root"),
}  # fmt: skip
_STRONG = ("php-inside", "code-disguised")


def _reason() -> pl.Expr:
    path, kind = pl.col("file_path").fill_null(""), pl.col("type")
    program = kind.is_in(_PROGRAMS)
    # a column that no feed has is one of missing texts
    inside, disguised = (pl.col(c).cast(pl.String) == "true" for c in ("php_inside", "disguised"))
    return (
        pl.when(inside & path.str.contains(_WEB)).then(pl.lit("php-inside"))
        .when(disguised & kind.is_in(_CODE)).then(pl.lit("code-disguised"))
        .when(program & path.str.contains(_HIDDEN)).then(pl.lit("hidden-program"))
        .when(program & path.str.contains(_TEMPORARY)).then(pl.lit("temporary-program"))
        .when(program & path.str.contains(_WEB)).then(pl.lit("web-program"))
    )  # fmt: skip


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Findings in order of source and path, one for each content (by SHA-256) and reason."""
    rows = take(
        events, kinds=[EventKind.STATE_FILE], header=["file_path", "host", "hash"], own=["type", "disguised", "php_inside"],
        where=_reason().is_not_null() & ~pl.col("file_path").str.contains(_NAMED_AFTER),
    ).with_columns(_reason().alias("reason"))  # fmt: skip
    if rows.is_empty():
        return
    kinds = [EventKind.FILE_CREATED, EventKind.FILE_MODIFIED, EventKind.FILE_CHANGED]
    named = rows["file_path"].drop_nulls().unique().to_list()
    times = take(events, kinds=kinds, header=["file_path"], own=["uid"], where=pl.col("file_path").is_in(named))
    parts = rows.sort("source", "path").partition_by("source", "hash", "reason", maintain_order=True)
    for part in parts[:MOST]:
        yield _finding(events, part, times, max(0, len(parts) - MOST))


def _finding(events: Events, part: pl.DataFrame, times: pl.DataFrame, beyond: int) -> Finding:
    path, reason, kind = (str(part[name][0]) for name in ("file_path", "reason", "type"))
    zh, en = _REASONS[reason]
    more = part.height - 1
    zh = f"{path}：{zh}（类型 {kind}" + (f"，另有 {more} 个相同内容的文件" if more else "") + "）。"
    en = f"{path}: {en} (type {kind}" + (f", and {more} more files of the same content" if more else "") + ")."
    mine = of_same_files(times, part)
    web = "/www/" in path or path.startswith(("/var/www/", "/srv/"))
    strong = reason == "php-inside" or (reason == "code-disguised" and web)
    severity = Severity.HIGH if strong else Severity.MEDIUM if reason in (*_STRONG, "hidden-program") else Severity.LOW
    facts: dict[str, Value] = {"reason": reason, "type": kind, "path": path, "copies": part.height}
    if beyond:
        facts["beyond"] = beyond
    return state(
        events, RULE, part, CLAIMS, Text(zh, en), severity=severity,
        confidence=Confidence.MEDIUM if severity != Severity.LOW else Confidence.LOW, facts=facts, limit=40,
        more=[(mine, ("kind", "file_path", "uid"))],
        moments=mine.filter(pl.col("kind") != EventKind.FILE_CHANGED.value)["ts"].drop_nulls().to_list(),
    )  # fmt: skip
