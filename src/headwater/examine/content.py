# SPDX-License-Identifier: Apache-2.0
"""What every file holds, as it stands: digests, type, entropy; feed ``fs.content``, one row for each file.

A row stands on all bytes of its file: offset 0, the file's length, and the ordinal :data:`WHOLE`, which no record of a
parser has, so that it is told apart from the first record in the same file. Its times are those of ``fs.macb``.
``entropy`` is Shannon's, in bits per byte (0–8), over the first MiB: 7.9 and more is compressed or encrypted.
Of a deleted file some of whose blocks belong to a later file no digest is stated, nor what rests on such blocks; where none
of its bytes is left, it has no row.
``php_inside``: a PHP opening tag stands in the first MiB of what is, by its signature, a picture, archive or document.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from headwater.examine.batch import HEAD_SCHEMA, printable
from headwater.examine.filled import filled
from headwater.formats.histogram import entropy
from headwater.formats.joint_digests import digesters, hexdigests
from headwater.formats.signatures import HEAD, disguised, type_of
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.ports import ByteSource
from headwater.model.records import own_column

FEED = "fs.content"
VERSION = 2
WHOLE = 1 << 30  # the ordinal of an event on a whole file
FILE_MOST = 64 << 30  # bytes; what is larger is a stated gap
SAMPLE = 1 << 20
_READ = 1 << 20
_ALGORITHMS = ("sha256", "md5")
_CARRIERS = {"jpeg", "png", "gif", "bmp", "ico", "webp", "tiff", "pdf", "zip", "gzip", "mp4", "mp3"}

_MD5, _TYPE, _ENTROPY, _DISGUISED, _PHP = map(own_column, ("md5", "type", "entropy", "disguised", "php_inside"))
OWN: dict[str, Any] = {
    _MD5: pl.String, _TYPE: pl.String, _ENTROPY: pl.Float64, _DISGUISED: pl.Boolean, _PHP: pl.Boolean,
}  # fmt: skip

Row = dict[str, Any]


def describe(source: ByteSource, path: str, progress: Callable[[int], None] | None = None) -> Row:
    """What the bytes of one file are; ``path`` in the grammar of model/paths. Reads the file once, 1 MiB at a time."""
    digests = digesters(_ALGORITHMS)
    sample = b""
    at, size = 0, source.size
    while at < size:
        block = source.pread(at, min(_READ, size - at))
        if not block:
            break
        for digest in digests:
            digest.update(block)
        if not at:
            sample = block[:SAMPLE]
        at += len(block)
        if progress is not None:
            progress(len(block))
    found = type_of(sample[:HEAD])
    made = hexdigests(digests, _ALGORITHMS)
    row: Row = {
        "length": at,
        "hash": made["sha256"],
        _MD5: made["md5"],
        _TYPE: found,
        _ENTROPY: entropy(sample),
        _PHP: found in _CARRIERS and b"<?php" in sample,
    }
    return renamed(row, path)


def its_own(row: Row, lost: Sequence[tuple[int, int]]) -> Row | None:
    """The row without what rests on ranges (offset, length) that are not this file's any more; None where it has no other."""
    lost = [(at, length) for at, length in lost if length > 0]
    if not lost:
        return row
    if sum(length for _, length in lost) >= int(row["length"]):
        return None
    first = min(at for at, _ in lost)
    left: Row = row | {"hash": None, _MD5: None}
    if first < SAMPLE:
        left |= {_ENTROPY: None, _PHP: None}
    if first < HEAD:
        left |= {_TYPE: None, _DISGUISED: None}
    return left


def renamed(row: Row, path: str) -> Row:
    """The row under a name: a hard link holds the same bytes, but its own ending promises what they are."""
    promised = None if row[_TYPE] is None else disguised(path.rpartition("/")[2], str(row[_TYPE]))
    return row | {"file_path": path, _DISGUISED: promised}


def frame(rows: Sequence[Row], paths: Sequence[str]) -> pl.DataFrame:
    """Rows of :func:`describe` as events; ``paths`` are the files' paths with their layers, as spans have them."""
    fixed: dict[str, str | int] = {
        "t_basis": str(TimeBasis.NONE), "t_kind": "state", "kind": str(EventKind.STATE_FILE), "offset": 0, "ordinal": WHOLE,
    }  # fmt: skip
    told = {name for row in rows for name in row}
    columns: dict[str, pl.Series] = {}
    for name, dtype in {**HEAD_SCHEMA, **OWN}.items():
        if name in told and name not in fixed:
            columns[name] = pl.Series(name, [row.get(name) for row in rows], dtype=dtype)
        else:  # most columns of the header are empty here
            columns[name] = filled(fixed.get(name), len(rows), dtype).alias(name)
    columns["file_path"] = pl.Series("file_path", [printable(str(r["file_path"])) for r in rows], dtype=pl.String)
    columns["path"] = pl.Series("path", paths, dtype=pl.String)
    return pl.DataFrame(columns)
