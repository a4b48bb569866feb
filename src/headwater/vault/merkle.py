# SPDX-License-Identifier: Apache-2.0
"""The Merkle tree head of RFC 6962 (https://www.rfc-editor.org/rfc/rfc6962#section-2.1) over ledger entries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def leaf(body: bytes) -> bytes:
    """The hash of one entry's canonical bytes."""
    return hashlib.sha256(b"\x00" + body).digest()


def root(bodies: Iterable[bytes]) -> str:
    """The tree head in hex; of no entries, the hash of nothing."""
    stack: list[tuple[int, bytes]] = []  # complete subtrees, (number of leaves, hash)
    for body in bodies:
        size, value = 1, leaf(body)
        while stack and stack[-1][0] == size:
            left_size, left = stack.pop()
            size, value = left_size + size, hashlib.sha256(b"\x01" + left + value).digest()
        stack.append((size, value))
    if not stack:
        return hashlib.sha256(b"").hexdigest()
    value = stack.pop()[1]
    while stack:
        value = hashlib.sha256(b"\x01" + stack.pop()[1] + value).digest()
    return value.hex()
