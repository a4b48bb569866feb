# SPDX-License-Identifier: Apache-2.0
"""A check of many values at once says what the check of each says; a shortened expression is found in the same texts."""

from __future__ import annotations

import random
import re

import polars as pl
import pytest

from headwater.detect import sigma_leaf
from headwater.detect.sigma_leaf import decisive, in_lower, matching
from headwater.detect.sigma_tree import Leaf, Wild

_SIGNS = "ab.\\^$[](){}-#& \n*?+|~éK"


def test_wildcards_over_many_values_are_wildcards_over_each() -> None:
    pick, fits = random.Random(5), 0
    for _ in range(300):
        parts = tuple(
            pick.choice([Wild(True), Wild(False), "".join(pick.choices(_SIGNS, k=pick.randint(1, 2)))])
            for _ in range(pick.randint(1, 5))
        )
        leaf = Leaf("A", "text", parts, pick.random() < 0.3)
        values = pl.Series(["".join(pick.choices(_SIGNS, k=pick.randint(0, 9))) for _ in range(20)])
        wanted = [sigma_leaf.tester(leaf)(v) is not None for v in values]
        assert matching(leaf, values.str.to_lowercase() if in_lower(leaf) else values).tolist() == wanted, leaf
        fits += sum(wanted)
    assert fits > 30


@pytest.mark.parametrize(
    ("pattern", "shorter"),
    [
        (r"-k\s\w{1,64}(?:\s?(?:-p|-s))?", r"-k\s\w{1}"),
        (r".{1000,}", r".{1000}"),
        (r"a(?:b|c)*", "a"),
        (r"ab{2,3}?", r"ab{2}"),
        (r"a{1,3}$", r"a{1,3}$"),  # an end follows: the count decides
        (r"a|b?", r"a|b?"),
        (r"\w?", r"\w?"),
        (r"a\{1,3}", r"a\{1,3}"),  # no repeat
        (r"a[{1,3}", r"a[{1,3}"),  # no expression
    ],
)
def test_what_decides_nothing_is_not_asked(pattern: str, shorter: str) -> None:
    assert decisive(pattern) == shorter


def test_a_shortened_expression_is_found_in_the_same_texts() -> None:
    pick, shortened = random.Random(1), 0
    atoms = ("a", "b", r"\w", ".", "(?:ab)", "(a|b)", "[ab]", r"\s", "$", "^", "(?=a)", r"\b")
    counts = ("", "?", "*", "+", "{1,3}", "{0,2}", "{2,}", "??", "*?", "+?", "{1,2}?", "{2}")
    for _ in range(1000):
        pattern = "".join(pick.choice(atoms) + pick.choice(counts) for _ in range(pick.randint(1, 4)))
        try:
            whole = re.compile(pattern)
        except re.error:
            continue
        short = re.compile(decisive(pattern))
        shortened += short.pattern != pattern
        for _ in range(8):
            text = "".join(pick.choices("ab \n", k=pick.randint(0, 6)))
            assert bool(whole.search(text)) == bool(short.search(text)), (pattern, short.pattern, text)
    assert shortened > 200
