# SPDX-License-Identifier: Apache-2.0
"""Counts that are taken together must be those that are taken one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.model.nouns import Tally
from headwater.procedure.corridor import open_case, store_of
from headwater.procedure.investigate import Outcome
from headwater.store import events


@pytest.mark.parametrize("most", [1, 1_000_000])
def test_counts_taken_together_hide_no_wrong_one(
    worked: tuple[Path, Path, Outcome], monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(events, "TALLIED", most)
    corridor = open_case(worked[1])
    with corridor.ledger:
        store = store_of(corridor)
        rows = (
            store.scan().select("kind", "feed", "src_ip").unique().drop_nulls().collect().sort("kind", "feed", "src_ip")
        )
        wheres = [dict(row) for row in rows.iter_rows(named=True)][:20]
        wheres += [{"kind": w["kind"]} for w in wheres[:3]] + [
            {"src_ip": wheres[0]["src_ip"]},
            {"src_ip": "nowhere"},
            {},
        ]
        stated = [Tally(w, n % 3, "0" * 64) for n, w in enumerate([*wheres, wheres[0]])]  # one twice
        again = store.tallies(stated)
        assert again == [store.tally(t.where) for t in stated]
        assert again[0].count > 0
        assert again[0] == again[-1]
        assert again[len(wheres) - 2].count == 0
