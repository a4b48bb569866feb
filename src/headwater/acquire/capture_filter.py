# SPDX-License-Identifier: Apache-2.0
"""A capture filter in words, compiled for the kernel's own packet filter, so that only what is wanted is copied at all.

Words: ``[src|dst] host A``, ``[src|dst] net N/M``, ``[tcp|udp] [src|dst] port P``, ``tcp``, ``udp``, ``icmp``, ``icmp6``, ``arp``,
``ip``, ``ip6``, joined by ``and``, ``or``, ``not`` and parentheses; they mean what pcap-filter(7) says, except that an
IPv6 packet with extension headers has no ports here. Classic BPF: Documentation/networking/filter.rst.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from headwater.formats.patterns import lazy_regex
from headwater.model.errors import UsageError

_WORDS_MOST, _CODE_MOST = 400, 1000
_SNAP = 0x4_0000
_TOKEN = lazy_regex(r"\s*(\(|\)|[^\s()]+)")
_LD, _LDH, _LDB, _LDHX, _MSH, _AND, _JEQ, _JSET, _JA, _RET = 0x20, 0x28, 0x30, 0x48, 0xB1, 0x54, 0x15, 0x45, 0x05, 0x06
_PROTOCOLS = {"tcp": (6, 6), "udp": (17, 17), "icmp": (1, None), "icmp6": (None, 58)}
_ETHERTYPES = {"ip": 0x0800, "arp": 0x0806, "ip6": 0x86DD}


@dataclass(frozen=True, slots=True)
class Host:
    """A network of one address or more, as ``side`` src, dst or either ('')."""

    net: ipaddress.IPv4Network | ipaddress.IPv6Network
    side: str = ""


@dataclass(frozen=True, slots=True)
class Port:
    """A port of TCP or UDP, ``protocol`` '' for both."""

    number: int
    side: str = ""
    protocol: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A protocol by its word."""

    word: str


@dataclass(frozen=True, slots=True)
class Not:
    """The contrary."""

    what: Node


@dataclass(frozen=True, slots=True)
class Both:
    """All of these, or any of them."""

    parts: tuple[Node, ...]
    every: bool


Node = Host | Port | Kind | Not | Both


# ------------------------------------------------------------------ words


def parse(text: str) -> Node:
    """The filter in words as a tree.

    Raises:
        UsageError: HW2181, not understood.
    """
    words = _TOKEN.findall(text)
    if not words or len(words) > _WORDS_MOST:
        raise UsageError("HW2181", what=text[:200])
    try:
        tree, rest = _any(words)
    except (ValueError, IndexError) as error:
        raise UsageError("HW2181", what=f"{text[:200]} ({error})") from error
    if rest:
        raise UsageError("HW2181", what=f"{text[:200]} ({rest[0]})")
    return tree


def _any(words: list[str]) -> tuple[Node, list[str]]:
    return _joined(words, "or", _all)


def _all(words: list[str]) -> tuple[Node, list[str]]:
    return _joined(words, "and", _one)


def _joined(words: list[str], by: str, inner: object) -> tuple[Node, list[str]]:
    assert callable(inner)
    first, rest = inner(words)
    parts: list[Node] = [first]
    while rest and rest[0] == by:
        part, rest = inner(rest[1:])
        parts.append(part)
    return (parts[0] if len(parts) == 1 else Both(tuple(parts), by == "and")), rest


def _one(words: list[str]) -> tuple[Node, list[str]]:
    word, rest = words[0], words[1:]
    if word == "not":
        inner, rest = _one(rest)
        return Not(inner), rest
    if word == "(":
        inner, rest = _any(rest)
        if not rest or rest[0] != ")":
            raise ValueError("')' is missing")
        return inner, rest[1:]
    protocol = side = ""
    if word in ("tcp", "udp") and rest and rest[0] in ("src", "dst", "port"):
        protocol, word, rest = word, rest[0], rest[1:]
    if word in ("src", "dst"):
        side, word, rest = word, rest[0], rest[1:]
    if word == "port":
        number = int(rest[0])
        if not 0 < number < 65_536:
            raise ValueError(rest[0])
        return Port(number, side, protocol), rest[1:]
    if protocol:
        raise ValueError(word)
    if word in ("host", "net"):
        return Host(_network(rest[0], word), side), rest[1:]
    if not side and (word in _PROTOCOLS or word in _ETHERTYPES):
        return Kind(word), rest
    return Host(_network(word, "host"), side), rest


def _network(text: str, word: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    found = ipaddress.ip_network(text, strict=True)
    if word == "host" and found.prefixlen != found.max_prefixlen:
        raise ValueError(text)
    return found


def without_session(tree: Node | None, client: str, client_port: int, server: str, port: int) -> Node:
    """The filter, and not the session that carries the capture: it would capture itself without end."""
    ends: list[Node] = [Host(ipaddress.ip_network(a)) for a in dict.fromkeys((client, server))]
    own = Not(Both((*ends, Port(client_port, "", "tcp"), Port(port, "", "tcp")), True))
    return own if tree is None else Both((tree, own), True)


def words_of(tree: Node) -> str:
    """The filter in words again, for tcpdump and for the record."""
    if isinstance(tree, Not):
        return f"not ({words_of(tree.what)})"
    if isinstance(tree, Both):
        return (" and " if tree.every else " or ").join(f"({words_of(p)})" for p in tree.parts)
    if isinstance(tree, Kind):
        return tree.word
    side = f"{tree.side} " if tree.side else ""
    if isinstance(tree, Port):
        return (f"{tree.protocol} " if tree.protocol else "") + f"{side}port {tree.number}"
    whole = tree.net.prefixlen == tree.net.max_prefixlen
    return f"{side}host {tree.net.network_address}" if whole else f"{side}net {tree.net}"


# ------------------------------------------------------------------ code


class _Code:
    """Instructions with named places to jump to; only forwards, as classic BPF wants it."""

    def __init__(self, ethernet: bool) -> None:
        self.base = 14 if ethernet else 0
        self.ethernet = ethernet
        self.lines: list[tuple[int, int, str | None, str | None]] = []
        self.places: dict[str, int] = {}
        self._count = 0

    def fresh(self) -> str:
        self._count += 1
        return f"L{self._count}"

    def here(self, name: str) -> None:
        self.places[name] = len(self.lines)

    def put(self, code: int, value: int, yes: str | None = None, no: str | None = None) -> None:
        self.lines.append((code, value, yes, no))

    def test(self, code: int, value: int, yes: str | None, no: str | None) -> None:
        """A conditional jump; None goes on with the next instruction."""
        self.put(code, value, yes, no)

    def family(self, version: int, no: str) -> None:
        """Goes on where the packet is of this version of IP."""
        if self.ethernet:
            self.put(_LDH, 12)
            self.test(_JEQ, 0x0800 if version == 4 else 0x86DD, None, no)
        else:
            self.put(_LDB, 0)
            self.put(_AND, 0xF0)
            self.test(_JEQ, version << 4, None, no)


def compiled(tree: Node | None, *, ethernet: bool = True) -> bytes:
    """Instructions of classic BPF (``struct sock_filter``, native order); returns 256 KiB of a packet, or nothing.

    Raises:
        UsageError: HW2181, too long for the kernel's filter.
    """
    code = _Code(ethernet)
    if tree is not None:
        _emit(code, tree, "yes", "no")
    code.here("yes")
    code.put(_RET, _SNAP)
    code.here("no")
    code.put(_RET, 0)
    found = bytearray()
    for at, (operation, value, yes, no) in enumerate(code.lines):
        jumps = [0 if name is None else code.places[name] - at - 1 for name in (yes, no)]
        if operation == _JA:
            found += struct.pack("=HBBI", operation, 0, 0, jumps[0])
            continue
        if max(jumps) > 255 or len(code.lines) > _CODE_MOST:
            raise UsageError("HW2181", what="too long")
        found += struct.pack("=HBBI", operation, *jumps, value)
    return bytes(found)


def _emit(code: _Code, node: Node, yes: str, no: str) -> None:
    if isinstance(node, Not):
        _emit(code, node.what, no, yes)
    elif isinstance(node, Both):
        for part in node.parts[:-1]:
            after = code.fresh()
            _emit(code, part, after if node.every else yes, no if node.every else after)
            code.here(after)
        _emit(code, node.parts[-1], yes, no)
    elif isinstance(node, Host):
        _host(code, node, yes, no)
    elif isinstance(node, Port):
        _port(code, node, yes, no)
    else:
        _kind(code, node.word, yes, no)


def _host(code: _Code, node: Host, yes: str, no: str) -> None:
    version = node.net.version
    code.family(version, no)
    places = {"src": 12, "dst": 16} if version == 4 else {"src": 8, "dst": 24}
    sides = [node.side] if node.side else ["src", "dst"]
    for side in sides:
        other = no if side == sides[-1] else code.fresh()
        for at, (mask, value) in enumerate(_masked(node.net)):
            code.put(_LD, code.base + places[side] + 4 * at)
            if mask != 0xFFFF_FFFF:
                code.put(_AND, mask)
            code.test(_JEQ, value, None, other)
        code.put(_JA, 0, yes)
        if other != no:
            code.here(other)


def _masked(net: ipaddress.IPv4Network | ipaddress.IPv6Network) -> Iterator[tuple[int, int]]:
    """(mask, value) of each word of four bytes that the network says something of."""
    mask, value = net.netmask.packed, net.network_address.packed
    for at in range(0, len(mask), 4):
        word = int.from_bytes(mask[at : at + 4], "big")
        if word:
            yield word, int.from_bytes(value[at : at + 4], "big")


def _port(code: _Code, node: Port, yes: str, no: str) -> None:
    six = code.fresh()
    numbers = [_PROTOCOLS[p][0] for p in ((node.protocol,) if node.protocol else ("tcp", "udp"))]
    code.family(4, six)
    code.put(_LDB, code.base + 9)
    _one_of(code, [n for n in numbers if n is not None], no)
    code.put(_LDH, code.base + 6)
    code.test(_JSET, 0x1FFF, no, None)  # a later fragment has no ports
    code.put(_MSH, code.base)
    _sides(code, node, yes, no, _LDHX, code.base)
    code.here(six)
    code.family(6, no)
    code.put(_LDB, code.base + 6)
    _one_of(code, [n for n in numbers if n is not None], no)
    _sides(code, node, yes, no, _LDH, code.base + 40)


def _one_of(code: _Code, values: list[int], no: str) -> None:
    found = code.fresh()
    for value in values[:-1]:
        code.test(_JEQ, value, found, None)
    code.test(_JEQ, values[-1], None, no)
    code.here(found)


def _sides(code: _Code, node: Port, yes: str, no: str, load: int, base: int) -> None:
    for side, place in (("src", 0), ("dst", 2)):
        if node.side in ("", side):
            code.put(load, base + place)
            code.test(_JEQ, node.number, yes, None)
    code.put(_JA, 0, no)


def _kind(code: _Code, word: str, yes: str, no: str) -> None:
    if word in _ETHERTYPES:
        if word == "arp" and not code.ethernet:
            code.put(_JA, 0, no)
        elif word == "arp":
            code.put(_LDH, 12)
            code.test(_JEQ, _ETHERTYPES[word], yes, no)
        else:
            code.family(4 if word == "ip" else 6, no)
            code.put(_JA, 0, yes)
        return
    four, six = _PROTOCOLS[word]
    if four is not None:
        other = code.fresh() if six is not None else no
        code.family(4, other)
        code.put(_LDB, code.base + 9)
        code.test(_JEQ, four, yes, no)
        if six is not None:
            code.here(other)
    if six is not None:
        code.family(6, no)
        code.put(_LDB, code.base + 6)
        code.test(_JEQ, six, yes, no)
