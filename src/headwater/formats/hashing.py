# SPDX-License-Identifier: Apache-2.0
"""Digests of a byte source, several at once: what can be made in one pass is, the others each on a thread of their own.

All digests release the interpreter lock, so a large source is read beside them. SM3 is GB/T 32905-2016.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence

from headwater.formats.joint_digests import ALGORITHMS as ALGORITHMS
from headwater.formats.joint_digests import Digester, digesters, hexdigests
from headwater.model.ports import ByteSource

_READ = 1 << 20
_UPDATE = 256 << 10
_AHEAD = 4  # blocks that may wait for one thread: bounds the memory


def _feed(digest: Digester, blocks: queue.Queue[bytes | None]) -> None:
    while (block := blocks.get()) is not None:
        digest.update(block)


def hash_source(
    source: ByteSource,
    algorithms: Sequence[str] = ("sha256",),
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, str]:
    """Hex digests of the whole source, by algorithm; ``sha256`` is always among them.

    ``progress(done, total)`` is called in this thread after each block of 1 MiB. Unreadable bytes enter as the zeros
    that ``pread`` returns: look at ``source.bad`` afterwards.

    Raises:
        ValueError: an unknown algorithm.
    """
    wanted = tuple(dict.fromkeys(("sha256", *algorithms)))
    digests = digesters(wanted)
    total = source.size
    if total <= _READ or len(wanted) == 1:
        _hash_here(source, digests, progress)
    else:
        _hash_threaded(source, digests, progress)
    return hexdigests(digests, wanted)


def _hash_here(source: ByteSource, digests: Sequence[Digester], progress: Callable[[int, int], None] | None) -> None:
    done, total = 0, source.size
    while done < total:
        block = source.pread(done, min(_UPDATE, total - done))
        if not block:
            break
        for digest in digests:
            digest.update(block)
        done += len(block)
        if progress is not None:
            progress(done, total)


def _hash_threaded(
    source: ByteSource, digests: Sequence[Digester], progress: Callable[[int, int], None] | None
) -> None:
    queues: list[queue.Queue[bytes | None]] = [queue.Queue(_AHEAD) for _ in digests]
    threads = [
        threading.Thread(target=_feed, args=(digest, blocks), daemon=True) for digest, blocks in zip(digests, queues)
    ]
    for thread in threads:
        thread.start()
    done, total = 0, source.size
    try:
        while done < total:
            block = source.pread(done, min(_READ, total - done))
            if not block:
                break
            for blocks in queues:
                blocks.put(block)
            done += len(block)
            if progress is not None:
                progress(done, total)
    finally:
        for blocks in queues:
            blocks.put(None)
        for thread in threads:
            thread.join()
