# SPDX-License-Identifier: Apache-2.0
"""What the vault can say of itself when a case is verified: ledger, clocks, anchors, stored items, custody.

Each row is (name in both languages, ``ok``, ``failed`` or ``not-claimable``, why in both languages).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headwater.model.errors import VaultError
from headwater.procedure.anchoring import against
from headwater.procedure.corridor import Corridor
from headwater.procedure.custody import OBJECTS, chains
from headwater.procedure.notamper_held import papers
from headwater.vault import items
from headwater.vault.custody import open_ends
from headwater.vault.storage import Folder
from headwater.vault.trail import Trail

Words = tuple[str, str]
Row = tuple[Words, str, Words]
_RESULT = {"match": "ok", "mismatch": "failed", "not-claimable": "not-claimable"}


def rows(corridor: Corridor, trail: Trail, given: Sequence[str]) -> Iterator[Row]:
    """All rows in order."""
    what = f"{trail.entries} 条，链头 {trail.head}，Merkle 根 {trail.root}，{trail.checkpoints} 个检查点"
    said = f"{trail.entries} entries, head {trail.head}, Merkle root {trail.root}, {trail.checkpoints} checkpoints"
    yield ("台账", "ledger"), "ok", (what, said)
    for remark in trail.remarks:
        yield ("台账时钟", "clock of the ledger"), "not-claimable", (remark.zh, remark.en)
    found = against(corridor, given)
    for verdict in found:
        name = verdict.anchor.name or verdict.anchor.kind if verdict.anchor else ""
        yield (f"锚定 {name}", f"anchor {name}"), _RESULT[verdict.result], (verdict.words.zh, verdict.words.en)
    yield from _contents(corridor)
    yield from _custody(corridor)
    yield from _notamper(corridor)


def _contents(corridor: Corridor) -> Iterator[Row]:
    """Every added item read again from the store; contents that no entry names."""
    store = Folder(corridor.case / OBJECTS)
    held = items.items_of(corridor.ledger.entries())
    bad = 0
    for item in held:
        try:
            for _ in store.blocks(item.sha256):
                pass
        except VaultError as error:
            bad += 1
            yield (f"检材 {item.number}", f"item {item.number}"), "failed", (error.text("zh"), error.text("en"))
    for name in sorted(set(store.names()) - {i.sha256 for i in held}):
        bad += 1
        yield (f"存储内容 {name}", f"stored content {name}"), "not-claimable", ("台账未登记", "no entry names it")
    if held and not bad:
        yield ("登记检材", "added items"), "ok", (f"{len(held)} 项与台账相符", f"{len(held)} items match the ledger")


def _notamper(corridor: Corridor) -> Iterator[Row]:
    """The papers of no-tamper examinations against their entries."""
    for sealed, name, same in papers(corridor):
        what = (f"无污损检验记录 {name}", f"record of the no-tamper examination {name}")
        why = (f"台账第 {sealed.entry.seq} 条", f"entry {sealed.entry.seq} of the ledger")
        yield what, "ok" if same else "failed", why


def _custody(corridor: Corridor) -> Iterator[Row]:
    states = chains(corridor)
    events = sum(len(s.events) for s in states.values())
    gaps = [g for s in states.values() for g in (*s.gaps, *open_ends(s))]
    for gap in gaps:
        yield (f"保管链 {gap.item}", f"custody of {gap.item}"), "not-claimable", (gap.what.zh, gap.what.en)
    if events and not gaps:
        yield ("保管链", "chain of custody"), "ok", (f"{events} 个事件，无缺口", f"{events} events, no gap")
