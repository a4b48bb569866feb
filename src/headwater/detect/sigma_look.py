# SPDX-License-Identifier: Apache-2.0
"""By which texts a leaf is looked up among many values, so that one pass over the values serves all leaves of a column.

What is said here depends on the leaf alone, so it is kept with the compiled rules. A text counts in lower case. Which of
the texts that a leaf may be looked up by are rare in the events at hand only a sample can tell (:mod:`sigma_plan`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from headwater.detect.sigma_leaf import compiled_regex, linear, tester, text_of, words
from headwater.detect.sigma_tree import And, Leaf, Look, Not, Or, Tree, Unsupported, Wild

# How a leaf is looked up over the values of its column.
EQUAL, CONTAINS, STARTS, ENDS, VERIFY, EVERY = "equal", "contains", "starts", "ends", "verify", "every"
LEAST = 3  # ASCII characters of a text that is rare whatever they are
_EVERYDAY = frozenset(" .,-_/\\:=\"'()$")  # signs that are found in most paths and command lines
_ALTERNATIVES, _CHOICES, _EITHER = 24, 4, 4

_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)
_Texts = tuple[str, ...]


def telling(text: str) -> bool:
    """Whether a text is rare enough for the automaton: three characters, or any that is not ASCII."""
    return len(text) >= LEAST or not text.isascii()


def _rare(text: str) -> bool:
    """Whether a text may be rare: as :func:`telling`, two characters of which one is no letter or digit, or a rare sign."""
    if telling(text):
        return True
    return not text.isalnum() if len(text) == 2 else bool(text) and not text.isalnum() and text not in _EVERYDAY


def literals(leaf: Leaf) -> _Texts | None:
    """Texts of which a matching value holds at least one, each of them :func:`telling`; None where none is known."""
    usable = (c for c in _choices(text_of(leaf)) if all(map(telling, c)))
    return next(usable, None)


def look(leaf: Leaf) -> Look:
    """How a leaf is looked up; as kept with it, else found out."""
    return leaf.look or _look(text_of(leaf))


def _look(leaf: Leaf) -> Look:
    fits = telling if leaf.field is None else _rare
    if leaf.op == "text":
        match words(leaf):
            case ():
                return Look(EQUAL, ("",))
            case (str(text),) if not leaf.cased:
                return Look(EQUAL, (text,))
            case (Wild(many=True), str(text), Wild(many=True)) if fits(text) and not leaf.cased:
                return Look(CONTAINS, (text,))
            case (str(text), Wild(many=True)) if fits(text) and not leaf.cased:
                return Look(STARTS, (text,))
            case (Wild(many=True), str(text)) if fits(text) and not leaf.cased:
                return Look(ENDS, (text,))
    first, *others = [c for c in _choices(leaf) if all(map(fits, c))] or [()]
    return Look(VERIFY, first, tuple(others)) if first else Look(EVERY)


def checked(tree: Tree) -> None:
    """Every leaf can be evaluated.

    Raises:
        Unsupported: one cannot.
    """
    if isinstance(tree, Leaf):
        if tree.look is None:
            _checked(tree)
    elif isinstance(tree, Not):
        checked(tree.arg)
    elif isinstance(tree, (And, Or)):
        for arg in tree.args:
            checked(arg)
    else:
        raise Unsupported(f"node {type(tree).__name__}")


def _checked(leaf: Leaf) -> None:
    # where its literals are known it was parsed; only what looks behind can still be refused
    if leaf.op == "regex" and (literals(leaf) is None or "(?<" in leaf.value) and not linear(leaf.value):
        compiled_regex(leaf.value)
    elif leaf.op in ("cidr", "compare", "part"):
        tester(leaf)


def _choices(leaf: Leaf) -> list[_Texts]:
    """Each a set of texts of which a matching value holds at least one; the longest first."""
    if leaf.op == "text":
        found = sorted({p.lower() for p in words(leaf) if isinstance(p, str)}, key=_length, reverse=True)
        return [(text,) for text in found[:_CHOICES]]
    if leaf.op != "regex":
        return []
    try:
        parsed = _parser.parse(leaf.value)
        if leaf.field is None and ("(?i" in leaf.value or parsed.state.flags & re.IGNORECASE):
            return []  # letters beyond ASCII may stand for its own, and keywords are looked up as they are written
        every = _required(parsed)
    except (re.error, RecursionError, OverflowError):
        return []
    return sorted(every, key=_preferred, reverse=True)[:_CHOICES]


def _length(text: str) -> tuple[int, str]:
    return len(text.encode("utf-8", "surrogatepass")), text


def _preferred(texts: _Texts) -> tuple[int, int, _Texts]:
    return min(map(len, texts)), -len(texts), texts


def _required(pattern: Any) -> list[_Texts]:
    """Sets of literals of which any match of a parsed expression holds one; ASCII only, in lower case."""
    found: list[_Texts] = []
    run: _Texts = ("",)
    for op, value in pattern:
        signs = _signs(op, value)
        if signs and len(run) * len(signs) <= _ALTERNATIVES:
            run = tuple(text + sign for text in run for sign in signs)
            if op not in _REPEATS or (value[0] == value[1] == 1 and value[2][0][0] not in _REPEATS):
                continue
        found.append(run)
        run = signs or ("",)
        if op is sre.SUBPATTERN:
            found += _required(value[3])
        elif op in _REPEATS and value[0] >= 1:
            found += _required(value[2])
        elif op is sre.BRANCH:
            found += _branches([_required(b) for b in value[1]])
    found.append(run)
    return [f for f in dict.fromkeys(found) if min(map(len, f)) > 0]


def _branches(each: Sequence[list[_Texts]]) -> list[_Texts]:
    """The best of each branch together; none where a branch needs no text."""
    if not each or not all(each):
        return []
    texts = tuple(dict.fromkeys(t for branch in each for t in max(branch, key=_preferred)))
    return [texts] if len(texts) <= _ALTERNATIVES else []


def _signs(op: Any, value: Any) -> _Texts:
    """The few ASCII characters, in lower case, of which an element of an expression begins and ends with one; else none."""
    if op in _REPEATS and value[0] >= 1 and len(value[2]) == 1:
        return _signs(*value[2][0])
    if op is sre.LITERAL:
        return (chr(value).lower(),) if value < 128 else ()
    if op is sre.IN and 0 < len(value) <= 2 * _EITHER and all(o is sre.LITERAL and v < 128 for o, v in value):
        either = tuple(dict.fromkeys(chr(v).lower() for _, v in value))
        return either if len(either) <= _EITHER else ()
    return ()
