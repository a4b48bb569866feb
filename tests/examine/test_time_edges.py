# SPDX-License-Identifier: Apache-2.0
"""Times at the edges of Windows' own counts are the right moment or none: 0, 1601, the year 2262, OLE, FAT, the hours of summer time."""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from headwater.examine.parsers._browser import webkit
from headwater.examine.parsers._ese import days, filetime
from headwater.formats.registry_layout import nanoseconds
from headwater.formats.shell_items import fat_time
from headwater.model.kinds import TimeBasis
from headwater.store.clocks import Clock, ts_expression

SECOND = 1_000_000_000
EPOCH = 116_444_736_000_000_000  # 1970 as a FILETIME
LAST = EPOCH + ((1 << 63) - 1) // 100


@pytest.mark.parametrize(
    ("stored", "ns"),
    [
        (0, None),  # never set, not 1601
        (1, None),  # 1601 is before what 64 bits of nanoseconds since 1970 can tell
        (EPOCH - 1, -100),
        (EPOCH, 0),
        (EPOCH + 1, 100),
        (LAST, (LAST - EPOCH) * 100),
        (LAST + 1, None),
        ((1 << 63) - 1, None),  # "never"
        ((1 << 64) - 1, None),
    ],
)
def test_filetime(stored: int, ns: int | None) -> None:
    assert nanoseconds(stored) == ns
    assert filetime(stored)[0] == ns


@pytest.mark.parametrize(
    ("stored", "ns"),
    [(0, None), (-1, None), (1, None), (11_644_473_600_000_001, 1000), (13_432_788_100_000_000, 1_788_314_500 * SECOND), (1 << 62, None),
     ("13432788100000000", 1_788_314_500 * SECOND), (b"x", None), (None, None)],
)  # fmt: skip
def test_webkit(stored: object, ns: int | None) -> None:
    assert webkit(stored)[0] == ns  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("count", "ns"),
    [
        (0.0, None),
        (-1.0, None),
        (math.nan, None),
        (math.inf, None),
        (25_569.0, 0),
        (25_569.5, 43_200 * SECOND),
        (2_958_465.9, None),
    ],
)
def test_ole(count: float, ns: int | None) -> None:
    assert days(struct.pack("<d", count))[0] == ns


@pytest.mark.parametrize(
    ("day", "clock", "said"),
    [
        (0, 0, None),
        (0x21, 0, (1980, 1, 1, 0, 0, 0)),
        (0xFF9F, 0xBF7D, (2107, 12, 31, 23, 59, 58)),
        (0x5C5D, 0x1000, (2026, 2, 29, 0, 0, 0)),  # a day that there is not
        (0x5862, 0xC000, (2024, 3, 2, 24, 0, 0)),  # an hour that there is not
    ],
)
def test_fat(day: int, clock: int, said: tuple[int, ...] | None) -> None:
    try:
        wanted = int(datetime(*said, tzinfo=UTC).timestamp()) * SECOND if said else None  # type: ignore[arg-type, misc]
    except ValueError:
        wanted = None
    assert fat_time(day, clock) == wanted


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Shanghai"])
@pytest.mark.parametrize(
    "day", [(2026, 3, 8), (2026, 3, 29), (2026, 4, 5), (2026, 10, 4), (2026, 10, 25), (2026, 11, 1)]
)
def test_wall_clocks_around_the_change_of_summer_time(zone: str, day: tuple[int, int, int]) -> None:
    walls = [datetime(*day, hour, minute) for hour in range(5) for minute in (0, 15, 30, 45)]  # noqa: DTZ001 - a wall clock is what is asked
    recorded = [int(w.replace(tzinfo=UTC).timestamp()) * SECOND for w in walls]
    frame = pl.DataFrame({"t_recorded": recorded, "t_basis": str(TimeBasis.ZONE_ASSUMED), "clock": "host"})
    found = frame.select(ts_expression({"host": Clock(zone)}))["ts"].to_list()
    # an hour that comes twice counts as the first, one that never comes by the offset before it (PEP 495, fold=0)
    assert found == [int(w.replace(tzinfo=ZoneInfo(zone)).timestamp()) * SECOND for w in walls]


def test_what_the_record_itself_says_in_utc_is_not_moved_by_any_zone() -> None:
    frame = pl.DataFrame(
        {"t_recorded": [7, 8], "t_basis": [str(TimeBasis.UTC), str(TimeBasis.ZONE_GIVEN)], "clock": "host"}
    )
    assert frame.select(ts_expression({"host": Clock("America/New_York")}))["ts"].to_list() == [7, 8]
