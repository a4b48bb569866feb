# SPDX-License-Identifier: Apache-2.0
"""The Merkle tree of RFC 6962 over ledger entries: head, proofs of inclusion and of consistency.

https://www.rfc-editor.org/rfc/rfc6962#section-2.1; the checks of proofs follow RFC 9162, 2.1.3.2 and 2.1.4.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from headwater.formats.twin_digests import SIZE, above

EMPTY = hashlib.sha256(b"").hexdigest()


def leaf(body: bytes) -> bytes:
    """The hash of one entry's canonical bytes."""
    return hashlib.sha256(b"\x00" + body).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree that grows at its right edge and keeps only the hashes of its complete subtrees, largest first."""

    __slots__ = ("hashes", "size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.hashes = list(hashes)
        if len(self.hashes) != size.bit_count() or any(len(h) != 32 for h in self.hashes):
            raise ValueError("these are not the subtrees of a tree of this size")

    def add(self, body: bytes) -> None:
        """Append one entry."""
        self.add_leaf(hashlib.sha256(b"\x00" + body).digest())

    def add_leaf(self, value: bytes) -> None:
        """Append one entry by its leaf hash."""
        size = self.size
        hashes = self.hashes
        self.size = size + 1
        while size & 1:
            value = hashlib.sha256(b"\x01" + hashes.pop() + value).digest()
            size >>= 1
        hashes.append(value)

    def extend(self, leaves: bytes) -> None:
        """Append entries by their leaf hashes, 32 bytes each, a level of the tree at a time."""
        level, waiting = leaves, self.hashes
        old, self.size = self.size, self.size + len(leaves) // SIZE
        kept: list[bytes] = []
        while level or old:
            if old & 1:
                level = waiting.pop() + level
            old >>= 1
            if len(level) // SIZE & 1:
                kept.append(level[-SIZE:])
                level = level[:-SIZE]
            level = above(level)
        self.hashes = kept[::-1]

    def root(self) -> str:
        """The tree head in hex; of no entries, the hash of nothing."""
        if not self.hashes:
            return EMPTY
        value = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            value = _node(left, value)
        return value.hex()


def root(bodies: Iterable[bytes]) -> str:
    """The tree head in hex over whole entries."""
    tree = Frontier()
    for body in bodies:
        tree.add(body)
    return tree.root()


def _head(leaves: Sequence[bytes]) -> bytes:
    tree = Frontier()
    for value in leaves:
        tree.add_leaf(value)
    return bytes.fromhex(tree.root())


def _split(size: int) -> int:
    """The largest power of two below ``size``."""
    return 1 << (size - 1).bit_length() - 1


def inclusion(leaves: Sequence[bytes], index: int) -> list[str]:
    """The audit path of the leaf at ``index`` (from 0) among these leaf hashes, from the leaf upwards, in hex."""
    if not 0 <= index < len(leaves):
        raise ValueError("no such leaf")
    path: list[str] = []
    low, high = 0, len(leaves)
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_head(leaves[middle:high]).hex())
            high = middle
        else:
            path.append(_head(leaves[low:middle]).hex())
            low = middle
    return path[::-1]


def included(value: bytes, index: int, size: int, path: Sequence[str], head: str) -> bool:
    """Whether the leaf hash stands at ``index`` of the tree of ``size`` leaves with this head (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last = index, size - 1
    for step in path:
        other = bytes.fromhex(step)
        if last == 0:
            return False
        if place & 1 or place == last:
            value = _node(other, value)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            value = _node(value, other)
        place >>= 1
        last >>= 1
    return last == 0 and value.hex() == head


def consistency(leaves: Sequence[bytes], old: int) -> list[str]:
    """The proof that the tree of the first ``old`` leaves is the beginning of the tree of them all, in hex."""
    if not 0 < old <= len(leaves):
        raise ValueError("no such tree")
    path: list[str] = []
    low, high, whole = 0, len(leaves), True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(_head(leaves[middle:high]).hex())
            high = middle
        else:
            path.append(_head(leaves[low:middle]).hex())
            low, whole = middle, False
    if not whole:
        path.append(_head(leaves[low:high]).hex())
    return path[::-1]


def consistent(old: int, old_head: str, new: int, new_head: str, path: Sequence[str]) -> bool:
    """Whether the proof shows that the old tree is the beginning of the new one (RFC 9162, 2.1.4.2)."""
    if old == new:
        return old_head == new_head and not path
    if not 0 < old < new or not path:
        return False
    steps = [bytes.fromhex(p) for p in path]
    if old & (old - 1) == 0:
        steps.insert(0, bytes.fromhex(old_head))
    place, last = old - 1, new - 1
    while place & 1:
        place >>= 1
        last >>= 1
    before = after = steps[0]
    for other in steps[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            before, after = _node(other, before), _node(other, after)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            after = _node(after, other)
        place >>= 1
        last >>= 1
    return last == 0 and before.hex() == old_head and after.hex() == new_head
