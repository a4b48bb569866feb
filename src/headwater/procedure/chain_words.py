# SPDX-License-Identifier: Apache-2.0
"""The chain of a trace as a person reads it: sentence, finding, bytes, digest, custody, authority, each under the last."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headwater.model.kinds import CONFIDENCE_TEXT, SEVERITY_TEXT, STAGE_TEXT, Confidence, Severity, Stage
from headwater.model.nouns import Text
from headwater.model.voice import Voice
from headwater.procedure.image_fields import DIGEST_OF
from headwater.procedure.listing import in_language, languages
from headwater.procedure.tracing import SPANS_MOST, Link
from headwater.report.words import ACTIONS, AUTHORITY_FIELDS, NOT_RECORDED, kind

_UNKNOWN = Text("未查明", "not found")
_SHOWN = ("_HOSTNAME", "SYSLOG_IDENTIFIER", "_COMM", "_PID", "_UID", "_SYSTEMD_UNIT", "_CMDLINE")
_HEADER = ("host", "user", "src_ip", "dst_ip", "process", "pid", "command_line", "file_path", "outcome", "provider")
_TITLES = {
    "step": Text("步骤", "Step"),
    "finding": Text("发现", "Finding"),
    "search": Text("查找", "Search"),
    "hypothesis": Text("假设", "Hypothesis"),
    "event": Text("事件", "Event"),
    "bytes": Text("字节", "Bytes"),
    "message": Text("该条目的报文", "Message of that entry"),
    "event-text": Text("该事件的说明文本", "Text of that event"),
    "item": Text("检材", "Evidence"),
    "evidence": Text("检材与校验值", "Evidence and digests"),
    "custody": Text("保管链", "Custody"),
    "ledger": Text("台账条目", "Ledger entry"),
    "authority": Text("授权", "Authority"),
}
_DEPTH = {
    "finding": 1,
    "event": 1,
    "bytes": 2,
    "event-text": 2,
    "message": 3,
}  # under a step; what leads upwards stands at the margin


@dataclass(frozen=True, slots=True)
class Told:
    """One line, how far in it stands, and bytes to be shown under it, which begin at ``offset`` of their file."""

    depth: int
    text: str
    data: bytes | None = None
    offset: int = 0


def told(links: Sequence[Link], language: str) -> Iterator[Told]:
    """The links in their order, in ``zh``, ``en`` or ``both``."""
    least = min((_DEPTH.get(link.kind, 0) for link in links[:1]), default=0)
    for link in links:
        depth = max(0, _DEPTH.get(link.kind, 0) - least)
        title = in_language(_TITLES.get(link.kind, Text(link.kind, link.kind)), language)
        yield Told(depth, f"▸ {title}  {_name(link)}")
        for words in _WORDS.get(link.kind, _plain)(link.facts, language):
            yield Told(depth + 1, words)
        if link.data is not None:
            yield Told(depth + 1, "", link.data, int(link.facts.get("offset", 0)))


def _name(link: Link) -> str:
    return f"E{link.facts['evidence'][0]} {link.facts['path']}" if link.kind in ("bytes", "message") else link.id


def _said(zh: str, en: str, language: str) -> str:
    return in_language(Text(zh, en), language)


def _texts(raw: Mapping[str, str], language: str) -> list[str]:
    return [raw["zh"] if each == "zh" else raw["en"] for each in languages(language)]


def _step(facts: Mapping[str, Any], language: str) -> Iterator[str]:
    words = (
        in_language(Text(*STAGE_TEXT[Stage(facts["stage"])]), language),
        in_language(Text(*CONFIDENCE_TEXT[Confidence(facts["confidence"])]), language),
        " → ".join(facts[end] or in_language(_UNKNOWN, language) for end in ("actor", "asset")),
        facts["technique"],
        _interval(facts["ts_first"], facts["ts_last"]),
    )
    yield " · ".join(word for word in words if word)
    yield from _texts(facts["text"], language)


def _interval(first: str | None, last: str | None) -> str:
    if first is None:
        return ""
    return first if last in (None, first) else f"{first} – {last}"


def _finding(facts: Mapping[str, Any], language: str) -> Iterator[str]:
    words = (
        in_language(Text(*SEVERITY_TEXT[Severity(facts["severity"])]), language),
        in_language(Text(*CONFIDENCE_TEXT[Confidence(facts["confidence"])]), language),
        in_language(Text(*STAGE_TEXT[Stage(facts["stage"])]), language),
        facts["rule"],
    )
    yield " · ".join(words)
    yield from _texts(facts["text"], language)
    shown = min(facts["spans"], SPANS_MOST)
    yield _said(
        f"引证记录 {facts['spans']} 条，列出 {shown} 条",
        f"{facts['spans']} record{'' if facts['spans'] == 1 else 's'} cited, {shown} shown",
        language,
    )
    for gap in facts["gaps"]:
        span = gap["span"]
        at = f"E{span['evidence']} {span['path']} @{span['offset']}+{span['length']}"
        yield _said(f"缺口：{at}（{gap['reason']}）", f"gap: {at} ({gap['reason']})", language)


def _bytes(facts: Mapping[str, Any], language: str) -> Iterator[str]:
    yield _said(
        f"偏移 {facts['offset']}，长度 {facts['length']} 字节",
        f"offset {facts['offset']}, length {facts['length']} bytes",
        language,
    )
    if facts.get("stored"):
        yield f"{Voice(language).label('容器文件在检材中的位置', 'stored in the layer')}{facts['stored']}"
    if facts.get("physical"):
        where = ", ".join(f"{offset}+{length}" for offset, length in facts["physical"])
        yield f"{Voice(language).label('介质上的位置', 'on the medium')}{where}"
    if facts.get("ts"):
        yield f"{Voice(language).label('时间', 'time')}{facts['ts']}"
    if facts.get("claims"):
        stated = " · ".join(f"{name} = {value}" for name, value in sorted(facts["claims"].items()))
        yield f"{Voice(language).label('据此陈述的值', 'values stated of it')}{stated}"


def _message(facts: Mapping[str, Any], language: str) -> Iterator[str]:
    yield _said(
        f"偏移 {facts['offset']}，长度 {facts['length']} 字节（条目只含指针，报文在其所指的数据对象中）",
        f"offset {facts['offset']}, length {facts['length']} bytes (the entry holds pointers alone; its message stands in "
        "the data object that it points to)",
        language,
    )
    yield f"MESSAGE = {facts['value']}"
    yield " · ".join(f"{name} = {facts['fields'][name]}" for name in _SHOWN if facts["fields"].get(name))


def _event_text(facts: Mapping[str, Any], language: str) -> Iterator[str]:
    yield from str(facts["text"]).splitlines()
    digest = facts["hash"] or in_language(NOT_RECORDED, language)
    yield _said(
        f"文本取自检材中的 {facts['file']}（SHA-256 {digest}），语言号 {facts['language']:#06x}，占位符以该事件的字段填入",
        f"the text is from {facts['file']} in the evidence (SHA-256 {digest}), language {facts['language']:#06x}; its inserts are "
        "the event's own fields",
        language,
    )


def _event(facts: Mapping[str, Any], language: str) -> Iterator[str]:
    yield f"{facts['ts'] or in_language(NOT_RECORDED, language)} · {in_language(kind(str(facts['kind'])), language)}"
    held = " · ".join(f"{name} = {facts[name]}" for name in _HEADER if facts.get(name) not in (None, ""))
    if held:
        yield held
    own = " · ".join(f"{name} = {value}" for name, value in sorted(facts.get("fields", {}).items()))
    if own:
        yield own


def _evidence(facts: Mapping[str, Any], language: str) -> Iterator[str]:
    yield (
        _said(
            f"{facts['name']}（{facts['kind']}，{facts['size']:,} 字节）",
            f"{facts['name']} ({facts['kind']}, {facts['size']:,} bytes)",
            language,
        )
        if language != "both"
        else f"{facts['name']} ({facts['kind']}, {facts['size']:,} 字节 bytes)"
    )
    yield f"{Voice(language).label('来源', 'source')}{facts['source']}"
    of = DIGEST_OF.get(
        facts["digest_of"]
    )  # else a reader takes a manifest's digest for that of the file, and finds another
    told = f"{Voice(language).label('校验值对象', 'digest of')}{in_language(of, language)}" if of else ""
    yield from filter(None, (told, *(f"{name.upper()} {value}" for name, value in sorted(facts["digests"].items()))))


def _custody(facts: Mapping[str, Any], language: str) -> Iterator[str]:
    action = str(facts["action"])
    words = in_language(Text(ACTIONS.get(action, action), action), language)
    yield f"{facts['time']} · {words} · {' / '.join(facts['actors']) or in_language(NOT_RECORDED, language)} · {facts['tool']}"
    yield f"{_said('条目哈希', 'entry hash', language)} {facts['hash']}"
    yield f"{_said('前一条', 'previous', language)} {facts['previous']}"


def _authority(facts: Mapping[str, Any], language: str) -> Iterator[str]:
    if facts.get("waiver") is not None:
        yield _said(f"未取得授权：{facts['waiver']}", f"no authority: {facts['waiver']}", language)
        return
    for name, label in AUTHORITY_FIELDS.items():
        value = facts.get(name)
        yield f"{in_language(label, language)}: {in_language(NOT_RECORDED, language) if value is None else value}"


def _question(facts: Mapping[str, Any], language: str) -> Iterator[str]:
    for name in ("question", "statement"):
        if name in facts:
            yield from _texts(facts[name], language)
    rest = {k: v for k, v in facts.items() if k not in ("question", "statement", "id", "evidence")}
    yield from _plain(rest, language)


def _plain(facts: Mapping[str, Any], language: str) -> Iterator[str]:
    for name, value in facts.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        yield f"{name}: {shown}"


_WORDS: dict[str, Callable[[Mapping[str, Any], str], Iterator[str]]] = {
    "step": _step,
    "finding": _finding,
    "event": _event,
    "bytes": _bytes,
    "message": _message,
    "event-text": _event_text,
    "evidence": _evidence,
    "item": lambda facts, language: iter(()),
    "custody": _custody,
    "authority": _authority,
    "search": _question,
    "hypothesis": _question,
}
