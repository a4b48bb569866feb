# SPDX-License-Identifier: Apache-2.0
"""Deleted files of NTFS out of their free records, as a tree of their own.

Deleting a file frees its record and its clusters and touches neither: name, times and runs stay until the record is used
again, the content until its clusters are. Name, metadata and content are three claims (:class:`Recovered`):

- name and metadata: from the free record itself, which its fixups vouch for; the folder by its parent reference;
- content: resident in the record, else the clusters that $Bitmap says are free; what belongs to another file by now is
  zeros and a stated range.

Limits: clusters that were given away and freed again cannot be told; of several deleted files that claim one cluster
none is preferred; SSDs that were told of free clusters (TRIM) give zeros; when a file was deleted is not recorded here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headwater.formats.ntfs import filetime_ns
from headwater.formats.ntfs_content import WOF_STREAM, open_reparsed, open_stream, reparse_of
from headwater.formats.ntfs_file import KEY, Stream, joined
from headwater.formats.ntfs_index import SlackName, slack_entry
from headwater.formats.ntfs_listing import Listing
from headwater.formats.ntfs_records import FREE
from headwater.formats.sources import Bad, BadRanges, MemorySource
from headwater.formats.trees import Coverage, Entry
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

if TYPE_CHECKING:
    from headwater.formats.ntfs_tree import NtfsTree

FILES_MOST = 1_000_000
_BITMAP = 6
_TAKEN = "these clusters belong to another file by now"


@dataclass(frozen=True, slots=True)
class Recovered:
    """One file that is not there any more, and how much of it can be claimed.

    ``generation``: its sequence number. ``blocks`` clusters of content, of which ``free`` are not in use by another file;
    a content inside the record counts as one. ``place``: of the record on the volume, or of the entry in the free space
    of a folder's index, where nothing else is left (``slack``).
    """

    entry: Entry
    generation: int
    place: int
    record_size: int
    named: bool
    blocks: int
    free: int
    reason: str = "deleted"
    transaction: int | None = None
    seen: int | None = None
    gone: int | None = None
    slack: SlackName | None = None

    @property
    def name_claim(self) -> str:
        return "index" if self.slack is not None else "record" if self.named else "none"

    @property
    def metadata_claim(self) -> str:
        return "index" if self.slack is not None else "record"


class FreeClusters:
    """A volume of which only free clusters are shown; those in use are zeros and stand in ``bad``, once they were asked for."""

    def __init__(self, tree: NtfsTree) -> None:
        self._source, self._cluster = tree.source, tree.boot.cluster
        self._bitmap = tree.system(_BITMAP)
        self._bad = BadRanges()

    @property
    def size(self) -> int:
        return self._source.size

    @property
    def bad(self) -> Sequence[Bad]:
        return (*self._source.bad, *self._bad.listing())

    def used(self, first: int, count: int) -> NDArray[np.uint8]:
        """One byte for each cluster: 1 where it is in use, or beyond what $Bitmap tells of."""
        raw = np.frombuffer(self._bitmap.pread(first // 8, (first % 8 + count + 7) // 8), np.uint8)
        bits = np.unpackbits(raw, bitorder="little")[first % 8 :][:count]
        return np.concatenate((bits, np.ones(count - len(bits), np.uint8)))

    def pread(self, offset: int, length: int) -> bytes:
        data = self._source.pread(offset, length)
        if not data:
            return data
        cluster = self._cluster
        first, last = offset // cluster, (offset + len(data) - 1) // cluster
        used = self.used(first, last - first + 1)
        if not used.any():
            return data
        held = bytearray(data)
        edges = [0, *(np.flatnonzero(np.diff(used)) + 1).tolist(), len(used)]
        for low, high in pairwise(edges):
            if used[low]:
                begin = max((first + low) * cluster, offset)
                end = min((first + high) * cluster, offset + len(data))
                held[begin - offset : end - offset] = bytes(end - begin)
                self._bad.add(begin, end - begin, GapReason.OVERWRITTEN, _TAKEN)
        return bytes(held)

    def close(self) -> None:
        """Nothing of its own to close."""


class DeletedFiles:
    """The deleted files of one volume; their times are those that the volume's own tree lists with their records."""

    kind = "ntfs"
    view = "deleted"
    times_elsewhere = True  # the volume's own tree lists these records, with their times

    def __init__(self, tree: NtfsTree) -> None:
        self._tree = tree
        self._found: list[Recovered] | None = None
        self._warnings: list[Gap] = []

    @property
    def warnings(self) -> Sequence[Gap]:
        return tuple(self._warnings)

    def entries(self) -> Iterator[Entry]:
        """Every file, folder and stream of a free record, by record number; then names of which nothing else is left."""
        for found in self.recovered():
            yield found.entry

    def recovered(self) -> list[Recovered]:
        """The deleted files with their claims, by record number."""
        if self._found is None:
            self._found = list(self._recover())
        return self._found

    def _recover(self) -> Iterator[Recovered]:
        listing = Listing(self._tree)
        table = listing.table
        volume = FreeClusters(self._tree)
        taken: dict[str, int] = {}
        free = np.flatnonzero((table.state == FREE) & (table.base == 0))
        for count, entry in enumerate(listing.of(free)):
            if count >= FILES_MOST:
                text = f"more than {FILES_MOST} deleted files; the rest is not listed"
                self._warnings.append(Gap(0, 0, GapReason.LIMIT, text))
                return
            earlier = taken.get(entry.path, 0)
            taken[entry.path] = earlier + 1
            if earlier:
                entry = entry._replace(path=f"/$Earlier-{earlier}{entry.path}")
            blocks, unused = self._claim(entry, volume)
            yield Recovered(
                entry, int(table.sequence[entry.inode]), self._tree.mft.place(entry.inode), table.size,
                int(listing.folders.chosen[entry.inode]) >= 0, blocks, unused,
            )  # fmt: skip

        for found in self._tree.slack:
            entry = slack_entry(self._tree, listing.folders, found)
            moments = [filetime_ns(time) for time in found.times]
            entry = entry._replace(created=moments[0], modified=moments[1], changed=moments[2], accessed=moments[3])
            yield Recovered(entry, found.sequence, found.place, found.length, True, 0, 0, slack=found)

    def _claim(self, entry: Entry, volume: FreeClusters) -> tuple[int, int]:
        """Clusters of the content, and how many of them are free."""
        if entry.kind == "dir":
            return 0, 0
        stream = self._stream(entry.key)
        if stream is None:
            return 0, 0
        if stream.resident is not None:
            return 1, 1
        blocks = free = 0
        most = -(-stream.size // self._tree.boot.cluster)
        for run in stream.runs:
            count = min(run.length, most - run.logical)
            if run.physical < 0 or count <= 0:
                continue
            blocks += count
            free += min(count, 1 << 26) - int(volume.used(run.physical, min(count, 1 << 26)).sum())
        return blocks, free

    def _stream(self, key: str) -> Stream | None:
        parts, chosen = self._tree.stream(key)
        packed = [a for a in parts if a.type == 0x80 and a.name == WOF_STREAM] if ":" not in key else []
        return joined(packed or chosen) if packed or chosen else None

    def open(self, key: str) -> ByteSource:
        """The content as far as its clusters are free; the others are zeros and stand in ``bad``.

        Raises:
            KeyError: no such key.
        """
        if not KEY.fullmatch(key):
            return self._tree.open(key)  # a name of which nothing else is left
        parts, chosen = self._tree.stream(key)
        if not chosen:
            return MemorySource(b"")
        volume = FreeClusters(self._tree)
        stream = joined(chosen)
        if ":" not in key:
            reparse = reparse_of(self._tree.mft, parts)
            held = open_reparsed(volume, self._tree.mft, parts, reparse, stream.size) if reparse else None
            if held is not None:
                return held
        return open_stream(volume, self._tree.boot.cluster, stream)

    def extents(self, key: str) -> tuple[tuple[int, int], ...]:
        """Ranges on the volume that held the content."""
        return self._tree.extents(key)

    def record_spans(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(offset, length) on the volume of the MFT records."""
        return self._tree.record_spans(numbers)

    def coverage(self) -> Iterator[tuple[int, int, Coverage]]:
        """Nothing: the volume's own tree tells what its clusters are."""
        return iter(())
