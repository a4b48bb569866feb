# SPDX-License-Identifier: Apache-2.0
"""Indicators of lists that a person gives: which of them stand in the events, and where.

Needs:      any feed; addresses, hashes, names, requests, commands and messages are compared.
Technique:  as the list has it, none of its own.
Says:       that a value of the list stands in these records; who it belongs to is the list's word.
False when: the list is old or wide (shared hosting, CDN, scanners), or a defender wrote the value into a rule or a log.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ahocorasick_rs
import polars as pl

from headwater.detect.addresses import parsed
from headwater.detect.frames import ORDER, STAND, names, state
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import Confidence, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events
from headwater.model.records import HEADER, Value

RULE = Rule(
    id="indicator",
    version="1",
    author="Headwater",
    title=Text("指标清单命中", "An indicator of a list"),
    stage=Stage.LOGIN,
    techniques=(),
    severity=Severity.MEDIUM,
)
_HEADER = frozenset(name for name, _ in HEADER)
_ADDRESSES = ("src_ip", "dst_ip")
_NO_TEXT = frozenset({"path", "feed", "kind", "t_basis", "t_kind", "clock", "outcome", *_ADDRESSES})
_HASHED = {"sha256": ("hash", "own.hash"), "md5": ("hash", "md5"), "sha1": ("hash", "sha1")}
_STAGE = {
    "sha256": Stage.PERSIST,
    "md5": Stage.PERSIST,
    "sha1": Stage.PERSIST,
    "file": Stage.PERSIST,
    "key": Stage.PERSIST,
}
_SEVERITY = {
    "sha256": Severity.HIGH,
    "sha1": Severity.HIGH,
    "md5": Severity.HIGH,
    "key": Severity.HIGH,
    "file": Severity.LOW,
}
_WORDS = {
    "address": ("地址", "address"), "network": ("网段", "network"), "domain": ("域名", "domain"), "url": ("网址", "URL"),
    "md5": ("MD5 校验值", "MD5 digest"), "sha1": ("SHA-1 校验值", "SHA-1 digest"), "sha256": ("SHA-256 校验值", "SHA-256 digest"),
    "file": ("文件名", "file name"), "agent": ("User-Agent", "user agent"), "key": ("密钥指纹", "key fingerprint"),
}  # fmt: skip
CITED = 40
_ROWS = 2_000  # of one value that are fetched


@dataclass(frozen=True, slots=True)
class Wanted:
    """An indicator with the list that it is of; ``digest``: the list's SHA-256."""

    kind: str
    value: str
    place: str
    about: str
    list_name: str
    digest: str


def match(events: Events, wanted: Sequence[Wanted]) -> Iterator[Finding]:
    """One finding for each indicator and item of evidence in which it stands, in order of kind, value and item."""
    merged: dict[tuple[str, str], list[Wanted]] = defaultdict(list)
    for one in wanted:
        merged[one.kind, one.value].append(one)
    if not merged:
        return
    hits: dict[tuple[str, str], list[pl.DataFrame]] = defaultdict(list)
    where: dict[tuple[str, str], set[str]] = defaultdict(set)
    for feed in events.feeds():
        for column, values in _columns(events, feed):
            found = _compared(column, values, merged)
            if not found:
                continue
            rows = _rows(events, feed, column, sorted({v for held in found.values() for v in held}))
            for key, held in found.items():
                hits[key].append(rows.filter(pl.col(_HIT).is_in(sorted(held))))
                where[key].add(f"{feed}.{column.removeprefix('own.')}")
    for key in sorted(hits):
        rows = pl.concat(hits[key], how="diagonal").unique(["source", "path", "offset", "ordinal"], keep="first")
        for part in rows.sort("source", *ORDER, nulls_last=True).partition_by("source", maintain_order=True):
            yield _finding(events, merged[key], part, sorted(where[key]))


def _columns(events: Events, feed: str) -> Iterator[tuple[str, list[str]]]:
    """The text columns of a feed with their different values."""
    frame = events.scan(feeds=[feed], columns=events.columns(feed))
    for name, dtype in frame.collect_schema().items():
        if dtype != pl.String or name in _NO_TEXT - set(_ADDRESSES):
            continue
        values = frame.select(pl.col(name).unique()).collect(engine="streaming").to_series().drop_nulls()
        if len(values):
            yield name, values.to_list()


def _compared(
    column: str, values: Sequence[str], merged: Mapping[tuple[str, str], Any]
) -> dict[tuple[str, str], set[str]]:
    """Of a column's values those in which an indicator stands, by indicator."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    if column in _ADDRESSES:
        _by_address(values, merged, found)
        return found
    hashed = [kind for kind, columns in _HASHED.items() if column in columns]
    if hashed:
        for value in values:
            for kind in hashed:
                if (kind, value.lower()) in merged:
                    found[kind, value.lower()].add(value)
        return found
    _by_text(column, values, merged, found)
    return found


def _by_address(
    values: Sequence[str], merged: Mapping[tuple[str, str], Any], found: dict[tuple[str, str], set[str]]
) -> None:
    networks: dict[tuple[int, int], dict[int, tuple[str, str]]] = defaultdict(dict)
    for kind, value in merged:
        if kind == "network":
            network = ipaddress.ip_network(value)
            networks[network.version, network.prefixlen][int(network.network_address)] = kind, value
    for value in values:
        address = parsed(value)
        if address is None:
            continue
        key = ("address", str(address))
        if key in merged:
            found[key].add(value)
        for (version, length), held in networks.items():
            if version == address.version:
                shift = address.max_prefixlen - length
                hit = held.get(int(address) >> shift << shift)
                if hit is not None:
                    found[hit].add(value)


def _by_text(
    column: str, values: Sequence[str], merged: Mapping[tuple[str, str], Any], found: dict[tuple[str, str], set[str]]
) -> None:
    keys = [key for key in merged if (key[0] != "network" and key[0] not in _HASHED) or key[0] == "sha256"]
    if not keys:
        return
    automaton = ahocorasick_rs.AhoCorasick([value.lower() for _, value in keys])
    for value in values:
        lowered = value.lower()
        if len(lowered) != len(value):  # a letter that grows when it is made small: places would shift
            lowered = value.casefold() if len(value.casefold()) == len(value) else value
        for index, begin, end in automaton.find_matches_as_indexes(lowered, overlapping=True):
            if _stands_alone(keys[index][0], column, lowered, begin, end):
                found[keys[index]].add(value)


_WORD = lazy_regex(r"[a-z0-9_-]")
_HIT = "the text that an indicator stands in"  # no feed has a column of this name


def _stands_alone(kind: str, column: str, text: str, begin: int, end: int) -> bool:
    """Whether a match is the indicator itself and no part of a longer word, number or name."""
    before, after = text[begin - 1 : begin], text[end : end + 1]
    if kind in ("url", "agent"):
        return True
    if kind == "file":
        if column == "file_path":
            return (not before or before in "/\\") and not after
        return not _WORD.match(before or " ") and before != "." and not _WORD.match(after or " ")
    if kind == "domain":  # a name below it is of it; a name that goes on behind it is another
        goes_on = after == "." and _WORD.match(text[end + 1 : end + 2] or " ")
        return not _WORD.match(before or " ") and not _WORD.match(after or " ") and not goes_on
    if kind == "address":
        longer = (after == "." and text[end + 1 : end + 2].isdigit()) or (
            before == "." and text[begin - 2 : begin - 1].isdigit()
        )
        return not _WORD.match(before or " ") and not _WORD.match(after or " ") and before != ":" and not longer
    return not _WORD.match(before or " ") and not _WORD.match(after or " ")


def _rows(events: Events, feed: str, column: str, values: Sequence[str]) -> pl.DataFrame:
    own = () if column in _HEADER else (column,)
    frame = events.scan(feeds=[feed], columns=own).filter(pl.col(column).is_in(values))
    wanted = dict.fromkeys([*STAND, "kind", "host", "user", "src_ip", column])
    rows: pl.DataFrame = frame.select(*wanted, pl.col(column).alias(_HIT)).collect(engine="streaming")
    return rows.sort(ORDER, nulls_last=True).group_by(_HIT, maintain_order=True).head(_ROWS)


def _finding(events: Events, lists: Sequence[Wanted], rows: pl.DataFrame, where: Sequence[str]) -> Finding:
    first = lists[0]
    zh_kind, en_kind = _WORDS[first.kind]
    sources = sorted({one.list_name for one in lists})
    shown = names(sources[:3], len(sources), "zh"), names(sources[:3], len(sources), "en")
    about = next((one.about for one in lists if one.about), "")
    counted = f"{rows.height}" if rows.height < _ROWS else f"≥ {_ROWS}"
    noun = "record" if rows.height == 1 else "records"
    zh = f"清单 {shown[0]} 所列{zh_kind} {first.value} 见于 {counted} 条记录（{'、'.join(where[:4])}）"
    en = f"The {en_kind} {first.value} of {shown[1]} stands in {counted} {noun} ({', '.join(where[:4])})"
    if about:
        zh, en = f"{zh}；清单称：{about}", f"{en}; the list says: {about}"
    claims = [c for c in rows.columns if c not in (*STAND, _HIT)]
    card = Rule(
        RULE.id, RULE.version, RULE.author, RULE.title, _STAGE.get(first.kind, RULE.stage), RULE.techniques, RULE.severity
    )  # fmt: skip
    facts: dict[str, Value] = {
        "indicator": first.value, "kind": first.kind, "lists": ", ".join(sources), "records": rows.height,
        "list_sha256": ", ".join(sorted({one.digest for one in lists})[:3]), "list_place": first.place,
    }  # fmt: skip
    return state(
        events, card, rows, claims, Text(zh + "。", en + "."),
        severity=_SEVERITY.get(first.kind, Severity.MEDIUM), confidence=Confidence.MEDIUM, facts=facts, limit=CITED,
    )  # fmt: skip
