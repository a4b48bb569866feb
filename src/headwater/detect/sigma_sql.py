# SPDX-License-Identifier: Apache-2.0
"""A compiled rule as one SQL condition (DuckDB's dialect): for hunting, and as a second opinion in tests.

Text only: what runs it, and over which table, is the caller's. A missing value makes a leaf false and its NOT true, as
in the engine; a field that the feed does not have is a missing value.
"""

from __future__ import annotations

import ipaddress

from headwater.detect.sigma_columns import Columns
from headwater.detect.sigma_leaf import linear, text_of, words
from headwater.detect.sigma_tree import And, Leaf, Not, Tree, Unsupported, Wild

_PARTS = {"minute": "minute", "hour": "hour", "day": "day", "week": "week", "month": "month", "year": "year"}
_OPERATORS = {"LT": "<", "LTE": "<=", "GT": ">", "GTE": ">=", "NEQ": "<>"}
_IPV4 = r"^\d{1,3}(\.\d{1,3}){3}$"


def condition(tree: Tree, columns: Columns) -> str:
    """The condition that is true on the events that match.

    Raises:
        Unsupported: a leaf that SQL does not express (look-around, IPv6 ranges).
    """
    if isinstance(tree, Leaf):
        return f"coalesce({_leaf(tree, columns)}, false)"
    if isinstance(tree, Not):
        return f"(NOT {condition(tree.arg, columns)})"
    word = " AND " if isinstance(tree, And) else " OR "
    return "(" + word.join(condition(a, columns) for a in tree.args) + ")"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _string(text: str) -> str:
    if "\x00" in text:
        raise Unsupported("a NUL character in SQL")
    return "'" + text.replace("'", "''") + "'"


def _text(field: str, columns: Columns) -> str | None:
    found = [f"CAST({_name(c)} AS VARCHAR)" for c in columns.every(field)]
    return None if not found else found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"


def _leaf(leaf: Leaf, columns: Columns) -> str:
    leaf = text_of(leaf)
    if leaf.field is None:
        spoken = ", ".join(f"CAST({_name(c)} AS VARCHAR)" for c in columns.spoken())
        text: str | None = f"concat_ws(chr(10), {spoken})" if spoken else "''"
    else:
        text = _text(leaf.field, columns)
    if text is None:
        return "true" if leaf.op == "null" or (leaf.op == "exists" and not leaf.value) else "false"
    if leaf.op in ("null", "exists"):
        return f"{text} IS NULL" if leaf.op == "null" or not leaf.value else f"{text} IS NOT NULL"
    if leaf.op == "text":
        return _like(leaf, text)
    if leaf.op == "regex":
        if not linear(leaf.value):
            raise Unsupported("an expression that is not for a linear engine")
        return f"regexp_matches({text}, {_string(leaf.value)})"
    if leaf.op == "compare":
        op, number = leaf.value
        return f"TRY_CAST({text} AS DOUBLE) {_OPERATORS[op]} {float(number)!r}"
    if leaf.op == "part":
        part, number = leaf.value
        return f"date_part('{_PARTS[part]}', TRY_CAST({text} AS TIMESTAMPTZ) AT TIME ZONE 'UTC') = {int(number)}"
    if leaf.op == "field":
        return _reference(leaf, text, columns)
    return _range(leaf.value, text)


def _like(leaf: Leaf, text: str) -> str:
    pattern = "".join(
        ("%" if p.many else "_")
        if isinstance(p, Wild)
        else p.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        for p in words(leaf)
    )
    return f"{text if leaf.cased else f'lower({text})'} LIKE {_string(pattern)} ESCAPE '\\'"


def _reference(leaf: Leaf, text: str, columns: Columns) -> str:
    name, starts, ends = leaf.value
    other = _text(name, columns)
    if other is None:
        return "false"
    left, right = f"lower({text})", f"lower({other})"
    if starts and ends:
        return f"contains({left}, {right})"
    return f"starts_with({left}, {right})" if starts else f"ends_with({left}, {right})" if ends else f"{left} = {right}"


def _range(network: str, text: str) -> str:
    net = ipaddress.ip_network(network, strict=False)
    if net.version != 4:
        raise Unsupported("a range of IPv6 in SQL")
    whole = " + ".join(
        f"TRY_CAST(split_part({text}, '.', {part}) AS BIGINT) * {256 ** (4 - part)}" for part in (1, 2, 3, 4)
    )
    low, high = int(net.network_address), int(net.broadcast_address)
    return f"regexp_matches({text}, {_string(_IPV4)}) AND ({whole}) BETWEEN {low} AND {high}"
