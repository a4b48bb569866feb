# SPDX-License-Identifier: Apache-2.0
"""Opens one item of evidence down to its trees: medium → volumes → file systems, an archive, or a lone file.

Works on descriptors alone, so that it runs in a confined child. A lone text log is a tree of one file; what nothing
here recognises is a medium whose only content is a stated gap.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from headwater.examine import registry
from headwater.formats.archives import archive_kind, open_archive
from headwater.formats.carving import CarvedTree, Sightings, Stretches
from headwater.formats.collection import CollectionTree, is_collection
from headwater.formats.ext import ExtTree
from headwater.formats.filesystems import UnreadTree, identify, open_filesystem
from headwater.formats.keys import Key
from headwater.formats.lime_tree import LimeTree, is_lime
from headwater.formats.media import Medium, is_medium, open_medium
from headwater.formats.ntfs_shadow import shadow_tree
from headwater.formats.ntfs_tree import NtfsTree
from headwater.formats.opened import OpenFile
from headwater.formats.sources import FileSource, physical_ranges
from headwater.formats.trees import Coverage, Entry, Tree
from headwater.formats.tsk import TskTree
from headwater.formats.volumes import Volume, volumes
from headwater.formats.xfs import XfsTree
from headwater.formats.xfs_deleted import DeletedTree
from headwater.model.kinds import GapReason
from headwater.model.paths import encode_name, join, layers
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

_carving = ContextVar("carving", default=True)
_SECTOR = 512  # where a file may begin when nothing tells how large the blocks were
_UNKNOWN = "no reader for this volume"
_COLLECTED = ("host", "kernel", "machine_id", "boot_id", "start")  # of a live collection's head

_SPREAD = 16 << 20  # bytes of a volume whose places on the medium are asked for at once


@contextmanager
def uncarved() -> Iterator[None]:
    """What is opened within has no views of carved files."""
    before = _carving.set(False)
    try:
        yield
    finally:
        _carving.reset(before)


@dataclass(frozen=True, slots=True)
class View:
    """One tree and where it stands: ``name`` is the layer before the path (empty for the only one).

    ``volume``: the bytes that the tree was opened over, None for what has none (a folder, an archive's entries).
    ``facts``: what the volume says of itself (an array's level and members, the key that opened it), by name.
    """

    name: str
    tree: Tree
    offset: int  # of the volume on the medium, bytes
    size: int
    on_medium: bool  # whether extents of the tree count on the medium
    derived: bool = False  # a further view of a volume that another view shows as it is: its deleted files
    volume: ByteSource | None = None
    facts: tuple[tuple[str, str], ...] = ()

    def pread(self, offset: int, length: int) -> bytes:
        """Bytes of the volume, wherever they lie on the medium: what offsets of the tree's records count in."""
        return b"" if self.volume is None else self.volume.pread(offset, length)

    def places(self, medium: ByteSource, ranges: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
        """The ranges of the medium that hold these of the volume, in order; () where one of them lies nowhere on it."""
        if self.volume is None:
            return ()
        if self.on_medium:
            return tuple((self.offset + at, size) for at, size in ranges)
        found: list[tuple[int, int]] = []
        for at, size in ranges:
            there = physical_ranges(self.volume, medium, at, size)
            if sum(n for _, n in there) != size:  # a part is made from parity, or kept where no place is told
                return ()
            found.extend(there)
        return tuple(found)

    def spread(self, medium: ByteSource, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """The ranges of the medium that hold this range of the volume, joined where they touch, in steps of 16 MiB.

        Of copies the first counts; what is made from parity, and what lies nowhere on the medium, is left out.
        """
        if self.on_medium:
            yield self.offset + offset, length
        elif self.volume is not None:
            for at in range(offset, offset + length, _SPREAD):
                there = physical_ranges(self.volume, medium, at, min(_SPREAD, offset + length - at))
                joined: list[tuple[int, int]] = []
                for start, size in sorted(there):
                    if joined and sum(joined[-1]) == start:
                        joined[-1] = (joined[-1][0], joined[-1][1] + size)
                    else:
                        joined.append((start, size))
                yield from joined


@dataclass(frozen=True, slots=True)
class Opened:
    """``slack``: ranges in no volume, with the reason; ``unopened``: volumes that no reader here opens, and where."""

    kind: str
    source: ByteSource
    views: tuple[View, ...]
    slack: tuple[tuple[int, int, str], ...] = ()
    unopened: tuple[tuple[str, Gap, int], ...] = ()  # name, the gap (its offset on the volume), the volume's offset
    warnings: tuple[Gap, ...] = ()  # of the container and the partition table; offsets on the medium
    stated: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


class LoneFile:
    """A tree of one file: evidence that is itself a log."""

    kind = "file"
    warnings: Sequence[Gap] = ()

    def __init__(self, file: OpenFile, source: ByteSource) -> None:
        self._file, self._source = file, source

    def entries(self) -> Iterator[Entry]:
        """The one file, with the modification time of the copy at hand and no other metadata."""
        modified = os.fstat(self._file.fd).st_mtime_ns
        path = "/" + encode_name(os.fsencode(self._file.name))
        yield Entry(
            path, "file", self._source.size, 0, None, None, 0, True, modified, None, None, None, None, None, "0"
        )

    def open(self, key: str) -> ByteSource:
        """The file's bytes; KeyError for another key."""
        if key != "0":
            raise KeyError(key)
        return self._source

    def extents(self, key: str) -> tuple[tuple[int, int], ...]:
        """A lone file lies on no medium that we hold."""
        return ()

    def coverage(self) -> Iterator[tuple[int, int, Coverage]]:
        """Nothing to tell."""
        return iter(())


def open_evidence(files: Sequence[OpenFile], medium: Medium | None = None, keys: Sequence[Key] = ()) -> Opened:
    """Open the files that hold one item.

    1. Segments or an E01 signature: a medium.
    2. The stream of a live collection, a memory image (LiME), or an archive signature: collected files.
    3. A partition table or a file system: a medium.
    4. A text that a parser knows, by name or content, or plain text: a lone file. Anything else: a medium.

    ``medium``: the same files already opened, perhaps as they were at a snapshot. ``keys``: tried on what is encrypted.

    Raises:
        AcquireError: the container cannot be opened at all (a missing or foreign segment, a broken structure).
    """
    if medium is not None:
        return _of_medium(medium, keys)
    beside = _beside(files, keys)
    files = [file for file in files if not file.item]
    if len(files) > 1 or is_medium(files[0]):
        medium = open_medium(files)
        return _of_medium(medium, keys, beside)
    source = FileSource(files[0])
    if is_collection(source.pread(0, 128)):
        tree = CollectionTree(source)
        said = tuple((k, tree.facts[k]) for k in _COLLECTED if tree.facts.get(k))
        return Opened("collection", source, (View("", tree, 0, source.size, False, facts=said),), notes=tree.facts)
    if is_lime(source.pread(0, 8)):
        view = View("", LimeTree(source), 0, source.size, True, volume=source)
        return Opened("memory", source, (view,))
    archive = archive_kind(source, files[0].name)
    if archive:
        view = View("", open_archive(source, archive), 0, source.size, False)
        return Opened("archive", source, (view,))
    head = source.pread(0, registry.HEAD_BYTES)
    if _looks_like_log(files[0].name, head) and identify(source) == "unknown":
        return Opened("file", source, (View("", LoneFile(files[0], source), 0, source.size, False),))
    medium = open_medium(files)
    return _of_medium(medium, keys, beside)


def media_of(medium: Medium, keys: Sequence[Key]) -> list[ByteSource]:
    """The volumes of a medium on which nothing else stands; the medium itself where it has none."""
    chosen = volumes(medium, keys).volumes
    return [volume.source for volume in chosen if not volume.held_by] if chosen else [medium]


def journals_of(medium: Medium, keys: Sequence[Key]) -> list[ByteSource]:
    """The volumes of a medium that are the journal of another volume and nothing else."""
    return [source for source in media_of(medium, keys) if identify(source) == "jbd2"]


def _beside(files: Sequence[OpenFile], keys: Sequence[Key]) -> list[ByteSource]:
    """The journals on other items of the case, whose files come behind the item's own."""
    found: list[ByteSource] = []
    for number in dict.fromkeys(file.item for file in files if file.item):
        found.extend(journals_of(open_medium([file for file in files if file.item == number]), keys))
    return found


def _looks_like_log(name: str, head: bytes) -> bool:
    path = "/var/log/" + encode_name(os.fsencode(name))
    if registry.by_path(path) or registry.by_content(head):
        return True
    return bool(head) and b"\0" not in head and not any(b < 9 for b in head)


def _of_medium(source: Medium, keys: Sequence[Key], beside: Sequence[ByteSource] = ()) -> Opened:
    table = volumes(source, keys)
    views: list[View] = []
    gaps: list[tuple[str, Gap, int]] = []
    chosen: Sequence[Volume] = table.volumes
    if not chosen:
        tree = open_filesystem(source, others=beside)
        if tree is not None:
            views.append(View("", tree, 0, source.size, True, volume=source))
        else:
            gaps.append(("", _unopened(source, source.size), 0))
    journals = [v.source for v in chosen if not v.held_by and identify(v.source) == "jbd2"] + list(beside)
    for volume in chosen:
        # what another layer stands on is read through that layer alone
        tree = (
            UnreadTree(f"held by {volume.held_by}", (), volume.length)
            if volume.held_by
            else open_filesystem(volume.source, others=journals)
        )
        if tree is None:
            if identify(volume.source) not in {"lvm2", "extended"}:
                gaps.append((volume.name, _unopened(volume.source, volume.length), max(volume.offset, 0)))
        else:
            at, size = max(volume.offset, 0), volume.length
            derived = volume.type == "vss"
            tree = (_shadow(tree, volume, views) if derived else None) or tree
            views.append(View(volume.name, tree, at, size, volume.offset >= 0, derived, volume.source, volume.facts))
    warnings = (*source.warnings, *table.warnings)
    views = [each for view in views for each in (view, *_further(view))]
    views.extend(_between(source, table.slack, gaps) if _carving.get() else ())
    return Opened(
        source.kind, source, tuple(views), tuple(table.slack), tuple(gaps), warnings, source.stated, source.notes
    )


def _shadow(tree: Tree, volume: Volume, views: Sequence[View]) -> Tree | None:
    """A shadow copy as what differs from the volume that it is of; None where that volume is not read."""
    of = join(*layers(volume.name)[:-1])
    live = next((view.tree for view in views if view.name == of), None)
    return shadow_tree(tree, live, volume.source)


def _further(view: View) -> list[View]:
    """The deleted files of a volume whose file system can tell of them, and what is carved from its free space."""
    if view.derived or view.volume is None:
        return []
    found: list[tuple[str, Tree]] = []
    deleted = getattr(view.tree, "deleted", None)
    if deleted is not None:
        found.append(("deleted", deleted))
    unit = _unit(view.tree) if _carving.get() else 0
    if unit and isinstance(view.tree, TskTree):  # its own view has the deleted files with their names
        tree = view.tree
        found.append(("carved", CarvedTree(tree, view.volume, unit, lambda: _beginnings(tree))))
    elif unit:
        seen = Sightings(unit) if isinstance(deleted, DeletedTree) else None
        if seen is not None and isinstance(deleted, DeletedTree):
            deleted.beside = seen.take
        found.append(("carved", CarvedTree(view.tree, view.volume, unit, lambda: _beginnings(deleted), seen)))
    return [
        View(join(view.name, name), tree, view.offset, view.size, view.on_medium, True, view.volume)
        for name, tree in found
    ]


def _between(source: Medium, slack: Sequence[tuple[int, int, str]], gaps: Sequence[tuple[str, Gap, int]]) -> list[View]:
    """What is carved where no file system stands: between partitions, and in volumes of which nothing is known."""
    ranges = [(at, size) for at, size, _ in slack]
    # what is encrypted holds nothing that could be carved; swap is memory, not files
    ranges += [
        (at, gap.length) for _, gap, at in gaps if gap.reason == GapReason.UNSUPPORTED and _UNKNOWN in gap.detail
    ]
    kept = sorted((at, size // _SECTOR * _SECTOR) for at, size in ranges if at % _SECTOR == 0 and size >= _SECTOR)
    if not kept:
        return []
    tree = CarvedTree(Stretches(kept), source, _SECTOR, set)
    return [View("carved", tree, 0, source.size, True, True, source)]


def _unit(tree: Tree) -> int:
    """Bytes of a block, where files begin, of the file systems that tell which blocks are free; 0 for others."""
    if isinstance(tree, ExtTree):
        return tree.block.block_size
    if isinstance(tree, XfsTree):
        return tree.head.block_size
    if isinstance(tree, TskTree):
        return tree.cluster
    return tree.boot.cluster if isinstance(tree, NtfsTree) else 0


def _beginnings(deleted: Tree | None) -> set[int]:
    """Where on the volume the contents begin that came back with their names."""
    if deleted is None:
        return set()
    gone = (entry for entry in deleted.entries() if entry.kind == "file" and entry.size and not entry.allocated)
    files = (deleted.extents(entry.key) for entry in gone)
    return {extents[0][0] for extents in files if extents}


def _unopened(source: ByteSource, length: int) -> Gap:
    what = identify(source)
    if what == "swap":
        return Gap(0, length, GapReason.UNSUPPORTED, "swap space is not examined")
    reason = GapReason.ENCRYPTED if what in {"luks", "bitlocker"} else GapReason.UNSUPPORTED
    return Gap(0, length, reason, f"{_UNKNOWN} ({what})")
