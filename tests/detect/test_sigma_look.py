# SPDX-License-Identifier: Apache-2.0
"""Texts by which a leaf is looked up leave nothing out; how many are found at once, or where they are cut, changes nothing."""

from __future__ import annotations

import random
import re

import polars as pl
import pytest
from sigma_events import by_engine, by_walking, frame_of, tree_of

from headwater.detect import sigma_coded, sigma_leaf
from headwater.detect.sigma_coded import Joined, sought
from headwater.detect.sigma_columns import Columns
from headwater.detect.sigma_heard import needed_texts
from headwater.detect.sigma_leaf import matching
from headwater.detect.sigma_look import EVERY, VERIFY, _choices, look
from headwater.detect.sigma_plan import Dictionary, Plan
from headwater.detect.sigma_scan import Slice
from headwater.detect.sigma_tree import Leaf, plain, restored

_ATOMS = (
    "a",
    "b",
    r"\w",
    ".",
    "(?:ab)",
    "(a|b)",
    "[ab]",
    "[aB]",
    "[^a]",
    r"\s",
    "(?=a)",
    "(?:a{2})",
    "(?:bc|ab+)",
    "A",
    "(?:a|)",
    "c",
)
_COUNTS = ("", "", "", "?", "*", "+", "{1,3}", "{0,2}", "{2,}", "{1}", "{2}", "+?", "{1,2}?")


def test_no_match_of_an_expression_is_without_the_texts_that_it_is_looked_up_by() -> None:
    pick, found = random.Random(3), 0
    for _ in range(1200):
        pattern = "".join(pick.choice(_ATOMS) + pick.choice(_COUNTS) for _ in range(pick.randint(1, 5)))
        try:
            expression = re.compile(pattern)
        except re.error:
            continue
        choices = _choices(Leaf("f", "regex", pattern))
        for text in ("".join(pick.choices("abcAB ", k=pick.randint(0, 9))) for _ in range(12 if choices else 0)):
            if expression.search(text):
                found += 1
                assert all(any(t in text.lower() for t in texts) for texts in choices), (pattern, text, choices)
    assert found > 1000


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        (r"\+.*\+.*\+", ("+",)),
        (r"\w+`(?:\w+|-|.)`", ("`",)),
        (r"\\[a-z]{1,6}\.[ ']{1}", (". ", ".'")),
        (r"x(?:a{2}){1}c\^", ("ac^",)),
        (r"(?i)\$\{`?e", ("${",)),
        (r"[a-f]{4}", ()),
        ("-", ()),
    ],
)
def test_a_rare_sign_is_a_text_to_look_for(pattern: str, texts: tuple[str, ...]) -> None:
    assert look(Leaf("f", "regex", pattern)).texts == texts


def test_what_is_looked_up_is_kept_with_the_leaf_and_a_refused_leaf_is_not() -> None:
    leaf = tree_of("{s: {CommandLine|re: 'a`b'}, condition: s}")
    assert isinstance(leaf, Leaf)
    kept = restored(plain(Leaf(leaf.field, leaf.op, leaf.value, look=look(leaf))))
    assert kept == leaf
    assert isinstance(kept, Leaf)
    assert kept.look == look(leaf)
    assert hash(kept) == hash(leaf)


def _dictionary(*texts: str) -> Dictionary:
    made = Dictionary(texts={text: [at] for at, text in enumerate(texts)})
    made.close()
    return made


@pytest.mark.parametrize("many", [0, 1 << 16])
def test_texts_are_found_wherever_a_pass_ends(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pick = random.Random(1)
    texts = ("abc", "ab", "c", "bca", "é!", "cc")
    values = ["".join(pick.choices("abcé!", k=pick.randint(0, 12))) for _ in range(200)] + ["", ""]
    monkeypatch.setattr(sigma_coded, "_MANY", many)
    for window in (7, 64, 1 << 20):
        monkeypatch.setattr(sigma_coded, "WINDOW", window)
        found = sought(_dictionary(*texts), Joined(pl.Series(values)))
        pattern, value, first, last = (part.tolist() for part in found)
        stands = {(t, v) for t, text in enumerate(texts) for v, held in enumerate(values) if text in held}
        assert set(zip(pattern, value, strict=True)) == stands
        rows = list(zip(pattern, value, first, last, strict=True))
        assert {(t, v) for t, v, begin, _ in rows if begin} == {
            (t, v) for t, v in stands if values[v].startswith(texts[t])
        }
        assert {(t, v) for t, v, _, end in rows if end} == {(t, v) for t, v in stands if values[v].endswith(texts[t])}
    assert [len(part) for part in sought(_dictionary("abc"), Joined(pl.Series([""])))] == [0, 0, 0, 0]


def test_a_value_that_holds_a_text_over_and_over_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sigma_coded, "WINDOW", 8 << 10)
    monkeypatch.setattr(sigma_coded, "_MANY", 1000)
    pattern, value, first, last = sought(_dictionary("+", "+++"), Joined(pl.Series(["+" * (200 << 10)])))
    assert (set(pattern.tolist()), set(value.tolist()), bool(first.any()), bool(last.any())) == (
        {0, 1},
        {0},
        True,
        True,
    )
    assert len(pattern) == 2 * 25  # each pass tells each text of a value once


def test_rules_whose_texts_are_everywhere_match_what_they_match_one_event_at_a_time() -> None:
    pick, said = random.Random(9), (">",) * 20 + ("",) * 78 + ("input", "q`")
    rows = [
        {"Image": pick.choice(("cmd", "net")), "CommandLine": f"powershell -x {at} {pick.choice(said)} end"}
        for at in range(5000)
    ]
    frame = frame_of(rows)
    rules = (
        "{s: {CommandLine|re: 'powershell.*input'}, condition: s}",  # its best text is common, its second is not
        "{s: {CommandLine|contains: powershell, Image: cmd}, f: {CommandLine|contains: '>'}, condition: s and not f}",
        "{s: {CommandLine|contains|all: [powershell, '-x', '`']}, condition: s}",
        "{s: {CommandLine|re: '.{60,}'}, condition: s}",
        "{s: {CommandLine|contains: [' input', '`', 'nowhere']}, f: {Image|contains: [cmd, zzz]}, condition: s and not f}",
    )
    trees = [tree_of(rule) for rule in rules]
    plan = Plan(Columns(frame.columns))
    for tree in trees:
        plan.add(tree)
    matched = {number: at.tolist() for number, at in Slice(plan.close(), frame).matches()}
    assert [matched.get(number, []) for number in range(len(trees))] == [by_walking(tree, frame) for tree in trees]
    hows = {need.how for need in plan.needs() if need.leaf == trees[0]}
    assert hows == {VERIFY}
    assert EVERY in {need.how for need in plan.needs()}


def test_a_value_too_short_for_an_expression_is_not_asked() -> None:
    leaf = Leaf("f", "regex", r"a.{200,}(?!x)b")
    values = pl.Series(["ab", "a" * 300 + "b", "", "é" * 110, "a" + "é" * 201 + "b", "x"])
    assert matching(leaf, values).tolist() == [sigma_leaf.tester(leaf)(v) is not None for v in values]


@pytest.mark.parametrize("many", [0, 60])
@pytest.mark.parametrize(
    ("said", "pattern"),
    [
        ("power\u017fhell -e", "powershell"),
        ("\u017fystem", "^system(?!x)"),
        ("Tas\u212a\u017f.exe", r"tasks\.exe"),
        ("x mi\u212ai y", "(?:miki|kiwi) y"),
        ("w\u0131nword", "winword(?=$)"),
        ("W\u0130NWORD", "winword(?=$)"),
    ],
)
def test_a_letter_that_only_looks_like_another_does_not_hide_a_command_from_an_expression_without_case(
    said: str, pattern: str, many: int
) -> None:
    frame = frame_of([{"CommandLine": said}, *({"CommandLine": f"other {at}"} for at in range(many))])
    trees = [
        tree_of({"s": {"CommandLine|re|i": pattern}, "condition": "s"}),
        tree_of({"s": {"CommandLine|re": pattern}, "condition": "s"}),
        tree_of({"s": {"CommandLine|contains": pattern[-6:]}, "condition": "s"}),
    ]
    assert by_engine(trees, frame) == [[0], [], []]
    assert by_walking(trees[0], frame) == [0]
    keyword = tree_of({"s": {"|re|i": pattern}, "condition": "s"})
    assert by_engine([keyword], frame) == [[0]]
    assert needed_texts(keyword) is None


@pytest.mark.parametrize("many", [0, 60])
def test_one_value_fits_an_expression_as_one_of_many_does(many: int) -> None:
    others = [{"CommandLine": f"other {at}"} for at in range(many)]
    for said, pattern in (("w\u0131nword", "(?i)winword"), ("abc\n", "abc$"), ("a\x1cb", "a\\sb")):
        tree = tree_of({"s": {"CommandLine|re": pattern}, "condition": "s"})
        assert by_engine([tree], frame_of([{"CommandLine": said}, *others])) == [[]]  # as the linear engine says
