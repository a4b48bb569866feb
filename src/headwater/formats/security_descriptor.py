# SPDX-License-Identifier: Apache-2.0
"""Windows security descriptors in their self-relative form: owner, group, and access lists as SDDL text.

Source: [MS-DTYP] 2.4.2 (SID), 2.4.4 (ACE), 2.4.5 (ACL), 2.4.6 (SECURITY_DESCRIPTOR), 2.5.1 (SDDL),
https://learn.microsoft.com/openspecs/windows_protocols/ms-dtyp/. Rights are written as one hexadecimal mask.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

_TYPES = {0: "A", 1: "D", 2: "AU", 3: "AL", 5: "OA", 6: "OD", 7: "OU", 9: "XA", 10: "XD", 13: "XU", 17: "ML", 18: "RA",
          19: "SP", 20: "TL"}  # fmt: skip
_OBJECT = frozenset({5, 6, 7, 8, 11, 12, 15, 16})
_FLAGS = ((0x1, "OI"), (0x2, "CI"), (0x4, "NP"), (0x8, "IO"), (0x10, "ID"), (0x40, "SA"), (0x80, "FA"))
_DACL, _SACL, _RELATIVE = 0x4, 0x10, 0x8000
_PROTECTED = 0x1000


class Descriptor(NamedTuple):
    """What a descriptor says; None where it says nothing of that. ``dacl``: ``D:…`` as SDDL; ``D:NO_ACCESS_CONTROL``
    where it allows everyone everything."""

    owner: str | None
    group: str | None
    dacl: str | None
    sacl: str | None


def sid_text(raw: bytes) -> str | None:
    """A SID as ``S-1-…``; None where the bytes are none."""
    if len(raw) < 8 or raw[0] != 1 or raw[1] > 15 or len(raw) < 8 + 4 * raw[1]:
        return None
    authority = int.from_bytes(raw[2:8], "big")
    parts = struct.unpack_from(f"<{raw[1]}I", raw, 8)
    return "-".join(("S-1", str(authority) if authority < 1 << 32 else hex(authority), *map(str, parts)))


def parse_descriptor(raw: bytes) -> Descriptor:
    """The descriptor that ``raw`` begins with.

    Raises:
        ValueError: the bytes are none, or one of its parts lies outside of them.
    """
    if len(raw) < 20 or raw[0] != 1:
        raise ValueError("no security descriptor")
    control, owner, group, sacl, dacl = struct.unpack_from("<HIIII", raw, 2)
    if not control & _RELATIVE or max(owner, group, sacl, dacl) >= len(raw):
        raise ValueError("a security descriptor whose parts lie outside of it")
    access = None
    if control & _DACL:
        access = _acl(raw, dacl, "D:" + ("P" if control & _PROTECTED else "")) if dacl else "D:NO_ACCESS_CONTROL"
    audit = _acl(raw, sacl, "S:") if control & _SACL and sacl else None
    return Descriptor(_sid(raw, owner), _sid(raw, group), access, audit)


def _sid(raw: bytes, at: int) -> str | None:
    if not at:
        return None
    text = sid_text(raw[at : at + 68])
    if text is None:
        raise ValueError("a security descriptor with a SID that cannot be")
    return text


def _acl(raw: bytes, at: int, head: str) -> str:
    if at + 8 > len(raw):
        raise ValueError("an access list that lies outside its descriptor")
    _, _, size, count, _ = struct.unpack_from("<BBHHH", raw, at)
    end = min(at + size, len(raw))
    at += 8
    parts = []
    for _ in range(count):
        if at + 8 > end:
            raise ValueError("an access list that is shorter than its entries")
        kind, flags, length, mask = struct.unpack_from("<BBHI", raw, at)
        if length < 8 or at + length > end:
            raise ValueError("an access list that is shorter than its entries")
        parts.append(_ace(raw[at : at + length], kind, flags, mask))
        at += length
    return head + "".join(parts)


def _ace(raw: bytes, kind: int, flags: int, mask: int) -> str:
    start, guids = 8, ["", ""]
    if kind in _OBJECT and len(raw) >= 12:
        present = int.from_bytes(raw[8:12], "little")
        start = 12
        for bit in (0, 1):
            if present >> bit & 1:
                guids[bit] = raw[start : start + 16].hex()
                start += 16
    words = "".join(word for bit, word in _FLAGS if flags & bit)
    sid = sid_text(raw[start:]) or raw[start:].hex()
    return f"({_TYPES.get(kind, hex(kind))};{words};{mask:#x};{guids[0]};{guids[1]};{sid})"
