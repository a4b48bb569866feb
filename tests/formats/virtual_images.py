# SPDX-License-Identifier: Apache-2.0
"""Makes virtual disks for tests with QEMU's own tools and opens them; a test without the tools is skipped by name."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from headwater.formats.media import Medium, open_medium, segments
from headwater.formats.opened import open_readonly

SIZE = (4 << 20) + 3 * 512


def disk(seed: int = 1, size: int = SIZE) -> bytes:
    """A disk's content: holes, text that compresses, noise that does not."""
    pick = random.Random(seed)
    content = bytearray(size)
    for _ in range(40):
        at, length = pick.randrange(size) // 512 * 512, pick.randrange(1, 200) * 512
        text = (b"Failed password for root from 203.0.113.%d\n" % pick.randrange(250)) * (length // 40 + 1)
        piece = pick.choice([pick.randbytes(length), text[:length], bytes(length)])
        content[at : at + length] = piece
    return bytes(content[:size])


def qemu(*command: object) -> str:
    """Run qemu-img or qemu-io."""
    words = [str(word) for word in command]
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} (qemu-utils) is not installed")
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def made(folder: Path, name: str, form: str, *options: str, content: bytes | None = None) -> Path:
    """An image of ``content`` in QEMU's format ``form``."""
    raw = folder / f"{name}.content"
    raw.write_bytes(disk() if content is None else content)
    image = folder / name
    qemu("qemu-img", "convert", "-f", "raw", "-O", form, *options, raw, image)
    raw.unlink()
    return image


def by_qemu(image: Path, form: str) -> bytes:
    """The medium as ``qemu-img convert`` reads it."""
    back = image.with_name(image.name + ".back")
    qemu("qemu-img", "convert", "-f", form, "-O", "raw", image, back)
    content = back.read_bytes()
    back.unlink()
    return content


def opened(image: Path, allow: Sequence[Path] = (), allow_missing: bool = False) -> Medium:
    return open_medium([open_readonly(p) for p in segments(image, allow)], allow_missing=allow_missing)


def whole(medium: Medium) -> bytes:
    return medium.pread(0, medium.size)


def assert_same(image: Path, form: str) -> Medium:
    """Block for block what QEMU reads, nothing bad; gives back the medium, still open."""
    medium = opened(image)
    truth = by_qemu(image, form)
    assert medium.size == len(truth)
    found = whole(medium)
    for at in range(0, len(truth), 4096):
        assert found[at : at + 4096] == truth[at : at + 4096], f"the block at {at} differs"
    assert tuple(medium.bad) == ()
    return medium


def assert_honest(medium: Medium, truth: bytes) -> int:
    """Every byte is right, or zero and listed; gives back how many are listed."""
    found, expected = whole(medium), bytearray(truth)
    assert len(found) == len(truth)
    for offset, length, _, _ in medium.bad:
        assert found[offset : offset + length] == bytes(length)
        expected[offset : offset + length] = bytes(length)
    assert found == bytes(expected)
    return sum(length for _, length, _, _ in medium.bad)
