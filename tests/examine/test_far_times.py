# SPDX-License-Identifier: Apache-2.0
"""One line with a time beyond what 64 bits of nanoseconds tell does not cost the other lines of its file."""

from __future__ import annotations

from headwater.examine.batch import frame_of
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.records import Event


def test_a_time_beyond_2262_is_none_and_its_neighbours_stay() -> None:
    far = 64_886_354_553 * 10**9
    held = frame_of([Event(0, 5, EventKind.LOG_MESSAGE, t, TimeBasis.UTC) for t in (7, far, None)])
    assert held["t_recorded"].to_list() == [7, None, None]
    assert held["t_basis"].to_list() == ["utc", "none", "utc"]
