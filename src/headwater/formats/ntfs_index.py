# SPDX-License-Identifier: Apache-2.0
"""Names that only the free space of directories' indexes ($I30) still holds.

Deleting a name moves the ones behind it forward in its index block; copies of entries stay behind the end of those in
use. Every candidate must name the very directory that it lies in as its parent, which noise does not. A candidate whose
record is still that file (under any name of the table) says nothing new and is left out. Layout:
https://flatcap.github.io/linux-ntfs/ntfs/concepts/index_record.html.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from headwater.formats.ntfs import fixed_up
from headwater.formats.ntfs_content import open_stream
from headwater.formats.ntfs_file import Stream, attributes_of, joined
from headwater.formats.ntfs_names import one_name
from headwater.formats.ntfs_paths import Folders
from headwater.formats.ntfs_records import DIRECTORY, LIVE
from headwater.formats.trees import Entry, EntryKind
from headwater.model.kinds import GapReason

if TYPE_CHECKING:
    from headwater.formats.ntfs_tree import NtfsTree

_INDEX_ROOT, _INDEX_ALLOCATION = 0x90, 0xA0
_NAMES = "$I30"
_INDEX_MOST = 1 << 30  # bytes of one directory's index
_FOUND_MOST = 1_000_000
_MASK = (1 << 48) - 1
_LAST_TIME = 1 << 62


class SlackName(NamedTuple):
    """One name out of index slack. ``record`` is -1 where the head of its entry was written over.

    ``place`` and ``length``: of the entry on the volume; times are FILETIMEs: created, modified, changed, accessed.
    """

    folder: int
    record: int
    sequence: int
    name: str
    times: tuple[int, int, int, int]
    size: int
    flags: int
    place: int
    length: int


def slack_of(block: bytes, folder: int, base: int) -> Iterator[SlackName]:
    """The names behind the used part of one index block, which stands at ``base``."""
    if block[:4] != b"INDX":
        return
    try:
        block = fixed_up(block)
    except ValueError:
        return
    used = 24 + struct.unpack_from("<I", block, 28)[0]
    begin = max(64, min(used, len(block))) & ~7
    words = np.frombuffer(block, "<u8", (len(block) - begin) // 8, begin)
    for index in np.flatnonzero((words & np.uint64(_MASK)) == folder).tolist():
        at = begin + 8 * index  # of the $FILE_NAME, whose first field is the parent
        if at - 16 < begin - 16 or at + 66 > len(block):
            continue
        units, space = block[at + 64], block[at + 65]
        end = at + 66 + 2 * units
        if not units or space > 3 or space == 2 or end > len(block):
            continue
        reference, length, key = struct.unpack_from("<QHH", block, at - 16)
        if key != 66 + 2 * units or length < key + 16:
            reference = -1  # the head of the entry was written over; the name behind it was not
        times = struct.unpack_from("<4q", block, at + 8)
        size, flags = struct.unpack_from("<QI", block, at + 48)
        if not all(0 <= t < _LAST_TIME for t in times) or size >= 1 << 60:
            continue
        record, sequence = (reference & _MASK, reference >> 48) if reference >= 0 else (-1, 0)
        name = one_name(block[at + 66 : end])
        yield SlackName(folder, record, sequence, name, times, size, flags, base + at - 16, end - at + 16)


def slack(tree: NtfsTree) -> Iterator[SlackName]:
    """The names in the slack of every directory in use that has index blocks, in order of record."""
    table = tree.table
    size = tree.boot.index_block
    step = max(size, (1 << 20) // size * size)
    for folder in np.flatnonzero((table.state == LIVE) & (table.flags & DIRECTORY != 0) & (table.base == 0)).tolist():
        parts = [a for a in attributes_of(tree.mft.record(folder), folder) if a.type in (_INDEX_ALLOCATION, 0x20)]
        if not parts:
            continue
        if any(a.type == 0x20 for a in parts):
            parts = tree.mft.file(folder)
        chosen = [a for a in parts if a.type == _INDEX_ALLOCATION and a.name == _NAMES]
        if not chosen:
            continue
        stream = joined(chosen)
        source = open_stream(tree.source, tree.boot.cluster, stream)
        if source.size > _INDEX_MOST:
            tree.note(0, 0, GapReason.LIMIT, f"record {folder}: an index of {source.size} bytes; its slack is not read")
            continue
        for base in range(0, source.size, step):
            held = source.pread(base, step)
            for at in range(0, len(held) - 63, size):
                place = _place(stream, base + at, tree.boot.cluster)
                yield from slack_of(held[at : at + size], folder, place)


def _place(stream: Stream, offset: int, cluster: int) -> int:
    """Where a byte of a stream stands on the volume; 0 where no run maps it."""
    for run in stream.runs:
        inside = offset - run.logical * cluster
        if 0 <= inside < run.length * cluster and run.physical >= 0:
            return run.physical * cluster + inside
    return 0


def slack_names(tree: NtfsTree) -> list[SlackName]:
    """Names in index slack that the table does not have: their record is another file's by now, or was used again."""
    names = tree.table.names
    parents, texts = names.parent.tolist(), names.text
    known = set(zip(names.owner.tolist(), parents, texts, strict=True))
    known.update((-1, parent, text) for parent, text in zip(parents, texts, strict=True))
    gone: list[SlackName] = []
    for found in slack(tree):
        if (found.record, found.folder, found.name) in known:
            continue
        known.add((found.record, found.folder, found.name))
        gone.append(found)
        if len(gone) >= _FOUND_MOST:
            tree.note(0, 0, GapReason.LIMIT, f"more than {_FOUND_MOST} names in the slack of indexes")
            break
    return gone


def slack_entry(tree: NtfsTree, folders: Folders, found: SlackName) -> Entry:
    """A name out of index slack as an entry: nothing of its content is known, so its size is that of nothing."""
    from headwater.formats.ntfs_tree import GONE

    folder, _ = folders.path(found.folder, int(tree.table.sequence[found.folder]))
    kind: EntryKind = "dir" if found.flags & 0x10000000 else "file"
    number = max(0, found.record)
    return Entry(
        f"{folder}/{found.name}", kind, 0, 0, None, None, number, False, None, None, None, None, None, None, GONE
    )
