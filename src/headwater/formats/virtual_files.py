# SPDX-License-Identifier: Apache-2.0
"""The files of a virtual disk: what a header says it needs besides itself, and which open file that is.

A header is evidence and may name any file of this machine. So a name never decides what is opened: the files are
found in the image's own folder, or where the person said, by the last part of the name alone
(:mod:`headwater.formats.virtual_disks`), and a reader here only chooses among files that are already open.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from headwater.formats.opened import OpenFile
from headwater.formats.sources import FileSource
from headwater.formats.virtual_blocks import BlockMedium, LostSource
from headwater.model.errors import AcquireError
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

_CHAIN = 64  # parents behind each other


@dataclass(frozen=True, slots=True)
class Reference:
    """A file that a header names. ``names``: the ways in which it does, the likeliest first, as written.

    ``format``: what the header says that it is (``raw``, ``qcow2``, …), ``''`` where it does not. ``identity``: by
    what a file without a name is known (the UUID in a VDI's link).
    """

    role: Literal["parent", "extent"]
    names: tuple[str, ...]
    format: str = ""
    identity: bytes = b""

    @property
    def said(self) -> str:
        """The reference in words, for a message."""
        return self.names[0] if self.names else f"UUID {self.identity.hex()}"


def last_name(name: str) -> str:
    """The last part of a path as Unix or Windows writes it; '' where that is no file name."""
    last = re.split(r"[/\\]", name.replace("\0", ""))[-1]
    if last.lower().startswith(("json:", "file:")):
        last = last[5:]
    return "" if last in (".", "..") else last


Opener = Callable[[FileSource, "SetFiles", str], ByteSource]


class SetFiles:
    """The open files of one set. Each is given out once, so that no chain of parents is endless.

    ``allow_missing``: go on without a file that is not here; what it held is then zeros and ``bad``.
    """

    def __init__(self, files: Sequence[OpenFile], opener: Opener, allow_missing: bool) -> None:
        self.sources = tuple(FileSource(file) for file in files)
        self.allow_missing = allow_missing
        self._waiting = list(self.sources[1:])
        self._opener = opener
        self._depth = 0
        self.warnings: list[Gap] = []  # of the parents, for the medium on top to tell

    def extent(self, reference: Reference, size: int) -> ByteSource:
        """The file that holds an extent, read as raw bytes; ``size`` is what is lost without it.

        Raises:
            AcquireError: HW2040 it is not here.
        """
        return self._take(reference) or self._lost(reference, size)

    def parent(self, reference: Reference, size: int) -> ByteSource:
        """The parent image, opened as what it is, or as what the child says that it is.

        Raises:
            AcquireError: HW2040 it is not here; HW2042 the chain is too long; whatever opening it raises.
        """
        found = self._take(reference)
        if found is None:
            return self._lost(reference, size)
        self._depth += 1
        if self._depth > _CHAIN:
            raise AcquireError("HW2042", found.name, what=f"more than {_CHAIN} parents")
        opened = self._opener(found, self, reference.format)
        if isinstance(opened, BlockMedium):
            self.warnings.extend(opened.warnings)
        return opened

    def differs(self, child: str, parent: str) -> None:
        """Say that the parent at hand is not the one that the child was made over.

        Raises:
            AcquireError: HW2041, unless the person said to go on.
        """
        if not self.allow_missing:
            raise AcquireError("HW2041", child, what=parent)

    def _take(self, reference: Reference) -> FileSource | None:
        wanted = [last_name(name).lower() for name in reference.names]
        for name in wanted:
            for source in self._waiting:
                if name and source.name.lower() == name:
                    self._waiting.remove(source)
                    return source
        if reference.identity:
            for source in self._waiting:
                if reference.identity in source.pread(0, 512):
                    self._waiting.remove(source)
                    return source
        return None

    def _lost(self, reference: Reference, size: int) -> ByteSource:
        if not self.allow_missing:
            raise AcquireError("HW2040", self.sources[0].name, what=reference.said)
        return LostSource(size, f"the file {reference.said} is missing")
