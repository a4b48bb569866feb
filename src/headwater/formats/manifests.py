# SPDX-License-Identifier: Apache-2.0
"""The canonical manifest of a collected folder: what was in it, and one digest that holds all of it.

One line of canonical JSON per entry, in the order of the walk, each ended by a line feed; the digest of the manifest
is the SHA-256 of these lines. A line states path, kind, mode, mtime (nanoseconds, as text), for files size and the
SHA-256 of the content, for links the target. Access and inode-change times, owners, inode numbers and the sizes of
directories are left out, because copying a folder for safe keeping changes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from headwater.formats.canonical import canonical
from headwater.formats.hashing import hash_source
from headwater.formats.trees import Entry, Tree
from headwater.model.records import Gap

VERSION = "headwater-manifest-1"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The digest (hex), how many entries and content bytes it covers, and what could not be read (detail: the path)."""

    digest: str
    entries: int
    size: int
    gaps: tuple[Gap, ...]


def manifest(
    tree: Tree,
    emit: Callable[[bytes], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Manifest:
    """Walk a tree and digest it. ``emit`` gets each line; ``progress`` the content bytes read so far.

    A file that cannot be read whole has ``"unreadable": true`` instead of a content digest, so that a fault is never
    taken for content.
    """
    whole = hashlib.sha256()
    count = size = 0
    gaps: list[Gap] = []

    def put(value: object) -> None:
        line = canonical(value) + b"\n"
        whole.update(line)
        if emit is not None:
            emit(line)

    put({"manifest": VERSION})
    for entry in tree.entries():
        line: dict[str, object] = {
            "path": entry.path,
            "kind": entry.kind,
            "mode": f"{entry.mode:o}",
            "mtime": None if entry.modified is None else str(entry.modified),
        }
        if entry.kind == "file":
            line["size"] = entry.size
            line |= _content(tree, entry, gaps)
            size += entry.size
            if progress is not None:
                progress(size)
        elif entry.kind == "link":
            line["target"] = entry.target
        put(line)
        count += 1
    gaps.extend(tree.warnings)
    return Manifest(whole.hexdigest(), count, size, tuple(gaps))


def _content(tree: Tree, entry: Entry, gaps: list[Gap]) -> dict[str, object]:
    source = tree.open(entry.key)
    try:
        digest = hash_source(source, ("sha256",))["sha256"]
        bad = source.bad
    finally:
        source.close()
    if bad:
        gaps.extend(Gap(offset, length, reason, f"{entry.path}: {detail}") for offset, length, reason, detail in bad)
        return {"unreadable": True}
    return {"sha256": digest}
