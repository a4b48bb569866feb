# SPDX-License-Identifier: Apache-2.0
"""Every record of an NTFS master file table, deleted ones too, with all eight times (windows.mft).

Reads:  /$MFT of a volume, and $MFT collected as a file.
Time:   FILETIMEs of $STANDARD_INFORMATION and $FILE_NAME, UTC, 100 ns, by the clock of the host that wrote them.
Format: https://flatcap.github.io/linux-ntfs/ntfs/concepts/file_record.html and the pages of its attributes.
Limits: paths of deleted files hold as far as their folders' records were not used again; a 0 is no time; the names and
        times that extension records hold stand on the base record; the content of files is not here. A moment at which
        a file was both made and written is one row, of kind file.created: ``si`` and ``fn`` tell of both.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from headwater.examine.batch import Batch, Skipped, merge_gaps
from headwater.examine.mft_rows import Rows
from headwater.formats.ntfs_records import BROKEN, EMPTY, Ints
from headwater.formats.ntfs_table import RECORDS_MOST, read_table, record_size
from headwater.model.kinds import GapReason
from headwater.model.records import File, Gap

FEED = "windows.mft"
VERSION = 1
READS = ("/$MFT",)
_RECORDS = 50_000  # of one batch
_WHY = {
    1: (GapReason.NOT_THIS_FORMAT, "no MFT record"),
    2: (GapReason.NOT_THIS_FORMAT, "a torn MFT record"),
    3: (GapReason.UNREADABLE, "an MFT record marked as bad"),
}


def recognise(head: bytes) -> bool:
    return head[:4] == b"FILE" and record_size(head) > 0 and head[4:6] in (b"\x30\0", b"\x2a\0")


def batches(file: File) -> Iterator[Batch]:
    """Batches of whole records in order; what stands behind the last whole record is a gap."""
    size = record_size(file.pread(0, 65536))
    if not size:
        whole = Gap(0, file.size, GapReason.NOT_THIS_FORMAT, "no record that says how large records are")
        nothing = Rows(read_table(file.pread, 0, 1024)).frame(0, 0)
        yield Batch(0, file.size, nothing, (whole,) if file.size else ())
        return
    table = read_table(file.pread, file.size, size)
    rows = Rows(table)
    silent = rows.without_rows()
    own = rows.owner == np.arange(table.count)
    end = 0
    for first in range(0, table.count, _RECORDS):
        last = min(first + _RECORDS, table.count)
        quiet = np.flatnonzero(silent[first:last]) + first
        state = table.state[quiet]
        gaps = [gap for code, (reason, why) in _WHY.items() for gap in _gaps(quiet, table.why, code, size, reason, why)]
        unused = quiet[(state != EMPTY) & (state != BROKEN)]
        skipped = (
            ("never used: zeros", int((state == EMPTY).sum())),
            ("belongs to another record", int((~own[unused]).sum())),
            ("a record that holds no file", int(own[unused].sum())),
        )
        end = last * size
        skips = tuple(Skipped(reason, count, count * size) for reason, count in skipped if count)
        yield Batch(first * size, end, rows.frame(first, last), merge_gaps(gaps), skips)
    if end < file.size:
        reason, why = (GapReason.TRUNCATED, "less than a record") if file.size - end < size else (
            GapReason.LIMIT, f"more than {RECORDS_MOST} records"
        )  # fmt: skip
        yield Batch(end, file.size, rows.frame(0, 0), (Gap(end, file.size - end, reason, why),))


def _gaps(numbers: Ints, why: NDArray[np.uint8], code: int, size: int, reason: GapReason, detail: str) -> list[Gap]:
    """Gaps over stretches of broken records."""
    chosen = numbers[why[numbers] == code]
    if not len(chosen):
        return []
    starts = np.flatnonzero(np.diff(chosen, prepend=-2) != 1)
    counts = np.diff(starts, append=len(chosen))
    return [
        Gap(int(chosen[at]) * size, int(n) * size, reason, detail)
        for at, n in zip(starts.tolist(), counts.tolist(), strict=True)
    ]
