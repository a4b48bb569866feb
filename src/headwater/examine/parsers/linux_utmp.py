# SPDX-License-Identifier: Apache-2.0
"""Sessions that were open when the evidence was taken (linux.utmp).

Reads:  /run/utmp (and /var/log/utmp*), which lives in memory and is seen only in collected files.
Time:   ut_tv seconds and microseconds, UTC, by the host's own clock.
Format: utmp(5), https://man7.org/linux/man-pages/man5/utmp.5.html; 384-byte records, or 400 where time is 64-bit.
Limits: a slot is reused, so it shows the last state and no history.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.batch import Batch
from headwater.examine.parsers._utmp import Dialect, records_of
from headwater.examine.parsers._utmp import batches as utmp_batches
from headwater.model.records import File, Record

FEED = "linux.utmp"
VERSION = 1
READS = ("/run/utmp", "/log/utmp*")
_DIALECT = Dialect()


def batches(file: File) -> Iterator[Batch]:
    return utmp_batches(file, _DIALECT)


def parse(file: File) -> Iterator[Record]:
    return records_of(file, _DIALECT)
