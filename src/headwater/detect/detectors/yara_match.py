# SPDX-License-Identifier: Apache-2.0
"""What YARA rules match: in files, in deleted files, on volumes that hold no files (memory, swap), told rule by rule.

Needs:      yara.match; linux.dpkg_files or linux.rpm for what packages brought; fs.macb for the files' times.
Technique:  as the rule says; where it says nothing, T1105 ingress tool transfer.
Says:       which rule of which author matches which files, and the bytes that it matches in them.
False when: a rule is loose; the file describes or detects such tools (an antivirus, another set of rules, a lesson).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from headwater.detect.frames import names, state, take
from headwater.detect.package_view import packages
from headwater.detect.system_view import of_same_files
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings
from headwater.model.records import Value

RULE = Rule(
    id="yara-match",
    version="1",
    author="Headwater",
    title=Text("YARA 规则匹配", "A YARA rule matches"),
    stage=Stage.PERSIST,
    techniques=("T1105",),
    severity=Severity.MEDIUM,
)
CLAIMS = ("kind", "file_path", "rule", "rule_file", "matches")
PLACES = ("kind", "file_path", "rule", "pattern", "matched")
MOST = 300  # findings; the most severe are told
# a rule that matches in so many contents says little of each
LOOSE = 200
_TOLD = 4
_ID = lazy_regex(r"[^a-z0-9]+")
_TECHNIQUE = lazy_regex(r"\bT\d{4}(?:\.\d{3})?\b")
_SEVERITIES = {s.value: s for s in Severity} | {"informational": Severity.INFO, "moderate": Severity.MEDIUM}
# what rules that state no stage are about, by the words that their authors use
_ABOUT: tuple[tuple[str, Stage, str], ...] = (
    (r"web_?shell", Stage.PERSIST, "T1505.003"),
    (r"ransom|crypto_?locker|wiper", Stage.IMPACT, "T1486"),
    (r"miner|xmrig|coin", Stage.IMPACT, "T1496"),
    (r"rootkit|log_?clean|hiding", Stage.COVER, "T1014"),
    (r"mimikatz|credential|keylog|password", Stage.SPREAD, "T1003"),
    (r"tunnel|proxy|scanner|cobalt|beacon|c2|meterpreter|reverse_?shell|botnet|ddos", Stage.SPREAD, "T1071"),
    (r"exploit|privesc|cve_", Stage.ESCALATE, "T1068"),
)


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """One finding for each rule on each item, the most severe first, then by file of rules, rule and item."""
    rows = take(
        events, kinds=[EventKind.STATE_MATCH], header=["file_path", "host"],
        own=["rule", "rule_file", "tags", "author", "description", "severity", "stage", "technique", "pattern", "matched",
             "matches", "window"],
    )  # fmt: skip
    if rows.is_empty():
        return
    owned = _owned(events)
    parts = rows.sort("source", "rule_file", "rule", "path", "offset", "ordinal").partition_by(
        "source", "rule_file", "rule", maintain_order=True
    )
    order = list(Severity)
    parts.sort(
        key=lambda p: (-order.index(_severity(p)), str(p["rule_file"][0]), str(p["rule"][0]), int(p["source"][0]))
    )
    named = rows["file_path"].drop_nulls().unique().to_list()
    kinds = [EventKind.FILE_CREATED, EventKind.FILE_MODIFIED, EventKind.FILE_CHANGED]
    times = take(events, kinds=kinds, header=["file_path"], own=["uid"], where=pl.col("file_path").is_in(named))
    for part in parts[:MOST]:
        yield _finding(events, part, owned, times, max(0, len(parts) - MOST))


def _owned(events: Events) -> pl.DataFrame:
    """The files (source, path) that hold what the package database says."""
    view = packages(events)
    if view is None:
        return pl.DataFrame(schema={"source": pl.Int64, "path": pl.String})
    joined = view.joined()
    same = joined.filter((pl.col("md5") == pl.col("md5_now")) | (pl.col("sha256") == pl.col("hash")))
    return same.select("source", pl.col("path_now").alias("path")).unique()


def _text(part: pl.DataFrame, column: str) -> str:
    value = part[column][0] if column in part.columns else None
    return "" if value is None else str(value)


def _severity(part: pl.DataFrame) -> Severity:
    word = _text(part, "severity").strip().lower()
    if word in _SEVERITIES:
        return _SEVERITIES[word]
    try:
        score = float(word)
    except ValueError:
        return Severity.MEDIUM
    score = score * 10 if score <= 10 else score
    return Severity.HIGH if score >= 75 else Severity.MEDIUM if score >= 50 else Severity.LOW


def _card(part: pl.DataFrame) -> Rule:
    """The name card of a rule: its author is the rule's own."""
    name, file = _text(part, "rule"), _text(part, "rule_file")
    stage, technique = _text(part, "stage"), _TECHNIQUE.findall(_text(part, "technique"))
    words = " ".join(_text(part, c) for c in ("rule", "tags", "description", "rule_file")).lower()
    about = next(((s, t) for pattern, s, t in _ABOUT if re.search(pattern, words)), (RULE.stage, RULE.techniques[0]))
    chosen = Stage(stage) if stage in set(Stage) else about[0]
    zh, en = _described(part)
    return replace(
        RULE,
        id=f"yara-{_ID.sub('-', f'{file} {name}'.lower()).strip('-')}"[:120],
        author=_text(part, "author") or "?",
        title=Text(f"YARA 规则 {name}{'：' + zh if zh else ''}", f"YARA rule {name}{': ' + en if en else ''}"),
        stage=chosen,
        techniques=tuple(dict.fromkeys(technique)) or (about[1],),
    )


def _described(part: pl.DataFrame) -> tuple[str, str]:
    text = _text(part, "description")
    zh, mark, en = text.partition(" · ")
    return (zh, en) if mark else (text, text)


def _finding(events: Events, part: pl.DataFrame, owned: pl.DataFrame, times: pl.DataFrame, beyond: int) -> Finding:
    card, severity = _card(part), _severity(part)
    kept = part.join(owned, on=["source", "path"], how="anti", maintain_order="left")
    brought = part["path"].n_unique() - kept["path"].n_unique()
    known = kept.is_empty()
    kept = part if known else kept
    wholes, places = kept.filter(pl.col("pattern").is_null()), kept.filter(pl.col("pattern").is_not_null())
    loose = wholes.height > LOOSE
    if known:
        severity = Severity.INFO
    elif loose:
        severity = Severity.LOW
    zh, en = _sentence(card, kept, places)
    if known:
        zh += "；这些文件与软件包数据库所记一致，多为规则误中"
        en += "; the files are as the package database has them: the rule is probably wrong of them"
    elif brought:
        zh += f"；另有 {brought} 个与软件包数据库一致的文件未计"
        en += f"; {brought} more files, which are as the package database has them, are not counted"
    if loose:
        zh += "；命中过多，规则过宽"
        en += "; it matches so many that it says little"
    windows = bool(kept["window"].is_not_null().any())
    weak = known or loose or windows or places["pattern"].n_unique() < 2
    mine = of_same_files(times, kept)
    facts: dict[str, Value] = {
        "rule": _text(part, "rule"), "rule_file": _text(part, "rule_file"), "files": kept["path"].n_unique(),
        "packaged": brought,
    }  # fmt: skip
    if beyond:
        facts["beyond"] = beyond
    return state(
        events, card, wholes, CLAIMS, Text(zh + "。", en + "."), severity=severity,
        confidence=Confidence.LOW if known or loose else Confidence.MEDIUM if weak else Confidence.HIGH,
        facts=facts, limit=40, more=[(places.head(40), PLACES), (mine.head(40), ("kind", "file_path", "uid"))],
        moments=mine.filter(pl.col("kind") != EventKind.FILE_CHANGED.value)["ts"].drop_nulls().to_list(),
    )  # fmt: skip


def _sentence(card: Rule, kept: pl.DataFrame, places: pl.DataFrame) -> tuple[str, str]:
    rule, file = _text(kept, "rule"), _text(kept, "rule_file")
    paths = kept.select(pl.coalesce("file_path", "path"))["file_path"].unique(maintain_order=True).to_list()
    about_zh, about_en = _described(kept)
    zh = f"YARA 规则 {rule}（{file}，作者 {card.author}{'；' + about_zh if about_zh else ''}）"
    zh += f"匹配 {names(paths[:_TOLD], len(paths), 'zh')}"
    en = f"The YARA rule {rule} ({file}, by {card.author}{'; ' + about_en if about_en else ''})"
    en += f" matches {names(paths[:_TOLD], len(paths), 'en')}"
    if places.height:
        first = places.sort("length", descending=True, maintain_order=True).row(0, named=True)  # the most telling
        matched, at = str(first["matched"])[:80], int(first["offset"])
        zh += f"，如偏移 {at} 处的“{matched}”"
        en += f', such as "{matched}" at offset {at}'
    return zh, en
