# SPDX-License-Identifier: Apache-2.0
"""Volume Shadow Copies of NTFS, each as a volume of its own, through libvshadow.

libvshadow (https://github.com/libyal/libvshadow, LGPL) follows the stores' chains; it is given a file object over our
byte source. The format, with the header at 0x1e00 by which a volume with copies is known: its own documentation,
"Volume Shadow Snapshot (VSS) format". A copy shows the whole volume as it was; blocks that did not change since are
the volume's own. What Windows did not keep (its free space, files excluded from copies) is not there.
"""

from __future__ import annotations

from typing import NamedTuple

from headwater.formats.sources import BadRanges, RangeSource, SourceFile
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap
from headwater.model.times import rfc3339

_MARK = bytes.fromhex("6b87083876c1484eb7ae04046e6cc752")
_AT = 0x1E00
_MOST = 512
_BLOCK = 16_384
_BLOCKS_MOST = 1 << 26
_EPOCH = 11_644_473_600  # seconds from 1601 to 1970


class ShadowCopy(NamedTuple):
    """``number`` from 1 as Windows counts them, oldest first; ``created``: ns since 1970, UTC."""

    number: int
    created: int
    source: ByteSource
    facts: tuple[tuple[str, str], ...]


class StoreSource(RangeSource):
    """One copy as bytes; ``created`` in ns since 1970, UTC; ``index`` of its store from 0, oldest first."""

    block = _BLOCK

    def __init__(
        self, source: ByteSource, volume: object, store: object, size: int, index: int = 0, created: int | None = None
    ) -> None:
        self.index, self.created = index, created
        self._source, self._volume, self._store = source, volume, store  # the volume lives as long as its stores
        self._size = size
        self._bad = BadRanges()

    def _read(self, offset: int, length: int) -> bytes:
        before = len(self._source.bad)
        try:
            data = bytes(self._store.read_buffer_at_offset(length, offset))  # type: ignore[attr-defined]
        except OSError as error:
            if length > _BLOCK:
                half = max(_BLOCK, length // 2 // _BLOCK * _BLOCK)
                return self.pread(offset, half) + self.pread(offset + half, length - half)
            self._bad.add(offset, length, GapReason.UNREADABLE, f"libvshadow: {str(error)[-200:]}")
            return bytes(length)
        if len(self._source.bad) != before:
            self._bad.add(offset, length, GapReason.UNREADABLE, "the volume could not be read where this copy needs it")
        if len(data) < length:
            self._bad.add(offset + len(data), length - len(data), GapReason.UNREADABLE, "libvshadow gave less")
        return data.ljust(length, b"\0")

    def changed_blocks(self) -> list[int]:
        """Offsets of the blocks that were kept since this copy was made, in order: all others are the volume's own.

        Raises:
            OSError: a block list that cannot be read.
        """
        found: set[int] = set()
        for index in range(self.index, self._volume.get_number_of_stores()):  # type: ignore[attr-defined]
            store = self._volume.get_store(index)  # type: ignore[attr-defined]
            for number in range(min(store.get_number_of_blocks(), _BLOCKS_MOST)):
                found.add(store.get_block(number).get_original_offset() // _BLOCK * _BLOCK)
        return sorted(found)

    def close(self) -> None:
        """Nothing to close: the volume stays with whoever opened it."""


def shadow_copies(source: ByteSource, name: str, warnings: list[Gap], offset: int) -> list[ShadowCopy]:
    """The copies of an NTFS volume, oldest first; none where it has no header of them. Faults go to ``warnings``."""
    head = source.pread(_AT, 56)
    if head[:16] != _MARK or not any(head[48:56]):  # without the place of a catalog there are no copies
        return []
    import pyvshadow

    volume = pyvshadow.volume()
    found: list[ShadowCopy] = []
    try:
        volume.open_file_object(SourceFile(source))
        count = volume.get_number_of_stores()
        for index in range(min(count, _MOST)):
            found.append(_copy(source, volume, index))
    except (OSError, MemoryError, ValueError, OverflowError) as error:
        detail = f"{name or 'the medium'}: shadow copies that cannot all be opened: {str(error)[-200:]}"
        warnings.append(Gap(max(offset, 0), source.size, GapReason.UNREADABLE, detail))
    else:
        if count > _MOST:
            detail = f"{name or 'the medium'}: {count} shadow copies; the first {_MOST} are listed"
            warnings.append(Gap(max(offset, 0), source.size, GapReason.LIMIT, detail))
    return found


def _copy(source: ByteSource, volume: object, index: int) -> ShadowCopy:
    store = volume.get_store(index)  # type: ignore[attr-defined]
    created = (store.get_creation_time_as_integer() - _EPOCH * 10_000_000) * 100
    size = min(store.get_volume_size(), source.size)
    facts = (
        ("created", rfc3339(created) or ""),
        ("store", str(store.identifier)),
        ("copy", str(store.copy_identifier)),
        ("set", str(store.copy_set_identifier)),
        ("blocks kept", str(store.get_number_of_blocks())),
        ("data", "in the volume" if store.has_in_volume_data() else "elsewhere"),
    )
    return ShadowCopy(index + 1, created, StoreSource(source, volume, store, size, index, created), facts)
