# SPDX-License-Identifier: Apache-2.0
"""The digests that dpkg keeps of its packages' files (linux.dpkg_files).

Reads:  /var/lib/dpkg/info/*.md5sums.
Time:   none; what stands there was written when the package was unpacked.
Format: deb-md5sums(5): 32 hexadecimal digits, two spaces, a path without the leading slash.
Limits: configuration files are not here (linux.dpkg_status has them); the list lies on the same disk as the files.
"""

from __future__ import annotations

import polars as pl

from headwater.examine.filled import filled
from headwater.examine.line_blocks import Lines
from headwater.examine.lines import Context, Cut, LineGrammar, groups
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.paths import file_layer

FEED = "linux.dpkg_files"
VERSION = 1
READS = ("/var/lib/dpkg/info/*.md5sums",)
_LINE = r"^(?P<md5>[0-9a-f]{32})  (?P<file>[^ ].*)$"
_NAME = lazy_regex(r"/([^/:]+)(?::[^/]+)?\.md5sums$")


def _shape(lines: Lines, context: Context) -> Cut:
    fits, got = groups(lines, lines.start, lines.end >= lines.start, _LINE)
    if not fits.any():
        return Cut.none(lines)
    name = _NAME.search(file_layer(context.file.path))
    height = got.height
    return Cut(
        fits,
        {
            "kind": filled(str(EventKind.STATE_PACKAGE_FILE), height),
            "t_kind": filled("state", height),
            "t_basis": filled("none", height),
            "file_path": "/" + got["file"],
            "md5": got["md5"],
            "package": filled(name.group(1) if name else None, height),
        },
    )


GRAMMAR = LineGrammar(shapes=(_shape,), own={"md5": pl.String, "package": pl.String})
