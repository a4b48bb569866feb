# SPDX-License-Identifier: Apache-2.0
"""Two or three digests in one pass of the compiled scanner, by the processor's SHA instructions and its ordinary ones."""

from __future__ import annotations

import ctypes
import functools
import hashlib
from collections.abc import Sequence
from typing import Any

from headwater.formats import compiled

BITS = {"sha256": 1, "sha1": 2, "md5": 4}
_PLACES = {"sha256": slice(0, 32), "sha1": slice(32, 52), "md5": slice(52, 68)}  # of what hw_joint_end gives
_OUT = 68
_QUESTION = bytes(range(256)) * 5 + b"headwater"


class Joint:
    """The digests ``names`` of the same bytes; the interpreter lock is given up meanwhile."""

    __slots__ = ("_library", "_names", "_state")

    def __init__(self, library: Any, room: int, names: Sequence[str], state: bytes | None = None) -> None:
        self._library, self._names = library, tuple(names)
        self._state = ctypes.create_string_buffer(state or b"", room)
        if state is None:
            compiled.checked(library.hw_joint_begin(self._state, sum(BITS[n] for n in names)))

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

    def copy(self) -> Joint:
        return Joint(self._library, len(self._state), self._names, self._state.raw)


@functools.cache
def _sound(library: Any) -> int:
    """The bytes that a joint digest takes, where this processor can make it and it digests rightly, else 0.

    The question is asked once in a process: a wrong digest must never be written, whatever the cause.
    """
    room = 0 if library is None else int(library.hw_joint_room())
    if not room:
        return 0
    for names in (("sha256", "md5"), ("sha256", "sha1"), ("md5", "sha1"), ("sha256", "md5", "sha1")):
        asked = Joint(library, room, names)
        asked.update(_QUESTION[:100])
        asked.update(_QUESTION[100:])
        right = {n: hashlib.new(n, _QUESTION, usedforsecurity=False).hexdigest() for n in names}
        if asked.hexdigests() != right:
            return 0
    return room


def joint(names: Sequence[str]) -> Joint | None:
    """A fresh joint digest of these, two or three of :data:`BITS`; None where they are to be left to the library."""
    library = compiled.library()
    room = _sound(library)
    return Joint(library, room, names) if room else None
