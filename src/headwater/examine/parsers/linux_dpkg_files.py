# SPDX-License-Identifier: Apache-2.0
"""The digests that dpkg keeps of its packages' files (linux.dpkg_files).

Reads:  /var/lib/dpkg/info/*.md5sums.
Time:   none; what stands there was written when the package was unpacked.
Format: deb-md5sums(5): 32 hexadecimal digits, two spaces, a path without the leading slash.
Limits: configuration files are not here (linux.dpkg_status has them); the list lies on the same disk as the files.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from headwater.examine.filled import filled
from headwater.examine.line_blocks import Lines
from headwater.examine.lines import Context, Cut, LineGrammar
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.paths import file_layer

FEED = "linux.dpkg_files"
VERSION = 1
READS = ("/var/lib/dpkg/info/*.md5sums",)
_DIGITS = 32
_IS_DIGIT = np.isin(np.arange(256), np.frombuffer(b"0123456789abcdef", dtype=np.uint8))
_NAME = lazy_regex(r"/([^/:]+)(?::[^/]+)?\.md5sums$")


def _fitting(lines: Lines) -> np.typing.NDArray[np.bool_]:
    """Which lines are a digest, two spaces and a path: a system has one small list for each of thousands of packages."""
    fits = lines.end - lines.start > _DIGITS + 2
    rows = np.flatnonzero(fits)
    head = lines.data[lines.start[rows, None] + np.arange(_DIGITS + 3)]
    spaces = head[:, _DIGITS:] == ord(" ")
    fits[rows] = _IS_DIGIT[head[:, :_DIGITS]].all(axis=1) & (spaces == [True, True, False]).all(axis=1)
    return fits


def _shape(lines: Lines, context: Context) -> Cut:
    fits = _fitting(lines)
    if not fits.any():
        return Cut.none(lines)
    name = _NAME.search(file_layer(context.file.path))
    some = lines.take(fits)
    height, begin = len(some), some.start + _DIGITS + 1  # the second space
    rooted = lines.data.copy()
    rooted[begin] = ord("/")  # paths stand here without the slash that begins them
    return Cut(
        fits,
        {
            "kind": filled(str(EventKind.STATE_PACKAGE_FILE), height),
            "t_kind": filled("state", height),
            "t_basis": filled("none", height),
            "file_path": Lines(rooted, begin, some.end).text(),
            "md5": some.column(some.start, some.start + _DIGITS),
            "package": filled(name.group(1) if name else None, height),
        },
    )


GRAMMAR = LineGrammar(shapes=(_shape,), own={"md5": pl.String, "package": pl.String})
