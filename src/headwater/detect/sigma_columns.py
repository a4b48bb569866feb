# SPDX-License-Identifier: Apache-2.0
"""The columns of one feed, found by Sigma's field names in any case.

Taxonomy: https://github.com/SigmaHQ/sigma-specification/blob/main/specification/sigma-appendix-taxonomy.md
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from headwater.detect.sigma_tree import And, Not, Or, Tree, leaves
from headwater.formats.patterns import lazy_regex
from headwater.model.records import HEADER, OWN_PREFIX

# Sigma's field names for what stands in the header here (taxonomy, linux and webserver), and the names that Windows'
# own audit gives to what Sysmon's taxonomy names otherwise (event 4688 of Security beside event 1 of Sysmon).
_ALIASES: dict[str, tuple[str, ...]] = {
    "commandline": ("command_line", "ProcessCommandLine"),
    "c-ip": ("src_ip",),
    "src_ip": ("src_ip",),
    "sourceip": ("src_ip",),
    "destinationip": ("dst_ip",),
    "cs-username": ("user",),
    "user": ("user",),
    "image": ("NewProcessName", "exe", "file_path"),
    "parentimage": ("ParentProcessName",),
    "processid": ("pid",),
    "targetfilename": ("file_path",),
    "c-uri": ("cs-uri",),
    "c-uri-query": ("cs-uri-query",),
    "c-useragent": ("cs-user-agent",),
    "cs-user-agent": ("cs-user-agent",),
    "hostname": ("host",),
    "computername": ("Computer", "host"),
    "currentdirectory": ("cwd",),
    "eventid": ("event_code",),
    "provider_name": ("Provider", "provider"),
    "source": ("Provider_Name", "provider"),
}
# Where one event states a field under its first name and another under the second, both are looked at.
_BESIDE = frozenset({"image", "parentimage", "commandline"})
# Header columns whose text a keyword is sought in, beside all own columns.
_SPOKEN = frozenset({"host", "user", "src_ip", "dst_ip", "process", "command_line", "file_path", "provider"})
_HEADER = frozenset(n for n, _ in HEADER) | {"ts"}
_UNNAMED = lazy_regex(r"Data(?:_([1-9]\d{0,5}))?")
KEYWORDS = "\x00keywords"
EXACT = "\x00="  # before the name of a header column that no own field may stand for


class Columns:
    """The columns of one feed, found by Sigma's field names in any case."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.all = tuple(columns)
        # Windows writes "Threat Name" where rules say ThreatName
        # two sources of one feed may write a name in two cases: each event states one of them
        self._own: dict[str, list[str]] = {}
        for column in (c for c in columns if c not in _HEADER):
            for name in dict.fromkeys((column.removeprefix(OWN_PREFIX).lower(), column.replace(" ", "").lower())):
                self._own.setdefault(name, []).append(column)
        self._any = {c.lower(): c for c in columns}
        self._every: dict[str, tuple[str, ...]] = {}

    def find(self, field: str) -> str | None:
        """The source's own field of that name, else the column that means it, else None."""
        return next(iter(self.every(field)), None)

    def every(self, field: str) -> tuple[str, ...]:
        """The columns that state a field, best first: the first that is not missing in an event counts."""
        known = self._every.get(field)
        if known is None:
            known = self._every[field] = self._looked_up(field.lower())
        return known

    def _looked_up(self, name: str) -> tuple[str, ...]:
        if name.startswith(EXACT):
            exact = name.removeprefix(EXACT)
            return (exact,) if exact in self.all else ()
        found = list(self._own.get(name, ()))
        for alias in _ALIASES.get(name, ()):
            column = self._any.get(alias.lower())
            if column is not None and column not in found and (not found or name in _BESIDE):
                found.append(column)
        if not found and name in self._any:
            found.append(self._any[name])
        return tuple(found)

    def unnamed(self) -> list[str]:
        """The columns of an event log's data without a name, in order: ``Data``, ``Data_1``, ``Data_2`` …"""
        found = [(int(m[1] or 0), c) for c in self.all if (m := _UNNAMED.fullmatch(c.removeprefix(OWN_PREFIX)))]
        return [column for _, column in sorted(found)]

    def spoken(self) -> list[str]:
        """The columns in which keywords are sought."""
        return [c for c in self.all if c not in _HEADER or c in _SPOKEN]

    def text(self, field: str) -> pl.Expr | None:
        """A field as text, missing where no column states it; None where the feed has no such column."""
        found = [pl.col(c).cast(pl.String) for c in self.every(field)]
        return None if not found else found[0] if len(found) == 1 else pl.coalesce(found)

    def keywords(self) -> pl.Expr:
        """All text of an event, a line for each column."""
        text = [pl.col(c).cast(pl.String) for c in self.spoken()]
        return pl.concat_str(text, separator="\n", ignore_nulls=True) if text else pl.lit("")


class AnyColumns(Columns):
    """Every field there may be, for what is found out of rules before any log is at hand."""

    def __init__(self) -> None:
        super().__init__(())

    def every(self, field: str) -> tuple[str, ...]:
        """The field itself."""
        return (field,)


def fields(tree: Tree) -> Iterable[str | None]:
    """The fields that a tree looks at, None for keywords, each once."""
    found: dict[str | None, None] = {}
    for leaf, _ in leaves(tree):
        found[leaf.field] = None
        if leaf.op == "field":
            found[leaf.value[0]] = None
    return tuple(found)


def spread(tree: Tree, columns: Columns) -> Tree:
    """The tree with every leaf on ``Data`` put to each of an event's data without a name: one that fits is enough."""
    if isinstance(tree, Not):
        return Not(spread(tree.arg, columns))
    if isinstance(tree, (And, Or)):
        return type(tree)(tuple(spread(a, columns) for a in tree.args))
    if tree.field is None or tree.field.lower() != "data" or not (held := columns.unnamed()):
        return tree
    each = tuple(replace(tree, field=name.removeprefix(OWN_PREFIX)) for name in held)
    return And(each) if tree.op == "null" or (tree.op == "exists" and not tree.value) else Or(each)


def needed(trees: Iterable[Tree], columns: Columns) -> list[str]:
    """The columns that these trees read, in order of name."""
    found: set[str] = set()
    for tree in trees:
        for field in fields(tree):
            found.update(columns.spoken() if field is None else columns.every(field))
    return sorted(found)


def plain_value(value: Any) -> str | None:
    """A stored value as the text that leaves are compared with."""
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)
