# SPDX-License-Identifier: Apache-2.0
"""What is to be made of a source: form, names, digests, limits; checked before a byte is read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from headwater.acquire.e01_sections import TABLE_ENTRIES
from headwater.acquire.packing import CHUNK, LEVELS
from headwater.acquire.ports import BlockSource
from headwater.acquire.raw_writer import CHECKPOINT
from headwater.acquire.rescue import RETRIES
from headwater.formats.hashing import ALGORITHMS
from headwater.model.errors import UsageError
from headwater.model.paths import encode_name

FORMATS = ("e01", "raw", "split", "sparse")
DIGESTS = ("sha256", "md5", "sha1")
SEGMENT = 2 << 30
BLOCK = 4 << 20  # fewer hand-overs between the stages than smaller ones
FAR_BLOCK = 1 << 20  # over a line, where a block takes a while
_LEAST_SEGMENT = 64 << 10
_LARGEST_BLOCK = 16 << 20
_MEMORY = 16 << 20  # bytes in buffers: more falls out of the cache between two stages


def plain_name(name: str) -> str:
    """A name as JSON can hold it: one that is no UTF-8 is percent-encoded, reversibly, every other stands as it is."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return encode_name(os.fsencode(name))
    return name


@dataclass(frozen=True, slots=True)
class Plan:
    """An imaging. Sizes in bytes. ``second``: another folder that gets the same bytes.

    ``fields``: the case fields of an E01 (see :data:`headwater.acquire.e01_sections.FIELDS`). ``checkpoint``: how often
    a raw image is made durable; ``table_chunks``: the same for E01, in chunks of 32 KiB. ``read_back``, ``read_again``:
    whether the image and, where it is not live, the source are read again afterwards.
    """

    folder: Path
    stem: str
    format: str = "e01"
    algorithms: tuple[str, ...] = DIGESTS
    level: str = "fast"
    segment: int = SEGMENT
    block: int = BLOCK
    retries: int = RETRIES
    second: Path | None = None
    fields: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    physical: bool = True
    read_back: bool = True
    read_again: bool = True
    checkpoint: int = CHECKPOINT
    table_chunks: int = TABLE_ENTRIES

    def __post_init__(self) -> None:
        for value, known, flag in (
            (self.format, FORMATS, "--format"),
            (self.level, LEVELS, "--level"),
            *((name, ALGORITHMS, "--hash") for name in self.algorithms),
        ):
            if value not in known:
                raise UsageError("HW0001", what=f"{flag} {value}: {', '.join(known)}")
        if self.block % CHUNK or not CHUNK <= self.block <= _LARGEST_BLOCK:
            raise UsageError("HW0001", what=f"--block-size {self.block}: 32K … 16M, a multiple of 32K")
        if self.segment < _LEAST_SEGMENT:
            raise UsageError("HW0001", what=f"--segment {self.segment}: at least 64K")
        if self.stem != plain_name(self.stem) or not self.stem or "/" in self.stem or self.stem in (".", ".."):
            raise UsageError("HW0001", what=f"--out {plain_name(self.stem)}")

    @property
    def digests(self) -> tuple[str, ...]:
        """The algorithms in order, SHA-256 always among them."""
        return tuple(dict.fromkeys(("sha256", *self.algorithms)))

    def padding(self, source: BlockSource) -> int:
        """How many zeros an E01 needs behind the source: it counts sectors, and no reader takes part of one."""
        return self.padding_of(source.size, source.sector_size)

    def padding_of(self, size: int, sector_size: int) -> int:
        """The same of a source of this size in bytes."""
        return -size % sector_size if self.format == "e01" else 0

    @property
    def buffers(self) -> int:
        """How many blocks are under way at once."""
        return max(4, min(32, _MEMORY // self.block))

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where the image is written."""
        return (self.folder,) if self.second is None else (self.folder, self.second)
