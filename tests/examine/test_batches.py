# SPDX-License-Identifier: Apache-2.0
"""A parser that fails on evidence costs the rest of that file, and never the files beside it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

import pytest

from headwater.examine.batch import batches_of
from headwater.model.records import Record, Skip


def _zip() -> None:
    zlib.decompress(b"no stream")


def _short() -> None:
    struct.unpack("<Q", b"1")


def _none() -> None:
    raise EOFError


@pytest.mark.parametrize("fault", [_zip, _short, _none, lambda: {}["x"], lambda: [][1], lambda: 1 // 0])  # type: ignore[var-annotated]
def test_whatever_a_reader_raises_on_evidence_becomes_a_gap_over_the_rest(fault: Callable[[], object]) -> None:
    def parse() -> Iterator[Record]:
        yield Skip(0, 10, "header")
        fault()

    (batch,) = batches_of(parse(), 100)
    assert [(g.offset, g.length) for g in batch.gaps] == [(10, 90)]
    assert "the parser failed here" in batch.gaps[0].detail
