# SPDX-License-Identifier: Apache-2.0
"""Layer 5: contents held against digests from elsewhere; the only layer that sees an overwrite of raw sectors.

Digests taken at or after T0 (a list of first control, a snapshot) decide by themselves. Older ones (a backup, a
distribution's packages) show a difference, which is dated by the file's own change time. The package database on the
same disk is no independent witness: it is told, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import polars as pl

from headwater.model.nouns import Span, Text
from headwater.model.ports import Events
from headwater.model.times import rfc3339
from headwater.reconstruct.notamper_records import Dated
from headwater.reconstruct.notamper_terms import Example, Known, Question, Sign, Standing, listed


def digests_of(events: Events, source: int) -> dict[str, tuple[str, str, int]]:
    """Path in its file system → SHA-256, whole path, length, of what an item holds; the first view's word counts."""
    rows = events.scan(feeds=["fs.content"]).filter((pl.col("source") == source) & pl.col("hash").is_not_null())
    frame = cast(pl.DataFrame, rows.select("path", "file_path", "hash", "length").collect())
    found: dict[str, tuple[str, str, int]] = {}
    for path, name, digest, length in frame.sort("path").iter_rows():
        inner = str(name or path).rpartition("!")[2]
        if "!deleted!" not in str(path):
            found.setdefault(inner, (str(digest), str(path), int(length or 0)))
    return found


def signs(events: Events, question: Question, dated: Dated) -> Iterator[Sign]:
    """What each list of known digests shows, then what the package database says."""
    held = digests_of(events, question.source) if question.known else {}
    for known in question.known:
        yield from _compared(known, held, question, dated)
    rows = events.scan(kinds=["state.package_file"]).filter(pl.col("source") == question.source)
    count = int(cast(pl.DataFrame, rows.select(pl.len()).collect()).item())
    if count:
        text = Text(
            f"同盘软件包数据库与现有文件有 {count} 处不同；该数据库与文件同在一盘，不是独立证人，不据以判定",
            f"the package database on the same disk differs from the files in {count} places; it stands on the disk that is in "
            "question and is no independent witness",
        )
        yield Sign(5, "package-database", Standing.REPORTED, text, count)


def _compared(known: Known, held: dict[str, tuple[str, str, int]], question: Question, dated: Dated) -> Iterator[Sign]:
    base = question.baseline
    decisive = known.at is not None and known.at >= base.t0 - base.epsilon
    same = 0
    found: dict[Standing, list[Example]] = {}
    for path, digest in sorted(known.digests.items()):
        now = held.get(path)
        if now is not None and now[0] == digest:
            same += 1
            continue
        if now is None:
            standing = Standing.UNEXPLAINED if decisive else Standing.UNDECIDED
            found.setdefault(standing, []).append(Example(path, "missing", None, Span(question.source, path, 0, 0)))
            continue
        standing = Standing.UNEXPLAINED if decisive else dated(now[1])
        span = Span(question.source, now[1], 0, now[2])
        found.setdefault(standing, []).append(Example(now[1], f"sha256 {digest} → {now[0]}", None, span))
    when = rfc3339(known.at) or "时间未记载 time not recorded"
    text = Text(
        f"与 {known.name}（{known.words}，{when}）比对：{same} 个文件内容相同",
        f"compared with {known.name} ({known.words}, {when}): {same} files have the same content",
    )
    yield Sign(5, "known-same", Standing.REPORTED, text, same)
    for standing, examples in found.items():
        text = Text(
            f"与 {known.name} 比对：{len(examples)} 个文件内容不同或已不存在",
            f"compared with {known.name}: {len(examples)} files differ or are gone",
        )
        yield Sign(5, "known-differs", standing, text, len(examples), examples=listed(examples))
