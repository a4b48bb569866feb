# SPDX-License-Identifier: Apache-2.0
"""Memory that was given back is used again, instead of being asked for anew from the kernel.

Every block of a log takes some tens of megabytes for a moment. The C library gives such pieces back to the kernel at once, and each
page of the next one is then cleared and mapped anew: that was a tenth of the CPU time of parsing.

Source: mallopt(3) of glibc.
"""

from __future__ import annotations

import contextlib
import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT = 512 << 20  # bytes of free memory at the heap's end that are not given back
_APART = 128 << 20  # from this size on a piece is asked for and given back by itself


def keep_memory() -> None:
    """For this process from now on; where the C library knows no such setting, nothing changes."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_TRIM_THRESHOLD, _KEPT)
        mallopt(_MMAP_THRESHOLD, _APART)
