# SPDX-License-Identifier: Apache-2.0
"""Several digests of the same bytes, made in one pass where this processor can, else by the library one beside the other.

SHA-256 and SHA-1 go by the processor's own instructions and MD5 by its ordinary ones, so that side by side they fill each
other's waits: all three cost 0.6 to 0.7 of what they cost one after the other. Where the compiled way was not built, where the
processor has no such instructions, or where an answer to a known question is wrong, ``hashlib`` makes each. All give the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Protocol

ALGORITHMS = ("sha256", "md5", "sha1", "sm3")
_TOGETHER = frozenset({"sha256", "md5", "sha1"})


class Digester(Protocol):
    """One or several digests of the same bytes."""

    def update(self, data: bytes | memoryview, /) -> None:
        """More bytes."""

    def hexdigests(self) -> dict[str, str]:
        """The digests of what came so far, by algorithm; more may come."""

    def copy(self) -> Digester:
        """Another of the same state."""


class _Single:
    """A digest of the library."""

    __slots__ = ("_digest", "_name", "update")

    def __init__(self, name: str, digest: Any = None) -> None:
        self._name = name
        self._digest = digest or hashlib.new(name, usedforsecurity=name not in ("md5", "sha1"))
        self.update = self._digest.update

    def hexdigests(self) -> dict[str, str]:
        return {self._name: self._digest.hexdigest()}

    def copy(self) -> _Single:
        return _Single(self._name, self._digest.copy())


def digesters(algorithms: Sequence[str]) -> list[Digester]:
    """Fresh digesters that together make these digests; each may be fed on a thread of its own.

    Raises:
        ValueError: one is not of :data:`ALGORITHMS`, or OpenSSL here lacks it.
    """
    for name in algorithms:
        if name not in ALGORITHMS:
            raise ValueError(f"unknown digest {name!r}")
    wanted = list(dict.fromkeys(algorithms))
    together = [name for name in wanted if name in _TOGETHER]
    if len(together) > 1:
        from headwater.formats.joint_compiled import joint  # ctypes, which who wants one digest need not wait for

        made = joint(together)
        if made is not None:
            return [made, *(_Single(name) for name in wanted if name not in _TOGETHER)]
    return [_Single(name) for name in wanted]


def hexdigests(made: Sequence[Digester], algorithms: Sequence[str]) -> dict[str, str]:
    """The digests of :func:`digesters`, in the order of ``algorithms``."""
    found = {name: digest for each in made for name, digest in each.hexdigests().items()}
    return {name: found[name] for name in dict.fromkeys(algorithms)}
