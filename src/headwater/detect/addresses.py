# SPDX-License-Identifier: Apache-2.0
"""Which addresses lie inside: private, loopback, link-local and carrier ranges; and who asked behind a proxy."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from headwater.formats.patterns import lazy_regex

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# RFC 1918, 1122 (loopback), 3927 (link-local), 6598 (carrier), 4193 (unique local), 4291. Documentation ranges
# (RFC 5737) count as outside here, unlike ipaddress.is_private: they stand for public addresses in examples.
_INSIDE = tuple(
    ipaddress.ip_network(n)
    for n in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "100.64.0.0/10",
        "0.0.0.0/8",
        "::1/128",
        "::/128",
        "fc00::/7",
        "fe80::/10",
    )
)
IPV4 = lazy_regex(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")


def parsed(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a text states, without port, brackets and zone; None where it states none."""
    if not text:
        return None
    body = text.strip().strip('"')
    if body.startswith("["):
        body = body[1:].partition("]")[0]
    elif body.count(":") == 1:
        body = body.partition(":")[0]
    try:
        address = ipaddress.ip_address(body.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@functools.lru_cache(maxsize=65536)
def inside(text: str | None) -> bool:
    """Whether the text states an address that no one outside can have; False for what is no address."""
    address = parsed(text)
    return address is not None and any(address in n for n in _INSIDE if n.version == address.version)


@functools.lru_cache(maxsize=65536)
def outside(text: str | None) -> bool:
    """Whether the text states an address that is reachable from anywhere; False for what is no address."""
    return parsed(text) is not None and not inside(text)


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """The networks of a trusted-proxy list; entries that are no network are left out."""
    found: list[Network] = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text.strip(), strict=False))
        except ValueError:
            continue
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Client:
    """Who asked: ``address`` is the one to speak of; ``peer_ip`` is who was connected; ``forwarded_for`` as logged."""

    address: str
    peer_ip: str
    forwarded_for: str | None
    by_proxy: bool  # address was taken from X-Forwarded-For because the peer is a trusted proxy

    @property
    def origin_open(self) -> bool:
        """The address is a private one: it is the immediate source, the true origin is still to be found."""
        return inside(self.address)


def client(peer: str, forwarded: str | None, trusted: Sequence[Network]) -> Client:
    """The client behind trusted proxies: X-Forwarded-For is read from right to left up to the first untrusted address.

    What stands left of that address was written by the client itself and proves nothing. Without a trusted peer the
    header is kept apart and not believed.
    """
    text = None if forwarded in (None, "", "-") else forwarded

    def known(address: str) -> bool:
        value = parsed(address)
        return value is not None and any(value in n for n in trusted if n.version == value.version)

    if text is None or not known(peer):
        return Client(peer, peer, text, False)
    for hop in reversed([h.strip() for h in text.split(",")]):
        address = parsed(hop)
        if address is None:
            break  # an entry that is no address: nothing further left can be believed
        if not known(str(address)):
            return Client(str(address), peer, text, True)
    return Client(peer, peer, text, False)
