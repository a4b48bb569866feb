# SPDX-License-Identifier: Apache-2.0
"""The exact check of one leaf against one text value, and what a value must hold for the check to succeed.

Values are compared as text: numbers as their decimal digits, booleans as ``true`` and ``false``. Case is ignored unless
the leaf is cased, by the lower-case mapping of Unicode.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, datetime
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.detect.addresses import parsed
from headwater.detect.sigma_tree import Leaf, Unsupported, Wild
from headwater.formats.patterns import lazy_regex

LONGEST = 16_384  # characters of a value that Python's own engine is given: it backtracks
LONGEST_FOR_RUST = 1 << 20
_LONGEST_PATTERN = 200
_SHORT = 20  # characters that most values have
_FEW = 4  # values that are asked one by one
_COUNTED = lazy_regex(r"\{(\d+),\d*\}\??$")

Marks = npt.NDArray[np.bool_]
Test = Callable[[str], tuple[int, int] | None]  # where in the value the leaf matches, in characters


def words(leaf: Leaf) -> tuple[str | Wild, ...]:
    """The parts of a text leaf: lower case unless cased, wildcards around a keyword, runs of ``*`` as one."""
    parts = tuple(p if isinstance(p, Wild) or leaf.cased else p.lower() for p in leaf.value)
    if leaf.field is None:
        parts = (Wild(True), *parts, Wild(True))
    squeezed: list[str | Wild] = []
    for part in parts:
        if squeezed and part == Wild(True) and squeezed[-1] == Wild(True):
            continue
        if squeezed and isinstance(part, str) and isinstance(squeezed[-1], str):
            squeezed[-1] += part
        else:
            squeezed.append(part)
    return tuple(squeezed)


def text_of(leaf: Leaf) -> Leaf:
    """A number or boolean leaf as the text leaf that it is."""
    if leaf.op in ("number", "bool"):
        return Leaf(leaf.field, "text", (str(leaf.value).lower(),))
    return leaf


@functools.lru_cache(maxsize=65536)
def tester(leaf: Leaf) -> Test:
    """The check of one value; where it matches, in characters of the value.

    Raises:
        Unsupported: an expression that cannot be compiled, or a leaf that is no check of one text.
    """
    leaf = text_of(leaf)
    if leaf.op == "text":
        return _wildcards(words(leaf), leaf.cased)
    if leaf.op == "regex":
        expression = compiled_regex(leaf.value)

        def search(value: str) -> tuple[int, int] | None:
            found = expression.search(value[:LONGEST])
            return found.span() if found else None

        return search
    check = _check(leaf)
    return lambda value: (0, len(value)) if check(value) else None


_address = functools.lru_cache(maxsize=1 << 16)(parsed)  # the same values in slice after slice, for range after range


def _check(leaf: Leaf) -> Callable[[str], bool]:
    if leaf.op == "cidr":
        net = ipaddress.ip_network(leaf.value, strict=False)
        low, high = int(net.network_address), int(net.broadcast_address)

        def within(value: str) -> bool:
            address = _address(value)
            return address is not None and address.version == net.version and low <= int(address) <= high

        return within
    if leaf.op == "compare":
        op, number = leaf.value
        if op not in COMPARE:
            raise Unsupported(f"comparison {op}")
        compare = COMPARE[op]

        def compared(value: str) -> bool:
            stated = number_of(value)
            return stated is not None and compare(stated, number)

        return compared
    if leaf.op == "part":
        part, number = leaf.value
        return lambda value: part_of(value, part) == number
    raise Unsupported(f"comparison {leaf.op}")


COMPARE: dict[str, Callable[[float, float], bool]] = {
    "LT": lambda a, b: a < b,
    "LTE": lambda a, b: a <= b,
    "GT": lambda a, b: a > b,
    "GTE": lambda a, b: a >= b,
    "NEQ": lambda a, b: a != b,
}


def number_of(value: str) -> float | None:
    """The decimal number (or ``0x`` integer) that a text states, else None; never NaN."""
    text = value.strip()
    try:
        number = float(int(text, 16)) if text[:2].lower() == "0x" else float(text)
    except (ValueError, OverflowError):
        return None
    return number if number == number else None


def part_of(value: str, part: str) -> int | None:
    """The minute, hour, day, week (ISO 8601), month or year of a text's time, in UTC; None where it states no time."""
    try:
        moment = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.isocalendar().week if part == "week" else int(getattr(moment, part))


@functools.lru_cache(maxsize=8192)
def compiled_regex(pattern: str) -> re.Pattern[str]:
    """Python's form of an expression.

    Raises:
        Unsupported: it is none.
    """
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise Unsupported(f"regular expression: {error}") from error


@functools.lru_cache(maxsize=8192)
def linear(pattern: str) -> bool:
    """Whether Rust's engine, whose time is linear in the text, takes the expression; long counted repeats are not for it."""
    if any(int(n) > 200 for n in re.findall(r"\{(\d+)", pattern)):
        return False
    try:
        pl.Series(["x"]).str.contains(pattern)
    except pl.exceptions.PolarsError:
        return False
    return True


@functools.lru_cache(maxsize=8192)
def decisive(pattern: str) -> str:
    """An expression that is found in the same texts as this one, without what decides nothing at its end.

    A tail that may be absent is left out, and of a counted repeat only the fewest are asked for: the engine that keeps all
    ways open pays for each of them. Each step is held against the parsed form; what does not fit it leaves the text alone.
    """
    for _ in range(8):
        shorter = _shorter(pattern)
        if shorter is None:
            break
        pattern = shorter
    return pattern


def _shorter(pattern: str) -> str | None:
    try:
        *head, (op, value) = _parser.parse(pattern)
    except (re.error, RecursionError, OverflowError, ValueError):
        return None
    if op not in (sre.MAX_REPEAT, sre.MIN_REPEAT) or len(pattern) > _LONGEST_PATTERN:
        return None
    least, most, repeated = value
    if least == most:
        return None
    if least:
        counted = _COUNTED.sub(r"{\1}", pattern)
        wanted = [*head, (sre.MAX_REPEAT, (least, least, repeated))]
        return counted if counted != pattern and _parses_as(counted, wanted) else None
    cuts = (pattern[:at] for at in range(len(pattern) - 1, 0, -1))
    return next((cut for cut in cuts if head and _parses_as(cut, head)), None)


def _parses_as(pattern: str, wanted: list[Any]) -> bool:
    try:
        return repr(list(_parser.parse(pattern))) == repr(wanted)
    except (re.error, RecursionError, OverflowError):
        return False


def in_lower(leaf: Leaf) -> bool:
    """Whether :func:`matching` looks at values in lower case."""
    return not leaf.cased and text_of(leaf).op == "text"


def matching(leaf: Leaf, values: pl.Series) -> Marks:
    """The check of many values at once; they are given in lower case where :func:`in_lower` says so.

    Raises:
        Unsupported: as :func:`tester`.
    """
    if leaf.op == "regex":
        least = shortest(leaf.value)
        if least > _SHORT:
            long = values.str.len_bytes() >= least
            if not long.all():
                marks = np.zeros(len(values), bool)
                marks[long.to_numpy()] = _expression(leaf, values.filter(long))
                return marks
        return _expression(leaf, values)
    if len(values) > _FEW and text_of(leaf).op == "text":
        found = _plain(text_of(leaf), values)
        if found is not None:
            return cast(Marks, found.to_numpy())
    return _each(leaf, values)


def _expression(leaf: Leaf, values: pl.Series) -> Marks:
    if not len(values) or not linear(leaf.value):
        return _each(leaf, values)
    longest = values.str.len_bytes().max()
    cut = values.str.slice(0, LONGEST_FOR_RUST) if cast(int, longest) > LONGEST_FOR_RUST else values
    return cast(Marks, cut.str.contains(decisive(leaf.value)).to_numpy())


def _each(leaf: Leaf, values: pl.Series) -> Marks:
    test = tester(leaf)
    return np.fromiter((test(v) is not None for v in values.to_list()), bool, len(values))


@functools.lru_cache(maxsize=8192)
def shortest(pattern: str) -> int:
    """At least so many characters, and so many bytes, has a text in which the expression is found."""
    try:
        return int(_parser.parse(pattern).getwidth()[0])
    except (re.error, RecursionError, OverflowError, ValueError):
        return 0


def _plain(leaf: Leaf, text: pl.Series) -> pl.Series | None:
    """A text with wildcards, sought in many values at once; None for one of nothing but wildcards."""
    match words(leaf):
        case (Wild(many=True), str(word), Wild(many=True)):
            return text.str.contains(word, literal=True)
        case (str(word), Wild(many=True)):
            return text.str.starts_with(word)
        case (Wild(many=True), str(word)):
            return text.str.ends_with(word)
        case (str(word),):
            return text == word
    if not any(isinstance(p, str) for p in words(leaf)):
        return None
    pattern = "".join(re.escape(p) if isinstance(p, str) else ".*" if p.many else "." for p in words(leaf))
    try:
        return text.str.contains(f"(?s)^{pattern}$")
    except pl.exceptions.PolarsError:  # too long for the engine
        return None


def _wildcards(parts: tuple[str | Wild, ...], cased: bool) -> Test:
    """Pieces between ``*`` found one after the other, leftmost first: never worse than the text times the pattern."""
    pieces: list[list[str]] = [[]]
    for part in parts:
        if isinstance(part, Wild) and part.many:
            pieces.append([])
        else:
            pieces[-1].append("." if isinstance(part, Wild) else re.escape(part))
    patterns = [re.compile("".join(p), re.DOTALL) for p in pieces]
    if len(patterns) == 1:
        whole = patterns[0]
        return lambda value: (0, len(value)) if whole.fullmatch(value if cased else value.lower()) else None
    first, *middle, last = patterns
    tail = len(_flat(parts))

    def test(value: str) -> tuple[int, int] | None:
        text = value if cased else value.lower()
        begun = first.match(text)
        if begun is None:
            return None
        at, start = begun.end(), 0 if pieces[0] else None
        end = at
        for piece in middle:
            found = piece.search(text, at)
            if found is None:
                return None
            start, at = (found.start() if start is None else start), found.end()
            end = at
        if not pieces[-1]:
            return start or 0, end
        begin = len(text) - tail
        if begin < at or last.fullmatch(text, begin) is None:
            return None
        return begin if start is None else start, len(text)

    return test


def _flat(parts: tuple[str | Wild, ...]) -> str:
    """One sign for each character of the last piece."""
    last: list[str] = []
    for part in parts:
        if isinstance(part, Wild) and part.many:
            last = []
        else:
            last.append("?" if isinstance(part, Wild) else part)
    return "".join(last)
