# SPDX-License-Identifier: Apache-2.0
"""Conditions of YARA rules as trees of lists (JSON), as far as :mod:`headwater.formats.yara_judging` judges them.

What is understood but not judged is ``["any"]``; what is not understood is refused.

Format: https://virustotal.github.io/yara-x/docs/writing_rules/conditions/
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from headwater.formats.yara_judging import COMPARED, INTEGERS, Tree
from headwater.formats.yara_text import NotRead, Token

DEPTH_MOST, SUM_MOST = 30, 100
_WORDS = ("contains", "icontains", "startswith", "istartswith", "endswith", "iendswith", "iequals", "matches")
_BINARY = (("|",), ("^",), ("&",), ("<<", ">>"), ("+", "-"), ("*", "\\", "%"))
_UNKNOWN: Tree = ["any"]


def parse(tokens: Sequence[Token], patterns: Sequence[str], rules: Collection[str]) -> Tree:
    """The tree of a condition; ``patterns``: the names of the rule's patterns in order, ``rules``: rules before it.

    Raises:
        NotRead: the condition is not understood.
    """
    return _Parser(tokens, patterns, rules).whole()


class _Parser:
    def __init__(self, tokens: Sequence[Token], patterns: Sequence[str], rules: Collection[str]) -> None:
        self._tokens, self._at, self._depth = tokens, 0, 0
        self._patterns, self._rules = patterns, rules
        self._names: list[str] = []  # variables of the loops that we are in

    def whole(self) -> Tree:
        tree = self._or()
        if self._at != len(self._tokens):
            raise NotRead
        return tree

    def _peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._tokens[at][1] if at < len(self._tokens) else ""

    def _kind(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            raise NotRead
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _takes(self, *texts: str) -> bool:
        if self._at < len(self._tokens) and self._peek() in texts:
            self._at += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if self._next() != text:
            raise NotRead

    def _or(self) -> Tree:
        self._depth += 1
        if self._depth > DEPTH_MOST:
            raise NotRead
        parts = [self._and()]
        while self._takes("or"):
            parts.append(self._and())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else ["or", sorted(parts, key=_cost)]

    def _and(self) -> Tree:
        parts = [self._not()]
        while self._takes("and"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else ["and", sorted(parts, key=_cost)]

    def _not(self) -> Tree:
        if self._takes("not"):
            self._depth += 1
            if self._depth > DEPTH_MOST:
                raise NotRead
            tree = ["not", self._not()]
            self._depth -= 1
            return tree
        if self._takes("defined"):
            self._not()
            return _UNKNOWN
        return self._compared()

    def _compared(self) -> Tree:
        left = self._sum(0)
        if self._takes(*_WORDS):
            self._sum(0)
            return self._unless_more(_UNKNOWN)
        if self._peek() in COMPARED:
            sign = self._next()
            return self._unless_more(["cmp", sign, left, self._sum(0)])
        return left

    def _unless_more(self, tree: Tree) -> Tree:
        if self._peek() in (*COMPARED, *_WORDS):
            raise NotRead  # one comparison behind another
        return tree

    def _sum(self, level: int) -> Tree:
        if level == len(_BINARY):
            return self._unary()
        left = self._sum(level + 1)
        count = 0
        while self._peek() in _BINARY[level]:
            count += 1
            if count > SUM_MOST:
                raise NotRead
            sign = self._next()
            left = ["sum", sign, left, self._sum(level + 1)]
        if level == 0 and self._takes("of"):
            return self._of(left)
        return left

    def _unary(self) -> Tree:
        signed = False
        while self._takes("-", "~"):
            signed = True
        if signed:
            self._postfix()
            return _UNKNOWN
        return self._postfix()

    def _postfix(self) -> Tree:
        kind, text = self._kind(), self._next()
        if text == "(":
            tree = self._or()
            self._expect(")")
        elif kind == "pattern":
            return self._place(text)
        elif kind == "number":
            tree = _number(text)
            if self._takes("%"):  # "50% of them"; a remainder has a number behind it
                if self._peek() == "of":
                    return ["percent", tree]
                self._at -= 1
        elif kind in ("text", "regex"):
            tree = _UNKNOWN
        elif kind == "word":
            tree = self._word(text)
        else:
            raise NotRead
        while self._peek() in (".", "[", "("):
            tree = self._deeper()
        return tree

    def _deeper(self) -> Tree:
        sign = self._next()
        if sign == ".":
            self._next()
        elif sign == "[":
            self._or()
            self._expect("]")
        elif not self._takes(")"):
            self._or()
            while self._takes(","):
                self._or()
            self._expect(")")
        return _UNKNOWN

    def _word(self, text: str) -> Tree:
        if text in ("true", "false"):
            return ["is", text == "true"]
        if text == "filesize":
            return ["filesize"]
        if text in ("any", "all", "none"):
            return ["quantity", text]
        if text == "for":
            return self._for()
        if text == "with":
            return self._with()
        if text in ("and", "or", "not", "of", "in", "at", "them", "entrypoint"):
            raise NotRead
        if text in INTEGERS and self._peek() == "(":
            self._next()
            place = self._or()
            self._expect(")")
            return ["read", text, place]
        plain = self._peek() not in (".", "[", "(")
        if plain and text in self._rules and text not in self._names:
            return ["rule", text]
        return _UNKNOWN

    def _place(self, text: str) -> Tree:
        """A pattern: whether, how often, where, how long."""
        which = self._which("$" + text[1:])
        if text[0] == "$":
            if len(text) > 1 and text.endswith("*"):
                raise NotRead
            if self._takes("at"):
                return ["held", which, self._sum(0)]
            if self._takes("in"):
                self._range()
            return ["held", which]
        if text[0] == "#":
            if self._takes("in"):
                self._range()
                return ["count", which, True]
            return ["count", which, False]
        if self._takes("["):
            self._or()
            self._expect("]")
        return ["where", which]

    def _which(self, name: str) -> int:
        if name == "$":
            return -1  # the one that the loop is at
        if name not in self._patterns:
            raise NotRead
        return self._patterns.index(name)

    def _range(self) -> None:
        self._expect("(")
        self._sum(0)
        self._expect("..")
        self._sum(0)
        self._expect(")")

    def _set(self) -> tuple[list[int], list[Tree]]:
        """The patterns of a set, and what else stands in it."""
        every = list(range(len(self._patterns)))
        if self._takes("them"):
            return every, []
        self._expect("(")
        chosen: list[int] = []
        others: list[Tree] = []
        while True:
            text = self._peek()
            if self._kind() == "pattern" and text[0] == "$" and self._peek(1) in (",", ")"):
                self._next()
                if text.endswith("*"):
                    chosen += [n for n in every if self._patterns[n].startswith(text[:-1])]
                else:
                    chosen.append(self._which(text))
            elif self._kind() == "word" and self._peek(1) == "*":
                self._next()
                self._next()
                others.append(_UNKNOWN)
            else:
                others.append(self._or())
            if not self._takes(","):
                break
        self._expect(")")
        return chosen, others

    def _of(self, quantity: Tree) -> Tree:
        chosen, others = self._set()
        if self._takes("at"):
            self._sum(0)
        elif self._takes("in"):
            self._range()
        return ["of", quantity, [*(["held", n] for n in chosen), *others]]

    def _for(self) -> Tree:
        quantity = self._sum(len(_BINARY)) if self._peek() in ("any", "all", "none") else self._sum(1)
        if self._takes("of"):
            chosen, others = self._set()
            if others:
                raise NotRead
            return ["each", quantity, chosen, self._body()]
        names = [self._next()]
        while self._takes(","):
            names.append(self._next())
        self._expect("in")
        if self._takes("("):
            self._or()
            while self._takes("..", ","):
                self._or()
            self._expect(")")
        else:
            self._postfix()
        self._names += names
        body = self._body()
        del self._names[-len(names) :]
        return ["loop", quantity, body]

    def _with(self) -> Tree:
        names = []
        while True:
            names.append(self._next())
            self._expect("=")
            self._or()
            self._names.append(names[-1])
            if not self._takes(","):
                break
        body = self._body()
        del self._names[-len(names) :]
        return body

    def _body(self) -> Tree:
        self._expect(":")
        self._expect("(")
        body = self._or()
        self._expect(")")
        return body


def _cost(tree: Tree) -> int:
    """What is cheap to judge, and may be certain, comes first; the order of parts means nothing."""
    return ("is", "cmp", "held").index(tree[0]) if tree[0] in ("is", "cmp", "held") else 3


def _number(text: str) -> Tree:
    for end, factor in (("KB", 1 << 10), ("MB", 1 << 20)):
        if text.endswith(end):
            return ["number", int(text[:-2]) * factor]
    return _UNKNOWN if "." in text else ["number", int(text, 0 if text[:2] in ("0x", "0o") else 10)]
