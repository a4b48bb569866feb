# SPDX-License-Identifier: Apache-2.0
"""The stream of a live collection (``.hwcol``): its records, and the tree of files and answers that they make.

The stream is one line ``HWCOL1 MARKER`` and then records, each ``MARKER KIND HEAD DATA\\n`` with two lengths in bytes,
the head and the data. The marker is random and made by who asks, so that nothing that a server's files hold can pass
for a record when a damaged stream is picked up again. A head is lines ``name=value`` in ASCII (what is none is
percent-encoded); its last name, ``path``, takes the raw bytes that are left, of which the last ``target`` are where a link
points. Times are the server's, ns since 1970.

======  =====================================================================================================
``H``   the system, the collector, its start: first record
``F``   a name with what the system says of it, and, of a small file, its content
``B``   a larger file, or a command (``kind=command``; the path is its name), begins; its content follows
``D``   the next bytes of it (of a command: what it printed)
``S``   the next ``length`` bytes of it are a hole of the file
``X``   of a command: bytes of its error output
``E``   its end: size, digests, status, and of a command exit, start and end
``M``   what was looked for and is not there, or could not be asked
``Q``   the end of the stream
======  =====================================================================================================

``status`` is success, empty, missing, failed, listed (never opened: a device, FIFO or socket), cut or timeout. The tree
shows files at their own paths; a command NAME as ``/@command/NAME.stdout``, ``.stderr`` and ``.json`` (line, exit, start,
end); files and links of /proc and /sys that were read to their end (``pseudo=1``) at their own paths, whose only time is
when they were read (accessed), which is when the kernel said so;
``/@deleted/PID/exe`` and ``/@deleted/PID/fd/N``, what was gone from the disk but still held; ``/@raw/pids.txt``,
``/@raw/files/PATH`` and ``/@raw/ls-NAME.txt``, what the kernel said past the C library. A file whose own path begins with one
of these stands below ``/@file``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from headwater.formats.collection_records import Damage, Record, Records, is_collection, number_of, text_of
from headwater.formats.members import Namesakes, member_path
from headwater.formats.sources import ChainSource, MemorySource, Piece, window
from headwater.formats.trees import Coverage, Entry, EntryKind
from headwater.model.kinds import GapReason
from headwater.model.paths import encode_name
from headwater.model.ports import ByteSource
from headwater.model.records import Gap
from headwater.model.times import rfc3339

__all__ = ["CollectionTree", "Damage", "Member", "is_collection"]

_KINDS: frozenset[str] = frozenset({"file", "dir", "link", "char", "block", "fifo", "socket"})
_PIECES = 2_000_000  # of one file; at 1 MiB each these are 2 TB
_SIZE_MOST = 1 << 44  # ext4's largest file: a hole costs a liar nothing and whoever digests it hours
_LISTED = 10_000  # what could not be had, one gap each; of the rest the number
_OURS = ("/@command/", "/@raw/", "/@deleted/", "/@file/")
_TIMES = ("modified", "accessed", "changed", "created")


@dataclass(slots=True)
class Member:
    """One thing of the stream, with the record that begins it and, where it has one, the record that ends it.

    ``kind``: as the record says it, ``command`` among them; ``missing`` where there is nothing. ``data``: the ranges of
    the stream that hold its content, in order, (offset, length); (-1, length) is a hole. ``errors``: those of a command's
    error output.
    """

    record: Record
    kind: str
    path: bytes
    target: bytes | None
    said: dict[str, str]
    data: list[tuple[int, int]] = field(default_factory=list)
    errors: list[tuple[int, int]] = field(default_factory=list)
    size: int = 0  # bytes of content, holes counted
    end: int = 0  # where the next record begins
    whole: bool = True

    @property
    def status(self) -> str:
        """success, empty, missing, failed, listed, cut or timeout."""
        return self.said.get("status", "failed") if self.whole else "cut"

    @property
    def why(self) -> str:
        """The reason that the collector gave, as text."""
        return text_of(self.said.get("why", ""))


def members(records: Records, start: int | None = None) -> Iterator[Member]:
    """Everything that the stream tells of, in its order; from a record's offset where ``start`` is given."""
    open_member: Member | None = None
    for record in records.walk(start):
        if open_member is not None:
            if record.kind in "DSX":
                _more(open_member, record)
                continue
            if record.kind == "E":
                cut = open_member.said.get("status") == "cut"
                open_member.said = record.fields | open_member.said if cut else open_member.said | record.fields
                _unpad(open_member)
            open_member.whole = record.kind == "E"
            open_member.end = record.end if open_member.whole else record.offset
            done, open_member = open_member, None
            yield done
            if done.whole:
                continue
        if record.kind in "FM":
            yield _member(record)
        elif record.kind == "B":
            open_member = _member(record)
    if open_member is not None:
        open_member.whole = False
        open_member.end = records.at
        yield open_member


def _unpad(member: Member) -> None:
    """Take off what a collector that had promised a length put behind a file that had become shorter."""
    pad = number_of(member.said.get("pad")) or 0
    while pad > 0 and member.data and member.data[-1][0] >= 0:
        at, length = member.data.pop()
        take = min(pad, length)
        pad, member.size = pad - take, member.size - take
        if length > take:
            member.data.append((at, length - take))


def _member(record: Record) -> Member:
    said = dict(record.fields)
    path, target = record.last, None
    kind = said.get("kind", "missing") if record.kind != "M" else "missing"
    length = number_of(said.get("target"))
    if kind == "link" and length is not None and length <= len(path):
        path, target = path[: len(path) - length], path[len(path) - length :]
    data = [(record.data, record.held)] if record.kind == "F" and record.held else []
    size = sum(length for _, length in data)
    whole = record.held == record.length
    return Member(record, kind, path, target, said, data, size=size, end=record.end, whole=whole)


def _more(member: Member, record: Record) -> None:
    """Bytes or a hole that belong to a member; what lies beyond the limits is not believed."""
    to = member.errors if record.kind == "X" else member.data
    hole = record.kind == "S"
    length = (number_of(record.fields.get("length")) or 0) if hole else record.held
    if len(to) >= _PIECES or length < 0 or member.size + length > _SIZE_MOST:
        member.said["why"] = "beyond%20the%20limits%20of%20one%20file"
        member.said["status"] = "cut"
    elif length:
        to.append((-1 if hole else record.data, length))
        member.size += length if to is member.data else 0


class CollectionTree:
    """The tree of a collection. ``key``: the offset of the record, and for a command which of its three files."""

    kind = "collection"

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._records = Records(source)
        self._warnings: list[Gap] = []
        self._end: Mapping[str, str] = {}

    @property
    def facts(self) -> Mapping[str, str]:
        """What the head of the stream says of the system and of the collector, percent-decoded."""
        head = self._records.head()
        return {} if head is None else {k: text_of(v) for k, v in head.fields.items()}

    @property
    def warnings(self) -> Sequence[Gap]:
        """Damage of the stream and what could not be had; offsets in the stream."""
        return tuple(self._warnings)

    def ended(self) -> Mapping[str, str]:
        """What the last record says, once :meth:`members` has been walked; empty where there was none."""
        return dict(self._end)

    def members(self) -> Iterator[Member]:
        """Everything that the stream tells of; fills :attr:`warnings`."""
        self._warnings = []
        left_out = 0
        records = Records(self._source)
        for member in members(records):
            if member.status in ("failed", "cut", "timeout") or (
                member.status == "missing" and member.kind != "missing"
            ):
                if len(self._warnings) < _LISTED:
                    self._warnings.append(_lost(member))
                else:
                    left_out += 1
            yield member
        self._end = records.last.fields if records.last is not None and records.last.kind == "Q" else {}
        self._warnings += [Gap(d.offset, d.length, d.reason, d.what) for d in records.damage]
        if left_out:
            self._warnings.append(Gap(0, 0, GapReason.UNREADABLE, f"{left_out} more that could not be read"))

    def entries(self) -> Iterator[Entry]:
        names = Namesakes()
        for member in self.members():
            if member.kind == "command" or (member.kind == "missing" and "line" in member.said):
                yield from self._answers(member, names)
            elif member.kind in _KINDS and member.path:
                yield _entry(member, names)

    def _answers(self, member: Member, names: Namesakes) -> Iterator[Entry]:
        """A command's output, error output, and what was asked."""
        at = member.record.offset
        base = member_path(b"/@command/" + member.path.replace(b"/", b"%2F"))
        sizes = [(".json", len(_asked(member)), f"{at}j")]
        if member.kind == "command":
            errors = sum(length for _, length in member.errors)
            sizes = [(".stdout", member.size, f"{at}"), (".stderr", errors, f"{at}e"), *sizes]
        for ending, size, key in sizes:
            path = names.of(base + ending)
            yield Entry(path, "file", size, 0, None, None, 0, True, None, None, None, None, None, None, key)

    def open(self, key: str) -> ByteSource:
        """The bytes behind a key.

        Raises:
            KeyError: this tree never gave it out.
        """
        match = re.fullmatch(r"(\d{1,18})([ej]?)", key)
        if match is None:
            raise KeyError(key)
        member = next(members(Records(self._source), int(match[1])), None)
        if member is None or member.record.offset != int(match[1]):
            raise KeyError(key)
        if match[2] == "j":
            return MemorySource(_asked(member))
        ranges = member.errors if match[2] == "e" else member.data
        pieces = [Piece(self._source if at >= 0 else None, max(at, 0), length) for at, length in ranges]
        cut = [(member.size, 0, GapReason.TRUNCATED, "the stream ends early")] if not member.whole else []
        return ChainSource(pieces, extra=cut)

    def extents(self, key: str) -> tuple[tuple[int, int], ...]:
        """Ranges of the stream that hold the content."""
        source = self.open(key)
        return source.physical(0, source.size) if isinstance(source, ChainSource) else ()

    def coverage(self) -> Iterator[tuple[int, int, Coverage]]:
        """Nothing: a stream is no medium."""
        return iter(())

    def notes(self, key: str) -> ByteSource:
        """The head of the record behind a key, as it stands in the stream."""
        member = next(members(Records(self._source), int(key.rstrip("ej"))))
        return window(self._source, member.record.offset, member.record.data - member.record.offset)


def _entry(member: Member, names: Namesakes) -> Entry:
    said = member.said
    kind: EntryKind = member.kind  # type: ignore[assignment]
    when = {name: number_of(said.get(name)) for name in _TIMES}
    if said.get("pseudo") and not any(when.values()):
        when["accessed"] = number_of(said.get("at"))
    path = member_path(member.path)
    if path.startswith(_OURS) and not {"pseudo", "origin"} & said.keys():
        path = f"/@file{path}"  # a file that truly has such a name must not pass for an answer
    return Entry(
        path=names.of(path),
        kind=kind,
        size=member.size if kind == "file" else 0,
        mode=number_of(said.get("mode")) or 0,
        uid=number_of(said.get("uid")),
        gid=number_of(said.get("gid")),
        inode=number_of(said.get("inode")) or 0,
        allocated=not member.path.startswith(b"/@deleted/"),
        modified=when["modified"],
        accessed=when["accessed"],
        changed=when["changed"],
        created=when["created"],
        deleted=None,
        target=encode_name(member.target) if member.target is not None else None,
        key=str(member.record.offset),
    )


def _lost(member: Member) -> Gap:
    reason = GapReason.TRUNCATED if member.status == "cut" else GapReason.UNREADABLE
    path = encode_name(member.path)
    path = path if len(path) <= 1000 else f"{path[:500]}…{path[-500:]}"
    what = f"{path}: {member.status} {member.why}".rstrip()
    return Gap(member.record.offset, max(0, member.end - member.record.offset), reason, what[:2000])


_SAID = ("artifact", "tool", "tool_sha256", "pid", "exit", "timeout", "sha256", "md5", "errors_sha256")


def _asked(member: Member) -> bytes:
    """A command's question and how it was answered, as JSON; the same bytes each time."""
    said = member.said
    row: dict[str, object] = {"line": text_of(said.get("line", "")), "status": member.status, "why": member.why or None}
    row.update((k, text_of(said[k])) for k in _SAID if k in said)
    for name in ("start", "end"):
        ns = number_of(said.get(name))
        row[name] = None if ns is None else rfc3339(ns)
        row[f"{name}_ns"] = None if ns is None else str(ns)
    if "exit" in row:
        row["exit"] = number_of(said["exit"]) if said["exit"].lstrip("-").isdigit() else None
    return json.dumps(row, ensure_ascii=False, sort_keys=True, indent=1).encode("utf-8") + b"\n"
