# SPDX-License-Identifier: Apache-2.0
"""The records of an NTFS log by their numbers, in memory that a log made for the purpose cannot exhaust."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from headwater.formats.ntfs_log import Log, LogRecord

RECORDS_MOST = 2_000_000


class Records(Mapping[int, LogRecord]):
    """All records of a log by number, in order of it; each is read anew when it is asked for.

    Sixteen bytes of each are held: a log can be made to hold millions, and a record itself takes half a kilobyte.
    ``cut``: the log has more than are held.
    """

    def __init__(self, log: Log, numbers: npt.NDArray[np.uint64], places: npt.NDArray[np.uint64], cut: bool) -> None:
        self._log, self._numbers, self._places = log, numbers, places
        self.cut = cut

    def __getitem__(self, lsn: int) -> LogRecord:
        index = int(np.searchsorted(self._numbers, np.uint64(lsn)))
        if index < len(self._numbers) and int(self._numbers[index]) == lsn:
            record = self._log.record_at(int(self._places[index]))
            if record is not None:
                return record
        raise KeyError(lsn)

    def __iter__(self) -> Iterator[int]:
        return self.since(0)

    def __len__(self) -> int:
        return len(self._numbers)

    def since(self, first: int) -> Iterator[int]:
        """The numbers from one on, in order."""
        return map(int, self._numbers[int(np.searchsorted(self._numbers, np.uint64(first))) :])


def records_of(log: Log) -> Records:
    """All records by number; of a page and the copy of it that the log keeps at its beginning, one."""
    numbers, places = array("Q"), array("Q")
    cut = False
    for record in log.records():
        cut = len(numbers) >= RECORDS_MOST
        if cut:
            break
        numbers.append(record.lsn)
        places.append(record.at)
    unique, first = np.unique(np.array(numbers, "<u8"), return_index=True)
    return Records(log, unique, np.array(places, "<u8")[first], cut)
