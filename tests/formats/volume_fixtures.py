# SPDX-License-Identifier: Apache-2.0
"""Arrays, groups and ciphers that Debian's own programs and kernel made (lab/volumes/make.sh), unpacked for tests."""

from __future__ import annotations

import functools
import hashlib
import io
import lzma
import tarfile
from pathlib import Path

from headwater.formats.sources import MemorySource
from headwater.model.ports import ByteSource

HERE = Path(__file__).with_name("fixtures")


@functools.cache
def files(name: str) -> dict[str, bytes]:
    """Every file of a fixture by its path in it."""
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress((HERE / f"{name}.tar.xz").read_bytes()))) as archive:
        members = [m for m in archive.getmembers() if m.isfile()]
        read = {m.name.removeprefix(f"{name}/"): archive.extractfile(m) for m in members}
        return {path: file.read() for path, file in read.items() if file is not None}


def expected(name: str) -> dict[str, tuple[str, int]]:
    """SHA-256 and size of what the kernel read from each volume of a fixture."""
    lines = files(name)["SHA256"].decode().splitlines()
    return {path: (digest, int(size)) for digest, size, path in (line.split() for line in lines)}


def digest(source: ByteSource, length: int | None = None) -> str:
    return hashlib.sha256(source.pread(0, source.size if length is None else length)).hexdigest()


def memory(name: str, path: str) -> MemorySource:
    return MemorySource(files(name)[path])


def conforms(source: ByteSource, seed: int = 7, reads: int = 40) -> None:
    """Sequential, in odd steps and at random places, the bytes are the same; reads are short at the end alone."""
    import random

    whole = source.pread(0, source.size)
    assert len(whole) == source.size
    step = 37_001
    assert b"".join(source.pread(at, step) for at in range(0, source.size, step)) == whole
    chance = random.Random(seed)
    for _ in range(reads):
        at, length = chance.randrange(source.size), chance.choice((1, 511, 4096, 70_000, 200_001))
        assert source.pread(at, length) == whole[at : at + length]
    assert source.pread(source.size - 3, 10) == whole[-3:]
    assert source.pread(source.size, 1) == b"" == source.pread(-1, 4)
