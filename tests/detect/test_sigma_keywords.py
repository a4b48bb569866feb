# SPDX-License-Identifier: Apache-2.0
"""A keyword stands anywhere in an event's text: one that is sought column by column must not be missed between two."""

from __future__ import annotations

import polars as pl
import pytest
from sigma_events import by_engine, by_walking, tree_of

_ROWS = pl.DataFrame(
    {
        "A": ["one Mimikatz two", "first", None, "", "dpapi"],
        "B": [None, "last", "MIMIKATZ", "x", "::masterkey"],
        "C": [4624, 7, None, 46245, 0],
        "process": ["sshd", "cron", None, "mimikatz", "su"],
        "outcome": ["mimikatz", None, None, None, None],
    },
    schema={"A": pl.String, "B": pl.String, "C": pl.Int64, "process": pl.String, "outcome": pl.String},
)


@pytest.mark.parametrize(
    ("rule", "rows"),
    [
        ("{k: [mimikatz], condition: k}", [0, 2, 3]),
        ("{k: ['4624'], condition: k}", [0, 3]),
        ("{k: ['first*last'], condition: k}", [1]),  # across two columns
        ('{k: ["first\\nlast"], condition: k}', [1]),
        ("{k: ['dpapi::'], condition: k}", []),  # nothing joins two columns but a line feed
        ("{k: ['m?mikatz'], condition: k}", [0, 2, 3]),
        ("{k: {'|re': 'first\\s+last'}, condition: k}", [1]),
        ("{k: {'|cased': [Mimikatz]}, condition: k}", [0]),
        ("{k: [mimikatz], s: {C: 46245}, condition: k and not s}", [0, 2]),
        ("{k: [mimikatz], condition: not k}", [1, 4]),
        ("{k: ['ss', 'cr'], condition: k}", [0, 1]),
    ],
)
def test_a_keyword_is_found_wherever_it_stands_and_nowhere_else(rule: str, rows: list[int]) -> None:
    tree = tree_of(rule)
    assert by_engine([tree], _ROWS) == [rows]
    assert by_walking(tree, _ROWS) == rows
