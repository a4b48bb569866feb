# SPDX-License-Identifier: Apache-2.0
"""A small case without evidence, for tests of the vault."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from headwater.case.settings import CaseSettings
from headwater.model.nouns import Authority
from headwater.procedure.corridor import Corridor, authority_of
from headwater.vault.ledger import Ledger


def opened(case: Path) -> Corridor:
    """A corridor over a small case of five acts; made where it is not there yet. The caller closes its ledger."""
    new = not (case / "ledger.db").exists()
    case.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(case, create=True)
    corridor = Corridor(case, ledger, CaseSettings(), ("张三", "李四"), ("headwater", "test"))
    if new:
        note = {"authority": asdict(Authority(waiver="a test")), "sources": [], "settings": asdict(CaseSettings())}
        corridor.record("open-case", note=note)
        CaseSettings().save(case)
        for n in range(4):
            corridor.record("act", note={"n": n})
    authority_of(ledger)
    return corridor
