# SPDX-License-Identifier: Apache-2.0
"""The compiled form of a Sigma rule: a small tree of and, or, not and leaves, made from what pySigma parsed.

The form is plain data: :func:`plain` gives JSON values, :func:`restored` the tree again, so that a caller may keep the
compiled rules by the digest of their source. Specification: https://github.com/SigmaHQ/sigma-specification (version 2).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.types import (
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SpecialChars,
)

Values = Mapping[str, Sequence[str]]  # what ``%name%`` stands for under the modifier ``expand``


class Unsupported(Exception):
    """A part of a rule that is not evaluated here; the text says which."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a leaf is looked up over the values of its column (:mod:`sigma_look`), and by which texts, in lower case.

    ``others``: sets of texts any of which would do as well.
    """

    how: str
    texts: tuple[str, ...] = ()
    others: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Leaf:
    """One comparison. ``field`` None: a keyword, sought in all text of the event.

    ``op``: text (``value`` a tuple of literals and the wildcards ``*`` and ``?`` as :class:`Wild`), number, bool,
    null, exists, regex, cidr, compare (``value`` (operator, number)), part (``value`` (part of a time, number)), field
    (``value`` (name, starts, ends)). ``look`` is set where it was found out before and the leaf can be evaluated.
    """

    field: str | None
    op: str
    value: Any
    cased: bool = False
    look: Look | None = dataclasses.field(default=None, compare=False, repr=False)

    def __hash__(self) -> int:
        """Of a text without its wildcards: most leaves differ in more than these."""
        value = tuple(p for p in self.value if p.__class__ is str) if self.op == "text" else self.value
        return hash((self.field, self.op, value, self.cased))


@dataclass(frozen=True, slots=True)
class Wild:
    many: bool


@dataclass(frozen=True, slots=True)
class And:
    args: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Or:
    args: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Not:
    arg: Tree


Tree = Leaf | And | Or | Not


def leaves(tree: Tree) -> Iterator[tuple[Leaf, bool]]:
    """Every leaf, and whether it stands under an odd number of nots."""
    stack: list[tuple[Tree, bool]] = [(tree, False)]
    while stack:
        node, negated = stack.pop()
        if isinstance(node, Leaf):
            yield node, negated
        elif isinstance(node, Not):
            stack.append((node.arg, not negated))
        else:
            stack.extend((a, negated) for a in reversed(node.args))


def compiled(condition: Any, values: Values | None = None) -> Tree:
    """The tree of a parsed condition; ``values`` are what placeholders of the modifier ``expand`` stand for.

    Raises:
        Unsupported: a value or operator that is not evaluated here, or a placeholder without values.
    """
    if isinstance(condition, (ConditionAND, ConditionOR)):
        args = tuple(compiled(a, values) for a in condition.args)
        return And(args) if isinstance(condition, ConditionAND) else Or(args)
    if isinstance(condition, ConditionNOT):
        return Not(compiled(condition.args[0], values))
    if isinstance(condition, ConditionFieldEqualsValueExpression):
        return _leaf(condition.field, condition.value, values or {})
    if isinstance(condition, ConditionValueExpression):
        return _leaf(None, condition.value, values or {})
    raise Unsupported(f"condition {type(condition).__name__}")


def plain(tree: Tree, named: Callable[[Leaf], Any] | None = None) -> Any:
    """The tree as JSON values; ``named`` says what stands for a leaf, else its own form does."""
    if isinstance(tree, Leaf):
        return named(tree) if named is not None else form_of(tree)
    if isinstance(tree, Not):
        return ["not", plain(tree.arg, named)]
    return ["and" if isinstance(tree, And) else "or", *(plain(a, named) for a in tree.args)]


def form_of(leaf: Leaf) -> list[Any]:
    """A leaf as JSON values."""
    value = leaf.value
    if leaf.op == "text":
        value = [p if isinstance(p, str) else p.many for p in value]
    elif isinstance(value, tuple):
        value = list(value)
    look = leaf.look and [leaf.look.how, list(leaf.look.texts), [list(t) for t in leaf.look.others]]
    return ["leaf", leaf.field, leaf.op, value, leaf.cased, look]


class Leaves(Protocol):
    """Leaves by number."""

    def __getitem__(self, number: int, /) -> Leaf: ...


_NONE: Sequence[Leaf] = ()


def restored(form: Any, leaves: Leaves = _NONE) -> Tree:
    """The tree that :func:`plain` made JSON values of; a number stands for one of these leaves."""
    if form.__class__ is int:
        return leaves[form]
    word = form[0]
    if word == "not":
        return Not(restored(form[1], leaves))
    if word == "and" or word == "or":
        args = tuple([restored(a, leaves) for a in form[1:]])
        return And(args) if word == "and" else Or(args)
    return leaf_of(form)


_WILD = {True: Wild(True), False: Wild(False)}


def leaf_of(form: Sequence[Any]) -> Leaf:
    """The leaf that :func:`form_of` made JSON values of."""
    _, field, op, value, cased, look = form
    if op == "text":
        value = tuple([p if p.__class__ is str else _WILD[p] for p in value])
    elif value.__class__ is list:
        value = tuple(value)
    return Leaf(field, op, value, cased, look and Look(look[0], tuple(look[1]), tuple(map(tuple, look[2]))))


def _parts(value: SigmaString) -> tuple[str | Wild, ...]:
    parts: list[str | Wild] = []
    for part in value.s:
        if isinstance(part, str):
            parts.append(part)
        elif part in (SpecialChars.WILDCARD_MULTI, SpecialChars.WILDCARD_SINGLE):
            parts.append(Wild(part == SpecialChars.WILDCARD_MULTI))
        else:
            raise Unsupported(f"placeholder %{getattr(part, 'name', '?')}% has no values")
    return tuple(parts)


def _expanded(field: str | None, value: Any, values: Values) -> Tree:
    """One leaf for each way to fill the placeholders."""

    def fill(placeholder: Any) -> Iterator[str]:
        if not values.get(placeholder.name):
            raise Unsupported(f"placeholder %{placeholder.name}% has no values")
        yield from values[placeholder.name]

    return Or(tuple(_leaf(field, v, {}) for v in value.replace_placeholders(fill)))


def _leaf(field: str | None, value: Any, values: Values) -> Tree:
    if isinstance(value, SigmaExpansion):
        return Or(tuple(_leaf(field, v, values) for v in value.values))
    if isinstance(value, SigmaTimestampPart):
        return Leaf(field, "part", (value.timestamp_part.name.lower(), value.number))
    if isinstance(value, (SigmaString, SigmaRegularExpression)) and value.contains_placeholder():
        return _expanded(field, value, values)
    if isinstance(value, SigmaString):
        return Leaf(field, "text", _parts(value), isinstance(value, SigmaCasedString))
    if isinstance(value, SigmaNumber):
        return Leaf(field, "number", value.number)
    if isinstance(value, SigmaBool):
        return Leaf(field, "bool", bool(value))
    if isinstance(value, SigmaNull):
        return Leaf(field, "null", None)
    if isinstance(value, SigmaExists):
        return Leaf(field, "exists", bool(value))
    if isinstance(value, SigmaRegularExpression):
        flags = "".join(sorted(value.sigma_to_re_flag[f] for f in value.flags))
        pattern = str(value.regexp.original)
        return Leaf(field, "regex", f"(?{flags}){pattern}" if flags else pattern)
    if isinstance(value, SigmaCIDRExpression):
        return Leaf(field, "cidr", str(value.network))
    if isinstance(value, SigmaCompareExpression):
        return Leaf(field, "compare", (value.op.name, value.number.number))
    if isinstance(value, SigmaFieldReference):
        return Leaf(field, "field", (value.field, value.starts_with, value.ends_with))
    raise Unsupported(f"value {type(value).__name__}")
