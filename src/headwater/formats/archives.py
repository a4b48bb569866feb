# SPDX-License-Identifier: Apache-2.0
"""Recognises and opens archives of collected files: tar, compressed tar, zip.

An archive is never unpacked: its entries are listed, and a member is read where it lies. A compressed tar is
decompressed once, into memory or a spool that the caller gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

from headwater.formats.compressed import DEFAULT_LIMITS, Layer, Limits, decompress, layer_of
from headwater.formats.spooled import spooled
from headwater.formats.tarred import BLOCK, TarTree, is_header
from headwater.formats.trees import Tree
from headwater.formats.zipped import ZipTree
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

ArchiveKind = Literal["tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst", "zip"]

_MEMORY = 64 << 20
ARCHIVE_LIMITS = Limits(
    total=64 << 30, ratio=1100
)  # an archive of sparse or empty files compresses far better than logs


def archive_kind(source: ByteSource, name: str) -> ArchiveKind | None:
    """Which archive a file is, by its content; the name decides only about a tar of nothing but padding."""
    head = source.pread(0, BLOCK)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06") or head[:8] == b"PK00PK\x03\x04":
        return "zip"
    if is_header(head) or (name.lower().endswith(".tar") and len(head) == BLOCK and not any(head)):
        return "tar"
    layer = layer_of(name, head)
    if layer is None:
        return None
    first = b""
    for chunk in decompress(source, layer, Limits(total=BLOCK)):
        first += chunk
    return cast(ArchiveKind, f"tar.{layer}") if is_header(first) else None


def open_archive(
    file: ByteSource,
    kind: ArchiveKind,
    *,
    limits: Limits | None = None,
    spool: int | None = None,
) -> Tree:
    """The entries of an archive as a tree; ``open`` gives a member's bytes.

    ``spool``: an empty file's descriptor, open for reading and writing, for the content of a compressed tar of more
    than 64 MiB. Without it such an archive is decompressed anew whenever a reader goes back.
    """
    if kind == "zip":
        return ZipTree(file, limits or DEFAULT_LIMITS)
    if kind == "tar":
        return TarTree(file, "tar")
    content = spooled(file, cast(Layer, kind.removeprefix("tar.")), limits or ARCHIVE_LIMITS, spool, _MEMORY)
    warnings: Sequence[Gap] = () if content.gap is None else (content.gap,)
    return TarTree(content, kind, warnings)
