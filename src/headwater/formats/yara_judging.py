# SPDX-License-Identifier: Apache-2.0
"""Whether the condition of a YARA rule can hold, from which of its patterns may stand in a content at all.

:func:`judge` says of a tree of :mod:`headwater.formats.yara_conditions` :data:`NEVER` (it cannot hold), :data:`MAYBE` or
:data:`SURE`. ``NEVER`` is certain whatever the rest of the content is; it covers what the engine calls undefined as well, so
only ``SURE`` is turned around by ``not``. What is not understood is ``MAYBE``.

Known are: patterns that cannot stand there, ``filesize``, integers read at a place that is known, rules referred to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

NEVER, MAYBE, SURE = 0, 1, 2
COMPARED = ("==", "!=", "<", "<=", ">", ">=")
_UNDEFINED = object()

Tree = list[Any]

INTEGERS: dict[str, tuple[int, Literal["big", "little"], bool]] = {
    f"{sign}int{bits}{order}": (bits // 8, "big" if order else "little", sign == "")
    for sign in ("u", "")
    for bits in (8, 16, 32)
    for order in ("", "be")
}


class Known:
    """What is known of a content while a rule is judged; without ``data`` nothing is."""

    def __init__(
        self, data: bytes | None, held: Callable[[int], bool], rule: Callable[[int], int],
        stands: Callable[[int, int], bool] = lambda which, place: True,
    ) -> None:  # fmt: skip
        self.data, self.held, self.rule, self.stands = data, held, rule, stands
        self.at: int | None = None  # the pattern that a loop is at


def judge(tree: Tree, known: Known) -> int:
    """Whether a condition can hold.

    ``known.held`` says of a pattern, by its number, whether it may stand in the content, ``known.stands`` whether it may begin
    at a place, ``known.rule`` what is judged of another rule.
    """
    name = tree[0]
    if name == "and":
        least = SURE
        for part in tree[1]:
            least = min(least, judge(part, known))
            if least == NEVER:
                break
        return least
    if name == "or":
        # what it is for ends at MAYBE; comparisons, which may be SURE, stand first
        return next((j for j in (judge(t, known) for t in tree[1]) if j != NEVER), NEVER)
    if name == "not":
        return NEVER if judge(tree[1], known) == SURE else MAYBE
    if name == "is":
        return SURE if tree[1] else NEVER
    if name == "held":
        return MAYBE if _held(tree[1], known) and _stands(tree, known) else NEVER
    if name == "rule":
        return min(known.rule(tree[1]), MAYBE)
    if name == "cmp":
        return _compare(tree[1], _value(tree[2], known), _value(tree[3], known))
    if name == "of":
        if tree[1] == ["quantity", "any"]:
            return MAYBE if any(judge(t, known) != NEVER for t in tree[2]) else NEVER
        return _enough(tree[1], len(tree[2]), sum(judge(t, known) != NEVER for t in tree[2]), known)
    if name == "each":
        return _each(tree, known)
    if name == "loop":
        # how often it goes round is not known, and of nothing all is so
        vacuous = tree[1][0] == "percent" or tree[1] == ["quantity", "all"] or _least(tree[1], 1, known) is None
        return MAYBE if vacuous else min(judge(tree[2], known), MAYBE)
    return MAYBE


def _held(which: int, known: Known) -> bool:
    if which < 0:
        if known.at is None:
            return True
        which = known.at
    return known.held(which)


def _stands(tree: Tree, known: Known) -> bool:
    """Whether a pattern may begin at the place that is asked for, where that is known."""
    place = _value(tree[2], known) if len(tree) == 3 else None
    return not isinstance(place, int) or place < 0 or tree[1] < 0 or known.stands(tree[1], place)


def _each(tree: Tree, known: Known) -> int:
    before, may = known.at, 0
    for which in tree[2]:
        known.at = which
        may += judge(tree[3], known) != NEVER
    known.at = before
    return _enough(tree[1], len(tree[2]), may, known)


def _enough(quantity: Tree, size: int, may: int, known: Known) -> int:
    least = _least(quantity, size, known)
    return NEVER if least is not None and may < least else MAYBE


def _least(quantity: Tree, size: int, known: Known) -> int | None:
    """How many of a set must be so at least; None where it may be none, or is not known."""
    if quantity[0] == "quantity":
        return {"any": 1, "all": max(size, 1)}.get(quantity[1]) if size else None
    if quantity[0] == "percent":
        share = _value(quantity[1], known)
        return 1 if isinstance(share, int) and share > 0 and size else None
    number = _value(quantity, known)
    return number if isinstance(number, int) and number > 0 else None


def _value(tree: Tree, known: Known) -> Any:
    """A number, _UNDEFINED, or None where it is not known."""
    name = tree[0]
    if name == "number":
        return tree[1]
    if name == "filesize":
        return None if known.data is None else len(known.data)
    if name == "count":
        return None if _held(tree[1], known) or tree[2] else 0
    if name == "where":
        return None if _held(tree[1], known) else _UNDEFINED
    if name == "read":
        place = _value(tree[2], known)
        if known.data is None or not isinstance(place, int):
            return None
        size, order, signed = INTEGERS[tree[1]]
        if place < 0 or place + size > len(known.data):
            return _UNDEFINED
        return int.from_bytes(known.data[place : place + size], order, signed=signed)
    if name == "sum" and tree[1] in "+-":
        left, right = _value(tree[2], known), _value(tree[3], known)
        if isinstance(left, int) and isinstance(right, int) and abs(left) < 1 << 40 and abs(right) < 1 << 40:
            return left + right if tree[1] == "+" else left - right
    return None


def _compare(sign: str, left: Any, right: Any) -> int:
    if left is _UNDEFINED or right is _UNDEFINED:
        return NEVER
    if left is None or right is None:
        return MAYBE
    holds = {
        "==": left == right, "!=": left != right, "<": left < right,
        "<=": left <= right, ">": left > right, ">=": left >= right,
    }[sign]  # fmt: skip
    return SURE if holds else NEVER
