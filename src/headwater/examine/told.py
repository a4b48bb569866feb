# SPDX-License-Identifier: Apache-2.0
"""What a volume tells beside the list of its files: shadow copies' differences, its journal's, what was deleted."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.examine import recovered, replayed, shadow
from headwater.examine.opening import View


def frames_of(view: View) -> Iterator[tuple[str, pl.DataFrame]]:
    """(feed, events) of a view whose tree was listed before; always the same for the same bytes."""
    if lost := shadow.differences_of(view.tree):
        yield shadow.FEED, shadow.frame(lost, view.name, getattr(view.tree, "created", None))
    if (differing := replayed.frame_of(view)) is not None:
        yield replayed.FEED, differing
    if found := recovered.recovered_of(view.tree):
        yield recovered.FEED, recovered.frame(found, view.name)
