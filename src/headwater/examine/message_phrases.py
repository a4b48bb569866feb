# SPDX-License-Identifier: Apache-2.0
"""The phrases of :mod:`headwater.examine.message_rules`, matched by the compiled scanner.

It goes through the rules of each text's process in order. A phrase it settles itself; where a rule is a regex and the text
begins as that says, it leaves the text open, and :mod:`headwater.examine.messages` goes through the rules for it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headwater.examine import line_templates
from headwater.examine.line_blocks import Lines
from headwater.examine.line_templates import Field, Literal, Part
from headwater.examine.line_views import Bytes, Flags, Ints, Texts, numbers
from headwater.examine.message_rules import RULES
from headwater.formats import compiled

_SORTS = {"": 1, "#": 2, "*": 3}  # as in messages.c, where a literal is 0
_OPEN = -2
_MOST_NAMES = 2048  # distinct processes in a block


@dataclass(frozen=True, slots=True)
class Phrased:
    """The rule of every text (-1: none; where ``open``, to be asked), the fields found, and whether all addresses are plain."""

    rule: Ints
    columns: dict[str, tuple[Flags | None, pl.Series]]  # which rows have the field, and the values of all rows
    plain: bool

    @property
    def open(self) -> Flags:
        rows: Flags = self.rule == _OPEN
        return rows


@dataclass(frozen=True, slots=True)
class _Program:
    """The rules as messages.c reads them, and the names of their fields."""

    pool: Bytes
    rules: NDArray[np.int32]
    parts: NDArray[np.int32]
    fields: tuple[str, ...]
    counted: frozenset[str]


@functools.cache
def _program() -> _Program:
    pool = bytearray()
    rules: list[tuple[int, ...]] = []
    parts: list[tuple[int, ...]] = []
    fields: dict[str, int] = {}

    def pooled(text: bytes) -> tuple[int, int]:
        pool.extend(text)
        return len(pool) - len(text), len(text)

    counted = set()
    for rule in RULES:
        start = pooled(rule.start.encode())
        if not rule.template:
            rules.append((*start, 0, -1, 0))
            continue
        own = line_templates.parts(rule.template[len(rule.start) :])
        star = next((i for i, p in enumerate(own) if isinstance(p, Field) and p.sort == "*"), len(own))
        rules.append((*start, len(parts), len(own), star))
        for number, part in enumerate(own):
            if isinstance(part, Literal):
                parts.append((0, *pooled(part.text), 0, 0, 0))
                continue
            if part.sort == "#":
                counted.add(part.name)
            left, right = _glues(own, number)
            parts.append((_SORTS[part.sort], 0, 0, fields.setdefault(part.name, len(fields)), left, right))
    rows, own_parts = (np.array(x, dtype=np.int32) for x in (rules, parts))
    return _Program(np.frombuffer(bytes(pool), dtype=np.uint8), rows, own_parts, tuple(fields), frozenset(counted))


def _glues(parts: Sequence[Part], number: int) -> tuple[int, int]:
    """How much of the literals beside a word touches it."""
    before = parts[number - 1] if number else None
    behind = parts[number + 1] if number + 1 < len(parts) else None
    left = len(before.text.rpartition(b" ")[2]) if isinstance(before, Literal) else 0
    right = len(behind.text.partition(b" ")[0]) if isinstance(behind, Literal) else 0
    return left, right


@functools.lru_cache(maxsize=256)
def _lists(groups: tuple[tuple[int, ...], ...]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    order = np.array([number for group in groups for number in group], dtype=np.int32)
    return order, np.cumsum([0, *(len(group) for group in groups)]).astype(np.int32)


def phrased(texts: Lines, group: Ints, groups: Sequence[tuple[int, ...]]) -> Phrased | None:
    """What phrases say of each text, whose rules are those of its group (none where that is negative); None without the library."""
    library = compiled.library()
    if library is None:
        return None
    program, rows, at = _program(), len(texts), compiled.at
    order, bounds = _lists(tuple(groups))
    rule = np.empty(rows, dtype=np.int64)
    values = np.zeros((len(program.fields), rows), dtype=np.int64)
    found = Texts(texts.data, rows, program.fields)
    start, end, group = compiled.whole(texts.start), compiled.whole(texts.end), compiled.whole(group)
    user, address = (program.fields.index(name) for name in ("user", "src_ip"))
    odd = compiled.checked(
        library.hw_phrases(
            at(texts.data), len(texts.data), at(start), at(end), rows, at(group), at(order), at(bounds), at(program.pool),
            at(program.rules), at(program.parts), len(program.fields), user, address, at(rule), at(values), *found.places(),
        )
    )  # fmt: skip
    return Phrased(rule, _columns(program, found, values, rows), odd == 0)


def _columns(program: _Program, found: Texts, values: NDArray[Any], rows: int) -> dict[str, Any]:
    columns: dict[str, tuple[Flags | None, pl.Series]] = {}
    for number, name in enumerate(program.fields):
        there = found.there(number, rows)
        if there is None:
            continue
        whole = there.all()
        series = numbers(values[number], there) if name in program.counted else found.column(number, rows)
        columns[name] = (None if whole else there, series)
    return columns


def numbered_names(data: Bytes, start: Ints, end: Ints) -> tuple[Ints, list[str]] | None:
    """For each row the number of the name data[start:end] ("" where the end is before the start), and the names."""
    library = compiled.library()
    if library is None:
        return None
    rows, at = len(start), compiled.at
    codes, first = np.empty(rows, dtype=np.int64), np.empty(min(rows, _MOST_NAMES), dtype=np.int64)
    start, end = compiled.whole(start), compiled.whole(end)
    count = compiled.checked(library.hw_names(at(data), len(data), at(start), at(end), rows, at(codes), at(first)))
    if count > _MOST_NAMES:
        return None
    return codes, [data[start[row] : max(start[row], end[row])].tobytes().decode() for row in first[:count].tolist()]
