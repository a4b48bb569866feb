# SPDX-License-Identifier: Apache-2.0
"""What the readers of partition tables give back."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from headwater.model.kinds import GapReason
from headwater.model.records import Gap


class Partition(NamedTuple):
    """One entry of a table: its name (``p1``), bytes on the medium, and the table's own words for type and label.

    ``uuid``: as Linux names it (``PARTUUID``): GPT's own, or the disk's signature and the number; in lower case.
    """

    name: str
    offset: int
    length: int
    type: str
    label: str
    uuid: str = ""


class Scan(NamedTuple):
    """A table: its partitions by number, the ranges that it takes itself (offset, length, what), and its faults."""

    kind: str
    partitions: tuple[Partition, ...]
    metadata: tuple[tuple[int, int, str], ...]
    warnings: tuple[Gap, ...]


def faults(partitions: list[Partition], size: int) -> list[Gap]:
    """Partitions that reach beyond the medium, or into each other."""
    found: list[Gap] = []
    for part in partitions:
        if part.offset + part.length > size:
            start = max(part.offset, size)
            detail = f"{part.name} reaches beyond the end of the medium"
            found.append(Gap(start, part.offset + part.length - start, GapReason.TRUNCATED, detail))
    ordered = sorted(partitions, key=lambda p: p.offset)
    for before, after in pairwise(ordered):
        over = before.offset + before.length - after.offset
        if over > 0:
            detail = f"{before.name} and {after.name} overlap"
            found.append(Gap(after.offset, min(over, after.length), GapReason.NOT_THIS_FORMAT, detail))
    return found
