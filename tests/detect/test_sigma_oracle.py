# SPDX-License-Identifier: Apache-2.0
"""The fast engine, the walk over single events and SQL agree on every rule; what is absent is no match and no error."""

from __future__ import annotations

import os
import random
from typing import Any

import polars as pl
import pytest
from sigma_events import by_engine, by_sql, by_walking, frame_of, tree_of

from headwater.detect.sigma_columns import Columns
from headwater.detect.sigma_explain import explain
from headwater.detect.sigma_plan import Plan
from headwater.detect.sigma_scan import Slice
from headwater.detect.sigma_tree import Leaf, Not, plain, restored

_TEXTS = (
    "cmd.exe", "C:\\Windows\\cmd.exe", "whoami", "WhoAmI /all", "a_b%c", "net  user", "", "é😀x", "-enc AAA", "10.1.2.3",
    "192.168.0.9", "fd00::1", "5", "12", "7.5", "true", "abcabc", "line\nwhoami", "x" * 400, "2026-03-02T03:04:05Z", "'q\"",
)  # fmt: skip
_FIELDS = ("Image", "CommandLine", "ParentImage", "Number", "Address", "When")
_MODIFIERS = (
    "", "", "|contains", "|contains", "|startswith", "|endswith", "|cased", "|contains|cased", "|endswith|cased", "|neq",
    "|contains|all", "|windash|contains", "|base64offset|contains", "|wide|base64offset|contains",
)  # fmt: skip
_REGEXES = ("who.mi", "^c.*exe$", "(?:net|user)\\s+\\w", "[0-9]{2,}", "a(?!x)", "x{300,}", "W[Hh]o")


def _value(pick: random.Random) -> str:
    text = pick.choice(_TEXTS)
    if text and pick.random() < 0.5:
        start = pick.randrange(len(text))
        text = text[start : start + pick.randint(1, 8)]
    if pick.random() < 0.3:
        text = text[: len(text) // 2] + pick.choice("*?") + text[len(text) // 2 :]
    return text.replace("\\", "\\\\")


def _item(pick: random.Random) -> tuple[str, Any]:
    field = pick.choice(_FIELDS)
    field = field.upper() if pick.random() < 0.2 else field
    which = pick.random()
    if which < 0.08:
        return f"{field}|re{pick.choice(('', '|i', '|s|m'))}", pick.choice(_REGEXES)
    if which < 0.14:
        return f"Number|{pick.choice(('lt', 'lte', 'gt', 'gte'))}", pick.choice((5, 7.5, 12))
    if which < 0.18:
        return "Address|cidr", pick.choice(("10.0.0.0/8", "192.168.0.0/16", "fc00::/7"))
    if which < 0.22:
        return f"{field}|exists", pick.choice((True, False))
    if which < 0.26:
        return field, None
    if which < 0.30:
        return f"{field}|fieldref{pick.choice(('', '|endswith', '|startswith', '|contains'))}", pick.choice(_FIELDS)
    if which < 0.33:
        return field, pick.choice((5, 12, True))
    if which < 0.36:
        return "When|hour", 3
    modifier = pick.choice(_MODIFIERS)
    many = modifier.endswith("all") or pick.random() < 0.4
    if "base64" in modifier:
        return field + modifier, pick.choice(("AAA", "who", "net"))
    return field + modifier, [_value(pick) for _ in range(pick.randint(2, 3))] if many else _value(pick)


def _detection(pick: random.Random) -> dict[str, Any]:
    names = ["sel_a", "sel_b", "flt_a", "flt_b"]
    held: dict[str, Any] = {n: dict(_item(pick) for _ in range(pick.randint(1, 2))) for n in names}
    if pick.random() < 0.15:
        held["sel_b"] = [t for t in (_value(pick) for _ in range(2)) if t.strip("*?")] or ["whoami"]
    held["condition"] = pick.choice(
        ("sel_a", "sel_a and not flt_a", "1 of sel_*", "all of sel_* and not 1 of flt_*", "not sel_a", "sel_a or not (sel_b and flt_a)",
         "not (sel_a or flt_b)", "all of them", "1 of them"),
    )  # fmt: skip
    return held


def _events(pick: random.Random, count: int) -> pl.DataFrame:
    made = []
    for _ in range(count):
        made.append({f: pick.choice(_TEXTS) for f in _FIELDS if f != "ParentImage" and pick.random() < 0.75})
    return frame_of([dict.fromkeys(_FIELDS[:2]) | m for m in made])


@pytest.mark.parametrize("seed", range(12 if os.environ.get("HEADWATER_LONG") else 2))
def test_three_readers_of_one_rule_agree(seed: int) -> None:
    pick = random.Random(20261122 + seed)
    frame = _events(pick, 120)
    detections = [_detection(pick) for _ in range(40)]
    trees = [tree_of(d) for d in detections]
    fired = 0
    for detection, tree, rows in zip(detections, trees, by_engine(trees, frame), strict=True):
        assert rows == by_walking(tree, frame), detection
        by_engine_of_sql = by_sql(tree, frame)
        assert by_engine_of_sql is None or rows == by_engine_of_sql, detection
        assert restored(plain(tree)) == tree
        fired += bool(rows)
    assert 10 < fired < 40


def test_rules_together_match_what_each_matches_alone() -> None:
    pick = random.Random(7)
    frame = _events(pick, 200)
    trees = [tree_of(_detection(pick)) for _ in range(60)]
    assert by_engine(trees, frame) == [by_engine([t], frame)[0] for t in trees]


def test_a_feed_without_the_column_and_one_without_rows() -> None:
    tree = tree_of("{s: {Nowhere|contains: abc}, f: {Nowhere: null}, condition: s or f}")
    frame = frame_of([{"Image": "x"}, {"Image": None}])
    assert by_engine([tree, Not(tree)], frame) == [[0, 1], []]
    assert by_engine([tree], frame.head(0)) == [[]]
    none = frame_of([{"Image": None, "CommandLine": None}])
    assert by_engine([tree_of("{s: {Image|contains: abc}, condition: not s}")], none) == [[0]]


def test_a_text_is_not_found_across_two_values() -> None:
    frame = frame_of([{"Image": "abc"}, {"Image": "def"}, {"Image": "abc\x00def"}])
    trees = [Leaf("Image", "text", restored(["leaf", "Image", "text", [True, "c\x00d", True], False, None]).value)]
    assert by_engine(trees, frame) == [[2]]


def test_spaces_in_a_field_name_are_no_difference() -> None:
    assert by_engine([tree_of("{s: {ThreatName: x}, condition: s}")], frame_of([{"Threat Name": "X"}])) == [[0]]


def test_an_event_says_where_it_matched() -> None:
    tree = tree_of("{s: {CommandLine|contains|all: [who, '-x']}, f: {Image|endswith: q}, condition: s and not f}")
    event = {"CommandLine": "é who -X", "Image": "p"}
    reasons = explain(tree, event, Columns(list(event)))
    assert reasons is not None
    assert [(r.column, r.start, r.length, r.absent) for r in reasons[:2]] == [
        ("CommandLine", 3, 3, False),
        ("CommandLine", 7, 2, False),
    ]
    assert reasons[2].absent
    assert explain(tree, event | {"Image": "pq"}, Columns(list(event))) is None


def test_hostile_values_cost_no_more_than_their_length() -> None:
    many = "".join(f"*{c}" for c in "abcdefghij") + "*never*"
    tree = tree_of({"s": {"CommandLine": many, "Image|re": "(?!x)(a+)+$"}, "condition": "s"})
    frame = frame_of([{"CommandLine": "abcdefghij" * 20_000, "Image": "x"}])
    assert by_engine([tree], frame) == [[]]


def test_only_gated_rules_are_awake() -> None:
    plan = Plan(Columns(["Image"]))
    numbers = [plan.add(tree_of(f"{{s: {{Image|contains: word{i}x}}, condition: s}}")) for i in range(300)]
    assert plan.close().ungated == []
    found = list(Slice(plan, frame_of([{"Image": "a word7x"}])).matches())
    assert [n for n, _ in found] == [numbers[7]]
