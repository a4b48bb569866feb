# SPDX-License-Identifier: Apache-2.0
"""A small writer of MaxMind's form, after its specification 2.0, for tests."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping
from typing import Any


def value(said: Any) -> bytes:
    if isinstance(said, bool):
        return _control(14, int(said))
    if isinstance(said, str):
        raw = said.encode()
        return _control(2, len(raw)) + raw
    if isinstance(said, float):
        return _control(3, 8) + struct.pack(">d", said)
    if isinstance(said, int):
        raw = said.to_bytes((said.bit_length() + 7) // 8, "big")
        return _control(6 if said < 1 << 32 else 9, len(raw)) + raw
    if isinstance(said, Mapping):
        return _control(7, len(said)) + b"".join(value(k) + value(v) for k, v in said.items())
    return _control(11, len(said)) + b"".join(value(v) for v in said)


def _control(kind: int, size: int) -> bytes:
    first, more = (kind << 5, b"") if kind < 8 else (0, bytes([kind - 7]))
    if size < 29:
        return bytes([first | size]) + more
    if size < 285:
        return bytes([first | 29]) + more + bytes([size - 29])
    return bytes([first | 30]) + more + (size - 285).to_bytes(2, "big")


def database(networks: Mapping[str, Any], bits: int = 24, version: int = 6) -> bytes:
    """A database of these networks; those of IPv4 stand below 96 zero bits where the tree is one of IPv6."""
    nodes: list[list[Any]] = [[None, None]]
    data, places = bytearray(), []
    for text, said in networks.items():
        network = ipaddress.ip_network(text)
        number, length = int(network[0]), network.prefixlen
        width = network.max_prefixlen
        path = [number >> (width - 1 - n) & 1 for n in range(length)]
        if version == 6 and network.version == 4:
            path = [0] * 96 + path
        node = 0
        for side in path[:-1]:
            if nodes[node][side] is None:
                nodes.append([None, None])
                nodes[node][side] = len(nodes) - 1
            node = nodes[node][side]
        places.append((node, path[-1], len(data)))
        data += value(said)
    for node, side, at in places:
        nodes[node][side] = len(nodes) + 16 + at
    tree = b"".join(_node([len(nodes) if c is None else c for c in pair], bits) for pair in nodes)
    about = {"node_count": len(nodes), "record_size": bits, "ip_version": version, "database_type": "Test-City",
             "binary_format_major_version": 2, "binary_format_minor_version": 0, "build_epoch": 1_790_000_000,
             "languages": ["en"], "description": {"en": "a test"}}  # fmt: skip
    return tree + bytes(16) + bytes(data) + b"\xab\xcd\xefMaxMind.com" + value(about)


def _node(pair: list[int], bits: int) -> bytes:
    left, right = pair
    if bits == 28:
        return (
            (left & 0xFFFFFF).to_bytes(3, "big")
            + bytes([left >> 24 << 4 | right >> 24])
            + (right & 0xFFFFFF).to_bytes(3, "big")
        )
    return left.to_bytes(bits // 8, "big") + right.to_bytes(bits // 8, "big")
