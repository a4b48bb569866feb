# SPDX-License-Identifier: Apache-2.0
"""Old providers give their data no names: a rule that looks at the first of them alone misses what stands in the others."""

from __future__ import annotations

import polars as pl
import pytest
from sigma_events import by_engine, by_walking, tree_of

from headwater.detect.sigma_columns import Columns, spread

_ROWS = pl.DataFrame(
    {
        "Data": ["Available", "HostName=ConsoleHost", None, None],
        "Data_1": ["None", "x -bxor y", None, None],
        "Data_10": ["HostApplication=powershell -w hidden", None, None, "EngineVersion=2.0"],
        "Data_size": ["-bxor", None, "-bxor", None],  # a name of its own
    },
    schema=dict.fromkeys(("Data", "Data_1", "Data_10", "Data_size"), pl.String),
)


@pytest.mark.parametrize(
    ("rule", "rows"),
    [
        ("{s: {'Data|contains': '-w hidden'}, condition: s}", [0]),
        ("{s: {'Data|contains|all': ['HostName=ConsoleHost', ' -bxor ']}, condition: s}", [1]),
        ("{s: {Data: none}, condition: s}", [0]),
        ("{s: {'data|startswith': 'EngineVersion=2.'}, condition: s}", [3]),
        ("{s: {'Data|contains': '='}, f: {'Data|contains': bxor}, condition: s and not f}", [0, 3]),
        ("{s: {'Data|re': '^x '}, condition: s}", [1]),
        ("{s: {Data: null}, condition: s}", [2]),
        ("{s: {'Data|exists': true}, condition: s}", [0, 1, 3]),
        ("{s: {'Data|exists': false}, condition: s}", [2]),
        ("{s: {Data_1: None}, condition: s}", [0]),
    ],
)
def test_every_element_counts(rule: str, rows: list[int]) -> None:
    tree = spread(tree_of(rule), Columns(_ROWS.columns))
    assert by_engine([tree], _ROWS) == [rows]
    assert by_walking(tree, _ROWS) == rows


def test_without_unnamed_data_the_rule_stays_as_it_is() -> None:
    tree = tree_of("{s: {'Data|contains': a, Image: b}, condition: s}")
    assert spread(tree, Columns(["Image", "Data_size"])) == tree
