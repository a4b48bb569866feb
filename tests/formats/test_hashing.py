# SPDX-License-Identifier: Apache-2.0
"""Digests: the threads must give what one plain pass gives."""

from __future__ import annotations

import hashlib
import random

import pytest

from headwater.formats.hashing import ALGORITHMS, hash_source
from headwater.formats.sources import MemorySource

DATA = random.Random(5).randbytes(3_500_001)


@pytest.mark.parametrize("size", [0, 1, 262_144, 1_048_576, 1_048_577, len(DATA)])
def test_all_digests_at_once_are_right(size: int) -> None:
    seen: list[tuple[int, int]] = []
    found = hash_source(MemorySource(DATA[:size]), ALGORITHMS, lambda done, total: seen.append((done, total)))
    assert found == {name: hashlib.new(name, DATA[:size]).hexdigest() for name in ALGORITHMS}
    assert seen == sorted(seen)
    assert not size or seen[-1] == (size, size)


def test_sha256_is_always_there_and_first() -> None:
    assert list(hash_source(MemorySource(b"x"), ("md5",))) == ["sha256", "md5"]


def test_unknown_digest_is_refused() -> None:
    with pytest.raises(ValueError, match="crc32"):
        hash_source(MemorySource(b"x"), ("crc32",))


def test_fault_in_the_source_leaves_no_thread_waiting() -> None:
    class Broken(MemorySource):
        def pread(self, offset: int, length: int) -> bytes:
            if offset:
                raise RuntimeError("our own fault")
            return super().pread(offset, length)

    with pytest.raises(RuntimeError):
        hash_source(Broken(DATA), ("md5", "sha1"))
