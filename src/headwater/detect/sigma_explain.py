# SPDX-License-Identifier: Apache-2.0
"""Why one event matches a rule: which leaf matched which value, and at which bytes of it.

The same tree as the engine's, walked for one event at a time: slow, plain, and independent of dictionaries and automata,
so that it also says where the engine would be wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headwater.detect.sigma_columns import Columns, plain_value
from headwater.detect.sigma_leaf import tester
from headwater.detect.sigma_tree import And, Leaf, Not, Tree, Wild


@dataclass(frozen=True, slots=True)
class Reason:
    """One leaf that holds: the column and its value, and where in the value (bytes of UTF-8) it matched.

    ``absent``: the leaf stands under a NOT or asks for a missing value, and holds because nothing matched.
    """

    column: str | None
    sought: str
    value: str | None
    start: int = 0
    length: int = 0
    absent: bool = False

    def text(self) -> str:
        """As one line: ``CommandLine has "whoami" (bytes 7-12)``."""
        name = self.column or "keyword"
        if self.absent:
            return f"{name}: not {self.sought}"
        return f"{name}: {self.sought} (bytes {self.start}-{self.start + self.length - 1})"


def explain(tree: Tree, event: Mapping[str, Any], columns: Columns) -> tuple[Reason, ...] | None:
    """The leaves on which a match of this event rests, in the rule's order; None where it does not match."""
    if isinstance(tree, Leaf):
        return _leaf(tree, event, columns)
    if isinstance(tree, Not):
        if explain(tree.arg, event, columns) is not None:
            return None
        return (Reason(None, sought(tree.arg), None, absent=True),)
    if isinstance(tree, And):
        found: list[Reason] = []
        for arg in tree.args:
            mine = explain(arg, event, columns)
            if mine is None:
                return None
            found += mine
        return tuple(found)
    return next((r for r in (explain(a, event, columns) for a in tree.args) if r is not None), None)


def sought(tree: Tree) -> str:
    """What a leaf asks for, in one short word; of a larger tree the first leaves."""
    if not isinstance(tree, Leaf):
        args = (tree.arg,) if isinstance(tree, Not) else tree.args
        word = "not" if isinstance(tree, Not) else "all of" if isinstance(tree, And) else "one of"
        more = ", …" if len(args) > 3 else ""
        return f"{word} ({', '.join(sought(a) for a in args[:3])}{more})"
    if tree.op == "text":
        body = "".join(p if isinstance(p, str) else "*" if p.many else "?" for p in tree.value)
    elif tree.op in ("compare", "part", "field"):
        body = " ".join(str(v) for v in tree.value)
    else:
        body = str(tree.value)
    word = tree.field or "keyword"
    return f"{word} {tree.op} {body[:120]!r}"


def _text(field: str, event: Mapping[str, Any], columns: Columns) -> tuple[str | None, str | None]:
    """The column that states a field in this event, and its value as text."""
    names = columns.every(field)
    for name in names:
        value = plain_value(event.get(name))
        if value is not None:
            return name, value
    return (names[0] if names else None), None


def _leaf(leaf: Leaf, event: Mapping[str, Any], columns: Columns) -> tuple[Reason, ...] | None:
    if leaf.field is None:
        return _keyword(leaf, event, columns)
    name, value = _text(leaf.field, event, columns)
    if leaf.op == "null" or (leaf.op == "exists" and not leaf.value):
        return (Reason(name or leaf.field, "a value", None, absent=True),) if value is None else None
    if value is None:
        return None
    if leaf.op == "exists":
        return (_reason(name, leaf, value, 0, len(value)),)
    if leaf.op == "field":
        return _reference(leaf, name, value, event, columns)
    found = tester(leaf)(value)
    return None if found is None else (_reason(name, leaf, value, *found),)


def _keyword(leaf: Leaf, event: Mapping[str, Any], columns: Columns) -> tuple[Reason, ...] | None:
    """Keywords are sought in all text of the event, a line for each column; told by the column where they stand."""
    stated = [(n, v) for n in columns.spoken() if (v := plain_value(event.get(n))) is not None]
    test = tester(leaf)
    for name, value in stated:
        found = test(value)
        if found is not None:
            return (_reason(name, leaf, value, *found),)
    whole = "\n".join(v for _, v in stated)
    found = test(whole)
    return None if found is None else (_reason(None, leaf, whole, *found),)


def _reference(
    leaf: Leaf, name: str | None, value: str, event: Mapping[str, Any], columns: Columns
) -> tuple[Reason, ...] | None:
    other, starts, ends = leaf.value
    _, text = _text(other, event, columns)
    if text is None:
        return None
    kept = Leaf(leaf.field, "text", (*([Wild(True)] if ends else []), text, *([Wild(True)] if starts else [])))
    found = tester(kept)(value)
    return None if found is None else (_reason(name, leaf, value, *found),)


def _reason(name: str | None, leaf: Leaf, value: str, start: int, end: int) -> Reason:
    """Characters as bytes of UTF-8; where lower case has another length than the value, as near as can be said."""
    before, found = value[:start], value[start:end]
    return Reason(
        name,
        sought(leaf),
        value,
        len(before.encode("utf-8", "surrogatepass")),
        len(found.encode("utf-8", "surrogatepass")),
    )
