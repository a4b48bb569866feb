# SPDX-License-Identifier: Apache-2.0
"""Page-aligned buffers that go from the reader through digests and compression to the writer, and round again.

Their number is fixed, so the memory of an imaging is bounded by it and a slow stage holds up the reader.
"""

from __future__ import annotations

import mmap
import queue
import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, eq=False)
class Block:
    """``length`` bytes of the source from ``offset`` in ``view``; ``made`` is what preparation made of them."""

    view: memoryview
    offset: int = 0
    length: int = 0
    made: Any = None
    ready: threading.Lock = field(default_factory=threading.Lock)
    waiting: int = 0

    @property
    def data(self) -> memoryview:
        """The bytes read."""
        return self.view[: self.length]


class Pool:
    """The buffers that wait to be filled. ``size`` in bytes each, a multiple of the page size."""

    def __init__(self, count: int, size: int) -> None:
        # private: shared memory would pass a confined child's limit unseen, and is refused there
        private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_ANONYMOUS") else {}
        self._memory = mmap.mmap(-1, count * size, **private)
        # the buffer that was used last is filled next, because it is still in a core's cache; the queue only counts
        self._free: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        whole = memoryview(self._memory)
        self._rest = [Block(whole[at : at + size]) for at in range(0, count * size, size)]
        for _ in self._rest:
            self._free.put(None)

    def take(self, timeout: float) -> Block | None:
        """A free block, or None if there is none within ``timeout`` seconds."""
        try:
            self._free.get(timeout=timeout)
        except queue.Empty:
            return None
        return self._rest.pop()

    def release(self, block: Block) -> None:
        """One of the block's users is done with it; after the last it is free again."""
        with self._lock:
            block.waiting -= 1
            if block.waiting:
                return
        block.made = None
        self._rest.append(block)
        self._free.put(None)
