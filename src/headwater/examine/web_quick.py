# SPDX-License-Identifier: Apache-2.0
"""The usual access lines, cut by the compiled scanner; what it does not take is left to :mod:`headwater.examine.web_lines`.

Both give the same values for the same line (a test holds them to it), so a log reads the same with and without it.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from headwater.examine.line_blocks import Lines
from headwater.examine.line_views import Texts, numbers
from headwater.examine.lines import Context, Cut
from headwater.examine.web_lines import access_shape, behind_agent, header
from headwater.formats import compiled

_PEER = ("src_ip", "rhost", "user", "ident")
_REQUEST = ("cs-method", "cs-uri", "cs-uri-stem", "cs-uri-query", "cs-version", "request")
_COLUMNS = (*_PEER, *_REQUEST, "cs-referer", "cs-user-agent", "extra")  # in the order of access.c


def quick_access_shape(lines: Lines, context: Context) -> Cut:
    """The lines that the compiled scanner takes; none where it was not built."""
    library = compiled.library()
    count = len(lines)
    if library is None or not count:
        return Cut.none(lines)
    fits = np.empty(count, dtype=np.uint8)
    ns, status, size = (np.empty(count, dtype=np.int64) for _ in range(3))
    texts = Texts(lines.data, count, _COLUMNS)
    data, start, end = lines.data, compiled.whole(lines.start), compiled.whole(lines.end)
    at = compiled.at
    taken = compiled.checked(
        library.hw_access(
            at(data), len(data), at(start), at(end), count, at(fits), at(ns), at(status), at(size), *texts.places()
        )
    )
    if not taken:
        return Cut.none(lines)
    columns = texts.columns(taken)
    if "extra" in columns:
        columns |= behind_agent(columns.pop("extra"))
    status, size = status[:taken], size[:taken]
    columns |= header(ns[:taken], np.ones(taken, dtype=np.bool_), status)
    columns |= {"sc-status": numbers(status, status >= 0), "sc-bytes": numbers(size, size >= 0)}
    columns.setdefault("src_ip", pl.Series([None], dtype=pl.String).new_from_index(0, taken))
    return Cut(fits.view(np.bool_), columns)


ACCESS_SHAPES = (quick_access_shape, access_shape)
