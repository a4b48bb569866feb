# SPDX-License-Identifier: Apache-2.0
"""A Sigma tree as a Polars expression over the columns that a feed has.

A missing value makes a leaf false and its NOT true; a column that the feed does not have is a column of missing
values, so it never takes a rule out of play.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from headwater.detect.addresses import parsed
from headwater.detect.sigma_tree import And, Leaf, Not, Or, Tree, Unsupported, Wild, leaves
from headwater.model.records import HEADER, OWN_PREFIX

# Sigma's field names for what stands in the header here (Sigma taxonomy appendix, linux and webserver).
_ALIASES: dict[str, tuple[str, ...]] = {
    "commandline": ("command_line",),
    "c-ip": ("src_ip",),
    "src_ip": ("src_ip",),
    "sourceip": ("src_ip",),
    "destinationip": ("dst_ip",),
    "cs-username": ("user",),
    "user": ("user",),
    "image": ("exe", "file_path"),
    "processid": ("pid",),
    "targetfilename": ("file_path",),
    "c-uri": ("cs-uri",),
    "c-uri-query": ("cs-uri-query",),
    "c-useragent": ("cs-user-agent",),
    "cs-user-agent": ("cs-user-agent",),
    "hostname": ("host",),
    "currentdirectory": ("cwd",),
}
# Header columns whose text a keyword is sought in, beside all own columns.
_SPOKEN = frozenset({"host", "user", "src_ip", "dst_ip", "process", "command_line", "file_path", "provider"})
_HEADER = frozenset(n for n, _ in HEADER) | {"ts"}
KEYWORDS = "\x00keywords"
_LOW = "\x00low."


class Columns:
    """The columns of one feed, found by Sigma's field names in any case."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.all = tuple(columns)
        self._own = {c.removeprefix(OWN_PREFIX).lower(): c for c in columns if c not in _HEADER}
        self._any = {c.lower(): c for c in columns}

    def find(self, field: str) -> str | None:
        """The source's own field of that name, else the header column that means it, else None."""
        name = field.lower()
        if name in self._own:
            return self._own[name]
        for alias in _ALIASES.get(name, ()):
            if alias in self._any:
                return self._any[alias]
        return self._any.get(name)

    def spoken(self) -> list[str]:
        """The columns in which keywords are sought."""
        return [c for c in self.all if c not in _HEADER or c in _SPOKEN]


def needed(trees: Iterable[Tree], columns: Columns) -> list[str]:
    """The columns that these trees read, in order of name."""
    found: set[str] = set()
    for tree in trees:
        for leaf, _ in leaves(tree):
            if leaf.field is None:
                found.update(columns.spoken())
                continue
            names = [leaf.field, leaf.value[0]] if leaf.op == "field" else [leaf.field]
            found.update(c for c in map(columns.find, names) if c is not None)
    return sorted(found)


def prepared(frame: Any, trees: Sequence[Tree], columns: Columns) -> Any:
    """The frame with each text column once more in lower case, and all text in one column where keywords need it."""
    read = needed(trees, columns)
    low = [pl.col(c).cast(pl.String).str.to_lowercase().alias(_LOW + c) for c in read]
    frame = frame.with_columns(low)
    if any(leaf.field is None for tree in trees for leaf, _ in leaves(tree)):
        text = [pl.col(c).cast(pl.String) for c in columns.spoken()]
        joined = pl.concat_str(text, separator="\n", ignore_nulls=True) if text else pl.lit("")
        frame = frame.with_columns(joined.alias(KEYWORDS)).with_columns(
            pl.col(KEYWORDS).str.to_lowercase().alias(_LOW + KEYWORDS)
        )
    return frame


def mask(tree: Tree, columns: Columns) -> pl.Expr:
    """The expression, never null, that is true on the events that match.

    Raises:
        Unsupported: a leaf that cannot be evaluated.
    """
    if isinstance(tree, And):
        return functools.reduce(lambda a, b: a & b, [mask(a, columns) for a in tree.args])
    if isinstance(tree, Or):
        return functools.reduce(lambda a, b: a | b, [mask(a, columns) for a in tree.args])
    if isinstance(tree, Not):
        return ~mask(tree.arg, columns)
    return _leaf(tree, columns).fill_null(False)


def _leaf(leaf: Leaf, columns: Columns) -> pl.Expr:
    column = KEYWORDS if leaf.field is None else columns.find(leaf.field)
    if column is None:
        return pl.lit(leaf.op == "null" or (leaf.op == "exists" and not leaf.value))
    if leaf.op == "text":
        return _text(column, leaf.value, leaf.cased, leaf.field is None)
    if leaf.op in ("number", "bool"):
        word = str(leaf.value).lower()
        low = pl.col(_LOW + column)
        return low.str.contains(word, literal=True) if leaf.field is None else low == word
    if leaf.op == "null":
        return pl.col(column).is_null()
    if leaf.op == "exists":
        return pl.col(column).is_not_null() if leaf.value else pl.col(column).is_null()
    if leaf.op == "regex":
        return _regex(column, leaf.value)
    if leaf.op == "cidr":
        return _cidr(column, leaf.value)
    if leaf.op == "compare":
        return _compare(column, *leaf.value)
    return _reference(column, leaf, columns)


def _text(column: str, parts: tuple[str | Wild, ...], cased: bool, keyword: bool) -> pl.Expr:
    source = pl.col(column).cast(pl.String) if cased else pl.col(_LOW + column)
    words = tuple(p if isinstance(p, Wild) or cased else p.lower() for p in parts)
    if keyword:
        words = (Wild(True), *words, Wild(True))
    squeezed: list[str | Wild] = []
    for word in words:
        if not (squeezed and word == Wild(True) and squeezed[-1] == Wild(True)):
            squeezed.append(word)
    match squeezed:
        case []:
            return source == ""
        case [str(word)]:
            return source == word
        case [Wild(many=True)]:
            return source.is_not_null()
        case [Wild(many=True), str(word), Wild(many=True)]:
            return source.str.contains(word, literal=True)
        case [str(word), Wild(many=True)]:
            return source.str.starts_with(word)
        case [Wild(many=True), str(word)]:
            return source.str.ends_with(word)
    pattern = "".join(re.escape(w) if isinstance(w, str) else ".*" if w.many else "." for w in squeezed)
    return source.str.contains(f"(?s)^(?:{_rust(pattern)})$")


def _rust(pattern: str) -> str:
    """``re.escape`` escapes a few signs that Rust's regex does not let be escaped."""
    return re.sub(r"\\([^\w\\.+*?()|\[\]{}^$#&\-~\s])", r"\1", pattern).replace("\\ ", " ").replace("\\\n", "\n")


def _regex(column: str, pattern: str) -> pl.Expr:
    """Rust's regex in linear time; what it does not know (look-around, references) goes to Python's ``re``."""
    text = pl.col(column).cast(pl.String)
    try:
        pl.Series(["x"]).str.contains(pattern)
        return text.str.contains(pattern)
    except pl.exceptions.PolarsError:
        pass  # the other engine is tried next, and says so where it fails as well
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise Unsupported(f"regular expression: {error}") from error
    return _each(text, lambda value: expression.search(value[:16384]) is not None)


def _cidr(column: str, network: str) -> pl.Expr:
    net = ipaddress.ip_network(network, strict=False)

    def within(value: str) -> bool:
        address = parsed(value)
        return address is not None and address.version == net.version and address in net

    return _each(pl.col(column).cast(pl.String), within)


def _each(text: pl.Expr, test: Any) -> pl.Expr:
    """A Python test, once per different value."""

    def run(values: pl.Series) -> pl.Series:
        true = [v for v in values.drop_nulls().unique().to_list() if test(v)]
        return values.is_in(true)

    return text.map_batches(run, return_dtype=pl.Boolean)


def _compare(column: str, op: str, number: float) -> pl.Expr:
    value = pl.col(column).cast(pl.Float64, strict=False)
    operators = {
        "LT": value < number,
        "LTE": value <= number,
        "GT": value > number,
        "GTE": value >= number,
        "NEQ": value != number,
    }
    if op not in operators:
        raise Unsupported(f"comparison {op}")
    return operators[op]


def _reference(column: str, leaf: Leaf, columns: Columns) -> pl.Expr:
    name, starts, ends = leaf.value
    other = columns.find(name)
    if other is None:
        return pl.lit(False)
    left, right = pl.col(_LOW + column), pl.col(_LOW + other)
    if starts and ends:
        return left.str.contains(right, literal=True)
    if starts:
        return left.str.starts_with(right)
    return left.str.ends_with(right) if ends else left == right
