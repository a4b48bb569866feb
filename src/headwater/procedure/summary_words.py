# SPDX-License-Identifier: Apache-2.0
"""A summary as lines of at most 120 columns, in Chinese, English or both; Chinese characters count two columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from headwater.model.columns import columns, cut, padded
from headwater.model.kinds import GAP_TEXT, SEVERITY_TEXT, STAGE_TEXT, GapReason, Severity, Stage
from headwater.model.nouns import Text
from headwater.procedure.addresses import ROLE_TEXT, Address
from headwater.procedure.listing import in_language, languages
from headwater.procedure.summary import Days, Named, Summary

WIDEST = 120
_BARS = "▁▂▃▄▅▆▇█"
_GRAVE_FIRST = tuple(reversed(tuple(Severity)))


def spark(counts: tuple[int, ...]) -> str:
    """One bar for each count: a blank for none, the lowest bar for the least, the highest for the most."""
    most = max(counts, default=0)
    return "".join(" " if not n else _BARS[min(7, (n * 8 - 1) // most)] for n in counts)


def lines(found: Summary, language: str) -> Iterator[str]:
    """The screen, line by line."""
    for text in _every(found, language):
        yield cut(text, WIDEST).rstrip()


def _each(text: Text, language: str) -> Iterator[str]:
    """A long line: in both languages it takes two, for one would be cut."""
    yield from (text.zh if each == "zh" else text.en for each in languages(language))


def _every(found: Summary, language: str) -> Iterator[str]:
    share = 100 * found.cited / found.events if found.events else 0.0
    head = Text(
        f"事件 {found.events:,} 条：发现引证其中 {found.cited:,} 条（{share:.2f} %，至少），"
        f"{found.events - found.cited:,} 条未被引证",
        f"{found.events:,} events: findings cite {found.cited:,} ({share:.2f} %, at least), {found.events - found.cited:,} not",
    )
    yield from _each(head, language)
    aside = (f"，其中 {found.suppressed} 项已排除", f", {found.suppressed} of them set aside")
    zh, en = aside if found.suppressed else ("", "")
    made = Text(
        f"发现 {found.findings:,} 项{zh}；步骤 {found.steps} 个",
        f"{found.findings:,} findings{en}; {found.steps} steps",
    )
    yield in_language(made, language)
    yield from _matrix(found.matrix, language)
    yield from _people(Text("主机", "hosts"), found.hosts, language)
    yield from _people(Text("账户", "users"), found.users, language)
    yield from _addresses(found, language)
    yield from _days(found.days, language)
    yield from _rules(found, language)
    yield from _gaps(found.gaps, language)


def _matrix(matrix: Mapping[str, Mapping[str, int]], language: str) -> Iterator[str]:
    """Findings by stage and severity; only severities that occur have a column."""
    if not matrix:
        return
    there = [s for s in _GRAVE_FIRST if any(s.value in row for row in matrix.values())]
    first = 46 if language == "both" else 30
    named = [in_language(Text(*SEVERITY_TEXT[s]), language) for s in there]
    wide = {s: max(8, columns(name) + 2) for s, name in zip(there, named, strict=True)}
    yield padded("", first) + "".join(padded(n, wide[s], right=True) for s, n in zip(there, named, strict=True))
    for stage in Stage:
        row = matrix.get(stage.value)
        if row:
            cells = (padded(f"{row[s.value]:,}" if row.get(s.value) else "·", wide[s], right=True) for s in there)
            yield padded("  " + in_language(Text(*STAGE_TEXT[stage]), language), first) + "".join(cells)


def _people(head: Text, named: tuple[Named, ...], language: str) -> Iterator[str]:
    """Names on as few lines as they take: ``web01 1,234 (5)``, in brackets the findings."""
    if not named:
        return
    shown = [cut(n.name, 40) + f" {n.events:,}" + (f" ({n.findings})" if n.findings else "") for n in named]
    zh, en = f"{head.zh}（事件数，括号内为发现数）：", f"{head.en} (events; in brackets, findings): "
    text = in_language(Text(zh, en), language)
    for each in shown:
        if columns(text + each) > WIDEST - 3:
            yield text.rstrip()
            text = "    "
        text += each + "  "
    yield text.rstrip()


def _addresses(found: Summary, language: str) -> Iterator[str]:
    if not found.addresses:
        return
    most = len(found.addresses)
    head = Text(
        f"地址，共 {found.address_count:,} 个，列 {most} 个",
        f"{found.address_count:,} addresses, {most} shown",
    )
    yield in_language(head, language)
    heads = (
        (Text("地址", "address"), 26, False), (Text("位置", "where"), 13, False), (Text("事件", "events"), 12, True),
        (Text("成功", "success"), 12, True), (Text("失败", "failure"), 12, True), (Text("发现", "findings"), 14, True),
    )  # fmt: skip
    last = Text("首见–末见 UTC", "first – last, UTC")
    for each in languages(language):
        names = (padded(("" if r or w < 20 else "  ") + in_language(t, each), w, right=r) for t, w, r in heads)
        yield "".join(names) + "  " + in_language(last, each)
    for one in found.addresses:
        yield from address_row(one, language)


def address_lines(found: Summary, language: str) -> Iterator[str]:
    """Every address in a few lines: its figures, its parts and sources, and its country where a list says it."""
    heads = Text(f"地址，共 {found.address_count:,} 个，列 {len(found.addresses):,} 个",
                 f"{found.address_count:,} addresses, {len(found.addresses):,} shown")  # fmt: skip
    yield in_language(heads, language)
    for one in found.addresses:
        where = Text("内网", "inside") if one.inside else Text("外网", "outside")
        country = f" · {one.country}" if one.country else ""
        roles = ", ".join(in_language(ROLE_TEXT[r], language) for r in one.roles)
        counts = Text(f"事件 {one.events:,}，成功 {one.success:,}，失败 {one.failure:,}，发现 {one.findings:,}",
                      f"events {one.events:,}, success {one.success:,}, failure {one.failure:,}, findings {one.findings:,}")  # fmt: skip
        yield cut(one.address, WIDEST)
        for text in (
            f"{in_language(where, language)}{country} · {roles}",
            f"{one.first or '—'} – {one.last or '—'} · {', '.join(one.feeds)}",
            *_each(counts, language),
        ):
            yield cut("    " + text, WIDEST).rstrip()
    held = found.country_list
    if held:
        note = Text(
            f"国家依所给列表（{held['ranges']:,} 段）：列表编制时该段的分配对象，不表示人在何处",
            f"countries by the list given ({held['ranges']:,} ranges): whom a range was assigned to when it was made",
        )
        yield from _each(note, language)
        yield f"    sha256 {held['sha256']}"


def address_row(one: Address, language: str) -> Iterator[str]:
    """One address and its figures in columns."""
    name = "  " + one.address
    if columns(name) > 25:  # a long IPv6 address, cut, could not be looked for: it has a line of its own
        yield name
        name = ""
    where = Text("内网", "inside") if one.inside else Text("外网", "outside")
    first, last = ((t or "—")[:10] for t in (one.first, one.last))
    yield (
        padded(name, 25) + " " + padded(in_language(where, language), 13)
        + "".join(padded(f"{n:,}", 12, right=True) for n in (one.events, one.success, one.failure))
        + padded(f"{one.findings:,}", 14, right=True) + "  " + (first if first == last else f"{first} – {last}")
    )  # fmt: skip


def _days(days: Days, language: str) -> Iterator[str]:
    if not days.counts:
        return
    zh = f"日志事件按日（{days.zone}），{days.first} 至 {days.last}，每格 {days.width} 天，最多 {max(days.counts):,} 条"
    en = f"log events by day ({days.zone}), {days.first} to {days.last}, {days.width} d a bar, at most {max(days.counts):,}"
    if days.outside:
        zh += f"；另有 {days.outside:,} 条在此期间之外"
        en += f"; {days.outside:,} more lie outside"
    yield from _each(Text(zh, en), language)
    yield f"  [{spark(days.counts)}]"


def _rules(found: Summary, language: str) -> Iterator[str]:
    head = Text(
        f"运行规则与检测器 {found.rules_run:,} 条，{found.fired_count} 条有发现",
        f"{found.rules_run:,} rules and detectors ran, {found.fired_count} made findings",
    )
    yield in_language(head, language)
    for one in found.fired:
        severity = in_language(Text(*SEVERITY_TEXT[Severity(one.severity)]), language)
        begin = padded(f"{one.findings:,}", 7, right=True) + "  " + padded(severity, 16 if language == "both" else 12)
        # in both languages the second title stands below the first: beside it both would be cut
        title, *others = dict.fromkeys(_each(one.title, language))
        yield f"{begin}{padded(one.id, 36)} {padded(title, 46)} {one.author}"
        yield from (" " * (columns(begin) + 37) + other for other in others)
    if found.fired_count > len(found.fired):
        more = found.fired_count - len(found.fired)
        yield in_language(Text(f"  另 {more} 条", f"  and {more} more"), language)
    if found.unable:
        head = Text("未能运行的规则与清单", "rules and lists that could not run")
        yield in_language(head, language) + f": {sum(found.unable.values()):,}"
        yield from (f"{count:>7,}  {why}" for why, count in list(found.unable.items())[:4])
        yield from (f"         {one}" for one in found.unable_first)


def _gaps(gaps: Mapping[str, tuple[int, int]], language: str) -> Iterator[str]:
    whole = sum(count for count, _ in gaps.values())
    if not whole:
        yield in_language(Text("缺口：无", "gaps: none"), language)
        return
    yield in_language(Text("缺口（未成事件的字节）", "gaps (bytes that gave no event)"), language) + f": {whole:,}"
    for reason, (count, size) in sorted(gaps.items(), key=lambda g: (-g[1][0], g[0])):
        try:
            named = Text(*GAP_TEXT[GapReason(reason)])
        except ValueError:  # a store of another version
            named = Text(reason, reason)
        yield f"{count:>7,}  {in_language(named, language)} · {size:,} B"
