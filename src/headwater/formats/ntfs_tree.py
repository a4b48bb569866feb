# SPDX-License-Identifier: Apache-2.0
"""NTFS as a tree, read directly: $MFT by column, every name with its folders, data streams as entries of their own.

Listed from $MFT, not from directories, so files that no directory names any more are there too: in order of record
number, a file's names first, then its named streams as ``path:stream`` under its first name. Deleted files stand where
they stood, not allocated; what has no folder any more is under ``/$OrphanFiles``. Names that only the free space of a
directory's index still holds follow at the end. Symbolic links and junctions are links and never followed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from headwater.formats import ntfs, ntfs_content
from headwater.formats.ntfs_content import open_reparsed, open_stream, reparse_of
from headwater.formats.ntfs_deleted import DeletedFiles
from headwater.formats.ntfs_file import KEY, Attribute, MftMap, attributes_of, joined
from headwater.formats.ntfs_index import SlackName, slack_names
from headwater.formats.ntfs_listing import Listing
from headwater.formats.ntfs_runs import read_boot
from headwater.formats.ntfs_table import Table, read_table
from headwater.formats.overlay import Patched
from headwater.formats.sources import ChainSource, MemorySource
from headwater.formats.stated_size import beyond
from headwater.formats.trees import Coverage, Entry
from headwater.formats.walking import MAX_WARNINGS
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

_DATA = 0x80
LOG_FILE, _VOLUME, _BITMAP = 2, 3, 6
_LOG_HEAD = 65536 * 2
_CHUNK = 1 << 20
GONE = "gone"
_REUSED = (0, 0, GapReason.OVERWRITTEN, "the record of this deleted name belongs to another file by now, or to none")

_ASTRAY = (0, 0, GapReason.UNREADABLE, "the record that holds this stream cannot be read")


class NotNtfs(ValueError):
    """The volume has no boot sector or no $MFT that can be read."""


class NtfsTree:
    """One NTFS volume.

    Raises:
        NotNtfs: neither boot sector can be read, or no $MFT can be found.
    """

    kind = "ntfs"
    # sparse as large as the volume, or larger: a digest over their holes says nothing
    not_content = frozenset({"/$BadClus:$Bad", "/$Extend/$UsnJrnl:$J"})

    def __init__(self, source: ByteSource) -> None:
        boot = read_boot(source)
        if boot is None:
            raise NotNtfs("neither its boot sector nor the backup can be read")
        self.source, self.boot = source, boot
        self.view = ""  # ``replayed`` or ``recorded`` where it was not cleanly dismounted
        self.notes: tuple[str, ...] = ()
        self.mft = MftMap(source, boot)
        if not self.mft.length:
            raise NotNtfs("no $MFT where the boot sector points, nor its mirror")
        self._warnings: list[Gap] = [*beyond(source, self.kind)]
        self._dropped = 0
        self._table: Table | None = None
        self._slack: list[SlackName] | None = None
        self.deleted = DeletedFiles(self)
        if boot.backup:
            self.note(0, 512, GapReason.UNREADABLE, "the boot sector cannot be read; its backup at the end was used")
        if self.mft.from_mirror:
            at = boot.mft * boot.cluster
            self.note(at, boot.record, GapReason.UNREADABLE, "the record of $MFT cannot be read; $MFTMirr was used")
        self._journal()

    @property
    def warnings(self) -> Sequence[Gap]:
        if not self._dropped:
            return tuple(self._warnings)
        more = f"{self._dropped} more warnings of this volume are not listed"
        return (*self._warnings, Gap(0, 0, GapReason.LIMIT, more))

    def note(self, at: int, length: int, reason: GapReason, detail: str) -> None:
        """Note what could not be read or shown, at a place on the volume."""
        if len(self._warnings) >= MAX_WARNINGS:
            self._dropped += 1
        else:
            self._warnings.append(Gap(at, length, reason, detail))

    def _journal(self) -> None:
        log = self.system(LOG_FILE).pread(0, _LOG_HEAD)
        held = [a.resident for a in attributes_of(self.mft.record(_VOLUME), _VOLUME) if a.type == 0x70]
        if log and ntfs.log_clean(log) is False:
            return  # told by who opened it: the log may be played back
        if held and held[0] is not None and ntfs.volume_dirty(held[0]):
            text = "the volume is marked dirty: its last changes may be missing from this tree"
            self.note(0, self.source.size, GapReason.NOT_REPLAYED, text)

    @property
    def table(self) -> Table:
        """All of $MFT as columns; read when it is first asked for."""
        if self._table is None:
            self._table = read_table(self.mft_source().pread, self.mft.length, self.boot.record)
        return self._table

    def release(self) -> None:
        """Let go of the columns; they are read again when they are asked for."""
        self._table, self._slack = None, None

    @property
    def slack(self) -> list[SlackName]:
        """Names that only the free space of directories' indexes still holds; read when they are first asked for."""
        if self._slack is None:
            self._slack = slack_names(self)
        return self._slack

    def mft_source(self) -> ByteSource:
        """The bytes of $MFT."""
        pieces, bad = ntfs_content.pieces_of(self.source, self.boot.cluster, self.mft.stream)
        return ChainSource(pieces, extra=bad)

    def entries(self) -> Iterator[Entry]:
        """Every name and every named stream, by record number; then names that only index slack holds."""
        return Listing(self).entries()

    def stream(self, key: str) -> tuple[list[Attribute], list[Attribute]]:
        """(all attributes of the file, the parts of the stream) that a key names.

        Raises:
            KeyError: no such key.
        """
        match = KEY.fullmatch(key)
        count = self.mft.length // self.boot.record
        if match is None or int(match[1]) >= count or int(match[2] or 0) >= count:
            raise KeyError(key)
        number, name = int(match[1]), match[3] or ""
        parts = self.mft.file(number)
        chosen = [a for a in parts if a.type == _DATA and a.name == name]
        if not chosen and match[2]:  # the attribute list that should lead to it is broken
            other = int(match[2])
            parts = [*parts, *attributes_of(self.mft.record(other), other)]
            chosen = [a for a in parts if a.type == _DATA and a.name == name]
        return parts, chosen

    def open(self, key: str) -> ByteSource:
        """The content of an entry; a directory has none.

        Raises:
            KeyError: the tree never gave out this key.
        """
        if key == GONE:
            return MemorySource(b"", (_REUSED,))
        if key == "0":
            return self.mft_source()
        parts, chosen = self.stream(key)
        if not chosen:
            return MemorySource(b"", (_ASTRAY,) if ":" in key or "@" in key else ())
        stream = joined(chosen)
        if ":" not in key:
            reparse = reparse_of(self.mft, parts)
            held = open_reparsed(self.source, self.mft, parts, reparse, stream.size) if reparse else None
            if held is not None:
                return held
        return open_stream(self.source, self.boot.cluster, stream)

    def system(self, number: int) -> ByteSource:
        """The content of a file of the file system itself; empty where $MFT does not reach so far."""
        try:
            return self.open(str(number))
        except KeyError:
            return MemorySource(b"")

    def extents(self, key: str) -> tuple[tuple[int, int], ...]:
        """:meth:`_extents`; nothing where playing $LogFile back changed some of these bytes."""
        found = self._extents(key)
        played = self.source if isinstance(self.source, Patched) else None
        return () if played and not all(played.untouched(at, size) for at, size in found) else found

    def _extents(self, key: str) -> tuple[tuple[int, int], ...]:
        """Ranges on the volume that hold the content, in order; of a resident one, its place in the record.

        The last two bytes of each sector of a record stand in the record's head (its fixups), not in these ranges.
        """
        if key == GONE:
            return ()
        parts, chosen = self.stream(key)
        if ":" not in key and reparse_of(self.mft, parts)[:4] == ntfs_content.WOF.to_bytes(4, "little"):
            chosen = [a for a in parts if a.type == _DATA and a.name == ntfs_content.WOF_STREAM] or chosen
        if not chosen:
            return ()
        stream = joined(chosen)
        if stream.place is not None:
            at = self.mft.place(stream.place[0])
            return ((at + stream.place[1], stream.size),) if at >= 0 and stream.size else ()
        cluster = self.boot.cluster
        if stream.flags & ntfs_content.COMPRESSED:
            return tuple((r.physical * cluster, r.length * cluster) for r in stream.runs if r.physical >= 0)
        pieces, _ = ntfs_content.pieces_of(self.source, cluster, stream)
        return tuple((p.offset, p.length) for p in pieces if p.source is not None)

    def record_spans(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(offset, length) on the volume of the MFT records; offset -1 where there is none, or it is not as $LogFile makes it."""
        places, lengths = self.mft.spans(numbers)
        if isinstance(self.source, Patched):
            known = zip(places.tolist(), lengths.tolist())
            places = np.where([p < 0 or self.source.untouched(p, n) for p, n in known], places, -1)
        return places, lengths

    def clusters_in_use(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """(first cluster, one byte for each: 1 in use) by $Bitmap, in stretches."""
        file = self.system(_BITMAP)
        clusters = min(self.boot.sectors * self.boot.sector, self.source.size) // self.boot.cluster
        size = min(file.size, (clusters + 7) // 8)
        for at in range(0, size, _CHUNK):
            raw = file.pread(at, min(_CHUNK, size - at))
            yield at * 8, np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")[: clusters - at * 8]

    def coverage(self) -> Iterator[tuple[int, int, Coverage]]:
        """Used and free clusters by $Bitmap."""
        cluster = self.boot.cluster
        held: tuple[int, int, Coverage] | None = None
        for first, used in self.clusters_in_use():
            edges = [0, *(np.flatnonzero(np.diff(used)) + 1).tolist(), len(used)]
            for low, high in pairwise(edges):
                if high <= low:
                    continue
                what: Coverage = "allocated" if used[low] else "unallocated"
                if held is not None and held[2] == what:
                    held = (held[0], held[1] + (high - low) * cluster, what)
                    continue
                if held is not None:
                    yield held
                held = ((first + low) * cluster, (high - low) * cluster, what)
        if held is not None:
            yield held
