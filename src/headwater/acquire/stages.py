# SPDX-License-Identifier: Apache-2.0
"""The stages of one pass over a source, each on threads of its own: digests, packing, writing.

Every block goes to all of them; digests and compression release the interpreter lock, so they run beside each other.
The first failure of any stage stops the pass, and what was whole by then stays.
"""

from __future__ import annotations

import os
import queue
import threading
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from isal import isal_zlib

from headwater.acquire.blocks import Block, Pool
from headwater.formats.joint_digests import Digester, digesters, hexdigests

_UPDATE = 1 << 20  # each gives the interpreter lock up and takes it back; as quick as 256 KiB, and 2 MiB are slower
_WAIT = 0.25
Queue = queue.SimpleQueue[Block | None]


class Stages:
    """The running stages. ``pack`` makes ``block.made`` of a block; ``write`` is given the blocks in order.

    Give blocks in order with :meth:`put`; then :meth:`drain` waits until all is through. ``marks`` holds a CRC-32 per
    block as it was read, by which reading back can name the place that differs; none are made without ``mark``.
    """

    def __init__(
        self,
        pool: Pool,
        algorithms: Sequence[str],
        pack: Callable[[Block], Any] | None = None,
        write: Callable[[Block], None] | None = None,
        packers: int = 0,
        *,
        mark: bool = True,
    ) -> None:
        self.pool = pool
        self.failure: BaseException | None = None
        self._algorithms = tuple(algorithms)
        self._digests = digesters(algorithms)
        self.marks = array("I")
        self._mark = mark
        self._pack = pack
        self._write = write
        self._hashing: list[Queue] = []
        self._packing: Queue = queue.SimpleQueue()
        self._writing: Queue = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        for digest in self._digests:
            blocks: Queue = queue.SimpleQueue()
            self._hashing.append(blocks)
            self._start(self._hash, digest, blocks)
        self._packers = 0
        if pack is not None:
            self._packers = packers or min(4, max(1, os.cpu_count() or 1))
            for _ in range(self._packers):
                self._start(self._pack_all)
        if write is not None:
            self._start(self._write_all)

    def _start(self, work: Callable[..., None], *values: Any) -> None:
        thread = threading.Thread(target=self._guard, args=(work, *values), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _guard(self, work: Callable[..., None], *values: Any) -> None:
        try:
            work(*values)
        except BaseException as error:  # handed to the thread that reads, which raises it
            self.failure = self.failure or error

    def free(self) -> Block:
        """A block to fill.

        Raises:
            BaseException: what made a stage fail.
        """
        while True:
            if self.failure is not None:
                raise self.failure
            block = self.pool.take(_WAIT)
            if block is not None:
                return block

    def put(self, block: Block) -> None:
        """Hand a filled block to every stage."""
        if self._mark:
            self.marks.append(isal_zlib.crc32(block.data))
        block.waiting = len(self._hashing) + (self._write is not None) + (self._pack is not None)
        if not block.waiting:
            block.waiting = 1
            self.pool.release(block)
            return
        if self._pack is not None:
            block.ready.acquire()
        for blocks in self._hashing:
            blocks.put(block)
        if self._pack is not None:
            self._packing.put(block)
        if self._write is not None:
            self._writing.put(block)

    def _hash(self, digest: Digester, blocks: Queue) -> None:
        update = digest.update
        while (block := blocks.get()) is not None:
            data = block.data
            for at in range(0, len(data), _UPDATE):
                update(data[at : at + _UPDATE])
            self.pool.release(block)

    def _pack_all(self) -> None:
        assert self._pack is not None
        while (block := self._packing.get()) is not None:
            try:
                block.made = self._pack(block)
            finally:
                block.ready.release()
            self.pool.release(block)

    def _write_all(self) -> None:
        assert self._write is not None
        while (block := self._writing.get()) is not None:
            if self._pack is not None:
                block.ready.acquire()
                block.ready.release()
            if self.failure is not None:
                return  # a block that was not packed must leave no hole behind
            self._write(block)
            self.pool.release(block)

    def drain(self) -> None:
        """Wait until every block that was put is through all stages, and end them.

        Raises:
            BaseException: what made a stage fail.
        """
        for blocks in (*self._hashing, self._writing):
            blocks.put(None)
        for _ in range(self._packers):
            self._packing.put(None)
        for thread in self._threads:
            thread.join()
        if self.failure is not None:
            raise self.failure

    def hexdigests(self, behind: bytes = b"") -> dict[str, str]:
        """The digests, once drained, of all that was put and of ``behind`` after it."""
        last = [digest.copy() for digest in self._digests]
        for each in last:
            each.update(behind)
        return hexdigests(last, self._algorithms)
