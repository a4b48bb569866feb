# SPDX-License-Identifier: Apache-2.0
"""The free sentences of the report, each citing what it rests on; pure functions over the nouns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from headwater.case.settings import CaseSettings
from headwater.model.custody import Evidence, Sealed
from headwater.model.kinds import GAP_TEXT, GapReason, TimeBasis
from headwater.model.nouns import Authority, Sentence, Text
from headwater.procedure import known, places
from headwater.procedure.deletion_limits import deletion_limits
from headwater.procedure.judgement import Judged
from headwater.report import data as report
from headwater.report.words import AUTHORITY_FIELDS

NAMED = 20  # files named in one sentence
_SHOWN = 300  # characters of one record


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
        labels = [AUTHORITY_FIELDS[name] for name in authority.missing()]
        zh, en = "、".join(t.zh for t in labels), ", ".join(t.en for t in labels)
        yield Sentence(
            Text(f"授权中以下要素未记载：{zh}。", f"These particulars of the authority were not recorded: {en}."),
            ("authority", "ledger-1"),
        )


def plan(
    actors: Sequence[str],
    items: Sequence[Evidence],
    entries: Sequence[Sealed],
    authority: Authority,
    settings: CaseSettings,
) -> report.Plan:
    """The plan: goal, scope, method, steps, people, schedule — from the authority, the evidence and the settings."""

    def said(zh: str, en: str, *cites: str) -> Sentence:
        return Sentence(Text(zh, en), cites or ("ledger-1",))

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
    goal = [
        said(
            f"查明检材 {'、'.join(i.name for i in items)} 所在的系统是否被入侵、何时以何种方式被入侵，还原入侵者的操作步骤。",
            f"To find out whether, when and how the system behind {', '.join(i.name for i in items)} was broken into, "
            "and to rebuild the intruder's steps.",
            *(f"evidence-{i.number}" for i in items),
        )
    ]
    if settings.requirement:
        goal.insert(0, said(f"检验要求：{settings.requirement}", f"What is asked: {settings.requirement}"))
    return report.Plan(
        goal=tuple(goal),
        scope=tuple(_scope(items, authority)),
        method=tuple(_method(settings)),
        steps=(said("；".join(f"{i}. {zh}" for i, (zh, _, _) in enumerate(stages, 1)) + "。",
                    "; ".join(f"{i}. {en}" for i, (_, en, _) in enumerate(stages, 1)) + "."),),
        people=tuple(report.Person(name, Text("检验人", "Examiner")) for name in actors),
        schedule=tuple(schedule),
    )  # fmt: skip


def _scope(items: Sequence[Evidence], authority: Authority) -> Iterator[Sentence]:
    """What the authority covers, then what was examined of it."""
    if authority.waiver is not None:
        yield Sentence(
            Text("没有授权，范围未经任何机关限定。", "There is no authority; nobody set the scope."), ("authority",)
        )
    elif authority.scope:
        yield Sentence(
            Text(f"授权范围：{authority.scope}", f"The authority covers: {authority.scope}"), ("authority", "ledger-1")
        )
    else:
        yield Sentence(Text("授权范围未记载。", "What the authority covers is not recorded."), ("authority",))
    for item in items:
        yield Sentence(
            Text(
                f"检材 {item.number}：{item.name}（{item.kind}，{item.size:,} 字节），全部内容。",
                f"Item {item.number}: {item.name} ({item.kind}, {item.size:,} bytes), the whole of it.",
            ),
            (f"evidence-{item.number}",),
        )


def _method(settings: CaseSettings) -> Iterator[Sentence]:
    """The standard that a person named, the way of working, and the parameters that a person set."""
    if settings.method_standard:
        text = Text(f"方法标准：{settings.method_standard}", f"Method standard: {settings.method_standard}")
        yield Sentence(text, ("ledger-1",))
    yield Sentence(
        Text(
            "只读打开检材；在受限子进程中列目与解析；规则与检测器得出发现；按阶段关联为步骤；逐项列出缺口。",
            "Evidence is opened read-only, listed and parsed in confined child processes; rules and detectors give "
            "findings; findings are correlated into steps by stage; gaps are listed.",
        ),
        ("ledger-1", "tools"),
    )
    given = [
        ("时区", "zone", settings.zone),
        ("各检材时区", "zones by item", _pairs(settings.zones)),
        ("日志年份", "years of logs", _pairs(settings.years)),
        ("时钟校正（纳秒）", "clock corrections (ns)", _pairs(settings.skews_ns)),
        ("可信代理", "trusted proxies", ", ".join(settings.trusted_proxies)),
        ("规则目录", "folders of rules", ", ".join(settings.rules)),
        ("YARA 规则", "YARA rules", ", ".join(settings.yara)),
    ]
    zh = "；".join(f"{name}：{value}" for name, _, value in given if value)
    en = "; ".join(f"{name}: {value}" for _, name, value in given if value)
    low, high = settings.usual_hours
    yield Sentence(
        Text(
            f"检验人设定的参数：{zh + '；' if zh else ''}通常时段：{low} 时至 {high} 时（本地时间）。",
            f"Parameters set by the examiner: {en + '; ' if en else ''}usual hours: {low} to {high}, local time.",
        ),
        ("ledger-1",),
    )


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in sorted(values.items()))


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


_ORIGIN_ZH = {
    "nothing says otherwise": "检材中无记载，按 UTC",
    "case file": "案件文件",
    "a container without a zone of its own": "容器自身未记时区，按 UTC",
}


def ground_words(ground: str) -> Text:
    """The ground of a zone, a path or one of a few set phrases, in both languages."""
    return Text(_ORIGIN_ZH.get(ground, ground), ground)


def clock_origin(basis: TimeBasis, origin: str) -> Text:
    """Where a clock assumption comes from."""
    if basis is TimeBasis.UTC:
        return Text("该格式以 UTC 记录", "the format records UTC")
    if basis is TimeBasis.ZONE_GIVEN:
        return Text("记录自带时区偏移", "each record states its offset")
    year_zh = "；年份由文件时间与月份次序推断" if basis is TimeBasis.YEAR_ASSUMED else ""
    year_en = "; year inferred from the file's time and the order of months" if basis is TimeBasis.YEAR_ASSUMED else ""
    return Text(f"时区据：{ground_words(origin).zh}{year_zh}", f"zone from: {origin}{year_en}")


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
    zh = "；".join(f"{_STATE_TEXT[s][0]} {n:,} 字节" for s, n in sums.items())
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
    odd: Sequence[Sentence] = (),
) -> Iterator[Sentence]:
    """What this examination cannot say; ``sums``: bytes per state of each medium; ``facts``: what the walk found.

    ``accounts``: of files that were opened because of where they lie; those that no parser knew are named. ``odd``:
    times to be wary of.
    """
    yield from odd
    yield from unparsed(accounts)
    for number, said in sorted(facts.items()):
        yield from views(number, said)
        yield from deletion_limits(number, said)
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
            "内存、网络流量与云平台日志未在检材之列的，本报告不作判断；已删除的文件，仅检材中尚可证明的部分可见，其余不可见。",
            "Memory, traffic and cloud logs that are not among the items are not judged; "
            "of deleted files only what the evidence still proves is seen.",
        ),
        ids,
    )
    if _event_logs_without_rules(judged, accounts):
        yield Sentence(
            Text(
                "检材含 Windows 事件日志，而本次未给出 Sigma 规则（--rules）；对其只用了自带检测器，未见高危发现不等于日志中没有攻击痕迹。",
                "There are Windows event logs and no Sigma rules were given (--rules): only the detectors that come along "
                "were used on them, and no serious finding does not mean that the logs hold no attack.",
            ),
            ("tools",),
        )
    yield from (Sentence(text, ("tools",)) for text in known.words(judged.rules.get("known", {})))
    yield from (Sentence(text, ("tools",)) for text in places.words(judged.rules.get("places", ())))
    for failure in judged.rules.get("failed", []):
        name = str(failure["detector"])
        yield Sentence(
            Text(f"检测器 {name} 未能运行：{failure['why']}", f"The detector {name} did not run: {failure['why']}"),
            ("tools",),
        )


def _event_logs_without_rules(judged: Judged, accounts: Sequence[Mapping[str, Any]]) -> bool:
    said = judged.rules.get("sigma", {})
    return not any(said.values()) and any(a.get("feed") == "windows.eventlog" for a in accounts)


def unsupported(rules: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Rules that were given and could not be run, with the reason."""
    matching = rules.get("yara", {})
    yield from ((str(u["rule"]), str(u["reason"])) for u in rules.get("sigma", {}).get("unsupported", []))
    yield from (
        (f"YARA {file} {rule}".rstrip(), f"{line}: {why}") for file, rule, line, why in matching.get("faults", [])
    )


def summary(row: Mapping[str, Any]) -> str:
    """The words of one event for a timeline: what the record itself says, shortened."""
    for name in ("command_line", "message", "MESSAGE"):
        if row.get(name):
            return shortened(str(row[name]))
    if row.get("cs-uri"):
        return shortened(f"{row.get('cs-method') or ''} {row['cs-uri']}")
    if row.get("file_path"):
        return shortened(str(row["file_path"]))
    words = [str(row[n]) for n in ("process", "user", "src_ip") if row.get(n)]
    return shortened(" ".join(words))


def shortened(words: str) -> str:
    """The first characters of a record's words, and how many more there are: a cut command is not to look like a whole one."""
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]} […+{len(words) - _SHOWN:,}]"


def gap_line(gaps: Sequence[tuple[str, int, int]], language: str) -> str:
    """One line on what could not be read, by reason; empty where there is no gap."""
    words = [
        f"{GAP_TEXT[GapReason(reason)][0 if language == 'zh' else 1]} {count} ({size:,} B)"
        for reason, count, size in gaps
    ]
    if not words:
        return ""
    return ("未能读取或未成事件的字节：" if language == "zh" else "Bytes that gave no event: ") + (
        "；" if language == "zh" else "; "
    ).join(words)
