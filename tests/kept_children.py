# SPDX-License-Identifier: Apache-2.0
"""Confined children that outlive a case: the tests work through some two hundred, and a child's imports cost a second.

A pool of children takes any number of tasks one after the other, so cases may share one. What is not the plain pool of an
examination (keys, rules, other limits), or is asked for while the kept one is in use, gets children of its own; so do
commands that a test starts as programs, and the tests of the pool itself.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from headwater.confine.pool import Pool
from headwater.confine.work import Early, Limits
from headwater.procedure import children, investigate

_WARM = children.WARM
_MOST = 2  # pools, for each child holds 150 MB


class _Kept(Pool):
    """A pool that is put back rather than closed."""

    busy = False

    def close(self) -> None:
        """Keep the children, unless one is at work: what it says would reach the next case."""
        if any(worker.task for worker in self._workers):
            super().close()
        self.busy = False

    def end(self) -> None:
        """End all children."""
        super().close()


def _given(early: Sequence[Early]) -> str:
    """What children are given before their lock-down (the rules of the case), by what it says, not by its descriptors."""
    digest = hashlib.sha256()
    for one in early:
        digest.update(f"{one.call} {sorted(one.args.items())}\n".encode())
        for fd in one.fds:
            digest.update(os.pread(fd, os.fstat(fd).st_size, 0))
    return digest.hexdigest()


def kept() -> Iterator[None]:
    """For one session, let procedures that ask for the same pool without keys share one, the last two of them."""
    at_hand: dict[tuple[int, str, str | None], _Kept] = {}

    def pool(
        workers: int, limits: Limits, *, warm: tuple[str, ...], prepare: Any = (), early: Sequence[Early] = ()
    ) -> Pool:
        if prepare or warm != _WARM or limits != Limits():
            return Pool(workers, limits, warm=warm, prepare=prepare, early=early)
        name = (workers, _given(early), os.environ.get("HEADWATER_PURE"))  # which children take over from their parent
        one = at_hand.pop(name, None) or _Kept(workers, limits, warm=warm, early=early)
        at_hand[name] = one  # now the last in order
        if one.busy:
            return Pool(workers, limits, warm=warm, early=early)
        while len(at_hand) > _MOST and (oldest := next(iter(at_hand))) != name:
            at_hand.pop(oldest).end()
        one.busy = True
        return one

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(investigate, "Pool", pool)
        yield
    for one in at_hand.values():
        one.end()
