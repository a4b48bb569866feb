# SPDX-License-Identifier: Apache-2.0
"""What a compiled Java class refers to, from its constant pool: members called, classes, texts, each with its place.

Format: The Java Virtual Machine Specification, chapter 4 (https://docs.oracle.com/javase/specs/jvms/se21/html/jvms-4.html).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

MAGIC = b"\xca\xfe\xba\xbe"
# sizes of the entries after the tag, by tag (JVMS 4.4); Utf8 (1) has a length of its own, Long and Double take two numbers
_SIZES = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 17: 4, 18: 4, 19: 2, 20: 2}
_TWICE = (5, 6)
_MEMBERS = (9, 10, 11)  # Fieldref, Methodref, InterfaceMethodref


@dataclass(frozen=True, slots=True)
class Class:
    """References of one class: ``members`` as ``package/Class.member`` and ``texts``, with (offset, length) of the naming text."""

    members: dict[str, tuple[int, int]] = field(default_factory=dict)
    classes: dict[str, tuple[int, int]] = field(default_factory=dict)
    texts: dict[str, tuple[int, int]] = field(default_factory=dict)
    whole: bool = True


def references(data: bytes) -> Class | None:
    """What a class refers to; None where the bytes are no class. ``whole`` is False where the pool is cut or broken."""
    if len(data) < 10 or not data.startswith(MAGIC) or struct.unpack_from(">H", data, 6)[0] < 45:
        return None  # 45 is Java 1.0; a universal Mach-O binary of few architectures has the same magic
    count = struct.unpack_from(">H", data, 8)[0]
    utf: dict[int, tuple[str, int, int]] = {}
    held: dict[int, tuple[int, int, int]] = {}
    at, number, whole = 10, 1, True
    while number < count:
        tag = data[at] if at < len(data) else 0
        size = _SIZES.get(tag, 0) if tag != 1 else 2 + int.from_bytes(data[at + 1 : at + 3], "big")
        if not size or at + 1 + size > len(data):
            whole = False
            break
        if tag == 1:
            utf[number] = (data[at + 3 : at + 1 + size].decode("utf-8", "replace"), at + 3, size - 2)
        elif tag in (7, 8, 12, *_MEMBERS):
            first, second = int.from_bytes(data[at + 1 : at + 3], "big"), int.from_bytes(data[at + 3 : at + 5], "big")
            held[number] = (tag, first, second)
        at, number = at + 1 + size, number + (2 if tag in _TWICE else 1)
    return _resolved(utf, held, whole)


def _resolved(utf: dict[int, tuple[str, int, int]], held: dict[int, tuple[int, int, int]], whole: bool) -> Class:
    found = Class(whole=whole)
    nowhere = (0, 0, 0)
    for tag, first, second in held.values():
        if tag in (7, 8) and first in utf:
            name, at, size = utf[first]
            (found.classes if tag == 7 else found.texts).setdefault(name, (at, size))
        elif tag in _MEMBERS:
            owner = utf.get(held.get(first, nowhere)[1])
            member = utf.get(held.get(second, nowhere)[1])
            if owner is not None and member is not None:
                found.members.setdefault(f"{owner[0]}.{member[0]}", member[1:])
    return found
