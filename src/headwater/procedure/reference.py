# SPDX-License-Identifier: Apache-2.0
"""The reference: pages made from the code's own words, so that nothing can be missing from them or stale in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from headwater.case.settings import CaseSettings
from headwater.detect.registry import all_detectors
from headwater.examine.hive_artifacts import all_artifacts
from headwater.examine.registry import all_parsers
from headwater.model.codes import CODES
from headwater.model.kinds import (
    CONFIDENCE_TEXT,
    GAP_TEXT,
    SEVERITY_TEXT,
    STAGE_TEXT,
    EventKind,
)
from headwater.model.records import HEADER


def _block(text: str) -> str:
    return "```text\n" + text.strip() + "\n```\n"


def parsers_page() -> str:
    """Every parser with its feed, version and four words."""
    parts = ["# Parsers 解析器\n"]
    for parser in all_parsers().values():
        form = "line grammar" if parser.grammar is not None else "record parser"
        parts.append(
            f"## {parser.name}\n\nfeed `{parser.feed}`, version {parser.version}, {form}\n\n{_block(parser.doc)}"
        )
    return "\n".join(parts)


def artifacts_page() -> str:
    """Every artifact that is read out of registry hives, with its feed, the hives and its four words."""
    parts = ["# Registry artifacts 注册表痕迹\n"]
    for artifact in all_artifacts():
        hives = ", ".join(artifact.hives)
        parts.append(f"## {artifact.name}\n\nhives {hives}, version {artifact.version}\n\n{_block(artifact.doc)}")
    return "\n".join(parts)


def detectors_page() -> str:
    """Every detector with its name card and four words."""
    parts = ["# Detectors 检测器\n"]
    for name, detector in all_detectors().items():
        rule = detector.RULE
        card = f"{rule.title.zh} · {rule.title.en}; stage `{rule.stage}`, techniques {', '.join(rule.techniques)}"
        parts.append(f"## {name}\n\n{card}\n\n{_block(detector.__doc__ or '')}")
    return "\n".join(parts)


def errors_page() -> str:
    """Every error code with its message and hint in both languages."""
    parts = ["# Error codes 错误代码\n"]
    for number, entry in sorted(CODES.items()):
        parts.append(f"## {number}\n\n- {entry.zh}\n- {entry.en}\n")
        parts.extend(f"- → {hint}\n" for hint in (entry.hint_zh, entry.hint_en) if hint)
    return "\n".join(parts)


def settings_page() -> str:
    """Every setting of the case file and its default."""
    rows = [f"- `{f.name}`: default `{getattr(CaseSettings(), f.name)!r}`" for f in fields(CaseSettings)]
    return "# Settings in case.json 案件设置\n\n" + _block(CaseSettings.__doc__ or "") + "\n" + "\n".join(rows) + "\n"


def tables_page() -> str:
    """The closed tables and the header of events."""
    parts = ["# Closed tables 枚举\n"]
    tables: tuple[tuple[str, Mapping[str, tuple[str, str]]], ...] = (
        ("Stages 阶段", {k.value: v for k, v in STAGE_TEXT.items()}),
        ("Severities 严重程度", {k.value: v for k, v in SEVERITY_TEXT.items()}),
        ("Confidences 把握程度", {k.value: v for k, v in CONFIDENCE_TEXT.items()}),
        ("Reasons for a gap 缺口原因", {k.value: v for k, v in GAP_TEXT.items()}),
    )
    for title, table in tables:
        parts.append(f"## {title}\n")
        parts.extend(f"- `{k}`: {zh} · {en}" for k, (zh, en) in table.items())
        parts.append("")
    parts.append("## Event kinds 事件类别\n")
    parts.extend(f"- `{kind.value}`" for kind in EventKind)
    parts.append("\n## Header of an event 事件公共字段\n")
    parts.extend(f"- `{name}` ({kind})" for name, kind in HEADER)
    return "\n".join(parts) + "\n"


def pages() -> dict[str, str]:
    """File name → Markdown, without the verbs' page, which the door itself makes."""
    return {
        "parsers.md": parsers_page(),
        "artifacts.md": artifacts_page(),
        "detectors.md": detectors_page(),
        "errors.md": errors_page(),
        "settings.md": settings_page(),
        "tables.md": tables_page(),
    }
