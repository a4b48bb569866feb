# SPDX-License-Identifier: Apache-2.0
"""Databases of addresses in MaxMind's form (.mmdb): a binary tree over the bits of an address, and the data it leads to.

Format: https://maxmind.github.io/MaxMind-DB/ (MaxMind DB File Format Specification, version 2.0). GeoLite2 and DB-IP's free
databases are given out so. None comes with the program.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MARK = b"\xab\xcd\xefMaxMind.com"
_TAIL = 128 << 10  # the metadata stands in the last 128 KiB
_APART = 16  # zero bytes between the tree and the data
_DEEP, _ITEMS, _TEXT = 16, 2_000, 16 << 10  # bounds on one record: levels and pointers, values, bytes of a text
_POINTER, _STRING, _DOUBLE, _BYTES, _UINT16, _UINT32, _MAP = 1, 2, 3, 4, 5, 6, 7
_INT32, _UINT64, _UINT128, _LIST, _BOOL, _FLOAT = 8, 9, 10, 11, 14, 15
_UINTS = {_UINT16: 2, _UINT32: 4, _UINT64: 8, _UINT128: 16}


class BadDatabase(Exception):
    """The bytes are no such database, or one that is cut or broken."""


@dataclass(slots=True)
class _Decoder:
    """Values of one section; ``base`` is where its pointers count from, ``left`` how many values may still be read."""

    data: bytes
    base: int
    end: int
    left: int = _ITEMS

    def value(self, at: int, deep: int = 0) -> tuple[Any, int]:
        """The value at a place and where the next stands."""
        self.left -= 1
        if deep > _DEEP or self.left < 0:
            raise BadDatabase("a record nested too deep or too large")
        kind, size, at = self._control(at)
        if kind == _POINTER:
            return self.value(self.base + size, deep + 1)[0], at
        if kind == _MAP:
            held: dict[str, Any] = {}
            for _ in range(size):
                key, at = self.value(at, deep + 1)
                held[str(key)], at = self.value(at, deep + 1)
            return held, at
        if kind == _LIST:
            items = []
            for _ in range(size):
                item, at = self.value(at, deep + 1)
                items.append(item)
            return items, at
        if kind == _BOOL:
            return bool(size), at
        if size > _TEXT:
            raise BadDatabase("a text of more than 16 KiB")
        return self._scalar(kind, self._bytes(at, size)), at + size

    def _control(self, at: int) -> tuple[int, int, int]:
        """Type, size (of a pointer: its target) and where the content begins."""
        first = self._bytes(at, 1)[0]
        kind, size, at = first >> 5, first & 31, at + 1
        if kind == _POINTER:
            more = (size >> 3) + 1
            number = int.from_bytes(self._bytes(at, more), "big")
            high = (size & 7) << (8 * more) if more < 4 else 0
            return kind, high + number + (0, 0, 2048, 526336, 0)[more], at + more
        if kind == 0:
            kind, at = self._bytes(at, 1)[0] + 7, at + 1
        if size >= 29:
            more = size - 28
            size = int.from_bytes(self._bytes(at, more), "big") + (29, 285, 65821)[more - 1]
            at += more
        return kind, size, at

    def _scalar(self, kind: int, raw: bytes) -> Any:
        if kind == _STRING:
            return raw.decode("utf-8", "replace")
        if kind == _BYTES:
            return raw
        if kind in _UINTS and len(raw) <= _UINTS[kind]:
            return int.from_bytes(raw, "big")
        if kind == _INT32 and len(raw) <= 4:
            return int.from_bytes(raw, "big", signed=len(raw) == 4)
        if (kind, len(raw)) in ((_DOUBLE, 8), (_FLOAT, 4)):
            return struct.unpack(">d" if kind == _DOUBLE else ">f", raw)[0]
        raise BadDatabase(f"a value of type {kind} and {len(raw)} bytes")

    def _bytes(self, at: int, size: int) -> bytes:
        if at < 0 or size < 0 or at + size > self.end:
            raise BadDatabase("a value beyond its section")
        return self.data[at : at + size]


@dataclass(frozen=True, slots=True)
class Database:
    """A database: its tree of ``nodes`` nodes of two records of ``bits`` bits, and what its metadata says of it."""

    data: bytes
    nodes: int
    bits: int
    version: int  # of addresses: a tree of 6 holds those of 4 below 96 zero bits
    kind: str
    built: int  # seconds of Unix time

    def record(self, text: str) -> tuple[Any, str] | None:
        """What the database says of an address, and the network that it says it of; None where it says nothing.

        Raises:
            BadDatabase: the way there is broken.
        """
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return None
        if address.version == 6 and self.version == 4:
            return None
        number, width = int(address), address.max_prefixlen
        node = 0
        skipped = 96 if self.version == 6 and address.version == 4 else 0
        for _ in range(skipped):
            node = self._child(node, 0)
            if node >= self.nodes:
                break
        prefix = 0
        while node < self.nodes and prefix < width:
            node = self._child(node, number >> (width - 1 - prefix) & 1)
            prefix += 1
        if node <= self.nodes:
            return None
        tree = self.nodes * self.bits // 4
        decoder = _Decoder(self.data, tree + _APART, len(self.data))
        network = ipaddress.ip_network((number >> (width - prefix) << (width - prefix), prefix))
        return decoder.value(tree + node - self.nodes)[0], str(network)

    def _child(self, node: int, side: int) -> int:
        size = self.bits // 4
        raw = self.data[node * size : (node + 1) * size]
        if len(raw) < size:
            raise BadDatabase("a node beyond the end")
        if self.bits == 28:
            middle = raw[3] & 15 if side else raw[3] >> 4
            return middle << 24 | int.from_bytes(raw[4:7] if side else raw[:3], "big")
        return int.from_bytes(raw[size // 2 :] if side else raw[: size // 2], "big")

    def networks(self) -> int:
        """How many records of the tree lead to data."""
        import numpy as np

        size = self.bits // 4
        rows = np.frombuffer(self.data, np.uint8, self.nodes * size).reshape(-1, size).astype(np.int64)
        if self.bits == 28:
            left = (rows[:, 3] >> 4) << 24 | rows[:, 0] << 16 | rows[:, 1] << 8 | rows[:, 2]
            right = (rows[:, 3] & 15) << 24 | rows[:, 4] << 16 | rows[:, 5] << 8 | rows[:, 6]
        else:
            weights = 256 ** np.arange(size // 2 - 1, -1, -1, dtype=np.int64)
            left, right = rows[:, : size // 2] @ weights, rows[:, size // 2 :] @ weights
        return int((left > self.nodes).sum() + (right > self.nodes).sum())


def is_database(data: bytes) -> bool:
    """Whether the mark of the metadata stands near the end."""
    return _MARK in data[-_TAIL:]


def open_database(data: bytes) -> Database:
    """The database in these bytes.

    Raises:
        BadDatabase: they hold none, or its metadata contradict its size.
    """
    at = data.rfind(_MARK, max(0, len(data) - _TAIL))
    if at < 0:
        raise BadDatabase("no metadata")
    begin = at + len(_MARK)
    said = _Decoder(data, begin, len(data)).value(begin)[0]
    if not isinstance(said, Mapping):
        raise BadDatabase("no metadata")
    numbers = [said.get(name) for name in ("node_count", "record_size", "ip_version", "build_epoch")]
    nodes, bits, version, built = (n if isinstance(n, int) else -1 for n in numbers)
    if bits not in (24, 28, 32) or version not in (4, 6) or nodes < 1 or nodes * bits // 4 + _APART > at:
        raise BadDatabase("metadata that contradict the file")
    return Database(data[:at], nodes, bits, version, str(said.get("database_type", ""))[:200], built)
