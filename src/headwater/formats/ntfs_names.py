# SPDX-License-Identifier: Apache-2.0
"""Names of NTFS: UTF-16 code units out of records, many at once, as text in the grammar of paths.

A name is any sequence of 16-bit units: lone surrogates, which are no text, are escaped by the bytes of their generalised
UTF-8 form, and a slash within a name is escaped too, so that every name can be had back.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headwater.formats.patterns import lazy_regex
from headwater.model.paths import encode_name

_UNSAFE = lazy_regex("[%!/\x00-\x1f\x7f\u0080-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_DOTS = {".": "%2E", "..": "%2E%2E"}


def ntfs_name(name: str) -> str:
    """One name, decoded with surrogates kept, as a part of a path."""
    if name in _DOTS:
        return _DOTS[name]
    if not _UNSAFE.search(name):
        return name
    return encode_name(name.encode("utf-8", "surrogatepass")).replace("/", "%2F")


def one_name(raw: bytes) -> str:
    """The name that UTF-16LE bytes spell, as a part of a path; an odd last byte is left out."""
    return ntfs_name(raw[: len(raw) & ~1].decode("utf-16-le", "surrogatepass"))


def names_at(units: NDArray[np.uint16], starts: NDArray[np.int64], counts: NDArray[np.int64]) -> list[str]:
    """The names of ``counts[i]`` units from ``units[starts[i]]`` each, all as parts of paths.

    The caller has checked that every range lies inside ``units``.
    """
    if not len(starts):
        return []
    ends = np.cumsum(counts + 1)
    total = int(ends[-1])
    joined = np.zeros(total, np.uint16)
    begins = ends - counts - 1
    held = int(counts.sum())
    within = np.arange(held, dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
    joined[np.repeat(begins, counts) + within] = units[np.repeat(starts, counts) + within]
    text = joined.tobytes().decode("utf-16-le", "surrogatepass")
    names = text.split("\0")
    if len(names) != len(starts) + 1:  # a unit of zero within a name
        return [
            ntfs_name(units[s : s + n].tobytes().decode("utf-16-le", "surrogatepass"))
            for s, n in zip(starts.tolist(), counts.tolist(), strict=True)
        ]
    names.pop()
    if _UNSAFE.search(text.replace("\0", "")) or "." in names or ".." in names:
        return [ntfs_name(name) for name in names]
    return names
