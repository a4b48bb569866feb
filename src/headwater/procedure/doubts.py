# SPDX-License-Identifier: Apache-2.0
"""What a reader must know before anything else: an image unlike what it states, bytes not read, years assumed, odd times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from headwater.model.custody import Evidence, Verdict
from headwater.model.nouns import Sentence, Text
from headwater.procedure import assumed_years, odd_times, summer_time
from headwater.procedure.corridor import Corridor, evidence_of
from headwater.procedure.stated_words import told

_STATED = frozenset({"stated-in-container", "stated-in-sidecar"})


def warnings(corridor: Corridor) -> Iterator[Sentence]:
    """A sentence for each, item by item; those about times last."""
    items = list(evidence_of(corridor.ledger))
    for item in items:
        yield from damaged(item)
    yield from alike(items)
    yield from assumed_years.warnings(corridor)
    yield from odd_times.warnings(corridor)
    yield from summer_time.warnings(corridor)


def alike(items: Iterable[Evidence]) -> Iterator[Sentence]:
    """Items with the same content: what is found in one is found, and counted, in each of the others."""
    held: dict[str, list[Evidence]] = {}
    for item in items:
        if item.digests.get("sha256"):
            held.setdefault(item.digests["sha256"], []).append(item)
    for same in held.values():
        if len(same) > 1:
            numbers = [str(item.number) for item in same]
            yield Sentence(
                Text(
                    f"注意：检材 {'、'.join(numbers)} 内容相同（SHA-256 一致），是同一内容的多份；事件与发现按份重复计数。",
                    f"Beware: items {', '.join(numbers)} have the same content (the same SHA-256); their events and findings "
                    "are counted once for each.",
                ),
                tuple(f"evidence-{number}" for number in numbers),
            )


def not_claimable(item: Evidence) -> bool:
    """Whether an item is not what its container, or the sidecar beside it, states: digest, checksums or signature."""
    return bool(_unlike(item))


def claims(items: Iterable[Evidence]) -> Iterator[tuple[tuple[str, str], str, tuple[str, str]]]:
    """(name, result, why) of a check for each item that was not what it states: its digest now proves no original."""
    for item in filter(not_claimable, items):
        yield (
            (f"检材 {item.number} 与其自载的校验值", f"evidence {item.number} against what it states of itself"),
            "not-claimable",
            ("登记时即已不符：所述只就现存字节而言", "it did not fit when it was registered: all this holds of its bytes as they are"),
        )  # fmt: skip


def _unlike(item: Evidence) -> list[Verdict]:
    return [v for v in item.verdicts if v.what in _STATED and v.result == "mismatch"]


def damaged(item: Evidence) -> Iterator[Sentence]:
    """One item's digests that do not hold, and how much of it was not read, as its registration says."""
    unlike = _unlike(item)
    held = [f"{v.algorithm} {v.expected} ≠ {v.found}" for v in unlike if v.expected]
    if unlike:
        why = [told(v.reason) for v in unlike if v.reason and not v.expected]
        what = "其内容与自载的校验值不符" if held or not why else "与其自载的信息不符"
        zh, en = ([*held, *(w.zh for w in why)], [*held, *(w.en for w in why)])
        beside = f"（{'；'.join(zh)}）" if zh else ""
        aside = f" ({'; '.join(en)})" if en else ""
        yield Sentence(
            Text(
                f"注意：检材 {item.number}（{item.name}）不可主张：{what}{beside}，"
                "制作之后有过损坏或改动，不能当作原状；以下所述只就现存字节而言。",
                f"Beware: item {item.number} ({item.name}) is NOT CLAIMABLE: it is not what it states of itself{aside}: "
                "it was damaged or changed after it was made, and cannot be taken for the original; "
                "what follows holds of its bytes as they are now.",
            ),
            (f"evidence-{item.number}",),
        )
    for verdict in item.verdicts:
        if verdict.what == "read-completely" and verdict.result == "mismatch":
            size_zh, size_en = _unread(verdict.reason or "")
            yield Sentence(
                Text(
                    f"注意：检材 {item.number}（{item.name}）未能全部读出{size_zh}，见“未能读取的数据”。",
                    f"Beware: item {item.number} ({item.name}) could not be read as a whole{size_en}: see 'What could not be read'.",
                ),
                (f"evidence-{item.number}",),
            )


def _unread(reason: str) -> tuple[str, str]:
    """How much: a registration says it as ``524288 bytes could not be read`` or ``3 entries could not be read``."""
    number, _, rest = reason.partition(" ")
    unit = rest.partition(" ")[0]
    if not number.isdigit() or unit not in {"bytes", "entries"}:
        return "", ""
    return f"（{int(number):,} {'字节' if unit == 'bytes' else '项'}）", f" ({int(number):,} {unit})"
