# SPDX-License-Identifier: Apache-2.0
"""Several digests of the same bytes, made in one pass where this processor can, else by the library one beside the other.

SHA-256 and SHA-1 go by the processor's own instructions and MD5 by its ordinary ones, so that side by side they fill each
other's waits: all three cost 0.6 to 0.7 of what they cost one after the other. Where the compiled way was not built, where the
processor has no such instructions, or where an answer to a known question is wrong, ``hashlib`` makes each. All give the same.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
from collections.abc import Sequence
from typing import Any, Protocol

from headwater.formats import compiled

ALGORITHMS = ("sha256", "md5", "sha1", "sm3")
_BITS = {"sha256": 1, "sha1": 2, "md5": 4}
_PLACES = {"sha256": slice(0, 32), "sha1": slice(32, 52), "md5": slice(52, 68)}  # of what hw_joint_end gives
_OUT = 68
_QUESTION = bytes(range(256)) * 5 + b"headwater"


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


class _Joint:
    """Two or three digests of the compiled way; the interpreter lock is given up meanwhile."""

    __slots__ = ("_library", "_names", "_state")

    def __init__(self, library: Any, room: int, names: Sequence[str], state: bytes | None = None) -> None:
        self._library, self._names = library, tuple(names)
        self._state = ctypes.create_string_buffer(state or b"", room)
        if state is None:
            compiled.checked(library.hw_joint_begin(self._state, sum(_BITS[n] for n in names)))

    def update(self, data: bytes | memoryview, /) -> None:
        held: Any = data
        if not isinstance(data, bytes):
            view = memoryview(data).cast("B")
            # a place is had of bytes that may be written; others are copied, which costs a twentieth of digesting them
            held = ctypes.c_char.from_buffer(view) if len(view) and not view.readonly else bytes(view)
        place = held if isinstance(held, bytes) else ctypes.addressof(held)
        compiled.checked(self._library.hw_joint_update(self._state, place, len(data)))

    def hexdigests(self) -> dict[str, str]:
        out = ctypes.create_string_buffer(_OUT)
        compiled.checked(self._library.hw_joint_end(self._state, out))
        return {name: out.raw[_PLACES[name]].hex() for name in self._names}

    def copy(self) -> _Joint:
        return _Joint(self._library, len(self._state), self._names, self._state.raw)


@functools.cache
def _sound(library: Any) -> int:
    """The bytes that a joint digest takes, where this processor can make it and it digests rightly, else 0.

    The question is asked once in a process: a wrong digest must never be written, whatever the cause.
    """
    room = 0 if library is None else int(library.hw_joint_room())
    if not room:
        return 0
    for names in (("sha256", "md5"), ("sha256", "sha1"), ("md5", "sha1"), ("sha256", "md5", "sha1")):
        asked = _Joint(library, room, names)
        asked.update(_QUESTION[:100])
        asked.update(_QUESTION[100:])
        right = {n: hashlib.new(n, _QUESTION, usedforsecurity=False).hexdigest() for n in names}
        if asked.hexdigests() != right:
            return 0
    return room


def digesters(algorithms: Sequence[str]) -> list[Digester]:
    """Fresh digesters that together make these digests; each may be fed on a thread of its own.

    Raises:
        ValueError: one is not of :data:`ALGORITHMS`, or OpenSSL here lacks it.
    """
    for name in algorithms:
        if name not in ALGORITHMS:
            raise ValueError(f"unknown digest {name!r}")
    library = compiled.library()
    room = _sound(library)
    joint = [n for n in dict.fromkeys(algorithms) if n in _BITS]
    if not room or len(joint) < 2:
        return [_Single(name) for name in dict.fromkeys(algorithms)]
    singles = [_Single(name) for name in dict.fromkeys(algorithms) if name not in _BITS]
    return [_Joint(library, room, joint), *singles]


def hexdigests(made: Sequence[Digester], algorithms: Sequence[str]) -> dict[str, str]:
    """The digests of :func:`digesters`, in the order of ``algorithms``."""
    found = {name: digest for each in made for name, digest in each.hexdigests().items()}
    return {name: found[name] for name in dict.fromkeys(algorithms)}
