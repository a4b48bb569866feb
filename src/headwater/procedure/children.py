# SPDX-License-Identifier: Apache-2.0
"""The children of a procedure made before it knows of a case: see :mod:`headwater.confine.ready`."""

from __future__ import annotations

import os

from headwater.confine import ready

WARM = ("headwater.procedure.child", "headwater.examine.registry")  # what each has loaded


def how_many(workers: int) -> int:
    """Children for so many workers asked for: no more than there are processors."""
    return max(1, min(workers, os.cpu_count() or 1))


def stand_by(workers: int) -> None:
    """Start this program again if its hashes are not a child's, load the parsers, and make the children that share them."""
    if workers < 1:
        return
    ready.start_again()
    ready.stand_by(how_many(workers), WARM, ("headwater.examine.registry:all_parsers",))
