# SPDX-License-Identifier: Apache-2.0
"""Parses the text form of LVM2 metadata: sections in braces, assignments, numbers, strings and lists.

Grammar as in lvm.conf(5) and lvm2 ``libdm/libdm-config.c``. Bounded in depth and tokens; never recursive.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from headwater.formats.patterns import lazy_regex

Tree = dict[str, object]

_DEPTH = 16
_HIGHEST = 1 << 62
_TOKENS = 1_000_000
_TOKEN = lazy_regex(
    rb"""[\s,]+ | \#[^\n]* |
    (?P<string>"(?:[^"\\]|\\.)*") |
    (?P<number>[+-]?\d+(?:\.\d+)?(?![\w.])) |
    (?P<name>[A-Za-z0-9_.+-]+) |
    (?P<mark>[={}\[\]])""",
    re.VERBOSE,
)


def parse(text: bytes) -> Tree | None:
    """The content as nested dictionaries; None where it does not keep the grammar or a bound."""
    root: Tree = {}
    stack = [root]
    name: str | None = None
    awaiting = False  # a value after "="
    items: list[object] | None = None
    at = tokens = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        tokens += 1
        if match is None or tokens > _TOKENS:
            return None
        at = match.end()
        kind, token = match.lastgroup, match.group()
        if kind is None:
            continue
        if kind == "mark":
            if token == b"=" and name is not None and not awaiting:
                awaiting = True
            elif token == b"{" and name is not None and not awaiting and len(stack) < _DEPTH:
                below: Tree = {}
                stack[-1][name] = below
                stack.append(below)
                name = None
            elif token == b"}" and len(stack) > 1 and name is None:
                stack.pop()
            elif token == b"[" and awaiting and items is None:
                items = []
            elif token == b"]" and items is not None and name is not None:
                stack[-1][name] = items
                name, awaiting, items = None, False, None
            else:
                return None
        elif awaiting and name is not None and kind != "name":
            value = _value(kind, token)
            if items is not None:
                items.append(value)
            else:
                stack[-1][name] = value
                name, awaiting = None, False
        elif not awaiting and name is None and kind != "string":
            name = token.decode("ascii")
        else:
            return None
    return root if len(stack) == 1 and name is None else None


def _value(kind: str, token: bytes) -> object:
    if kind == "number":
        return int(token) if b"." not in token and len(token) < 20 else token.decode("ascii")
    return re.sub(rb"\\(.)", rb"\1", token[1:-1], flags=re.DOTALL).decode("utf-8", "surrogateescape")


def number(tree: Mapping[str, object], key: str) -> int:
    """A number under a key; 0 where there is none, or one that no volume could have."""
    value = tree.get(key)
    return value if isinstance(value, int) and 0 <= value < _HIGHEST else 0


def subtree(tree: Mapping[str, object], key: str) -> Tree:
    """The section under a key, empty where there is none."""
    value = tree.get(key)
    return value if isinstance(value, dict) else {}


def words(value: object) -> list[object]:
    """A list as it is; empty for what is none."""
    return value if isinstance(value, list) else []
