# SPDX-License-Identifier: Apache-2.0
"""What lies on a volume by its own account, as a record keeps it; read in a child by :mod:`.superblocks`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Superblock:
    """What lies on a volume. ``name``: '' for the medium itself, else its number in the table (``p1``).

    ``member_of``: the array, group or pool that it is a part of; '' where it is none. ``details`` as the superblock
    has them, inert.
    """

    name: str
    offset: int
    length: int
    kind: str
    member_of: str
    details: Mapping[str, str]
