# SPDX-License-Identifier: Apache-2.0
"""Files put where people do not look: names of dots and blanks, hidden folders in the system's own, deep paths, sealed data.

Needs:      fs.content; fs.macb for the file's times.
Technique:  T1564.001 hidden files and directories; T1027.013 encrypted file; T1074.001 local data staging.
Says:       which file lies there, of what kind and how dense its bytes are.
False when: a program of the owner's keeps its state so, or sealed backups are laid down there on purpose.
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
    id="hidden-content",
    version="1",
    author="Headwater",
    title=Text("文件藏在不易察觉之处", "Files lie where people do not look"),
    stage=Stage.PERSIST,
    techniques=("T1564.001",),
    severity=Severity.MEDIUM,
)
CLAIMS = ("kind", "file_path", "hash", "type")  # no entropy: what is claimed is said without fractions
MOST = 50  # findings, one for a folder and reason; what is beyond is counted in the last one's facts
DEEP = 30  # folders one in another: source trees of packages stay below, file systems take thousands
DENSE = 7.9  # bits a byte: compressed or encrypted
SEALED = 1 << 20  # bytes; small dense files are keys and random seeds
_BLANK = r"/(?:\.{3,}|\.+ +[^/]*|[ .]+)(?:/|$)|/[^/]* (?:/|$)"
_SYSTEM = r"^/(?:dev|boot|s?bin|lib(?:32|64|x32)?|usr/(?:s?bin|lib(?:32|64|exec)?|local/s?bin)|etc|var/(?:lib|log|spool|cache))/"
_HIDDEN_FOLDER = r"/\.[^/. ][^/]*/"
# of packages, builders and the system itself
_ORDINARY = (
    r"/\.(?:build-id|java|git|github|svn|hg|config|cache|local|npm|nvm|cargo|rustup|m2|gradle|ssh|gnupg|mozilla|pki|dbus|vscode"
    r"|venv|tox|bundle|terraform|kube|docker|X11-unix|ICE-unix|XIM-unix|font-unix|Test-unix|snapshots?|Trash[^/]*|fontconfig"
    r"|pyenv|eggs|circleci|husky|storybook|well-known|bin|package-lock|yarn|pnpm|next|nuxt|idea|systemPrefs|resolver_[^/]*)/"
)
_STAGING = r"^/(?:tmp|var/tmp|dev/shm|run/shm|root|home/[^/]+|srv|opt|mnt|var/www|www|usr/local)/"
_KNOWN_DENSE = (
    r"(?i)\.(?:gz|bz2|xz|zst|lz4|lzo|zip|7z|rar|jar|war|apk|deb|rpm|jpe?g|png|gif|webp|mp[34]|mkv|avi|mov|ogg|flac|woff2?"
    r"|pdf|docx|xlsx|pptx|gpg|pgp|asc|age|kdbx|iso|img|qcow2|vmdk|luks|br|whl|pack|idx|mmdb|db|enc)$"
)
_CACHES = r"/(?:\.cache|\.git|\.npm|\.m2|\.cargo|node_modules|__pycache__|[Cc]aches?|Cache_Data)/"
_REASONS: dict[str, tuple[str, str, Severity]] = {
    "blank-name": ("文件名或目录名由点与空格构成，不易察觉", "a name of dots and blanks, easily overlooked", Severity.MEDIUM),
    "hidden-folder": ("系统目录之内的隐藏目录", "a hidden folder within the system's own", Severity.LOW),
    "deep-path": (f"目录层级超过 {DEEP} 层", f"more than {DEEP} folders deep", Severity.LOW),
    "sealed-data": ("内容近于随机、没有已知格式，形如加密容器或加密的打包文件", "bytes near to random in no known form, as of "
                    "an encrypted container or a sealed bundle", Severity.LOW),
}  # fmt: skip


def _reason() -> pl.Expr:
    path = pl.col("file_path").fill_null("")
    hidden = path.str.contains(_SYSTEM) & path.str.contains(_HIDDEN_FOLDER) & ~path.str.contains(_ORDINARY)
    dense = pl.col("entropy").cast(pl.Float64, strict=False) >= DENSE
    sealed = dense & (pl.col("length") >= SEALED) & (pl.col("type") == "data") & path.str.contains(_STAGING)
    return (
        pl.when(path.str.contains(_BLANK)).then(pl.lit("blank-name"))
        .when(hidden).then(pl.lit("hidden-folder"))
        .when(path.str.count_matches("/") > DEEP).then(pl.lit("deep-path"))
        .when(sealed & ~path.str.contains(_KNOWN_DENSE) & ~path.str.contains(_CACHES)).then(pl.lit("sealed-data"))
    )  # fmt: skip


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Findings in order of source and folder, one for each folder and reason."""
    rows = take(
        events, kinds=[EventKind.STATE_FILE], header=["file_path", "host", "hash", "length"], own=["type", "entropy"],
        where=_reason().is_not_null(),
    )  # fmt: skip
    if rows.is_empty():
        return
    folder = pl.col("file_path").str.replace(r"/[^/]*$", "")
    rows = rows.with_columns(_reason().alias("reason"), folder.alias("folder")).sort("source", "path", "file_path")
    named = rows["file_path"].unique().to_list()
    kinds = [EventKind.FILE_CREATED, EventKind.FILE_MODIFIED]
    times = take(events, kinds=kinds, header=["file_path"], own=["uid"], where=pl.col("file_path").is_in(named))
    parts = rows.partition_by("source", "folder", "reason", maintain_order=True)
    for part in parts[:MOST]:
        yield _finding(events, part, times, max(0, len(parts) - MOST))


def _finding(events: Events, part: pl.DataFrame, times: pl.DataFrame, beyond: int) -> Finding:
    path, reason = str(part["file_path"][0]), str(part["reason"][0])
    zh, en, severity = _REASONS[reason]
    more = part.height - 1
    zh = f"{path}{f' 等 {part.height} 个文件' if more else ''}：{zh}。"
    en = f"{path}{f' and {more} more files there' if more else ''}: {en}."
    mine = of_same_files(times, part)
    facts: dict[str, Value] = {"reason": reason, "path": path, "files": part.height}
    if beyond:
        facts["beyond"] = beyond
    return state(
        events, RULE, part, CLAIMS, Text(zh, en), severity=severity, confidence=Confidence.LOW, facts=facts, limit=40,
        more=[(mine, ("kind", "file_path", "uid"))], moments=mine["ts"].drop_nulls().to_list(),
    )  # fmt: skip
