# SPDX-License-Identifier: Apache-2.0
"""A search that misses what stands there would let "not found" be said of it."""

from __future__ import annotations

import random
import re

import pytest

from headwater.examine import byte_search
from headwater.examine.byte_search import BadPattern, hits, patterns


class Held:
    """Bytes as a source."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        self.bad = ()

    def pread(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


def test_nothing_is_missed_where_two_pieces_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_search, "PIECE", 97)
    monkeypatch.setattr(byte_search, "OVERLAP", 16)
    dice = random.Random(7)
    for _ in range(60):
        data = bytes(dice.choice(b"ab\x00\xff") for _ in range(dice.randrange(1, 700)))
        for word in ("ab", "aab", "b"):
            found = [(h.offset, h.length) for h in hits(Held(data), patterns(word, regex=False, ignore_case=False)[:1])]
            assert found == [(m.start(), len(word)) for m in re.finditer(re.escape(word.encode()), data)]


def test_stretches_together_give_each_match_once() -> None:
    data = b"x" * 50 + b"needle" * 40
    wanted = patterns("needle", regex=False, ignore_case=False)[:1]
    whole = [h.offset for h in hits(Held(data), wanted)]
    parts = [h.offset for b in range(0, len(data), 33) for h in hits(Held(data), wanted, b, b + 33)]
    assert sorted(parts) == whole


def test_chinese_text_is_found_however_it_was_encoded() -> None:
    for encoding in ("utf-8", "utf-16-le", "gb18030"):
        data = b"\x00\x01" + "勒索通知".encode(encoding) + b"\xff"
        found = list(hits(Held(data), patterns("勒索通知", regex=False, ignore_case=False)))
        assert [(h.offset, h.encoding) for h in found] == [(2, encoding)]
        assert found[0].context[found[0].before :].startswith("勒索通知".encode(encoding))


def test_expression_that_explodes_elsewhere_ends_here() -> None:
    data = b"a" * 200_000 + b"b"
    assert list(hits(Held(data), patterns("(a+)+c", regex=True, ignore_case=False))) == []


def test_text_that_cannot_be_written_is_refused_and_not_called_absent() -> None:
    with pytest.raises(BadPattern):
        patterns("\ud800", regex=False, ignore_case=False)


def test_expression_that_is_none_or_matches_nothing_is_refused() -> None:
    for text in ("(", "a*", "", "(?=x)", r"(a)\1"):
        with pytest.raises(BadPattern):
            patterns(text, regex=True, ignore_case=False)
