# SPDX-License-Identifier: Apache-2.0
"""Digests of a byte source, several at once, each algorithm on its own thread.

OpenSSL's digests release the interpreter lock, so the wall time is that of the slowest. Updates are of 256 KiB, which
stay in the cache of a core and were measured 15 % faster than 2 MiB. SM3 is GB/T 32905-2016.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from headwater.model.ports import ByteSource

ALGORITHMS = ("sha256", "md5", "sha1", "sm3")
_READ = 1 << 20
_UPDATE = 256 << 10
_AHEAD = 4  # blocks that may wait for one thread: bounds the memory


class _Digest(Protocol):
    def update(self, data: bytes | memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...


def new_digest(algorithm: str) -> _Digest:
    """A fresh digest.

    Raises:
        ValueError: the algorithm is not one of :data:`ALGORITHMS`, or OpenSSL here lacks it.
    """
    if algorithm not in ALGORITHMS:
        raise ValueError(f"unknown digest {algorithm!r}")
    return hashlib.new(algorithm, usedforsecurity=algorithm not in ("md5", "sha1"))


def _feed(digest: _Digest, blocks: queue.Queue[bytes | None]) -> None:
    while (block := blocks.get()) is not None:
        view = memoryview(block)
        for at in range(0, len(view), _UPDATE):
            digest.update(view[at : at + _UPDATE])


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
    digests = {name: new_digest(name) for name in dict.fromkeys(("sha256", *algorithms))}
    total = source.size
    if total <= _READ or len(digests) == 1:
        _hash_here(source, digests, progress)
    else:
        _hash_threaded(source, digests, progress)
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _hash_here(source: ByteSource, digests: dict[str, _Digest], progress: Callable[[int, int], None] | None) -> None:
    done, total = 0, source.size
    while done < total:
        block = source.pread(done, min(_UPDATE, total - done))
        if not block:
            break
        for digest in digests.values():
            digest.update(block)
        done += len(block)
        if progress is not None:
            progress(done, total)


def _hash_threaded(
    source: ByteSource, digests: dict[str, _Digest], progress: Callable[[int, int], None] | None
) -> None:
    queues: list[queue.Queue[bytes | None]] = [queue.Queue(_AHEAD) for _ in digests]
    threads = [
        threading.Thread(target=_feed, args=(digest, blocks), daemon=True)
        for digest, blocks in zip(digests.values(), queues)
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
