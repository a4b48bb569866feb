# SPDX-License-Identifier: Apache-2.0
"""Small files that are one record as a whole: read at once, within a bound, what could not be read as gaps."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.model.kinds import GapReason
from headwater.model.records import File, Gap


@dataclass(frozen=True, slots=True)
class Whole:
    """The bytes from the file's beginning that could be had, and the gaps behind them; both together tile the file."""

    data: bytes
    gaps: tuple[Gap, ...] = ()


def whole(file: File, most: int) -> Whole:
    """At most ``most`` bytes of a file."""
    want = min(file.size, most)
    try:
        data = file.pread(0, want)
    except OSError as error:
        return Whole(b"", (Gap(0, file.size, GapReason.UNREADABLE, f"input/output error {error.errno}"),))
    if len(data) < want:
        rest = Gap(len(data), file.size - len(data), GapReason.TRUNCATED, "shorter than its stated size")
        return Whole(data, (rest,))
    if want < file.size:
        return Whole(data, (Gap(want, file.size - want, GapReason.LIMIT, f"such a file is read up to {most} bytes"),))
    return Whole(data)


def wide(data: bytes) -> str:
    """UTF-16 text up to its first NUL; what is no character is escaped, an odd last byte left out."""
    return data[: len(data) & ~1].decode("utf-16-le", "backslashreplace").partition("\0")[0]
