# SPDX-License-Identifier: Apache-2.0
"""Lists a tar archive and reads its members in place: v7, ustar, pax, GNU long names, GNU and pax sparse files.

Formats: POSIX.1-2017 pax, "ustar Interchange Format" and "pax Interchange Format"; GNU tar manual, "Basic Tar Format"
and "Storing Sparse Files". Names are bytes. Links, hard ones too, are entries with a target and are never followed.
Blocks of zeros do not end the listing: what was appended behind them is evidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from headwater.formats.attributes import capabilities_of
from headwater.formats.members import Namesakes, member_path
from headwater.formats.sources import ChainSource, Piece
from headwater.formats.tar_sparse import number, old_map, pax_map, pieces_of
from headwater.formats.trees import Coverage, Entry, EntryKind
from headwater.model.kinds import GapReason
from headwater.model.paths import encode_name
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

BLOCK = 512
_LONG = 1 << 20  # a long name or pax header beyond this is not believed
_EXTENSIONS = 16  # extension headers before one member
_ENTRIES = 10_000_000
_SCAN = 64 << 10
_KINDS: dict[bytes, EntryKind] = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",
    b"S": "file",
    b"1": "link",
    b"2": "link",
    b"3": "char",
    b"4": "block",
    b"5": "dir",
    b"D": "dir",
    b"6": "fifo",
}
_TYPE_BITS = {"file": 0o100000, "link": 0o120000, "char": 0o20000, "block": 0o60000, "dir": 0o40000, "fifo": 0o10000}


def is_header(block: bytes) -> bool:
    """Whether a block of 512 bytes is a member's header by its checksum (unsigned, or signed as old tars wrote it)."""
    if len(block) < BLOCK or not any(block[:100]):
        return False
    stated = number(block[148:156])
    if stated is None:
        return False
    covered = block[:148] + b" " * 8 + block[156:BLOCK]
    return stated == sum(covered) or stated == sum(b - 256 if b > 127 else b for b in covered)


@dataclass(slots=True)
class _Member:
    """One member: its header block, where it and its data stand, and what extension headers say of it."""

    start: int
    header: bytes
    data: int
    name: bytes | None = None
    target: bytes | None = None
    pax: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def stored(self) -> int:
        """Bytes of data in the archive."""
        size = _decimal(self.pax.get(b"size"))
        if size is None:
            size = number(self.header[124:136])
        return size if size is not None and 0 <= size < 1 << 62 else 0


class TarTree:
    """The members of a tar archive in its order; ``key`` is the offset at which a member's headers begin."""

    def __init__(self, source: ByteSource, kind: str, warnings: Sequence[Gap] = ()) -> None:
        self._source = source
        self.kind = kind
        self._given = tuple(warnings)
        self._warnings: list[Gap] = []
        self._capable: dict[str, bytes] = {}

    @property
    def warnings(self) -> Sequence[Gap]:
        """Damage met so far, offsets in the (decompressed) archive; of a compressed one first what its layer lost."""
        return (*self._given, *self._warnings)

    def entries(self) -> Iterator[Entry]:
        self._warnings = []
        names = Namesakes()
        general: dict[bytes, bytes] = {}
        at: int | None = self._skip(0)
        for _ in range(_ENTRIES):
            if at is None:
                return
            member = self._member(at, general)
            if isinstance(member, Gap):
                self._warnings.append(member)
                at = self._resume(member.offset + member.length)
                continue
            entry = self._entry(member, names)
            if entry is not None:
                yield entry
            end = self._end(member)
            if end > self._source.size + BLOCK:
                lost = Gap(self._source.size, end - self._source.size, GapReason.TRUNCATED, "the archive ends early")
                self._warnings.append(lost)
                return
            at = self._skip(end)
        rest = self._source.size - (at or 0)
        self._warnings.append(Gap(at or 0, rest, GapReason.LIMIT, f"more than {_ENTRIES} members"))

    def capabilities(self, entries: Sequence[Entry]) -> dict[int, str]:
        """The capabilities of those members that have some, by their place among them (pax, as tar --xattrs writes them)."""
        held = ((n, self._capable.get(entry.key)) for n, entry in enumerate(entries))
        told = ((n, capabilities_of(value)) for n, value in held if value)
        return {n: text for n, text in told if text}

    def _end(self, member: _Member) -> int:
        """Where the next member's headers begin, unless padding stands there."""
        kind, data = member.header[156:157], member.data
        if kind == b"S" and (found := old_map(self._source, member.header, data)) is not None:
            data = found[1]
        held = 0 if kind in (b"1", b"2", b"3", b"4", b"5", b"6") else member.stored
        return data + -(-held // BLOCK) * BLOCK

    def _skip(self, at: int) -> int | None:
        """The first block from ``at`` that is not all zeros; None at the end."""
        while at < self._source.size:
            if at + BLOCK <= self._source.size and any(self._source.pread(at, BLOCK)):
                return at
            block = self._source.pread(at, _SCAN)
            rest = block.lstrip(b"\0")
            if rest:
                return at + (len(block) - len(rest)) // BLOCK * BLOCK
            at += len(block)
        return None

    def _resume(self, at: int) -> int | None:
        """The next block from ``at`` that is a header with a magic."""
        while at < self._source.size:
            data = self._source.pread(at, _SCAN)
            for inside in range(0, len(data) - BLOCK + 1, BLOCK):
                block = data[inside : inside + BLOCK]
                if block[257:262] == b"ustar" and is_header(block):
                    self._stretch(at + inside)
                    return at + inside
            at += _SCAN
        self._stretch(self._source.size)
        return None

    def _stretch(self, end: int) -> None:
        last = self._warnings[-1]
        self._warnings[-1] = Gap(last.offset, end - last.offset, last.reason, last.detail)

    def _member(self, at: int, general: dict[bytes, bytes]) -> _Member | Gap:
        """The member whose headers begin at ``at``, with its extension headers; a gap where there is none."""
        found = _Member(at, b"", at, pax=dict(general))
        for _ in range(_EXTENSIONS):
            header = self._source.pread(found.data, BLOCK)
            if not is_header(header):
                reason = GapReason.TRUNCATED if len(header) < BLOCK else GapReason.UNREADABLE
                end = min(found.data + BLOCK, self._source.size)
                return Gap(at, end - at, reason, "no tar header, or one whose checksum does not fit")
            found.data += BLOCK
            kind = header[156:157]
            if kind not in b"LKxgX" or kind == b"\0":
                found.header = header
                return found
            size = number(header[124:136])
            if size is None or not 0 <= size <= _LONG:
                return Gap(at, found.data - at, GapReason.LIMIT, "an extension header of impossible size")
            data = self._source.pread(found.data, size)
            found.data += -(-size // BLOCK) * BLOCK
            if kind == b"L":
                found.name = data.rstrip(b"\0")
            elif kind == b"K":
                found.target = data.rstrip(b"\0")
            elif kind == b"g":
                general |= _pax(data)
                found.pax = {**general, **found.pax}
            else:
                found.pax |= _pax(data)
        return Gap(at, found.data - at, GapReason.LIMIT, "too many extension headers before one member")

    def _entry(self, member: _Member, names: Namesakes) -> Entry | None:
        header, pax = member.header, member.pax
        flag = header[156:157]
        name = pax.get(b"GNU.sparse.name") or pax.get(b"path") or member.name or _ustar_name(header)
        kind: EntryKind = _KINDS.get(flag, "other")
        if kind == "file" and flag == b"\0" and name.endswith(b"/"):
            kind = "dir"  # v7 had no type for directories
        if flag in (b"V", b"M"):  # a volume label, the rest of a member that began elsewhere
            self._warnings.append(Gap(member.start, BLOCK, GapReason.UNSUPPORTED, f"tar member of type {flag!r}"))
            return None
        target = pax.get(b"linkpath") or member.target or header[157:257].partition(b"\0")[0]
        gnu = header[257:265] == b"ustar  \0"
        mode = (number(header[100:108]) or 0) & 0o7777
        if value := pax.get(b"SCHILY.xattr.security.capability"):
            self._capable[str(member.start)] = value
        return Entry(
            path=names.of(member_path(name)),
            kind=kind,
            size=self._content(member).size if kind == "file" else 0,
            mode=mode | _TYPE_BITS.get(kind, 0),
            uid=_first(_decimal(pax.get(b"uid")), number(header[108:116])),
            gid=_first(_decimal(pax.get(b"gid")), number(header[116:124])),
            inode=0,
            allocated=True,
            modified=_first(_time(pax.get(b"mtime")), _seconds(number(header[136:148]))),
            accessed=_first(_time(pax.get(b"atime")), _old_gnu_time(header[345:357]) if gnu else None),
            changed=_first(_time(pax.get(b"ctime")), _old_gnu_time(header[357:369]) if gnu else None),
            created=_time(pax.get(b"LIBARCHIVE.creationtime")),
            deleted=None,
            target=encode_name(target) if kind == "link" else None,
            key=str(member.start),
        )

    def _content(self, member: _Member) -> ChainSource:
        # a member cut off by the archive's end is as long as what is there: a stated size may have no end
        held = max(0, min(member.stored, self._source.size - member.data))
        cut = (held, member.stored - held, GapReason.TRUNCATED, "the archive ends early")
        if member.header[156:157] == b"S":
            found = old_map(self._source, member.header, member.data)
        else:
            found = pax_map(self._source, member.pax, member.data, member.stored)
        if found is None:
            return ChainSource((Piece(self._source, member.data, held),), extra=(cut,))
        # the extra blocks of an old sparse map stand before the data and are not counted in its size
        extents, data, size = found
        return pieces_of(self._source, extents, data, size)

    def open(self, key: str) -> ByteSource:
        member = self._at(key)
        return self._content(member)

    def _at(self, key: str) -> _Member:
        if not key.isdigit() or len(key) > 18:
            raise KeyError(key)
        member = self._member(int(key), {})
        if isinstance(member, Gap) or _KINDS.get(member.header[156:157]) != "file":
            raise KeyError(key)
        return member

    def extents(self, key: str) -> tuple[tuple[int, int], ...]:
        """Ranges of the archive file that hold the content; () in a compressed archive."""
        if self.kind != "tar":
            return ()
        content = self._content(self._at(key))
        return content.physical(0, content.size)

    def coverage(self) -> Iterator[tuple[int, int, Coverage]]:
        """Nothing: an archive is no medium."""
        return iter(())


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _ustar_name(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    # the prefix is POSIX's; GNU's own format has other fields there
    if header[257:263] == b"ustar\0" and header[345]:
        return header[345:500].partition(b"\0")[0] + b"/" + name
    return name


def _pax(data: bytes) -> dict[bytes, bytes]:
    """The records ``LENGTH KEY=VALUE\\n`` of a pax header, as far as they keep their form."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 10)
        length = _decimal(data[at:space]) if space > at else None
        if length is None or length < space - at + 3 or data[at + length - 1 : at + length] != b"\n":
            break
        key, mark, value = data[space + 1 : at + length - 1].partition(b"=")
        if mark:
            # sparse 0.0 repeats offset and numbytes: keep them all, in order
            repeated = key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes") and key in found
            found[key] = found[key] + b"," + value if repeated else value
        at += length
    return found


def _decimal(value: bytes | None) -> int | None:
    return int(value) if value is not None and value.isdigit() and len(value) < 19 else None


def _seconds(value: int | None) -> int | None:
    return value * 1_000_000_000 if value is not None and abs(value) < 1 << 33 else None


def _old_gnu_time(field_bytes: bytes) -> int | None:
    return _seconds(number(field_bytes)) if any(field_bytes) else None


def _time(value: bytes | None) -> int | None:
    """A pax time, decimal seconds with any number of digits, as nanoseconds, rounded down as POSIX has it."""
    if value is None:
        return None
    negative = value.startswith(b"-")
    whole, _, digits = value.lstrip(b"-").partition(b".")
    seconds = _decimal(whole)
    if seconds is None or (digits and not digits.isdigit()):
        return None
    nanoseconds = seconds * 1_000_000_000 + int(digits[:9].ljust(9, b"0") or b"0")
    return (-nanoseconds if negative else nanoseconds) if seconds < 1 << 33 else None
