# SPDX-License-Identifier: Apache-2.0
"""The port between what is imaged and how: a block source is read into buffers and says plainly what it cannot read.

A device, a server reached over SSH and any :class:`~headwater.model.ports.ByteSource` of ``formats`` stand behind the
same interface, so that imaging knows nothing of them, and a failing disk can be put in a test's hand.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from headwater.model.ports import ByteSource


class UnreadableError(OSError):
    """A range that could not be read as a whole: single sectors of it may still be good.

    ``offset`` and ``length`` in bytes on the source. ``vanished``: the way to the source failed (a lost
    connection, an unplugged device), so reading smaller pieces helps nothing; imaging stops there and can be resumed.
    """

    def __init__(self, offset: int, length: int, detail: str = "", *, vanished: bool = False) -> None:
        super().__init__(errno.EIO, detail or "I/O error")
        self.offset = offset
        self.length = length
        self.vanished = vanished


class BlockSource(Protocol):
    """What is imaged. Sizes and offsets in bytes; ``size`` is fixed when it is opened.

    ``live``: somebody else may write to it meanwhile, so nobody can claim that a second reading would be the same.
    ``facts``: the environment record as flat text (model, serial, bus …), copied into the sidecar and the ledger.
    """

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def sector_size(self) -> int: ...
    @property
    def live(self) -> bool: ...
    @property
    def facts(self) -> Mapping[str, str]: ...

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from ``offset`` and return the bytes read: all of it, fewer only at the source's end.

        Called by one thread at a time. Offsets and lengths are multiples of ``sector_size`` except at the end;
        buffers that imaging hands over are page-aligned and their capacity a multiple of 4 KiB, as O_DIRECT wants.

        Raises:
            UnreadableError: the range cannot be read as a whole; ``buffer`` then holds nothing that counts.
        """
        ...

    def close(self) -> None: ...


class MediumSource:
    """A byte source of ``formats`` (an opened E01, a qcow2, a volume) as a block source, to convert or to image again.

    What the reader cannot read is an :class:`UnreadableError`, as on a disk, so that it becomes a bad range of the
    new image instead of silent zeros.
    """

    def __init__(
        self,
        source: ByteSource,
        name: str,
        *,
        sector_size: int = 512,
        live: bool = False,
        facts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._source = source
        self.name = name
        self.size = source.size
        self.sector_size = sector_size
        self.live = live
        self.facts = facts

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """See :meth:`BlockSource.read_into`."""
        data = self._source.pread(offset, min(len(buffer), max(0, self.size - offset)))
        end = offset + len(data)
        for at, length, _, detail in self._source.bad:
            if at < end and offset < at + length:
                raise UnreadableError(offset, len(data), detail)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the byte source."""
        self._source.close()
