# SPDX-License-Identifier: Apache-2.0
"""Many rules over the columns of one feed: every different leaf once, one automaton for each column, and each rule's gate.

A gate is a set of leaves of which at least one must match for the rule to match. Most rules see no leaf of their gate
match in a slice of events and cost nothing there. After the Aho-Corasick construction (Commun. ACM 18(6), 1975).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import ahocorasick_rs

from headwater.detect.sigma_columns import KEYWORDS, Columns
from headwater.detect.sigma_leaf import compiled_regex, linear, literals, telling, tester, text_of, words
from headwater.detect.sigma_tree import And, Leaf, Not, Or, Tree, Unsupported, Wild

# How a leaf is looked up over the values of its column.
EQUAL, CONTAINS, STARTS, ENDS, VERIFY, EVERY = "equal", "contains", "starts", "ends", "verify", "every"
_FOUND = frozenset({EQUAL, CONTAINS, STARTS, ENDS})
_COSTS = {"null": 0, "exists": 0, "regex": 50, "cidr": 500, "compare": 500, "part": 500, "field": 50}


@dataclass(frozen=True, slots=True)
class Node:
    """A rule's tree over numbered leaves. ``op``: leaf (``leaf`` its number), and, or, not, never, always."""

    op: str
    leaf: int = -1
    args: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Need:
    """A leaf of the plan: its column (a field's name in lower case), how it is looked up, and by which texts."""

    leaf: Leaf
    column: str
    how: str
    texts: tuple[str, ...] = ()


@dataclass
class Dictionary:
    """What is sought in the values of one column: whole values, and texts within them by one automaton."""

    equal: dict[str, list[int]] = field(default_factory=dict)
    texts: dict[str, list[int]] = field(default_factory=dict)
    automaton: ahocorasick_rs.BytesAhoCorasick | None = None
    patterns: tuple[str, ...] = ()
    tried: bool = False  # whether the texts were tried on a sample of values, see Plan.lay_aside

    def close(self) -> None:
        """Build the automaton of the texts gathered so far."""
        self.patterns = tuple(self.texts)
        if self.patterns:
            self.automaton = ahocorasick_rs.BytesAhoCorasick(
                [p.encode("utf-8", "surrogatepass") for p in self.patterns]
            )


class Plan:
    """Rules numbered as given, over the columns of one feed."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.needs: list[Need] = []
        self.dictionaries: dict[str, Dictionary] = {}
        self.trees: list[Node] = []
        self.scopes: list[int] = []
        self.scope_trees: list[Node] = []
        self.gated: dict[int, list[int]] = {}
        self.ungated: list[int] = []
        self._costs: dict[int, int] = {}  # by the identity of a node
        self._numbers: dict[Leaf, int] = {}
        self._scope_numbers: dict[Tree, int] = {}

    def add(self, tree: Tree, scope: Tree | None = None) -> int:
        """Add a rule that matches only events of its scope; its number.

        Raises:
            Unsupported: a leaf that cannot be evaluated; the plan is as before.
        """
        _checked(tree)
        node = self._node(tree)
        number = len(self.trees)
        self.trees.append(node)
        self.scopes.append(-1 if scope is None else self._scope(scope))
        gate = self._gate(node)
        if gate is None:
            self.ungated.append(number)
        for leaf in gate or ():
            self.gated.setdefault(leaf, []).append(number)
        return number

    def close(self) -> Plan:
        """Build the automata; nothing can be added after."""
        for dictionary in self.dictionaries.values():
            dictionary.close()
        return self

    def lay_aside(self, column: str, common: Iterable[int]) -> None:
        """Take patterns that a sample showed in many values of a column out of its automaton.

        Telling where they stand costs more than it saves: their leaves are checked where the rest of a rule leaves rows,
        and rules that have them as a gate are looked at in every slice. What matches stays the same.
        """
        self._costs.clear()
        dictionary = self.dictionaries[column]
        leaves = {leaf for number in common for leaf in dictionary.texts[dictionary.patterns[number]]}
        for leaf in leaves:
            self.needs[leaf] = replace(self.needs[leaf], how=EVERY, texts=())
            self.ungated += self.gated.pop(leaf, [])
        self.ungated = sorted(set(self.ungated))
        kept = {text: [n for n in numbers if n not in leaves] for text, numbers in dictionary.texts.items()}
        dictionary.texts = {text: numbers for text, numbers in kept.items() if numbers}
        dictionary.close()

    def cost(self, node: Node) -> int:
        """How dear a row is that is asked whether it matches: what the automata found out is free, expressions are dearest."""
        known = self._costs.get(id(node))
        if known is None:
            if node.op == "leaf":
                need = self.needs[node.leaf]
                known = 0 if need.how in _FOUND else _COSTS.get(need.leaf.op, 5)
            else:
                known = sum(map(self.cost, node.args))
            self._costs[id(node)] = known
        return known

    def fields(self) -> tuple[str, ...]:
        """The fields whose values are looked at, in order of name."""
        found = {n.column for n in self.needs}
        found.update(n.leaf.value[0].lower() for n in self.needs if n.leaf.op == "field")
        return tuple(sorted(found))

    def _scope(self, scope: Tree) -> int:
        if scope not in self._scope_numbers:
            self._scope_numbers[scope] = len(self.scope_trees)
            self.scope_trees.append(self._node(scope))
        return self._scope_numbers[scope]

    def _node(self, tree: Tree) -> Node:
        if isinstance(tree, Leaf):
            column = KEYWORDS if tree.field is None else tree.field.lower()
            if tree.field is not None and not self.columns.every(column):
                return Node("always" if tree.op == "null" or (tree.op == "exists" and not tree.value) else "never")
            return Node("leaf", self._number(tree, column))
        if isinstance(tree, Not):
            inner = self._node(tree.arg)
            opposite = {"never": "always", "always": "never"}.get(inner.op)
            return Node(opposite) if opposite else Node("not", args=(inner,))
        word, void, rest = ("and", "never", "always") if isinstance(tree, And) else ("or", "always", "never")
        args = [n for n in map(self._node, tree.args) if n.op != rest]
        if any(n.op == void for n in args):
            return Node(void)
        return args[0] if len(args) == 1 else Node(word, args=tuple(args)) if args else Node(rest)

    def _number(self, leaf: Leaf, column: str) -> int:
        known = self._numbers.get(leaf)
        if known is not None:
            return known
        number = self._numbers[leaf] = len(self.needs)
        how, texts = _how(leaf)
        if leaf.field is None and any("\n" in t for t in texts):
            how, texts = EVERY, ()  # it may stand across two columns of the event
        self.needs.append(Need(leaf, column, how, texts))
        dictionary = self.dictionaries.setdefault(column, Dictionary())
        for text in texts:
            (dictionary.equal if how == EQUAL else dictionary.texts).setdefault(text, []).append(number)
        return number

    def _gate(self, node: Node) -> frozenset[int] | None:
        if node.op == "never":
            return frozenset()
        if node.op == "leaf":
            return None if self.needs[node.leaf].how == EVERY else frozenset((node.leaf,))
        if node.op == "or":
            gates = [self._gate(a) for a in node.args]
            return None if None in gates else frozenset(leaf for g in gates for leaf in g or ())
        if node.op == "and":
            found = [g for g in map(self._gate, node.args) if g is not None]
            return max(found, key=self._worth, default=None)
        return None

    def _worth(self, gate: frozenset[int]) -> tuple[float, int]:
        """Long texts are rare texts; whole values are mostly event numbers, which are not."""
        lengths = [
            min((len(t) for t in self.needs[n].texts), default=0) * (0.5 if self.needs[n].how == EQUAL else 1.0)
            for n in gate
        ]
        return min(lengths, default=1e9), -len(gate)


def _checked(tree: Tree) -> None:
    """Every leaf can be evaluated.

    Raises:
        Unsupported: one cannot.
    """
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, Leaf):
            # where its literals are known it was parsed; only what looks behind can still be refused
            if node.op == "regex" and (literals(node) is None or "(?<" in node.value) and not linear(node.value):
                compiled_regex(node.value)
            elif node.op in ("cidr", "compare", "part"):
                tester(node)
        elif isinstance(node, Not):
            stack.append(node.arg)
        elif isinstance(node, (And, Or)):
            stack.extend(node.args)
        else:
            raise Unsupported(f"node {type(node).__name__}")


def _how(leaf: Leaf) -> tuple[str, tuple[str, ...]]:
    leaf = text_of(leaf)
    if leaf.op == "text":
        parts = words(leaf)
        match parts:
            case ():
                return EQUAL, ("",)
            case (str(text),):
                return (VERIFY, (text.lower(),)) if leaf.cased and telling(text) else _whole(leaf, text)
            case _ if leaf.cased:
                return _verified(leaf)
            case (Wild(many=True), str(text), Wild(many=True)) if telling(text):
                return CONTAINS, (text,)
            case (str(text), Wild(many=True)) if telling(text):
                return STARTS, (text,)
            case (Wild(many=True), str(text)) if telling(text):
                return ENDS, (text,)
        return _verified(leaf)
    return _verified(leaf) if leaf.op == "regex" else (EVERY, ())


def _whole(leaf: Leaf, text: str) -> tuple[str, tuple[str, ...]]:
    return (EVERY, ()) if leaf.cased else (EQUAL, (text,))


def _verified(leaf: Leaf) -> tuple[str, tuple[str, ...]]:
    texts = literals(leaf)
    return (VERIFY, texts) if texts else (EVERY, ())
