# SPDX-License-Identifier: Apache-2.0
"""The figures of the damage that the evidence itself gives, and plainly those that it cannot give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from headwater.model.custody import Evidence
from headwater.model.kinds import Stage
from headwater.model.nouns import Finding, Step, Text
from headwater.procedure.chronicle import Move, moment, span_of
from headwater.procedure.corridor import Corridor, evidence_of, store_of
from headwater.procedure.judgement import Judged
from headwater.report.data import DamageFigure

_LOGIN_RECORD = 384  # bytes of a record of wtmp and btmp, utmp(5)
_NAMED = 12


def figures(corridor: Corridor, judged: Judged) -> Iterator[DamageFigure]:
    """All figures in order: systems, time, accounts, files, logs, what went out, and what cannot be known."""
    items = evidence_of(corridor.ledger)
    ids = tuple(f"evidence-{i.number}" for i in items)
    behind = {name for step in judged.steps for name in step.findings}
    held = [f for f in judged.findings if f.id in behind]
    if judged.steps:
        yield from _reach(judged.steps, held)
        yield from _encrypted(corridor, held)
        yield from _deleted(corridor, judged.steps, items)
        yield from _logs(held)
    if ids:
        yield from _unknown(judged, held, ids)


def _list(names: Sequence[str]) -> Text:
    more = len(names) - _NAMED
    zh, en = "、".join(names[:_NAMED]), ", ".join(names[:_NAMED])
    return Text(f"{zh} 等 {len(names)} 个", f"{en} and {more} more") if more > 0 else Text(zh, en)


def _accounts(held: Sequence[Finding]) -> list[str]:
    named = {f.user for f in held if f.user} | {str(f.facts["account"]) for f in held if f.facts.get("account")}
    return sorted(named)


def _reach(steps: Sequence[Step], held: Sequence[Finding]) -> Iterator[DamageFigure]:
    all_ids = tuple(s.id for s in steps)
    assets = sorted({s.asset for s in steps if s.asset})
    if assets:
        text = _list(assets)
        yield DamageFigure(
            Text("受影响的系统", "Systems affected"),
            Text(f"{len(assets)} 台：{text.zh}", f"{len(assets)}: {text.en}"),
            cites=all_ids,
        )
    targets = sorted({t for f in held for t in str(f.facts.get("targets") or "").split(",") if t})
    if targets:
        cites = tuple(f.id for f in held if f.facts.get("targets"))
        text = _list(targets)
        yield DamageFigure(
            Text("自本系统被连接或攻击的对象", "What was reached or attacked from here"),
            Text(f"{len(targets)} 个：{text.zh}", f"{len(targets)}: {text.en}"),
            cites=cites,
        )
    whole = Move(list(steps))
    if whole.first is not None and whole.last is not None:
        begin, end, length = moment(whole.first), moment(whole.last), span_of(whole.last - whole.first)
        yield DamageFigure(
            Text("首步至末步的时间", "Time from the first step to the last"),
            Text(f"{length.zh}（{begin.zh} 至 {end.zh}）", f"{length.en} ({begin.en} to {end.en})"),
            cites=all_ids,
        )
    accounts = _accounts(held)
    if accounts:
        text = _list(accounts)
        yield DamageFigure(
            Text("涉及的账户", "Accounts touched"),
            Text(f"{len(accounts)} 个：{text.zh}", f"{len(accounts)}: {text.en}"),
            cites=tuple(f.id for f in held if f.user or f.facts.get("account")),
        )


def _encrypted(corridor: Corridor, held: Sequence[Finding]) -> Iterator[DamageFigure]:
    for finding in held:
        if finding.rule.id != "ransomware" or not finding.facts.get("extension"):
            continue
        files, folders, ending = (finding.facts.get(n) for n in ("files", "folders", "extension"))
        size = _bytes_of(corridor, f".{ending}", {c.span.evidence for c in finding.spans})
        zh = f"{files} 个文件，分布于 {folders} 个目录（扩展名 .{ending}）"
        en = f"{files} files in {folders} directories (extension .{ending})"
        if size is not None:
            zh += f"；以该扩展名结尾的文件现存 {size[0]:,} 个，共 {size[1]:,} 字节"
            en += f"; {size[0]:,} files with that ending are there now, {size[1]:,} bytes in all"
        yield DamageFigure(Text("被加密并改名的文件", "Files encrypted and renamed"), Text(zh, en), cites=(finding.id,))


def _bytes_of(corridor: Corridor, ending: str, numbers: set[int]) -> tuple[int, int] | None:
    """How many files there are now with this ending, and their bytes; None where no file system tells."""
    store = store_of(corridor)
    if "fs.macb" not in store.feeds():
        return None
    rows = (
        store.scan(feeds=["fs.macb"], columns=("size",))
        .filter(pl.col("source").is_in(sorted(numbers)) & pl.col("file_path").str.ends_with(ending))
        .select("source", "path", "file_path", "size")
        .unique(subset=["source", "path", "file_path"])
        .collect()
    )
    return (rows.height, int(rows["size"].fill_null(0).sum())) if rows.height else None


def _deleted(corridor: Corridor, steps: Sequence[Step], items: Sequence[Evidence]) -> Iterator[DamageFigure]:
    whole = Move(list(steps))
    if whole.first is None or whole.last is None:
        return
    rows = (
        store_of(corridor)
        .scan(kinds=["file.deleted"])
        .filter((pl.col("ts") >= whole.first) & (pl.col("ts") <= whole.last))
        .select("source", "file_path")
        .collect()
    )
    # the change journal and the journal of the metadata may each tell of one deletion
    unnamed = rows["file_path"].null_count()
    deleted = rows.drop_nulls().n_unique() + unnamed if rows.height > unnamed else unnamed
    yield DamageFigure(
        Text("此间被删除的文件", "Files deleted in that time"),
        Text(
            f"文件系统仍有记载的 {deleted:,} 个；由谁所删、原有多少字节、是否另有已无记载的，无法得知",
            f"{deleted:,} of which the file system still tells; who deleted them, how large they were and whether "
            "there were others cannot be known",
        ),
        cites=tuple(f"evidence-{i.number}" for i in items),
    )


def _logs(held: Sequence[Finding]) -> Iterator[DamageFigure]:
    for finding in held:
        path, reason = str(finding.facts.get("path", "")), finding.facts.get("reason")
        if finding.rule.id != "cleaned-logs":
            continue
        if reason == "zeroed" and finding.facts.get("bytes"):
            size = int(str(finding.facts["bytes"]))
            records, rest = divmod(size, _LOGIN_RECORD)
            zh, en = f"{path}：{size:,} 字节被零覆写", f"{path}: {size:,} bytes overwritten with zeros"
            if not rest and path.rsplit("/", 1)[-1].startswith(("wtmp", "btmp")):
                zh += f"，合 {records} 条登录记录"
                en += f", {records} login records"
        elif reason == "rotation":
            missing = finding.facts.get("missing")
            zh, en = f"{path}：缺少轮转文件 .{missing}，其中条数无法得知", (
                f"{path}: rotation .{missing} is missing; how many records it held cannot be known")  # fmt: skip
        else:
            zh, en = f"{path or finding.text.zh}", f"{path or finding.text.en}"
        yield DamageFigure(Text("被毁的日志记录", "Log records destroyed"), Text(zh, en), cites=(finding.id,))


def _unknown(judged: Judged, held: Sequence[Finding], ids: tuple[str, ...]) -> Iterator[DamageFigure]:
    impact = [f for f in held if f.rule.stage is Stage.IMPACT and f.facts.get("targets")]
    if impact:
        yield DamageFigure(
            Text("传出的数据量", "Data that went out"),
            Text(
                "检材载有传出的命令与目的地址，而无流量记录；实际传出多少、是否传成，由本次检材无法得知",
                "The evidence holds the commands and where they sent to, but no record of traffic; how much went out, "
                "and whether it arrived, cannot be known from it",
            ),
            cites=tuple(f.id for f in impact),
        )
    yield DamageFigure(
        Text("直接经济损失与必要的恢复费用", "Direct loss and necessary cost of recovery"),
        Text(
            "由检材无法得知；须依权利人提供的账册、合同与恢复支出另行认定",
            "Cannot be known from the evidence; to be established from the owner's books, contracts and cost of recovery",
        ),
        cites=ids,
    )
