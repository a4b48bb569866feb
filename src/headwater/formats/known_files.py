# SPDX-License-Identifier: Apache-2.0
"""Sets of known files (NSRL's CSV, lists of digests, STIX, MISP): which of the digests that are wanted stand in one.

A set of 100 million rows is read once, a line at a time; only what is wanted is kept. CSV: the columns ``SHA-256`` and
``MD5`` of NSRL's data formats (https://www.nist.gov/itl/ssd/software-quality-group/national-software-reference-library-nsrl);
a row whose ``SpecialCode`` is M (malicious) or S (special) says that a file is known, not that it is good, and is left
out. Text: a digest at the beginning of each line, as sha256sum and md5sum write them; ``#`` begins a comment.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from headwater.formats.indicator_lists import LIST_MOST, BadList, read_list

LINE_MOST = 1 << 20
_LENGTHS = {64: "sha256", 32: "md5"}
_SPECIAL = {"M": "marked as malicious in the set", "S": "marked as special in the set"}


@dataclass(slots=True)
class KnownFiles:
    """One set: its digest, its rows, and of the wanted digests those that it holds, with the line or object and a name."""

    name: str
    sha256: str = ""
    rows: int = 0
    matched: dict[str, tuple[str, str]] = field(default_factory=dict)
    unused: Counter[str] = field(default_factory=Counter)


def known_files(name: str, stream: BinaryIO, wanted: Collection[str]) -> KnownFiles:
    """Read one set through; ``wanted`` holds SHA-256 and MD5 digests in lower-case hex.

    Raises:
        BadList: it is no such set. OSError: it cannot be read.
    """
    found = KnownFiles(name)
    digest = hashlib.sha256()
    first = stream.readline(LINE_MOST)
    if first.lstrip()[:1] in (b"{", b"["):
        data = first + stream.read(LIST_MOST)
        if stream.read(1):
            raise BadList(f"JSON of more than {LIST_MOST >> 20} MiB")
        digest.update(data)
        _of_objects(found, data, wanted)
    elif b"\0" in first:
        raise BadList("no text")
    else:
        lines = _lines(first, stream, digest.update)
        head = [cell.strip().strip('"').lower() for cell in first.decode("utf-8-sig", "replace").split(",")]
        if len(head) > 1:
            _of_rows(found, head, lines, wanted)
        else:
            _of_text(found, lines, wanted)
    found.sha256 = digest.hexdigest()
    if not found.rows:
        raise BadList("no SHA-256 and no MD5 in it")
    return found


def _lines(first: bytes, stream: BinaryIO, read: Callable[[bytes], object]) -> Iterator[str]:
    line = first
    read(line)
    line = line.removeprefix(b"\xef\xbb\xbf")
    while line:
        yield line.decode("utf-8", "replace").replace("\0", "")
        line = stream.readline(LINE_MOST)
        read(line)


def _hold(found: KnownFiles, text: str, place: str, about: str, wanted: Collection[str]) -> bool:
    """Note a digest where it is wanted; False where it is none."""
    value = text.strip().strip('"').lower()
    if len(value) not in _LENGTHS or value.strip("0123456789abcdef"):
        return False
    if value in wanted:
        found.matched.setdefault(value, (place, about[:300]))
    return True


def _of_text(found: KnownFiles, lines: Iterator[str], wanted: Collection[str]) -> None:
    for number, line in enumerate(lines, 1):
        value, _, about = line.partition("#")[0].strip().partition(" ")
        if not value:
            continue
        if _hold(found, value.lstrip("\\"), f"line {number}", about.strip(" *"), wanted):
            found.rows += 1
        else:
            found.unused["no SHA-256 and no MD5"] += 1


def _of_rows(found: KnownFiles, head: list[str], lines: Iterator[str], wanted: Collection[str]) -> None:
    columns = [at for at, cell in enumerate(head) if cell in ("sha-256", "sha256", "md5", "hash", "value")]
    names = [at for at, cell in enumerate(head) if cell in ("filename", "file_name", "name", "comment")]
    code = head.index("specialcode") if "specialcode" in head else None
    rows = csv.reader(lines)
    try:
        if columns:
            next(rows, None)
        else:
            columns = [0]  # no header: digest, then whatever else
        for row in rows:
            if not row:
                continue
            special = _SPECIAL.get(row[code].strip()) if code is not None and code < len(row) else None
            if special is not None:
                found.unused[special] += 1
                continue
            about, place = " ".join(row[at] for at in names if at < len(row)), f"line {rows.line_num}"
            held = [_hold(found, row[at], place, about, wanted) for at in columns if at < len(row)]
            found.rows += any(held)
            if not any(held):
                found.unused["no SHA-256 and no MD5"] += 1
    except csv.Error as error:
        raise BadList(f"CSV: {error}") from error


def _of_objects(found: KnownFiles, data: bytes, wanted: Collection[str]) -> None:
    held = read_list(found.name, data)
    found.unused.update(held.unused)
    for one in held.indicators:
        if one.kind in ("sha256", "md5"):
            found.rows += _hold(found, one.value, one.place, one.about, wanted)
        else:
            found.unused[f"a {one.kind}"] += 1
