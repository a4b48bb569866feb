# SPDX-License-Identifier: Apache-2.0
"""Puts the segments of an E01 set in order and reads what they say, before any chunk is read.

Which segment a file is stands in its head, under no checksum, and in its name. The heads are believed when they count
1, 2, 3 …; a head that does not fit is put right by the name, and a warning says so. Whether a segment belongs to the
set is told by the set identifier that EnCase 5 and later repeat in each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from isal import isal_zlib

from headwater.formats import ewf_sections as ewf
from headwater.formats.compressed import inflate_zlib
from headwater.formats.ewf_sections import Geometry, Section
from headwater.formats.ewf_tables import Copy, Hole, Numbering, Table, load, read_copy, table_of
from headwater.formats.opened import OpenFile
from headwater.formats.segments import e01_number, e01_suffix, is_smart
from headwater.formats.sources import FileSource
from headwater.model.errors import AcquireError
from headwater.model.kinds import GapReason
from headwater.model.records import Gap

_MOST = 64 << 20
_SLACK = 1 << 10


@dataclass(frozen=True, slots=True)
class E01Set:
    """All that is known of a set once its sections were walked; ``size`` is the medium's, in bytes."""

    sources: tuple[FileSource, ...]
    geometry: Geometry
    size: int
    numbering: Numbering
    stated: dict[str, str]
    notes: dict[str, str]
    errors: tuple[tuple[int, int], ...]
    warnings: tuple[Gap, ...]


@dataclass(slots=True)
class _Segment:
    source: FileSource
    sections: list[Section]
    warnings: list[Gap]
    geometry: Geometry | None

    @property
    def last(self) -> str:
        return self.sections[-1].type if self.sections else ""


def read_set(files: Sequence[OpenFile], allow_missing: bool) -> E01Set:
    """Walk all segments; see :func:`headwater.formats.e01.open_e01` for what it raises."""
    sources = tuple(FileSource(file) for file in files)
    ordered = {number: _walk(source) for number, source in _number(sources).items()}
    geometries = [s.geometry for s in ordered.values() if s.geometry is not None]
    geometry = next((g for g in geometries if g.sound), None)
    own = {n: s for n, s in ordered.items() if not _foreign(s, geometry)}
    if not allow_missing:
        _complete(ordered, own, sources)
    items: list[Table | Hole] = []
    smart = is_smart([source.name for source in sources])
    for number in range(1, max(own, default=0) + 1):
        if number in own:
            items.extend(_items(number, own[number]))
        else:
            items.append(Hole(GapReason.UNREADABLE, f"segment {e01_suffix(number, smart)} is missing"))
    if own and own[max(own)].last == "next":
        items.append(Hole(GapReason.UNREADABLE, f"segment {e01_suffix(max(own) + 1, smart)} is missing"))
    warnings = [replace(w, detail=f"{s.source.name}: {w.detail}") for s in own.values() for w in s.warnings]
    stated: dict[str, str] = {}
    notes: dict[str, str] = {}
    errors: list[tuple[int, int]] = []
    for segment in own.values():
        _claims(segment, stated, notes, errors, warnings)
    if geometry is None:
        geometry = _derive(items, sources[0].name)
        detail = f"{sources[0].name}: the volume section is broken; the medium's size follows from the chunks"
        warnings.append(Gap(0, 0, GapReason.UNREADABLE, detail))
    numbering, size = _extent(geometry, items)
    if not numbering.runs and size:
        raise AcquireError("HW2006", sources[0].name, what="it holds no chunk")
    if size != geometry.size and geometry.sound:
        detail = f"the volume section states {geometry.size} bytes, the chunks hold {size}"
        warnings.append(Gap(0, 0, GapReason.NOT_THIS_FORMAT, f"{sources[0].name}: {detail}"))
    return E01Set(sources, geometry, size, numbering, stated, notes, tuple(errors), tuple(warnings))


def _extent(geometry: Geometry, items: Sequence[Table | Hole]) -> tuple[Numbering, int]:
    """The numbering of the chunks and the medium's size in bytes.

    libewf writes the bytes behind the last whole sector and digests them, but does not count their sector; others
    count it as whole; an acquisition that never ended counts nothing. So the last chunk itself tells where it ends,
    unless it is a full one that only padding can have made so.
    """
    chunk = geometry.chunk_size
    stated = -(-geometry.size // chunk)
    numbering = Numbering(items, geometry.chunks if geometry.chunks == stated + 1 else stated)
    last = numbering.runs[-1] if numbering.runs else None
    if last is None or last.table is None or last.first + last.length != numbering.chunks:
        return numbering, geometry.size
    length = _last_length(last.table, chunk)
    size = (numbering.chunks - 1) * chunk + (length or 0)
    near = abs(size - geometry.size) < geometry.sector_size
    return numbering, size if length and (near or not geometry.size) else geometry.size


def _last_length(table: Table, chunk_size: int) -> int | None:
    """How many bytes the last chunk of a table holds by its own checksum; None where it does not tell."""
    places = load(table, chunk_size)[0]
    start = int(places.offsets[-1])
    if places.compressed[-1]:
        content = inflate_zlib(table.source.pread(start, min(chunk_size, _MOST) + _SLACK), chunk_size)
        return None if content is None else len(content)
    # stored: its data end where the sectors section ends, in EWF-S01 where the table does
    end = table.data_end if table.data_end is not None else table.copies[0].end
    length = end - start - 4
    if not 0 < length <= chunk_size:
        return None
    data = table.source.pread(start, length + 4)
    return length if isal_zlib.adler32(data[:length]) == int.from_bytes(data[length:], "little") else None


def _number(sources: Sequence[FileSource]) -> dict[int, FileSource]:
    """Segments by number: by their heads if these are one run, otherwise by head where unique, else by name."""
    heads = [ewf.segment_number(source) for source in sources]
    present = [number for number in heads if number is not None]
    smart = is_smart([source.name for source in sources])
    by_name = [e01_number(source.name, smart) for source in sources]
    if sorted(present) == list(range(1, len(sources) + 1)):
        return dict(sorted((number, source) for number, source in zip(heads, sources) if number is not None))
    found: dict[int, FileSource] = {}
    waiting: list[tuple[int | None, FileSource]] = []
    for head, name, source in zip(heads, by_name, sources):
        if head is not None and head and head not in found and (name is None or name == head):
            found[head] = source
        else:
            waiting.append((name if name is not None else head, source))
    for number, source in waiting:
        if number is None or number in found:
            raise AcquireError("HW2005", source.name, what=source.name)
        found[number] = source
    return dict(sorted(found.items()))


def _walk(source: FileSource) -> _Segment:
    warnings: list[Gap] = []
    sections = list(ewf.walk(source, warnings))
    if ewf.segment_number(source) is None:
        warnings.insert(0, Gap(0, ewf.HEADER_SIZE, GapReason.UNREADABLE, "the head of the segment is broken"))
    found = [ewf.geometry_of(source, s) for s in sections if s.type in ("volume", "disk", "data")]
    read = [g for g in found if g is not None]
    if len(read) != len(found) or not all(g.sound for g in read):
        warnings.append(Gap(0, 0, GapReason.UNREADABLE, "a volume section is broken"))
    return _Segment(source, sections, warnings, next((g for g in read if g.sound), None))


def _foreign(segment: _Segment, geometry: Geometry | None) -> bool:
    """Whether a segment says of itself that it belongs to another image, or is no segment at all."""
    if not segment.sections or all(section.type == ewf.DAMAGED for section in segment.sections):
        return True
    mine = segment.geometry
    if mine is None or geometry is None:
        return False
    return mine.set_id != geometry.set_id or mine.chunk_size != geometry.chunk_size


def _complete(ordered: dict[int, _Segment], own: dict[int, _Segment], sources: Sequence[FileSource]) -> None:
    stem, smart = sources[0].name[:-4], is_smart([source.name for source in sources])
    for number, segment in ordered.items():
        if number not in own:
            code = "HW2005" if segment.sections else "HW2006"
            raise AcquireError(code, segment.source.name, what=segment.source.name)
    last = max(ordered)
    for number in range(1, last + 1):
        if number not in ordered:
            raise AcquireError("HW2004", stem, what=f"{stem}.{e01_suffix(number, smart)}")
    if ordered[last].last == "next":
        raise AcquireError("HW2004", stem, what=f"{stem}.{e01_suffix(last + 1, smart)}")


def _items(number: int, segment: _Segment) -> list[Table | Hole]:
    """The tables of a segment in order, with a hole wherever chunk data stand that no table speaks of."""
    items: list[Table | Hole] = []
    copies: list[Copy] = []
    data_end: int | None = None
    waiting = False  # chunk data, or damage that may be chunk data, without their table yet
    lost = Hole(GapReason.UNREADABLE, f"both copies of a table in segment {e01_suffix(number)} are broken")

    def flush() -> None:
        nonlocal copies, data_end, waiting
        table = table_of(number, segment.source, copies, data_end)
        if table is not None:
            items.append(table)
        elif waiting:
            items.append(lost)
        copies, data_end, waiting = [], None, False

    for section in segment.sections:
        if section.type == "sectors":
            flush()
            waiting, data_end = True, section.end
        elif section.type in ("table", "table2"):
            if section.type == "table" and copies:
                flush()
            copy = read_copy(segment.source, section)
            if copy is None:
                waiting = True
            else:
                copies.append(copy)
        elif section.type == ewf.DAMAGED:
            if copies:  # it may have been the second copy, or the next data: only the total can tell
                flush()
            waiting = True
    flush()
    if segment.last not in ("next", "done"):
        items.append(Hole(GapReason.TRUNCATED, f"segment {e01_suffix(number)} is cut off"))
    return items


def _claims(
    segment: _Segment,
    stated: dict[str, str],
    notes: dict[str, str],
    errors: list[tuple[int, int]],
    warnings: list[Gap],
) -> None:
    for section in segment.sections:
        read: object = ()
        if section.type in ("digest", "hash"):
            digests = ewf.stated_digests(segment.source, section)
            read = digests
            stated |= digests or {}
        elif section.type == "error2":
            listed = ewf.acquisition_errors(segment.source, section)
            read = listed
            errors += listed or []
        elif section.type in ("header", "header2"):
            # header2 is Unicode and comes first: what it says is not overwritten by the older form
            for key, value in ewf.header_notes(segment.source, section).items():
                notes.setdefault(key, value)
        if read is None:
            detail = f"{segment.source.name}: the checksum of section {section.type} does not fit"
            warnings.append(Gap(section.offset, section.end - section.offset, GapReason.UNREADABLE, detail))


def _derive(items: Sequence[Table | Hole], name: str) -> Geometry:
    """The geometry from the chunks alone, when no volume section can be read: their number and their lengths.

    Raises:
        AcquireError: HW2006 the chunks do not tell, or some are lost, so that their number is not known.
    """
    tables = [item for item in items if isinstance(item, Table)]
    if not tables or len(tables) != len(items):
        raise AcquireError("HW2006", name, what="the volume section is broken")
    first, last = tables[0], tables[-1]
    places = load(first, _MOST)[0]
    start = int(places.offsets[0])
    if places.compressed[0]:
        size = len(inflate_zlib(first.source.pread(start, _MOST), _MOST) or b"")
    else:
        size = int(places.offsets[1]) - start - 4 if first.count > 1 else _last_length(first, _MOST) or 0
    # one chunk alone may be a short one: its length is then taken for the chunk size, which changes nothing
    tail = _last_length(last, _MOST)
    chunks = sum(table.count for table in tables)
    if not 0 < size <= _MOST or (chunks > 1 and size % 512) or not tail or tail > size:
        raise AcquireError("HW2006", name, what="the volume section is broken")
    if chunks == 1:
        size = -(-size // 512) * 512
    return Geometry(chunks, size // 512, 512, -(-((chunks - 1) * size + tail) // 512), sound=False)
