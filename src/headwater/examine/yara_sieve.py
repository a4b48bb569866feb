# SPDX-License-Identifier: Apache-2.0
"""A sieve before YARA rules: tells of a content that no rule can match it, several times as fast as the engine looks.

1. Of each pattern the plan (:mod:`headwater.examine.yara_plan`) knows fixed bytes that stand wherever it matches. Of these a
   window of seven is looked for: four neighbouring places of it are each the beginning of four bytes, and one of the four
   lies at a multiple of four. So only every fourth place of the content is looked at, as one number (where some pattern is
   ``nocase``, with its letters made small).
2. A place whose number is one of those is compared with the fixed bytes themselves.
3. The conditions of rules whose bytes were found are judged; all other closed rules cannot hold.
4. Open rules, which may hold without, are judged by what else is known (size, head); the engine
   looks for the rest of them.

What it lets through is looked at by all rules as if there were no sieve; it never tells anything itself. So a sieve changes
what a look costs and not what it says. Where it costs more than it spares it is asked only now and then.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from headwater.formats.yara_judging import NEVER, Known, judge

NOTHING, OPEN, ALL = 0, 1, 2  # no rule can match; none but open ones can; any may

LEAST = 16 << 10  # bytes: smaller contents go to the engine at once
BLOCK = 128 << 10
CHECKED_LEAST, CHECKED_SHARE = 2_000, 512  # so many places are compared, and one more for each so many bytes
OPEN_MOST = 100  # open rules that are judged one by one
_LEARNT, _JUDGED, _FORGOTTEN, _ASKED_EACH = 2 << 20, 8 << 20, 64 << 20, 8
# two ways to make a place in a table of a number: the first table stays in the processor's cache, the second is for what it lets through
_FACTOR, _SHIFT = np.uint32(0x9E3779B1), np.uint32(32 - 18)
_FACTOR_2, _SHIFT_2 = np.uint32(0x85EBCA6B), np.uint32(32 - 20)
_SMALL = np.uint32(0x20202020)


class Worth:
    """Whether asking a sieve pays: seconds spent on it against seconds of the engine that it spared.

    Both answers lead to the same matches, so what a clock says changes no result. The engine's own rate is learnt first.
    """

    def __init__(self) -> None:
        self._engine = [0.0, 0.0]  # bytes, seconds
        self._asked = [0.0, 0.0, 0.0]  # bytes, bytes of which the engine was spared, seconds
        self._passed = 0

    def __call__(self, size: int) -> bool:
        """Whether to ask for a content of this size."""
        if size < LEAST or self._engine[0] < _LEARNT:
            return False
        if self._asked[0] >= _JUDGED and self._asked[2] * self._engine[0] > self._asked[1] * self._engine[1]:
            self._passed += 1
            return self._passed % _ASKED_EACH == 0
        return True

    def looked(self, size: int, seconds: float) -> None:
        """The engine looked at so many bytes with all rules."""
        if size >= LEAST:
            self._engine = _added(self._engine, [size, seconds])

    def asked(self, size: int, spared: bool, seconds: float) -> None:
        """The sieve was asked, and the engine about the open rules where they were left."""
        self._asked = _added(self._asked, [size, size if spared else 0, seconds])


def _added(before: list[float], more: list[float]) -> list[float]:
    """Sums; what is long ago counts half."""
    found = [a + b for a, b in zip(before, more, strict=True)]
    return [f / 2 for f in found] if found[0] > _FORGOTTEN else found


class Sieve:
    """One set of rules, in one process."""

    def __init__(self, plan: bytes) -> None:
        made = json.loads(plan)
        self._rules: list[dict[str, Any]] = made["rules"]
        self._literals = [(bytes.fromhex(text), bool(nocase)) for text, nocase, _ in made["literals"]]
        self._small = _SMALL if any(nocase for _, nocase in self._literals) else np.uint32(0)
        grams: dict[int, list[tuple[int, int]]] = {}
        for number, (text, _, window) in enumerate(made["literals"]):
            data = bytes.fromhex(text)
            for at in range(window, window + 4) if window >= 0 else ():
                gram = int.from_bytes(data[at : at + 4], "little") | int(self._small)
                grams.setdefault(gram, []).append((number, at))
        ordered = sorted(grams)
        self._grams = np.array(ordered or [0], dtype=np.uint32)
        self._entries = [grams[g] for g in ordered] or [[]]
        self._marked, self._again = np.zeros(1 << 18, dtype=np.bool_), np.zeros(1 << 20, dtype=np.bool_)
        if ordered:
            self._marked[(self._grams * _FACTOR) >> _SHIFT] = True
            self._again[(self._grams * _FACTOR_2) >> _SHIFT_2] = True
        self._numbers = np.empty(BLOCK // 4, dtype=np.uint32)
        self._places = np.empty(BLOCK // 4, dtype=np.intp)
        self._hits = np.empty(BLOCK // 4, dtype=np.bool_)
        self._touched = self._leaning()
        self._open = [n for n, r in enumerate(self._rules) if r["open"] and not r["private"]]

    def _leaning(self) -> list[list[int]]:
        """For each literal the rules to be judged where it is found: those that have it, and those that lean on them."""
        found: list[dict[int, None]] = [{} for _ in self._literals]
        own: list[set[int]] = []
        for n, rule in enumerate(self._rules):
            literals = {literal for pattern in rule["patterns"] for literal in pattern["any"]}
            for other in _references(rule["tree"]):
                literals |= own[other]
            own.append(literals)
            if not rule["open"] and not rule["private"]:
                for literal in literals:
                    found[literal][n] = None
        return [list(f) for f in found]

    def ask(self, data: bytes) -> int:
        """Which rules may match: NOTHING, OPEN or ALL."""
        seen: set[int] = set()
        left = CHECKED_LEAST + len(data) // CHECKED_SHARE
        for base in range(0, len(data) - 3, BLOCK):
            fresh, checked = self._block(data, base, seen)
            left -= checked
            if left < 0:
                return ALL
            if fresh:
                seen |= fresh
                judged: dict[int, int] = {}
                rules = dict.fromkeys(n for literal in fresh for n in self._touched[literal])
                if any(self._judge(n, data, seen, judged) != NEVER for n in rules):
                    return ALL
        if len(self._open) > OPEN_MOST:
            return OPEN
        judged = {}
        return OPEN if any(self._judge(n, data, seen, judged) != NEVER for n in self._open) else NOTHING

    def _block(self, data: bytes, base: int, seen: set[int]) -> tuple[set[int], int]:
        """The literals found in one block that were not seen before, and how many places were compared."""
        count = min(BLOCK, len(data) - base) // 4
        content = np.frombuffer(data, dtype="<u4", count=count, offset=base)
        numbers, places, hits = self._numbers[:count], self._places[:count], self._hits[:count]
        if self._small:
            np.bitwise_or(content, self._small, out=numbers)
            np.multiply(numbers, _FACTOR, out=numbers)
        else:
            np.multiply(content, _FACTOR, out=numbers)
        np.right_shift(numbers, _SHIFT, out=numbers)
        np.copyto(places, numbers)
        np.take(self._marked, places, out=hits, mode="clip")
        found = hits.nonzero()[0]
        fresh: set[int] = set()
        grams = content[found] | self._small
        among = self._again[(grams * _FACTOR_2) >> _SHIFT_2]
        found, grams = found[among], grams[among]
        if not len(found):
            return fresh, 0
        which = np.searchsorted(self._grams, grams)
        np.minimum(which, len(self._grams) - 1, out=which)
        same = self._grams[which] == grams
        checked = 0
        for place, entry in zip(found[same].tolist(), which[same].tolist(), strict=True):
            checked += 1
            for literal, at in self._entries[entry]:
                if literal in seen or literal in fresh:
                    continue
                start = base + 4 * place - at
                if start >= 0 and self._same(literal, data, start):
                    fresh.add(literal)
        return fresh, checked

    def _judge(self, n: int, data: bytes, seen: set[int], judged: dict[int, int]) -> int:
        if n not in judged:
            patterns = self._rules[n]["patterns"]

            def held(which: int) -> bool:
                wanted = patterns[which]["any"]
                return not wanted or not seen.isdisjoint(wanted)

            def stands(which: int, place: int) -> bool:
                wanted = patterns[which]["at"]
                return not wanted or any(self._same(w, data, place) for w in wanted)

            known = Known(data, held, lambda other: self._judge(other, data, seen, judged), stands)
            judged[n] = judge(self._rules[n]["tree"], known)
        return judged[n]

    def _same(self, literal: int, data: bytes, place: int) -> bool:
        wanted, nocase = self._literals[literal]
        there = data[place : place + len(wanted)]
        return there == wanted or (nocase and there.lower() == wanted)


def _references(tree: Any) -> list[int]:
    """The numbers of the rules that a condition refers to."""
    if not isinstance(tree, list):
        return []
    if len(tree) == 2 and tree[0] == "rule":
        return [int(tree[1])]
    return [n for t in tree for n in _references(t)]
