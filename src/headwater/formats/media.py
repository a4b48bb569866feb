# SPDX-License-Identifier: Apache-2.0
"""Opens a medium: a raw image or block device, split raw, an E01 set or a virtual disk, all as one byte source.

Finding the files of a set needs the folder and is done where paths are known (:func:`segments`); reading needs only
their descriptors (:func:`open_medium`) and so works in a confined child.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from headwater.formats.disk_sets import SetMedium, is_set, members_of
from headwater.formats.ewf_sections import SIGNATURE
from headwater.formats.opened import OpenFile
from headwater.formats.segments import segments
from headwater.formats.sources import Bad, ChainSource, FileSource, Piece
from headwater.formats.virtual_marks import KINDS, kind_of
from headwater.model.errors import AcquireError
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

__all__ = ["CONTAINED", "MEDIA", "Medium", "RawMedium", "is_medium", "open_medium", "segments"]

# Containers that hold a disk but that no reader here opens: said by name, never read as if they were the disk.
_FOREIGN: tuple[tuple[int, bytes, str], ...] = (
    (0, b"EVF2\r\n\x81\x00", "EWF2 (Ex01)"),
    (0, b"LVF\x09\r\n\xff\x00", "EWF logical evidence (L01)"),
    (0, b"LEF2\r\n\x81\x00", "EWF2 logical evidence (Lx01)"),
    (0, b"AFF10\r\n\x00", "AFF"),
)

CONTAINED = KINDS | {"e01", "split-raw", "disk-set"}  # kinds whose medium is not one file's bytes as they are
MEDIA = CONTAINED | {"raw"}


class Medium(Protocol):
    """A byte source that knows what it was held in.

    ``kind``: one of :data:`MEDIA`. ``stated``: digests that the container states, by algorithm, in hex;
    they are claims to be checked, not results. ``notes``: what the person who acquired it wrote, by field name.
    ``warnings``: damage of the container; a gap's offset counts in the segment that its detail names.
    """

    @property
    def kind(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def sector_size(self) -> int: ...
    @property
    def stated(self) -> Mapping[str, str]: ...
    @property
    def notes(self) -> Mapping[str, str]: ...
    @property
    def warnings(self) -> Sequence[Gap]: ...
    @property
    def bad(self) -> Sequence[Bad]: ...
    def pread(self, offset: int, length: int) -> bytes: ...
    def close(self) -> None: ...


@runtime_checkable
class _InPlace(Protocol):
    """A medium that puts its blocks together where they are wanted."""

    def read_into(self, offset: int, view: memoryview) -> int: ...


class RawMedium(ChainSource):
    """One or more files that hold the medium's bytes as they are."""

    sector_size = 512

    def __init__(self, files: Sequence[OpenFile]) -> None:
        sources = tuple(FileSource(file) for file in files)
        super().__init__(tuple(Piece(source, 0, source.size) for source in sources), owned=sources)
        self.kind = "raw" if len(files) == 1 else "split-raw"
        self.stated: Mapping[str, str] = {}
        self.notes: Mapping[str, str] = {}
        self.warnings: Sequence[Gap] = ()


def read_into(medium: ByteSource, offset: int, view: memoryview) -> int:
    """As ``pread``, into ``view``; a medium that can put a block together in its place does. Returns how many bytes."""
    if isinstance(medium, _InPlace):
        return medium.read_into(offset, view)
    data = medium.pread(offset, len(view))
    view[: len(data)] = data
    return len(data)


def is_medium(file: OpenFile) -> bool:
    """Whether a file is, by its first bytes or its name, a container that :func:`open_medium` opens or refuses by name.

    A raw image has no such mark: what else is in a file decides about it.
    """
    source = FileSource(file)
    head = source.pread(0, 512)
    return (
        head.startswith(SIGNATURE)
        or file.name.lower().endswith(".e01")
        or _foreign(head) is not None
        or is_set(head)
        or kind_of(source, file.name) != ""
    )


def _foreign(head: bytes) -> str | None:
    for offset, magic, what in _FOREIGN:
        if head[offset : offset + len(magic)] == magic:
            return what
    return None


def open_medium(files: Sequence[OpenFile], *, allow_missing: bool = False) -> Medium:
    """The medium in these files, given in the order of :func:`segments`. Closing it closes the files.

    ``allow_missing``: go on where files of the set are missing or foreign; the bytes they held are then zeros and
    ``bad``.

    Raises:
        AcquireError: HW2002 nothing in it; HW2004, HW2005, HW2006 an E01 set that cannot be completed or opened;
            HW2007 a container that no reader here opens; HW2009 a disk set that is not whole; HW2040, HW2041, HW2042 a
            virtual disk that cannot.
    """
    if not files or not any(file.size for file in files):
        raise AcquireError("HW2002", files[0].name if files else "")
    first = files[0]
    source = FileSource(first)
    head = source.pread(0, 512)
    name = first.name.lower()
    if is_set(head):
        return _set_of(files, allow_missing)
    if kind_of(source, first.name):
        from headwater.formats.virtual_disks import open_disk  # what only some media need is loaded where one is met

        return open_disk(files, allow_missing)
    if head.startswith(SIGNATURE) or (name.endswith(".e01") and len(files) > 1):
        from headwater.formats.e01 import open_e01

        return open_e01(files, allow_missing=allow_missing)
    if what := _foreign(head):
        raise AcquireError("HW2007", first.name, what=what)
    if name.endswith(".e01"):
        raise AcquireError("HW2006", first.name, what="no EVF signature at its beginning")
    return RawMedium(files)


def _set_of(files: Sequence[OpenFile], allow_missing: bool) -> SetMedium:
    """The members of a disk set as one medium; a member that is itself a set is refused."""
    held: list[tuple[str, str, Medium]] = []
    warnings: list[Gap] = []
    notes: dict[str, str] = {}
    for name, own in members_of(files):
        if is_set(FileSource(own[0]).pread(0, 512)):
            raise AcquireError("HW2009", files[0].name, what=f"{name}: a set within a set")
        medium = open_medium(own, allow_missing=allow_missing)
        held.append((name, medium.kind, medium))
        warnings += [Gap(gap.offset, gap.length, gap.reason, f"{name}: {gap.detail}") for gap in medium.warnings]
        notes |= {f"{name} {key}": value for key, value in medium.notes.items()}
        notes |= {f"{name} {key}": value for key, value in medium.stated.items()}
    return SetMedium(held, warnings, notes)
