# SPDX-License-Identifier: Apache-2.0
"""Reads qcow2 images, versions 2 and 3: any cluster size, compressed clusters, backing files, subclusters, snapshots.

A cluster whose entry is broken, or whose compressed content does not decode to exactly one cluster, is zeros *and*
listed in ``bad``. Reference counts are not read: they say nothing of content. An encrypted image opens with all that it
holds listed as encrypted. Specification: https://www.qemu.org/docs/master/interop/qcow2.html; decoding of damaged
entries follows the same refusals as QEMU, so that what QEMU calls corrupt is never read as data here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

import zstandard
from isal import isal_zlib

from headwater.formats import qcow2_header
from headwater.formats.qcow2_header import CORRUPT, DIRTY, EXTENDED, Header, Snapshot, read_header
from headwater.formats.sources import FileSource
from headwater.formats.virtual_blocks import BlockMedium, Numbers, Run, faults_in
from headwater.formats.virtual_files import Reference, SetFiles
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

_IsalError = cast(type[Exception], isal_zlib.IsalError)
_OFFSET = 0x00FF_FFFF_FFFF_FE00
_COMPRESSED = 1 << 62
_COPIED = 1 << 63
_WINDOW = 32 << 20  # memory that a zstd frame may ask for; a cluster has at most 2 MiB
_LISTED = 100  # snapshots told one by one in the notes


class Qcow2Medium(BlockMedium):
    """The medium in a qcow2 image, in its active state or at one of its snapshots."""

    kind = "qcow2"

    def __init__(self, own: FileSource, header: Header, data: ByteSource, beneath: ByteSource | None) -> None:
        super().__init__(own, header.size)
        self._header = header
        self._data = data
        self.beneath = beneath
        self._bits = header.cluster_bits
        self._wide = bool(header.incompatible & EXTENDED)
        self._entries = (1 << self._bits) // (16 if self._wide else 8)
        self._l1_offset, self._l1_count = header.l1_offset, header.l1_count
        self._numbers = Numbers(own, 8, "big")
        self._snapshots, whole = qcow2_header.read_snapshots(own, header)
        self._say(whole)

    def _say(self, whole: bool) -> None:
        header = self._header
        self.notes = {"format": f"qcow2 version {header.version}", "cluster_size": str(1 << self._bits)}
        for name, value in (("backing_file", header.backing), ("backing_format", header.backing_format)):
            if value:
                self.notes[name] = value
        if header.backing and not header.backing_format:
            self.notes["backing_format"] = "not stated; told from its first bytes"
        if header.data_file is not None:
            self.notes["data_file"] = header.data_file
        for snapshot in self._snapshots[:_LISTED]:
            self.notes[f"snapshot {snapshot.id}"] = f"{snapshot.name}, {snapshot.taken}, {snapshot.size} bytes"
        if len(self._snapshots) > _LISTED:
            self.notes["snapshots"] = f"{len(self._snapshots)}, the first {_LISTED} are listed"
        words: list[tuple[GapReason, str]] = []
        if header.incompatible & DIRTY:
            words.append((GapReason.NOT_REPLAYED, "the image is marked dirty: it was not closed after the last writes"))
        if header.incompatible & CORRUPT:
            words.append((GapReason.UNREADABLE, "the image is marked corrupt by the program that wrote it"))
        if header.encryption:
            words.append((GapReason.ENCRYPTED, f"the image is encrypted ({header.encryption}); its key is needed"))
        if not whole:
            words.append((GapReason.UNREADABLE, "the table of snapshots is broken"))
        self.warnings = [Gap(0, 0, reason, f"{self.own.name}: {detail}") for reason, detail in words]

    def runs(self, offset: int, length: int) -> Iterator[Run]:
        """See :class:`BlockMedium`."""
        end = offset + length
        span = self._entries << self._bits  # bytes of the medium that one L2 table tells of
        while offset < end:
            index, inside = divmod(offset, span)
            stop = min(end, offset - inside + span)
            table = self._table(index)
            if isinstance(table, str):
                yield Run("lost", stop - offset, detail=table)
            elif table == 0:
                yield self._nothing(stop - offset)
            else:
                yield from self._clusters(table, offset, stop, inside)
            offset = stop

    def _table(self, index: int) -> int | str:
        """Where an L2 table stands, 0 if there is none, or in words why nobody knows."""
        if index >= self._l1_count:
            return "the L1 table is shorter than the medium"
        entry = self._numbers.at(self._l1_offset + index * 8)
        if entry is None:
            return "an entry of the L1 table cannot be read"
        place = entry & _OFFSET
        return "an L2 table is not aligned" if place % (1 << self._bits) else place

    def _clusters(self, table: int, offset: int, stop: int, inside: int) -> Iterator[Run]:
        size = 1 << self._bits
        width = 16 if self._wide else 8
        while offset < stop:
            index, skip = divmod(inside, size)
            take = min(size - skip, stop - offset)
            entry = self._numbers.at(table + index * width)
            bitmap = self._numbers.at(table + index * 16 + 8) if self._wide else 0
            if entry is None or bitmap is None:
                yield Run("lost", take, detail="an entry of an L2 table cannot be read")
            elif self._wide and not entry & _COMPRESSED:
                yield from self._subclusters(entry, bitmap, skip, take)
            else:
                yield self._cluster(entry, skip, take)
            offset += take
            inside += take

    def _nothing(self, length: int) -> Run:
        return Run("zero" if self.beneath is None else "beneath", length)

    def _cluster(self, entry: int, skip: int, take: int) -> Run:
        if entry & _COMPRESSED:
            if self._header.encryption:
                return self._encrypted(take)
            if self._data is not self.own:
                return Run("lost", take, detail="a compressed cluster, though the data stand in another file")
            return Run("packed", take, None, skip, (entry & ~(_COMPRESSED | _COPIED),))
        if entry & 1 and not self._wide:
            if self._header.version < 3:
                return Run("lost", take, detail="a zero cluster in an image of version 2")
            return Run("zero", take)
        place = entry & _OFFSET
        if place % (1 << self._bits):
            return Run("lost", take, detail="a cluster is not aligned")
        if not place and not (self._data is not self.own and entry & _COPIED):
            return self._nothing(take)
        if self._header.encryption:
            return self._encrypted(take)
        return Run("plain", take, self._data, place + skip)

    def _subclusters(self, entry: int, bitmap: int, skip: int, take: int) -> Iterator[Run]:
        """A cluster in 32 parts: bits 0–31 say which are held, bits 32–63 which are zeros."""
        part = (1 << self._bits) // 32
        held = self._cluster(entry, 0, 1)
        while take:
            index, inside = divmod(skip, part)
            length = min(part - inside, take)
            here, zeros = bitmap >> index & 1, bitmap >> (32 + index) & 1
            if here and zeros:
                yield Run("lost", length, detail="a subcluster is marked both held and zero")
            elif zeros:
                yield Run("zero", length)
            elif not here:
                yield self._nothing(length)
            elif held.how == "plain":
                yield held._replace(length=length, offset=held.offset + skip)
            elif held.how == "lost":
                yield held._replace(length=length)
            else:
                yield Run("lost", length, detail="a subcluster is marked held, but its cluster is not there")
            skip += length
            take -= length

    def _encrypted(self, length: int) -> Run:
        return Run("lost", length, reason=GapReason.ENCRYPTED, detail=f"encrypted ({self._header.encryption})")

    def unpack(self, key: tuple[int, ...]) -> bytes | str:
        """See :class:`BlockMedium`; the key is the L2 entry without its flags."""
        shift = 62 - (self._bits - 8)
        place = key[0] & ((1 << shift) - 1)
        length = ((key[0] >> shift) + 1) * 512 - place % 512
        data = self.own.pread(place, length)
        if faults_in(self.own, place, length):
            return "a compressed cluster cannot be read"
        size = 1 << self._bits
        content = _inflated(data, size) if self._header.compression == "deflate" else _zstd(data, size)
        return content if len(content) == size else "a compressed cluster does not decode"

    def snapshots(self) -> Mapping[str, str]:
        """See :class:`BlockMedium`."""
        return {s.id: f"{s.name}, {s.taken}, {s.size} bytes" for s in self._snapshots}

    def at_snapshot(self, name: str) -> Qcow2Medium | None:
        """See :class:`BlockMedium`. It shares the files of this medium and closes none."""
        found = next((s for s in self._snapshots if s.id == name), None)
        found = found or next((s for s in self._snapshots if s.name == name), None)
        return None if found is None else self._as_at(found)

    def _as_at(self, snapshot: Snapshot) -> Qcow2Medium:
        medium = Qcow2Medium(self.own, self._header, self._data, self.beneath)
        medium.owned = ()
        medium.size = snapshot.size
        medium._l1_offset, medium._l1_count = snapshot.l1_offset, snapshot.l1_count
        medium.notes["at_snapshot"] = f"{snapshot.id}: {snapshot.name}, {snapshot.taken}"
        if snapshot.l1_offset % (1 << self._bits):
            medium._l1_count = 0
        return medium


def _inflated(data: bytes, size: int) -> bytes:
    """Raw deflate up to ``size`` bytes; what follows in the last sector is not looked at."""
    try:
        content: bytes = isal_zlib.decompressobj(-15).decompress(data, size)
    except _IsalError:
        return b""
    return content


def _zstd(data: bytes, size: int) -> bytes:
    try:
        reader = zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(data, read_across_frames=True)
        return reader.read(size)
    except zstandard.ZstdError:
        return b""


def references(source: ByteSource, name: str) -> tuple[Reference, ...]:
    """The files that a qcow2 image needs besides itself.

    Raises:
        AcquireError: as :func:`read_header`.
    """
    header = read_header(source, name)
    found: list[Reference] = []
    if header.data_file is not None:
        found.append(Reference("extent", (header.data_file,), "raw"))
    if header.backing:
        found.append(Reference("parent", (header.backing,), header.backing_format))
    return tuple(found)


def open_qcow2(own: FileSource, files: SetFiles) -> BlockMedium:
    """The medium in a qcow2 image.

    Raises:
        AcquireError: as :func:`read_header`; HW2040 its backing or data file is missing.
    """
    header = read_header(own, own.name)
    data: ByteSource = own
    beneath: ByteSource | None = None
    for reference in references(own, own.name):
        if reference.role == "extent":
            data = files.extent(reference, header.size)
        else:
            beneath = files.parent(reference, header.size)
    return Qcow2Medium(own, header, data, beneath)
