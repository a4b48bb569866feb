# SPDX-License-Identifier: Apache-2.0
"""Counts of bytes are the same by every way, at every length; a wrong one would call a packed file plain, or a plain one packed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from headwater.formats import compiled
from headwater.formats.histogram import entropy, histogram


@pytest.fixture(params=["compiled", "pure"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "pure":
        compiled.forbid()
    elif compiled.library() is None:
        pytest.skip("no compiled scanner here")
    yield request.param
    compiled.allow()


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 255, 4096, 65_535, 65_536, 65_537, 300_001])
def test_every_byte_is_counted_once(way: str, length: int) -> None:
    dice = random.Random(length)
    for data in (dice.randbytes(length), bytes(length), b"\xff" * length):
        known = Counter(data)
        assert histogram(data).tolist() == [known[b] for b in range(256)]


def test_entropy_of_known_bytes(way: str) -> None:
    assert entropy(b"") == 0.0
    assert entropy(bytes(1000)) == 0.0
    assert entropy(b"ab" * 500) == 1.0
    assert entropy(bytes(range(256)) * 300) == 8.0
    assert entropy(b"aaab") == 0.81
