# SPDX-License-Identifier: Apache-2.0
"""The small texts of a system that parsers ask for beside a file, taken while its tree is listed.

A text is cut to whole files of at most 64 KiB, 200 files and 512 KiB per tree, in the order of the listing, so that a
task's message stays small; what did not fit is counted and said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from headwater.examine import registry
from headwater.formats.trees import Entry, Tree

FILE_MOST = 64 << 10
FILES_MOST = 200
TEXT_MOST = 512 << 10

Texts = dict[str, dict[str, str]]  # by view, by path in the view


class Taker:
    """Takes the wanted texts of one tree as its entries come."""

    def __init__(self, view: str, tree: Tree) -> None:
        self._view, self._tree = view, tree
        self._files = self._size = 0
        self.left_out = 0

    def take(self, entries: Iterable[Entry]) -> Iterator[dict[str, str]]:
        """One object per text: ``view``, ``path``, ``text``; bytes that are no UTF-8 are escaped."""
        last, hint = "", registry.hint("context", "")
        for entry in entries:
            if entry.kind != "file" or not entry.size or not entry.allocated:
                continue
            folder, _, name = entry.path.rpartition("/")
            if folder != last:
                last, hint = folder, registry.hint("context", folder)
            if not hint(name) or not registry.is_context(entry.path):
                continue
            fits = self._files < FILES_MOST and self._size + entry.size <= TEXT_MOST
            if entry.size > FILE_MOST or not fits:
                self.left_out += 1
                continue
            data = self._tree.open(entry.key).pread(0, entry.size)
            self._files += 1
            self._size += len(data)
            yield {"view": self._view, "path": entry.path, "text": data.decode("utf-8", "backslashreplace")}


def texts_of(taken: Sequence[Mapping[str, str]], views: Iterable[str]) -> Texts:
    """The texts of these views as a task wants them."""
    found: Texts = {view: {} for view in views}
    for text in taken:
        if text["view"] in found:
            found[text["view"]][text["path"]] = text["text"]
    return {view: texts for view, texts in found.items() if texts}
