# SPDX-License-Identifier: Apache-2.0
"""Python's search for garbage in cycles paused while very many small objects are made of which none can go.

Each few hundred new objects it looks through the young ones, and now and then through all: half the time of reading or
planning thousands of rules. Objects that nothing refers to any more are freed all the same.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause the search; it goes on afterwards if it did before."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
