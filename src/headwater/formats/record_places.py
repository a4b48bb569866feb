# SPDX-License-Identifier: Apache-2.0
"""Where the records of listed files stand, when one inode number stands for several files: its generations, in turn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def in_turn(
    held: Iterable[tuple[int, int, int]], numbers: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(offsets, lengths) for inode numbers in the order of a listing; offset −1 where there is none.

    ``held``: (number, offset, length) in that order. A number that comes again takes its next record; past the last, the last.
    """
    places: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, offset, length in held:
        places[number].append((offset, length))
    met: dict[int, int] = defaultdict(int)
    found: list[tuple[int, int]] = []
    for number in numbers.tolist():
        records = places.get(number) or [(-1, 0)]
        found.append(records[min(met[number], len(records) - 1)])
        met[number] += 1
    table = np.array(found, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]
