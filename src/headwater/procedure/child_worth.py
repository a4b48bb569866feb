# SPDX-License-Identifier: Apache-2.0
"""Which entries of a listing are worth more than their times: whose content is described, and which files are parsed.

A listing has hundreds of thousands of names and few of them are a parser's, so a name is first asked, directory by
directory, whether it can be any's at all (:func:`headwater.examine.registry.hint`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from headwater.examine import reading, registry
from headwater.examine.opening import View
from headwater.formats.patterns import lazy_regex
from headwater.formats.trees import Entry
from headwater.model.paths import LAYER, join

_SNIFFED = lazy_regex(r"/(?:logs?|wwwlogs)/|\.log(?:[.-][0-9]+)*\Z")
_COLLECTED = frozenset(
    {"file", "archive", "folder"}
)  # somebody chose these files: what they are, their content may tell


def contents(view: View, entries: Sequence[Entry], kind: str) -> Iterator[list[Any]]:
    """Every file whose content is to be described, as [view, key, path in the view, size]; a lone log is its own record."""
    if kind == "file":
        return
    left_out = {*getattr(view.tree, "not_content", ()), *getattr(view.tree, "passed_over", ())}
    for entry in _files(view, entries):
        if entry.path not in left_out:
            yield [view.name, entry.key, entry.path, entry.size]


def candidates(view: View, entries: Sequence[Entry], kind: str) -> Iterator[dict[str, Any]]:
    """Every file that a parser may read, by its path or, where ``sniff`` is true, by its content."""
    derived = view.derived
    # the same bytes as in the volume that this is a copy of
    passed_over = frozenset(getattr(view.tree, "passed_over", ())) if derived else frozenset()
    # of what was carved, the content alone tells what it is
    loose = kind in _COLLECTED or (derived and getattr(view.tree, "view", "") == "carved")
    last, hint, sniff, layered = "", registry.hint("reads", ""), loose, False
    for entry in _files(view, entries):
        folder, _, name = entry.path.rpartition("/")
        if folder != last:
            last, hint, layered = folder, registry.hint("reads", folder), LAYER in folder
            sniff = loose or _SNIFFED.search(f"{folder}/") is not None
        if not (sniff or layered or ".log" in name or hint(name) or name.endswith(reading.SUFFIXED) or LAYER in name):
            continue
        if entry.path in passed_over:
            continue
        path = join(view.name, entry.path)
        bare = reading.bare(path)
        sniffed = loose or _SNIFFED.search(bare) is not None
        if sniffed or registry.is_read(bare):
            yield {
                "view": view.name, "key": entry.key, "path": path, "size": entry.size, "mtime": entry.modified,
                "sniff": sniffed,
            }  # fmt: skip


def _files(view: View, entries: Sequence[Entry]) -> list[Entry]:
    """The files that have a content."""
    derived = view.derived
    return [e for e in entries if e.kind == "file" and e.size and (e.allocated or derived)]
