# SPDX-License-Identifier: Apache-2.0
"""The no-tamper examination of one item: layers 3 to 5 over its events and volumes, then the verdict and its limits.

1. The times of all files, and of records in logs, are taken from the event store.
2. Whether the system ran after T0 decides what can be its own activity.
3. Each layer gives signs with a standing; the verdict follows from the standings alone:
   E where there is nothing to examine, D where a sign is unexplained, C where one cannot be decided, B where all that
   changed is explained, A where nothing did.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import polars as pl

from headwater.model.nouns import Text
from headwater.model.ports import Events
from headwater.model.times import rfc3339
from headwater.reconstruct import (
    notamper_content,
    notamper_forged,
    notamper_logs,
    notamper_ntfs,
    notamper_records,
    notamper_seals,
    notamper_times,
    notamper_volumes,
)
from headwater.reconstruct.notamper_terms import Examined, Operation, Question, Sign, Standing


def examined(events: Events, question: Question, before: Sequence[Sign] = ()) -> Examined:
    """Examine one item; ``before`` are the signs of layers 1 and 2, which rest on the ledger."""
    times = notamper_times.file_times(events, question)
    spans = notamper_logs.spans_of_logs(events, question)
    operation = notamper_logs.operation(events, question, spans)
    logs = notamper_logs.against_times(spans, times)
    late = notamper_times.judged(times, question, operation, logs)
    noted = notamper_times.judged(notamper_times.journalled(events, question), question, operation, logs)
    dated = notamper_records.Dated(times, late, question)
    clock = events.scan(kinds=["system.time"]).filter(pl.col("source") == question.source)
    clock_set = int(cast(pl.DataFrame, clock.select(pl.len()).collect()).item()) > 0
    windows = any(v.kind.startswith(("ntfs", "fat", "exfat")) for v in question.volumes)
    signs = [
        *before,
        *notamper_times.signs(late, question),
        *notamper_times.signs(noted, question),
        *notamper_volumes.signs(question, operation, times),
        *notamper_forged.signs(times, question, clock_set=clock_set, windows=windows),
        *notamper_ntfs.signs(events, question, times, running=operation.running),
        *notamper_records.signs(events, question, dated),
        *notamper_content.signs(events, question, dated),
        *notamper_seals.signs(question),
    ]
    verdict, reasons = verdict_of(signs, times, question)
    ordered = tuple(sorted(signs, key=lambda s: s.layer))
    return Examined(
        question, operation, ordered, verdict, tuple(reasons), tuple(_limits(events, times, question, operation))
    )


def verdict_of(signs: Sequence[Sign], times: pl.DataFrame, question: Question) -> tuple[str, list[Text]]:
    """The verdict A to E and the signs' words that carry it."""

    def those(*standings: Standing) -> list[Text]:
        return [s.text for s in signs if s.standing in standings]

    unexplained = those(Standing.UNEXPLAINED)
    telling = times.filter(pl.col("t_kind").is_in(["changed", "created"])).height
    if unexplained and (telling or any(s.standing is Standing.UNEXPLAINED and s.layer in {1, 5} for s in signs)):
        return "D", unexplained
    if not telling:
        return "E", [
            Text(
                "检材没有文件系统自身的变更时间（目录、归档或单个文件，其时间是复制时的），也没有可比对的校验值",
                "the item has no change times of a file system (a folder, archive or file whose times are the copy's), and no "
                "digests to compare with",
            )
        ]
    undecided = those(Standing.UNDECIDED)
    if undecided:
        return "C", undecided
    explained = those(Standing.AUTHORISED, Standing.AUTONOMOUS)
    return ("B", explained) if explained else ("A", [])


def _limits(events: Events, times: pl.DataFrame, question: Question, operation: Operation) -> Iterator[Text]:
    """What these methods cannot see, above all an overwrite of raw sectors."""
    decisive = any(
        k.at is not None and k.at >= question.baseline.t0 - question.baseline.epsilon for k in question.known
    )
    if not decisive:
        yield Text(
            "绕过文件系统直接改写扇区而不触及元数据的，只有与首次控制时取得的校验值比对才能发现；本次没有这样的校验值。",
            "An overwrite of raw sectors that touches no metadata shows only against a digest taken at first control; there was none.",
        )
    yield Text(
        "时间均由被检主机的时钟记载；基准时间之前已拨动的时钟、已伪造且日志不再保留旧值的时间，不能由此发现。",
        "All times are by the clock of the host examined; a clock set before the baseline, or times forged of which the journal "
        "holds no older value, are not seen.",
    )
    if question.baseline.uncertainty is None:
        yield Text(
            "基准时间的不确定度未记载，按 1 秒计；基准时间前后的变化可能因此误判。",
            "The uncertainty of the baseline was not recorded and is reckoned as one second.",
        )
    if operation.running:
        yield Text(
            "系统在基准时间后仍在运行：其自身写入与人为改动在同一位置时不能分辨；所解释的是时间，不是内容。",
            "The system ran on: where it writes itself, a hand could have written too. What is explained is the time, not the content.",
        )
    for volume in question.volumes:
        yield from _limits_of(volume.view or "/", volume.kind, question, logged="windows.logfile" in events.feeds())
    yield from notamper_seals.limits(question)
    if times.filter(pl.col("t_kind") == "created").is_empty():
        yield Text("文件系统不记录创建时间。", "The file systems record no creation times.")
    yield Text(
        "“未发现”仅指以所列方法未发现，不等于未被改动；访问时间只作陈述，不参与判定。",
        '"Not found" means not found by the methods listed, never "not tampered"; times of access are told and never decide.',
    )


def _limits_of(view: str, kind: str, question: Question, *, logged: bool) -> Iterator[Text]:
    volume = next(v for v in question.volumes if (v.view or "/") == view)
    if kind.startswith("ext"):
        if volume.commits:
            first, last = rfc3339(volume.commits[0][1]), rfc3339(volume.commits[-1][1])
            yield Text(
                f"卷 {view} 的日志只保留 {first} 至 {last} 的事务；更早的改动不在其中。",
                f"The journal of volume {view} holds transactions from {first} to {last} only.",
            )
        else:
            why = volume.why_not or "no journal"
            yield Text(
                f"卷 {view} 没有可读的日志（{why}）。", f"Volume {view} has no journal that could be read ({why})."
            )
        if volume.wrong is None:
            yield Text(f"卷 {view} 的 inode 没有校验和。", f"The inodes of volume {view} have no checksums.")
    elif kind.startswith("xfs"):
        yield Text(
            f"卷 {view}：XFS 的日志与超级块不记录时间，只能依据 inode 自身的时间。",
            f"Volume {view}: the log and superblock of XFS hold no times; only the inodes' own times speak.",
        )
    elif kind.startswith("ntfs"):
        zh, en = ("未使用 $LogFile", "$LogFile was not used")
        if logged:
            zh, en = (
                "$LogFile 只含最近的操作，且仅部分有时间",
                "$LogFile holds the newest operations only and dates few",
            )
        yield Text(
            f"卷 {view}：{zh}；$UsnJrnl 只在其保留范围内可用。",
            f"Volume {view}: {en}; $UsnJrnl speaks only as far back as it reaches.",
        )
    else:
        yield Text(f"卷 {view}（{kind}）没有日志可用。", f"Volume {view} ({kind}) has no journal that could be used.")
