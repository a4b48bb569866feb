# SPDX-License-Identifier: Apache-2.0
"""What every walkable thing looks like: a file system, an archive, a collected folder.

A tree is listed once, in a stable order that depends on the bytes alone, and its entries are opened by ``key``. Nothing
in a tree follows a link, and nothing in it writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from headwater.model.ports import ByteSource
from headwater.model.records import Gap

EntryKind = Literal["file", "dir", "link", "char", "block", "fifo", "socket", "other"]
Coverage = Literal["allocated", "unallocated", "metadata", "unreadable"]


class Entry(NamedTuple):
    """One name in a tree. Times are nanoseconds since 1970 in UTC; None where the tree records none.

    ``path`` begins with ``/`` and is in the grammar of :mod:`headwater.model.paths`, so that the bytes of the name can
    be had back. ``key`` is opaque text (JSON-safe) by which the same tree, opened again in another process, finds the
    entry. ``target`` is where a link points, encoded as a path is, never followed.
    """

    path: str
    kind: EntryKind
    size: int
    mode: int
    uid: int | None
    gid: int | None
    inode: int
    allocated: bool
    modified: int | None
    accessed: int | None
    changed: int | None
    created: int | None
    deleted: int | None
    target: str | None
    key: str


@runtime_checkable
class Tree(Protocol):
    """A listing of entries, and the bytes behind them.

    ``warnings`` may grow while entries are listed; its offsets are on what the tree was opened over (the volume, the
    archive file). ``open`` raises KeyError for a key that this tree never gave out, nothing else: bytes that cannot be
    had come back as zeros and stand in the source's ``bad``.
    """

    @property
    def kind(self) -> str:
        """What it is: ``ext4``, ``ntfs``, ``xfs``, ``tar``, ``zip``, ``folder`` …"""
        ...

    @property
    def warnings(self) -> Sequence[Gap]: ...

    def entries(self) -> Iterator[Entry]: ...

    def open(self, key: str) -> ByteSource: ...

    def extents(self, key: str) -> tuple[tuple[int, int], ...]:
        """Ranges (offset, length) on the volume that hold the content, in the content's order; () where unknown."""
        ...

    def coverage(self) -> Iterator[tuple[int, int, Coverage]]:
        """Ranges (offset, length, what) of the volume, where the format tells; empty otherwise."""
        ...
