# SPDX-License-Identifier: Apache-2.0
"""Many rules over the columns of one feed: every different leaf once, one automaton for each column, and each rule's gate.

A gate is a set of leaves of which at least one must match for the rule to match. Most rules see no leaf of their gate
match in a slice of events and cost nothing there. After the Aho-Corasick construction (Commun. ACM 18(6), 1975).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import ahocorasick_rs

from headwater.detect.sigma_columns import KEYWORDS, Columns
from headwater.detect.sigma_look import CONTAINS, ENDS, EQUAL, EVERY, STARTS, VERIFY, checked, look
from headwater.detect.sigma_ready import Brief, Pool
from headwater.detect.sigma_tree import And, Leaf, Not, Tree

FOUND = frozenset({EQUAL, CONTAINS, STARTS, ENDS})  # looked up is answered: nothing is left to be checked
_COSTS = {"null": 0, "exists": 0, "regex": 50, "cidr": 500, "compare": 500, "part": 500, "field": 50}
_Choice = Callable[[tuple[tuple[str, ...], ...]], tuple[str, ...]]


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
    others: tuple[tuple[str, ...], ...] = ()

    def worth(self) -> float:
        """How rare its texts are, by their length; whole values are mostly event numbers."""
        return min(map(len, self.texts), default=0) * (0.5 if self.how == EQUAL else 1.0)


@dataclass
class Dictionary:
    """What is sought in the values of one column: whole values, and texts within them by one automaton."""

    equal: dict[str, list[int]] = field(default_factory=dict)
    texts: dict[str, list[int]] = field(default_factory=dict)
    automaton: ahocorasick_rs.BytesAhoCorasick | None = None
    patterns: tuple[str, ...] = ()
    longest: int = 1  # bytes of the longest pattern
    tried: bool = False  # whether the texts were tried on a sample of values, see Plan.lay_aside

    def close(self) -> None:
        """Build the automaton of the texts gathered so far."""
        self.patterns = tuple(self.texts)
        self.automaton = None
        if self.patterns:
            texts = [p.encode("utf-8", "surrogatepass") for p in self.patterns]
            self.automaton, self.longest = ahocorasick_rs.BytesAhoCorasick(texts), max(map(len, texts))


class Plan:
    """Rules numbered as given, over the columns of one feed."""

    def __init__(self, columns: Columns, pool: Pool | None = None) -> None:
        """``pool``: the leaves of kept rules, which have their numbers there; what is not kept is numbered after them."""
        self.columns = columns
        self._pool = pool
        self._kept = 0 if pool is None else len(pool)
        self._used = bytearray(self._kept)  # of each leaf of the pool, whether a rule here has it
        self._known: dict[int, Need] = {}  # of leaves of the pool, those asked for
        self._new: list[Need] = []
        self.dictionaries: dict[str, Dictionary] = {}
        self._trees: list[Node | Brief] = []
        self.scopes: list[int] = []
        self.scope_trees: list[Node] = []
        self.gated: dict[int, list[int]] = {}
        self.ungated: list[int] = []
        self._costs: dict[int, int] = {}  # by the identity of a node
        self._nodes: dict[int, tuple[Node, Leaf]] = {}  # by the identity of a leaf, which lives as long
        self._numbers: dict[Leaf, int] = {}  # of leaves that were not kept
        self._scope_numbers: dict[Tree, int] = {}
        self._scopes_seen: dict[int, tuple[int, Tree]] = {}  # by identity
        self._of_kept: set[str] = set()  # fields of kept rules
        self._fields: tuple[str, ...] | None = None

    def add(self, held: Tree | Brief, scope: Tree | None = None) -> int:
        """Add a rule that matches only events of its scope; its number.

        Raises:
            Unsupported: a leaf that cannot be evaluated; the plan is as before.
        """
        if isinstance(held, Brief) and held.pool is not self._pool:
            held = held.tree()
        number = len(self._trees)
        if isinstance(held, Brief):
            for leaf in held.leaves:
                self._used[leaf] = 1
            self._of_kept.update(held.fields)
            self._trees.append(held)
            gate = held.gate
        else:
            checked(held)
            self._trees.append(self._node(held))
            gate = self.gate(number)
        self.scopes.append(-1 if scope is None else self._scope(scope))
        self._open(number, gate)
        return number

    def tree(self, number: int) -> Node:
        """A rule's tree; of a kept rule it is made when first asked for."""
        tree = self._trees[number]
        if isinstance(tree, Brief):
            tree = self._trees[number] = self._node(tree.tree())
        return tree

    def need(self, number: int) -> Need:
        """A leaf by its number."""
        if number >= self._kept or self._pool is None:
            return self._new[number - self._kept]
        known = self._known.get(number)
        if known is None:
            leaf = self._pool[number]
            found = look(leaf)
            known = self._known[number] = Need(leaf, (leaf.field or "").lower(), found.how, found.texts, found.others)
        return known

    def needs(self) -> list[Need]:
        """Every leaf of the rules here."""
        return [*(self.need(n) for n, used in enumerate(self._used) if used), *self._new]

    def gate(self, number: int) -> tuple[int, ...] | None:
        """Leaves of which one must match for a rule to match; None where no such are known."""
        return self._gate(self.tree(number))

    def _open(self, number: int, gate: Sequence[int] | None) -> None:
        """Give a rule its gate."""
        if gate is None:
            self.ungated.append(number)
        for leaf in gate or ():
            self.gated.setdefault(leaf, []).append(number)

    def _take_kept(self, pool: Pool) -> None:
        """Seek what the leaves of kept rules are looked up by, in the columns that the feed has."""
        used = self._used
        for column, (equal, texts) in pool.columns.items():
            if not self.columns.every(column):
                continue
            dictionary = self.dictionaries.setdefault(column, Dictionary())
            for mine, theirs in ((dictionary.equal, equal), (dictionary.texts, texts)):
                for text, numbers in theirs.items():
                    if wanted := [n for n in numbers if used[n]]:
                        mine[text] = [*wanted, *mine.get(text, ())]

    def close(self) -> Plan:
        """Build the automata; nothing can be added after."""
        if self._pool is not None:
            self._take_kept(self._pool)
        for dictionary in self.dictionaries.values():
            dictionary.close()
        self._fields = self.fields()
        return self

    def lay_aside(self, column: str, common: Iterable[int], rarest: _Choice) -> None:
        """Take patterns that a sample showed in many values of a column out of its automaton.

        Telling where they stand costs more than it saves. A leaf that other texts would do for as well is looked up by those
        that ``rarest`` chooses of them, if any; else it is checked where the rest of a rule leaves rows. Rules that had
        one as a gate are given another, or are looked at in every slice. What matches stays the same.
        """
        dictionary = self.dictionaries[column]
        leaves = sorted({leaf for number in common for leaf in dictionary.texts[dictionary.patterns[number]]})
        if not leaves:
            return
        self._costs.clear()
        gone = set(leaves)
        kept = {text: [n for n in numbers if n not in gone] for text, numbers in dictionary.texts.items()}
        dictionary.texts = {text: numbers for text, numbers in kept.items() if numbers}
        waiting: set[int] = set()
        for leaf in leaves:
            need = self.need(leaf)
            texts = rarest(need.others) if need.others else ()
            need = replace(need, how=VERIFY if texts else EVERY, texts=texts, others=())
            if leaf < self._kept:
                self._known[leaf] = need
            else:
                self._new[leaf - self._kept] = need
            for text in texts:
                dictionary.texts.setdefault(text, []).append(leaf)
            waiting.update(self.gated.pop(leaf, ()))
        for number in sorted(waiting):
            self._open(number, self.gate(number))  # what is left of its old gate wakes it too often, never too seldom
        self.ungated.sort()
        dictionary.close()

    def cost(self, node: Node) -> int:
        """How dear a row is that is asked whether it matches: what the automata found out is free, expressions are dearest."""
        known = self._costs.get(id(node))
        if known is None:
            if node.op == "leaf":
                need = self.need(node.leaf)
                known = 0 if need.how in FOUND else _COSTS.get(need.leaf.op, 5)
            else:
                known = sum(map(self.cost, node.args))
            self._costs[id(node)] = known
        return known

    def fields(self) -> tuple[str, ...]:
        """The fields whose values are looked at, in order of name."""
        if self._fields is not None:
            return self._fields
        found = {n.column for n in self._new} | {name.lower() for name in self._of_kept}
        found.update(n.leaf.value[0].lower() for n in self._new if n.leaf.op == "field")
        return tuple(sorted(found))

    def _scope(self, scope: Tree) -> int:
        seen = self._scopes_seen.get(id(scope))
        if seen is None:
            number = self._scope_numbers.get(scope)
            if number is None:
                number = self._scope_numbers[scope] = len(self.scope_trees)
                self.scope_trees.append(self._node(scope))
            seen = self._scopes_seen[id(scope)] = number, scope
        return seen[0]

    def _node(self, tree: Tree) -> Node:
        if isinstance(tree, Leaf):
            known = self._nodes.get(id(tree))
            if known is None:
                known = self._nodes[id(tree)] = self._compared(tree), tree
            return known[0]
        if isinstance(tree, Not):
            inner = self._node(tree.arg)
            opposite = {"never": "always", "always": "never"}.get(inner.op)
            return Node(opposite) if opposite else Node("not", args=(inner,))
        word, void, rest = ("and", "never", "always") if isinstance(tree, And) else ("or", "always", "never")
        args = []
        constant = False
        for arg in tree.args:
            node = self._node(arg)
            constant = constant or node.op == void
            if node.op != rest:
                args.append(node)
        if constant:
            return Node(void)
        return args[0] if len(args) == 1 else Node(word, args=tuple(args)) if args else Node(rest)

    def _compared(self, leaf: Leaf) -> Node:
        column = KEYWORDS if leaf.field is None else leaf.field.lower()
        if leaf.field is not None and not self.columns.every(column):
            return Node("always" if leaf.op == "null" or (leaf.op == "exists" and not leaf.value) else "never")
        number = None if self._pool is None else self._pool.number(leaf)
        if number is not None:
            self._used[number] = 1
            self._of_kept.update((column, leaf.value[0]) if leaf.op == "field" else (column,))
            return Node("leaf", number)
        if leaf.look is not None:  # of kept rules, whose leaves stand once each
            return Node("leaf", self._number(leaf, column))
        number = self._numbers.get(leaf)
        if number is None:
            number = self._numbers[leaf] = self._number(leaf, column)
        return Node("leaf", number)

    def _number(self, leaf: Leaf, column: str) -> int:
        number = self._kept + len(self._new)
        found = look(leaf)
        how, texts, others = found.how, found.texts, found.others
        if leaf.field is None:
            others = ()
            if any("\n" in t for t in texts):
                how, texts = EVERY, ()  # it may stand across two columns of the event
        self._new.append(Need(leaf, column, how, texts, others))
        dictionary = self.dictionaries.get(column)
        if dictionary is None:
            dictionary = self.dictionaries[column] = Dictionary()
        held = dictionary.equal if how == EQUAL else dictionary.texts
        for text in texts:
            of = held.get(text)
            if of is None:
                held[text] = [number]
            else:
                of.append(number)
        return number

    def _gate(self, node: Node) -> tuple[int, ...] | None:
        """Leaves of which one must match for the node to match; None where no such are known."""
        if node.op == "leaf":
            return None if self.need(node.leaf).how == EVERY else (node.leaf,)
        if node.op == "or":
            found: list[int] = []
            for arg in node.args:
                gate = self._gate(arg)
                if gate is None:
                    return None
                found += gate
            return tuple(found)
        if node.op == "and":
            gates = [g for g in map(self._gate, node.args) if g is not None]
            return gates[0] if len(gates) == 1 else max(gates, key=self._worth, default=None)
        return () if node.op == "never" else None

    def _worth(self, gate: tuple[int, ...]) -> tuple[float, int]:
        return min((self.need(n).worth() for n in gate), default=1e9), -len(gate)
