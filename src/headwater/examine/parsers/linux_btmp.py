# SPDX-License-Identifier: Apache-2.0
"""Failed logins (linux.btmp).

Reads:  /var/log/btmp and its rotations.
Time:   ut_tv seconds and microseconds, UTC, by the host's own clock.
Format: utmp(5), https://man7.org/linux/man-pages/man5/utmp.5.html; 384-byte records, or 400 where time is 64-bit.
Limits: only programs that write btmp are seen; names typed by guessers may be passwords typed in the wrong field.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.batch import Batch
from headwater.examine.parsers._utmp import Dialect, failures_only, records_of
from headwater.examine.parsers._utmp import batches as utmp_batches
from headwater.model.records import File, Record

FEED = "linux.btmp"
VERSION = 1
READS = ("/log/btmp*",)
_DIALECT = Dialect(failures=True)


def recognise(head: bytes) -> bool:
    return failures_only(head)


def batches(file: File) -> Iterator[Batch]:
    return utmp_batches(file, _DIALECT)


def parse(file: File) -> Iterator[Record]:
    return records_of(file, _DIALECT)
