# SPDX-License-Identifier: Apache-2.0
"""The free sentences of the report, each citing what it rests on; pure functions over the nouns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from headwater.model.custody import Evidence, Sealed
from headwater.model.kinds import GAP_TEXT, STAGE_TEXT, GapReason, Severity, Stage, TimeBasis
from headwater.model.nouns import Authority, Finding, Sentence, Step, Text
from headwater.model.times import rfc3339
from headwater.procedure.judgement import Judged
from headwater.report import data as report

_LINES = 10
NAMED = 20  # files named in one sentence


def _when(ns: int | None) -> tuple[str, str]:
    text = rfc3339(ns)
    if text is None:
        return "（时间未记载）", "(time not recorded)"
    short = text[:19].replace("T", " ") + " UTC"
    return short, short


def overview(judged: Judged, items: Sequence[Evidence]) -> Iterator[Sentence]:
    """The story in about ten lines: the evidence, then a line per stage that was reached, then what is open."""
    ids = tuple(f"evidence-{i.number}" for i in items)
    names = "、".join(i.name for i in items)
    yield Sentence(
        Text(
            f"本次检验的检材共 {len(items)} 项：{names}。",
            f"{len(items)} item(s) were examined: {', '.join(i.name for i in items)}.",
        ),
        ids,
    )
    if not judged.steps:
        yield Sentence(
            Text(
                "以本报告所列方法，未发现达到入侵步骤程度的线索；未发现不等于未发生，检索范围与缺口见后。",
                "By the methods listed here nothing was found that amounts to a step of an intrusion; "
                "not found is not the same as did not happen: see what was covered and the gaps.",
            ),
            tuple(s.id for s in judged.searches) or ids,
        )
        yield from _severities(judged.findings)
        return
    for stage in Stage:
        steps = [s for s in judged.steps if s.stage is stage]
        if steps:
            yield _stage_line(stage, steps)
    yield from _severities(judged.findings)


def _stage_line(stage: Stage, steps: Sequence[Step]) -> Sentence:
    first = min(steps, key=lambda s: (s.ts_first is None, s.ts_first or 0))
    zh_when, en_when = _when(first.ts_first)
    zh_name, en_name = STAGE_TEXT[stage]
    more_zh = f"（本阶段共 {len(steps)} 步）" if len(steps) > 1 else ""
    more_en = f" ({len(steps)} steps in this stage)" if len(steps) > 1 else ""
    words_zh, words_en = first.text.zh.rstrip("。"), first.text.en.rstrip(".")
    if not words_zh.startswith(zh_name):
        words_zh = f"{zh_name}：{words_zh}"
    if not words_en.startswith(en_name):
        words_en = f"{en_name}: {words_en}"
    return Sentence(
        Text(f"{zh_when}，{words_zh}{more_zh}。", f"{en_when}, {words_en}{more_en}."),
        tuple(s.id for s in steps),
    )


def _severities(findings: Sequence[Finding]) -> Iterator[Sentence]:
    if not findings:
        return
    serious = [f for f in findings if f.severity in {Severity.HIGH, Severity.CRITICAL}]
    cites = tuple(f.id for f in (serious or findings))[:12]
    yield Sentence(
        Text(
            f"共得出发现 {len(findings)} 项，其中高或严重 {len(serious)} 项。",
            f"{len(findings)} findings in all, {len(serious)} of them high or critical.",
        ),
        cites,
    )


def authority_notes(authority: Authority) -> Iterator[Sentence]:
    """What must be said of the authority beside its fields."""
    if authority.waiver is not None:
        yield Sentence(
            Text(
                f"本次检验未取得授权，所记理由：{authority.waiver}",
                f"No authority was obtained; the reason given: {authority.waiver}",
            ),
            ("authority", "ledger-1"),
        )
    elif authority.missing():
        names = ", ".join(authority.missing())
        yield Sentence(
            Text(f"授权中以下字段未记载：{names}。", f"These fields of the authority were not recorded: {names}."),
            ("authority", "ledger-1"),
        )


def plan(actors: Sequence[str], items: Sequence[Evidence], entries: Sequence[Sealed]) -> report.Plan:
    """The plan: goal, scope, method, steps, people, schedule — as the ledger shows it was carried out."""

    def said(zh: str, en: str, *cites: str) -> Sentence:
        return Sentence(Text(zh, en), cites or ("ledger-1",))

    role = Text("检验人", "Examiner")
    ids = tuple(f"evidence-{i.number}" for i in items)
    stages = [
        ("授权与立案", "authority and case", {"open-case"}),
        ("登记与校验", "registration and digests", {"register"}),
        ("列目与解析", "listing and parsing", {"list", "examine"}),
        ("检测、关联与还原", "detection, correlation, reconstruction", {"detect"}),
        ("复读校验", "reading again", {"read-again"}),
    ]
    schedule = []
    for zh, en, actions in stages:
        times = [_ns(s) for s in entries if s.entry.action in actions]
        schedule.append(
            report.ScheduleRow(Text(zh, en), None, min(times) if times else None, max(times) if times else None)
        )
    return report.Plan(
        goal=(
            said(
                "查明检材所在服务器是否被入侵、何时以何种方式被入侵，还原入侵者的操作步骤。",
                "To find out whether, when and how the server was broken into, and to rebuild the intruder's steps.",
            ),
        ),
        scope=(said("登记表所列检材。", "The items in the evidence register.", *ids),),
        method=(
            said(
                "只读打开检材；在受限子进程中列目与解析；规则与检测器得出发现；按阶段关联为步骤；逐项列出缺口。",
                "Evidence is opened read-only, listed and parsed in confined child processes; rules and detectors give "
                "findings; findings are correlated into steps by stage; gaps are listed.",
            ),
        ),
        steps=tuple(said(f"{i}. {zh}", f"{i}. {en}") for i, (zh, en, _) in enumerate(stages, 1)),
        people=tuple(report.Person(name, role) for name in actors),
        schedule=tuple(schedule),
    )


def _ns(sealed: Sealed) -> int:
    from headwater.model.times import from_rfc3339

    return from_rfc3339(sealed.entry.time)


def confinement(entries: Sequence[Sealed]) -> Text:
    """The level of isolation reached, as the ledger says."""
    for sealed in reversed(entries):
        level = sealed.entry.environment.get("confinement")
        if level:
            return Text(f"解析子进程的隔离措施：{level}", f"confinement of the parsing processes: {level}")
    return Text("未记载", "not recorded")


_ORIGIN_ZH = {"nothing says otherwise": "检材中无记载，按 UTC", "case file": "案件文件"}


def clock_origin(basis: TimeBasis, origin: str) -> Text:
    """Where a clock assumption comes from."""
    if basis is TimeBasis.UTC:
        return Text("该格式以 UTC 记录", "the format records UTC")
    if basis is TimeBasis.ZONE_GIVEN:
        return Text("记录自带时区偏移", "each record states its offset")
    year_zh = "；年份由文件时间与月份次序推断" if basis is TimeBasis.YEAR_ASSUMED else ""
    year_en = "; year inferred from the file's time and the order of months" if basis is TimeBasis.YEAR_ASSUMED else ""
    return Text(f"时区据：{_ORIGIN_ZH.get(origin, origin)}{year_zh}", f"zone from: {origin}{year_en}")


_STATE_TEXT = {
    "no-volume": ("不属任何分区", "in no partition"),
    "unopened": ("所在卷未能打开", "in a volume that was not opened"),
    "unknown": ("文件系统未说明", "of which the file system tells nothing"),
    "unallocated": ("未分配", "unallocated"),
    "metadata": ("文件系统元数据", "metadata of the file system"),
    "no-parser": ("文件内容，无相应解析器", "content of files that nothing here parses"),
    "parsed": ("已解析", "parsed"),
    "unreadable": ("不可读", "unreadable"),
}


def coverage(number: int, sums: Mapping[str, int]) -> Sentence:
    """One sentence on what became of the bytes of a medium; the figures tile it."""
    zh = ";".join(f"{_STATE_TEXT[s][0]} {n:,} 字节" for s, n in sums.items())
    en = "; ".join(f"{n:,} bytes {_STATE_TEXT[s][1]}" for s, n in sums.items())
    total = sum(sums.values())
    return Sentence(
        Text(f"检材 {number} 共 {total:,} 字节：{zh}。", f"Of the {total:,} bytes of item {number}: {en}."),
        (f"evidence-{number}",),
    )


_VIEW_TEXT = {
    "replayed": (
        "未正常卸载，其文件系统日志已在内存中重放，所见为重放后的状态，检材未被改动",
        "was not cleanly unmounted; its journal was played back in memory and the replayed state is shown, "
        "the evidence is unchanged",
    ),
    "recorded": (
        "未正常卸载，其文件系统日志未重放，所见可能早于最后的写入",
        "was not cleanly unmounted and its journal was not played back: what is shown may be older than the last writes",
    ),
}


def views(number: int, facts: Mapping[str, Mapping[str, str]]) -> Iterator[Sentence]:
    """One sentence per volume that was not cleanly unmounted, on how it is shown."""
    for name, said in sorted(facts.items()):
        words = _VIEW_TEXT.get(said.get("view", ""))
        if words:
            kind, volume = said.get("file_system", "?"), name or "/"
            zh = f"检材 {number} 的卷 {volume}({kind}){words[0]}。"
            en = f"Volume {volume} ({kind}) of item {number} {words[1]}."
            yield Sentence(Text(zh, en), (f"evidence-{number}",))


def unparsed(accounts: Sequence[Mapping[str, Any]]) -> Iterator[Sentence]:
    """Per item, the files that were looked at and that no parser knew: how many, how large, and the first by name."""
    by_item: dict[int, list[Mapping[str, Any]]] = {}
    for account in accounts:
        if not account["parser"] and "incomplete" not in account:
            by_item.setdefault(int(account["evidence"]), []).append(account)
    for number, files in sorted(by_item.items()):
        size = sum(int(a["size"]) for a in files)
        named = [str(a["path"]) for a in files[:NAMED]]
        zh_more = "等" if len(files) > len(named) else ""
        en_more = " and others" if len(files) > len(named) else ""
        yield Sentence(
            Text(
                f"检材 {number} 中有 {len(files)} 个文件（{size:,} 字节）没有解析器可以读取，未作解析：{'、'.join(named)}{zh_more}；"
                "全部列于案件目录的 coverage.jsonl。",
                f"In item {number} no parser knew {len(files)} files ({size:,} bytes), which were not parsed: "
                f"{', '.join(named)}{en_more}; all are listed in coverage.jsonl of the case folder.",
            ),
            (f"evidence-{number}",),
        )


def limits(
    judged: Judged,
    items: Sequence[Evidence],
    sums: Mapping[int, Mapping[str, int]],
    facts: Mapping[int, Mapping[str, Mapping[str, str]]],
    accounts: Sequence[Mapping[str, Any]] = (),
) -> Iterator[Sentence]:
    """What this examination cannot say; ``sums``: bytes per state of each medium; ``facts``: what the walk found.

    ``accounts``: of files that were opened because of where they lie; those that no parser knew are named.
    """
    yield from unparsed(accounts)
    for number, said in sorted(facts.items()):
        yield from views(number, said)
    for number, states in sorted(sums.items()):
        yield coverage(number, states)
    ids = tuple(f"evidence-{i.number}" for i in items)
    yield Sentence(
        Text(
            "检材系导入登记，其采集过程不在本程序记录之内。",
            "The evidence was imported; its acquisition lies outside this program's record.",
        ),
        ids,
    )
    yield Sentence(
        Text(
            "内存、网络流量与云平台日志未在检材之列的，本报告不作判断；已删除文件的恢复不在本次方法之内。",
            "Memory, traffic and cloud logs that are not among the items are not judged; "
            "recovery of deleted files was not among the methods.",
        ),
        ids,
    )
    for failure in judged.rules.get("failed", []):
        name = str(failure["detector"])
        yield Sentence(
            Text(f"检测器 {name} 未能运行：{failure['why']}", f"The detector {name} did not run: {failure['why']}"),
            ("tools",),
        )


def unsupported(rules: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Rules that were given and could not be run, with the reason."""
    return [(str(n), str(why)) for n, why in rules.get("sigma", {}).get("unsupported", [])]


def summary(row: Mapping[str, Any]) -> str:
    """The words of one event for a timeline: what the record itself says, shortened."""
    for name in ("command_line", "message", "MESSAGE"):
        if row.get(name):
            return str(row[name])[:300]
    if row.get("cs-uri"):
        return f"{row.get('cs-method') or ''} {row['cs-uri']}"[:300]
    if row.get("file_path"):
        return str(row["file_path"])[:300]
    words = [str(row[n]) for n in ("process", "user", "src_ip") if row.get(n)]
    return " ".join(words)[:300]


def gap_line(gaps: Sequence[tuple[str, int, int]], language: str) -> str:
    """One line on what could not be read, by reason; empty where there is no gap."""
    words = [
        f"{GAP_TEXT[GapReason(reason)][0 if language == 'zh' else 1]} {count} ({size:,} B)"
        for reason, count, size in gaps
    ]
    if not words:
        return ""
    return ("未能读取或未成事件的字节：" if language == "zh" else "Bytes that gave no event: ") + "; ".join(words)


def story_lines(judged: Judged, items: Sequence[Evidence], language: str) -> list[str]:
    """The story for a terminal, at most ten lines."""
    lines = [s.text.zh if language == "zh" else s.text.en for s in overview(judged, items)]
    return lines[:_LINES]
