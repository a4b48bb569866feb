# SPDX-License-Identifier: Apache-2.0
"""The compiled form of a Sigma rule: a small tree of and, or, not and leaves, made from what pySigma parsed.

Specification: https://github.com/SigmaHQ/sigma-specification (version 2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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


class Unsupported(Exception):
    """A part of a rule that is not evaluated here; the text says which."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One comparison. ``field`` None: a keyword, sought in all text of the event.

    ``op``: text (``value`` a tuple of literals and the wildcards ``*`` and ``?`` as :class:`Wild`), number, bool,
    null, exists, regex, cidr, compare (``value`` (operator, number)), field (``value`` (name, starts, ends)).
    """

    field: str | None
    op: str
    value: Any
    cased: bool = False


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


def compiled(condition: Any) -> Tree:
    """The tree of a parsed condition.

    Raises:
        Unsupported: a value or operator that is not evaluated here.
    """
    if isinstance(condition, (ConditionAND, ConditionOR)):
        args = tuple(compiled(a) for a in condition.args)
        return And(args) if isinstance(condition, ConditionAND) else Or(args)
    if isinstance(condition, ConditionNOT):
        return Not(compiled(condition.args[0]))
    if isinstance(condition, ConditionFieldEqualsValueExpression):
        return _leaf(condition.field, condition.value)
    if isinstance(condition, ConditionValueExpression):
        return _leaf(None, condition.value)
    raise Unsupported(f"condition {type(condition).__name__}")


def _parts(value: SigmaString) -> tuple[str | Wild, ...]:
    parts: list[str | Wild] = []
    for part in value.s:
        if isinstance(part, str):
            parts.append(part)
        elif part in (SpecialChars.WILDCARD_MULTI, SpecialChars.WILDCARD_SINGLE):
            parts.append(Wild(part == SpecialChars.WILDCARD_MULTI))
        else:
            raise Unsupported("placeholder")
    return tuple(parts)


def _leaf(field: str | None, value: Any) -> Tree:
    if isinstance(value, SigmaExpansion):
        return Or(tuple(_leaf(field, v) for v in value.values))
    if isinstance(value, SigmaTimestampPart):
        raise Unsupported("time modifier")
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
