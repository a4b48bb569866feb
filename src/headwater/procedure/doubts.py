# SPDX-License-Identifier: Apache-2.0
"""What a reader must know before anything else: an image unlike what it states, bytes not read, years assumed, odd times."""

from __future__ import annotations

from collections.abc import Iterator

from headwater.model.custody import Evidence
from headwater.model.nouns import Sentence, Text
from headwater.procedure import assumed_years, odd_times
from headwater.procedure.corridor import Corridor, evidence_of


def warnings(corridor: Corridor) -> Iterator[Sentence]:
    """A sentence for each, item by item; those about times last."""
    for item in evidence_of(corridor.ledger):
        yield from damaged(item)
    yield from assumed_years.warnings(corridor)
    yield from odd_times.warnings(corridor)


def damaged(item: Evidence) -> Iterator[Sentence]:
    """One item's digests that do not hold, and how much of it was not read, as its registration says."""
    unlike = [v for v in item.verdicts if v.what == "stated-in-container" and v.result == "mismatch"]
    held = [f"{v.algorithm} {v.expected} ≠ {v.found}" for v in unlike if v.expected]
    if unlike:
        told = f"（{'；'.join(held)}）" if held else ""
        aside = f" ({'; '.join(held)})" if held else ""
        yield Sentence(
            Text(
                f"注意：检材 {item.number}（{item.name}）的内容与其自载的校验值不符{told}：制作之后有过损坏或改动，不能当作原状。",
                f"Beware: item {item.number} ({item.name}) is not what it states of itself{aside}: "
                "it was damaged or changed after it was made, and cannot be taken for the original.",
            ),
            (f"evidence-{item.number}",),
        )
    for verdict in item.verdicts:
        if verdict.what == "read-completely" and verdict.result == "mismatch":
            zh, en = _unread(verdict.reason or "")
            yield Sentence(
                Text(
                    f"注意：检材 {item.number}（{item.name}）未能全部读出{zh}，见“未能读取的数据”。",
                    f"Beware: item {item.number} ({item.name}) could not be read as a whole{en}: see 'What could not be read'.",
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
