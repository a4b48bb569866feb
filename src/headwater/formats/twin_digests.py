# SPDX-License-Identifier: Apache-2.0
"""Many SHA-256 digests side by side: of messages with their leaves in a Merkle tree, of its nodes, of equal chunks.

A leaf is the digest of a byte 00 and the bytes, a node that of a byte 01 and two digests (RFC 6962). The compiled way makes
two digests at a time by the processor's SHA instructions, sixteen by AVX-512; where it was not built, where the processor has
neither, or where its answer to a known question is wrong, ``hashlib`` makes one after the other. All give the same bytes.
https://www.rfc-editor.org/rfc/rfc6962#section-2.1
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import itertools
from array import array
from collections.abc import Sequence
from typing import Any

from headwater.formats import compiled

SIZE, LANES = 32, 16
_QUESTION = bytes(range(256)) * 8


def _plain_leaf(data: bytes | memoryview) -> bytes:
    mark = hashlib.sha256(b"\x00")
    mark.update(data)
    return mark.digest()


@functools.cache
def _sound(library: Any) -> tuple[Any, bool]:
    """The library where this processor has the instructions and it digests rightly, else None; and whether the wide way does.

    The question is asked once in a process: a wrong digest must never be written, whatever the cause.
    """
    if library is None or library.hw_twin_there() != 1:
        return None, False
    wanted, digest = _plain_leaf(_QUESTION), hashlib.sha256(_QUESTION).digest()
    node = hashlib.sha256(b"\x01" + _QUESTION[:64]).digest()
    right = _rows(library, [_QUESTION, _QUESTION]) == (digest * 2, wanted * 2)
    right = right and _nodes(library, _QUESTION[:64]) == node
    right = right and _chunks(library, False, bytearray(_QUESTION), len(_QUESTION), len(_QUESTION), 1) == wanted
    if not right:
        return None, False
    many = bytearray(_QUESTION * LANES)
    wide = library.hw_wide_there() == 1
    return library, wide and _chunks(library, True, many, len(_QUESTION), len(_QUESTION), LANES) == wanted * LANES


def _library() -> tuple[Any, bool]:
    return _sound(compiled.library())


def which() -> str:
    """How digests are made side by side here: ``wide``, ``twin`` or ``hashlib``."""
    library, wide = _library()
    return "hashlib" if library is None else "wide" if wide else "twin"


def _place(data: bytearray | memoryview) -> Any:
    """Where writable bytes begin, as ctypes hands it on; it keeps them where they are."""
    return (ctypes.c_char * len(data)).from_buffer(data)


def _rows(library: Any, messages: Sequence[bytes]) -> tuple[bytes, bytes]:
    data, count = b"".join(messages), len(messages)
    ends = memoryview(array("q", itertools.accumulate(map(len, messages)))).cast("B")
    wholes, leaves = bytearray(SIZE * count), bytearray(SIZE * count)
    compiled.checked(library.hw_twin_rows(data, len(data), _place(ends), count, _place(wholes), _place(leaves)))
    return bytes(wholes), bytes(leaves)


def _nodes(library: Any, level: bytes) -> bytes:
    out = bytearray(len(level) // 2)
    compiled.checked(library.hw_twin_nodes(level, len(level) // (2 * SIZE), _place(out)))
    return bytes(out)


def _chunks(library: Any, wide: bool, rack: bytearray, stride: int, length: int, count: int) -> bytes:
    out, data, start = bytearray(SIZE * count), _place(rack), ctypes.addressof
    if wide and count == LANES:
        compiled.checked(library.hw_wide_leaves(start(data), stride, length, _place(out)))
    else:
        compiled.checked(library.hw_twin_leaves(start(data), stride, length, count, _place(out)))
    return bytes(out)


def digests(messages: Sequence[bytes]) -> tuple[bytes, bytes]:
    """SHA-256 and leaf of each message, 32 bytes each, one behind the other."""
    library, _ = _library()
    if library is not None and messages:
        return _rows(library, messages)
    begun, begun_leaf = hashlib.sha256().copy, hashlib.sha256(b"\x00").copy
    found: list[bytes] = []
    marks: list[bytes] = []
    for message in messages:  # copying a digest that was begun costs two thirds of beginning one
        whole, mark = begun(), begun_leaf()
        whole.update(message)
        mark.update(message)
        found.append(whole.digest())
        marks.append(mark.digest())
    return b"".join(found), b"".join(marks)


def above(level: bytes) -> bytes:
    """The next level of a Merkle tree over an even number of nodes: SHA-256 of a byte 01 and each pair.

    Raises:
        ValueError: not whole pairs.
    """
    if len(level) % (2 * SIZE):
        raise ValueError("nodes without their neighbours")
    library, _ = _library()
    if library is not None and level:
        return _nodes(library, level)
    begun = hashlib.sha256(b"\x01").copy
    found = []
    for at in range(0, len(level), 2 * SIZE):
        node = begun()
        node.update(level[at : at + 2 * SIZE])
        found.append(node.digest())
    return b"".join(found)


def leaves(rack: bytearray, stride: int, length: int, count: int) -> bytes:
    """The leaves of the first ``count`` chunks of ``length`` bytes in a rack, each ``stride`` bytes behind the one before.

    Sixteen at once (``LANES``) are cheapest.

    Raises:
        ValueError: chunks that lie over one another or outside the rack.
    """
    if length < 0 or count < 0 or stride < length or (count and stride * (count - 1) + length > len(rack)):
        raise ValueError("chunks outside their rack")
    library, wide = _library()
    if library is not None and count and length and not length % 64:
        return _chunks(library, wide, rack, stride, length, count)
    view = memoryview(rack)
    return b"".join(_plain_leaf(view[stride * at : stride * at + length]) for at in range(count))
