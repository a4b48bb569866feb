# SPDX-License-Identifier: Apache-2.0
"""What the children's functions share: descriptors as files, targets as bytes, trees as listings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from headwater.examine import reading
from headwater.examine.macb import macb_batches
from headwater.examine.opening import View, open_evidence
from headwater.formats.keys import at_hand
from headwater.formats.opened import OpenFile
from headwater.formats.sources import FileSource
from headwater.formats.trees import Entry
from headwater.model.paths import decode_name, outside
from headwater.model.ports import ByteSource
from headwater.model.records import Facts, File

Message = tuple[dict[str, Any], bytes]


def told_of(target: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A target under each of the paths that its bytes are seen by: its own first."""
    first = {k: v for k, v in target.items() if k != "also"}
    return [first, *({**first, **other} for other in target.get("also", ()))]


def open_files(args: Mapping[str, Any], fds: Sequence[int]) -> list[OpenFile]:
    """The descriptors of an item as open files, with the names and sizes that came with the task."""
    return [
        OpenFile(fd, os.fsdecode(decode_name(name)), size, *item)
        for fd, (name, size, *item) in zip(fds, args["files"], strict=True)
    ]


class Targets:
    """Opens the targets of a task: by a descriptor of their own (a folder's files), or by key in the item's trees."""

    def __init__(self, args: Mapping[str, Any], fds: Sequence[int]) -> None:
        self._fds = fds
        self._views: dict[str, View] = {}
        if not args["own_fds"]:
            opened = open_evidence(open_files(args, fds), keys=at_hand())
            self._medium = opened.source
            self._views = {v.name: v for v in opened.views}

    def open(self, target: Mapping[str, Any]) -> tuple[ByteSource, list[tuple[int, int]]]:
        """The bytes, and where they lie on the medium (nothing where that is not known)."""
        if "fd" in target:
            return self.content(target), []
        view = self.view(target["view"])
        return view.tree.open(target["key"]), list(view.places(self._medium, view.tree.extents(target["key"])))

    def content(self, target: Mapping[str, Any]) -> ByteSource:
        """The bytes alone: where they lie costs as much again as opening a small file."""
        if "fd" in target:
            fd = self._fds[int(target["fd"])]
            return FileSource(OpenFile(fd, target["path"], os.fstat(fd).st_size))
        return self.view(target["view"]).tree.open(target["key"])

    def ready(
        self, target: Mapping[str, Any], args: Mapping[str, Any]
    ) -> tuple[reading.Reading, list[tuple[int, int]]]:
        """A target ready to be parsed, with the files beside it that its parsers want, and where it lies on the medium."""
        source, extents = self.open(target)
        facts = Facts(year=args["years"].get(target["path"]), context=args["context"].get(target["view"], {}))
        found = reading.prepare(source, target["path"], target["mtime"], facts, target["sniff"])
        if target.get("beside"):
            others = {str(t["path"]): self.content(t) for t in target["beside"]}
            files = {path: File(path, other.size, other.pread) for path, other in others.items()}
            found = replace(found, file=replace(found.file, beside=files))
        return found, extents

    def medium(self) -> ByteSource:
        """The item's own bytes, below all volumes."""
        return self._medium

    def view(self, name: str) -> View:
        """A view by its name, of a container the one that its files lie in; KeyError where the item has none of that name."""
        return self._views[name] if name in self._views else self._views[outside(name)]


def listing(view: View, kind: str) -> Iterator[tuple[pl.DataFrame | None, list[Entry]]]:
    """File-system events and entries of one view, in batches; a lone file gives its entry and no events."""
    if kind == "file":
        yield None, list(view.tree.entries())  # a lone file's own times are the copy's, not the evidence's
    elif getattr(view.tree, "times_elsewhere", False):
        yield None, list(view.tree.entries())  # records that another view lists, with their times
    else:
        yield from macb_batches(view.tree)
