# SPDX-License-Identifier: Apache-2.0
"""What volumes say of their own writing: superblock, journal commits, inodes that the journal contradicts.

A volume's own times need no file to be touched: a disk that was mounted writable after T0 says so though every file
looks as before. What the journal committed after T0 of an inode whose times lie before it was hidden by forged times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import polars as pl

from headwater.model.nouns import Span, Text
from headwater.model.times import rfc3339
from headwater.reconstruct.notamper_terms import SECOND, Example, Operation, Question, Sign, Standing, Volume, listed

_SUPERBLOCK = (1024, 1024)
_NAMES = {
    "made": ("格式化", "made"), "mounted": ("最近挂载", "last mounted"), "written": ("最近写入", "last written"),
    "checked": ("最近检查", "last checked"), "first_error": ("首次出错", "first error"), "last_error": ("最近出错", "last error"),
}  # fmt: skip
_AFTER = "在基准时间之后", "after the baseline"
_WITHIN = "在基准时间的不确定度之内", "within the baseline's uncertainty"
_BOOT = 600 * SECOND  # from the start of a system to its mounts and back


def _at(ns: int | None) -> str:
    return rfc3339(ns) or "—"


def standing_of(ns: int, question: Question, operation: Operation, *, started: bool = False) -> Standing:
    """How the time of an act on the whole volume stands to T0; ``started``: an act that belongs to starting a system."""
    base = question.baseline
    if ns <= base.t0 - base.epsilon:
        return Standing.BEFORE
    for act in question.acts:
        if act.first - base.epsilon <= ns <= act.last + base.epsilon:
            return Standing.AUTHORISED
    if ns <= base.t0 + base.epsilon:
        return Standing.UNDECIDED
    if not operation.running:
        return Standing.UNEXPLAINED
    if started:
        return Standing.UNDECIDED if any(abs(b - ns) <= _BOOT for b in operation.boots) else Standing.UNEXPLAINED
    return Standing.AUTONOMOUS if ns <= (operation.last or base.t0) + 120 * SECOND else Standing.UNEXPLAINED


def signs(question: Question, operation: Operation, times: pl.DataFrame) -> Iterator[Sign]:
    """All signs of the volumes, in their order."""
    for volume in question.volumes:
        named = f"{volume.view or '/'}（{volume.kind}）", f"{volume.view or '/'} ({volume.kind})"
        yield from _superblock(volume, named, question, operation)
        yield from _commits(volume, named, question, operation)
        names = _names(times, volume.view)
        yield from _hidden(volume, named, question, names)
        yield from _past_the_kernel(volume, named, question, names)
        yield from _checksums(volume, named, question, names)
    yield from _boots(question, operation)


def _superblock(volume: Volume, named: tuple[str, str], question: Question, operation: Operation) -> Iterator[Sign]:
    for name, at in volume.times.items():
        if at <= question.baseline.t0 - question.baseline.epsilon or name not in _NAMES:
            continue
        standing = standing_of(at, question, operation, started=name in {"mounted", "checked", "made"})
        zh, en = _NAMES[name]
        near = at <= question.baseline.t0 + question.baseline.epsilon
        when_zh, when_en = _WITHIN if near else _AFTER
        text = Text(f"卷 {named[0]} {zh}于 {_at(at)}，{when_zh}", f"volume {named[1]} was {en} at {_at(at)}, {when_en}")
        span = Span(question.source, volume.view or "/", *_SUPERBLOCK)
        yield Sign(3, "superblock", standing, text, 1, at, at, (Example(volume.view or "/", en, at, span),))


def _commits(volume: Volume, named: tuple[str, str], question: Question, operation: Operation) -> Iterator[Sign]:
    by_standing: dict[Standing, list[int]] = {}
    for _, at in volume.commits:
        if at > question.baseline.t0 - question.baseline.epsilon:
            by_standing.setdefault(standing_of(at, question, operation), []).append(at)
    for standing, held in by_standing.items():
        near = max(held) <= question.baseline.t0 + question.baseline.epsilon
        when_zh, when_en = _WITHIN if near else _AFTER
        text = Text(
            f"卷 {named[0]} 的日志有 {len(held)} 个事务{when_zh}提交，至 {_at(max(held))}",
            f"the journal of volume {named[1]} holds {len(held)} transactions committed {when_en}, until {_at(max(held))}",
        )
        yield Sign(3, "journal-commits", standing, text, len(held), min(held), max(held))


def _names(times: pl.DataFrame, view: str) -> dict[int, tuple[str, int | None]]:
    """Per inode of a view a path and the change time as the volume has them now."""
    rows = times.filter((pl.col("path") == (view or "/")) & (pl.col("t_kind") == "changed"))
    rows = rows.group_by("inode").agg(pl.col("whole").first(), pl.col("ts").max())
    return {int(n): (str(p), t) for n, p, t in rows.iter_rows() if n is not None}


def _hidden(
    volume: Volume, named: tuple[str, str], question: Question, names: dict[int, tuple[str, int | None]]
) -> Iterator[Sign]:
    """Inodes of which the journal holds a change time after T0, while the volume has one before it.

    That a transaction was committed after T0 says nothing yet: what was written before it is committed seconds later.
    """
    base = question.baseline
    found = []
    for inode, committed, place, fields in volume.states:
        path, now = names.get(inode, ("", None))
        then = (fields.get("changed") or (None, None))[1]
        if now is None or then is None or then <= base.t0 + base.epsilon or now > base.t0 - base.epsilon:
            continue
        span = Span(question.source, volume.view or "/", place, volume.record)
        found.append(Example(path, f"{_fields(fields)}; ctime {_at(now)}", committed, span))
    if found:
        text = Text(
            f"卷 {named[0]} 有 {len(found)} 处 inode 在日志中的变更时间晚于基准时间，而卷上现存的变更时间早于基准时间：时间被伪造",
            f"volume {named[1]}: the journal holds {len(found)} inodes with change times after the baseline that lie before it "
            "on the volume now: the times were forged",
        )
        moments = [e.at for e in found if e.at is not None]
        yield Sign(
            4, "hidden-change", Standing.UNEXPLAINED, text, len(found), min(moments), max(moments), listed(found)
        )


def _fields(fields: object) -> str:
    said = []
    for name, both in cast("dict[str, Sequence[int | None]]", fields).items():
        before, after = both[0], both[1]
        if name in {"modified", "changed", "created", "deleted"}:
            said.append(f"{name} {_at(before)} → {_at(after)}")
        elif name == "mode" and before is not None and after is not None:
            said.append(f"mode {oct(before)} → {oct(after)}")
        else:
            said.append(name if before is None and after is None else f"{name} {before} → {after}")
    return ", ".join(said)


def _past_the_kernel(
    volume: Volume, named: tuple[str, str], question: Question, names: dict[int, tuple[str, int | None]]
) -> Iterator[Sign]:
    found = []
    for inode, committed, place, fields in volume.differing:
        path = names.get(inode, (f"inode {inode}", None))[0]
        span = Span(question.source, volume.view or "/", place, volume.record)
        found.append(Example(path, _fields(fields), committed, span))
    if not found:
        return
    checked = volume.times.get("checked", 0)
    last = max((c for _, c in volume.commits), default=0)
    standing = Standing.REPORTED if checked > last > 0 else Standing.UNDECIDED
    zh = "；其后做过文件系统检查，可能由其所致" if standing is Standing.REPORTED else ""
    en = "; a file system check ran later and may have done it" if standing is Standing.REPORTED else ""
    text = Text(
        f"卷 {named[0]} 有 {len(found)} 个 inode 与其最后一次日志记录不同：系绕过内核写入（如 debugfs、直接改写扇区），时间不可考{zh}",
        f"volume {named[1]}: {len(found)} inodes are not what the journal last left of them: they were written past the kernel "
        f"(debugfs, raw sectors), when cannot be told{en}",
    )
    yield Sign(4, "past-the-kernel", standing, text, len(found), examples=listed(found))


def _checksums(
    volume: Volume, named: tuple[str, str], question: Question, names: dict[int, tuple[str, int | None]]
) -> Iterator[Sign]:
    if not volume.wrong:
        return
    found = [
        Example(names.get(n, (f"inode {n}", None))[0], "checksum", None,
                Span(question.source, volume.view or "/", place, volume.record))
        for n, place in volume.wrong
    ]  # fmt: skip
    text = Text(
        f"卷 {named[0]} 有 {len(found)} 个在用 inode 的校验和不符：元数据被直接改写或已损坏",
        f"volume {named[1]}: the checksums of {len(found)} inodes in use do not fit: written raw, or damaged",
    )
    yield Sign(4, "inode-checksum", Standing.UNDECIDED, text, len(found), examples=listed(found))


def _boots(question: Question, operation: Operation) -> Iterator[Sign]:
    base = question.baseline
    for at in operation.boots:
        standing = standing_of(at, question, operation)
        if standing is Standing.AUTONOMOUS:
            standing = Standing.UNDECIDED  # what started it again is not in its records
        text = Text(f"系统在基准时间之后启动：{_at(at)}", f"the system was started after the baseline: {_at(at)}")
        if at > base.t0 + base.epsilon:
            yield Sign(3, "boot", standing, text, 1, at, at)
