# SPDX-License-Identifier: Apache-2.0
"""Template definitions of event logs: each is parsed once, however many chunks repeat it.

A definition's bytes differ between chunks only in the offsets of its names. So a known one is recognised by its GUID, by
its bytes without those offsets, and by the names that stand where the offsets point.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from headwater.formats.evtx_binxml import BinXmlError, Chunk, Element, NameUse, Reader
from headwater.formats.evtx_fields import Slot, slots

DEFINITION = 24  # bytes before the body: next definition, GUID, size
_MOST = 20_000  # definitions kept
_VARIANTS = 16  # of one GUID and size


@dataclass(slots=True)
class Template:
    """``number`` is unique within one :class:`Templates`; ``identifier``: the first four bytes of the GUID."""

    number: int
    identifier: int
    size: int
    elements: list[Element]
    _slots: dict[str | None, tuple[Slot, ...]] = field(default_factory=dict)

    def slots(self, within: str | None) -> tuple[Slot, ...]:
        found = self._slots.get(within)
        if found is None:
            found = self._slots[within] = slots(self.elements, within)
        return found


@dataclass(frozen=True, slots=True)
class _Variant:
    """The fixed pieces of a body and, between them, what must be looked up."""

    layout: struct.Struct
    pieces: tuple[bytes, ...]
    names: tuple[tuple[int, str | None], ...]  # (position of the offset, name; None where it stands right there)
    template: Template


class Templates:
    """All definitions of one file."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, int], list[_Variant]] = {}
        self._count = 0
        self.all: list[Template] = []

    def at(self, chunk: Chunk, offset: int) -> Template:
        """The template defined at an offset of a chunk.

        Raises:
            BinXmlError: none is there, or it cannot be read.
        """
        size = chunk.u32(offset + 20)
        start = offset + DEFINITION
        if offset < 512 or start + size > len(chunk.data):
            raise BinXmlError("a template beyond the chunk")
        key = (chunk.data[offset + 4 : offset + 20], size)
        variants = self._known.setdefault(key, []) if len(self._known) < _MOST else self._known.get(key, [])
        for variant in variants:
            if _same(variant, chunk, start):
                return variant.template
        reader = Reader(chunk, start, start + size, dependent=True)
        elements = reader.fragment()
        template = Template(self._count, struct.unpack_from("<I", key[0])[0], size, elements)
        self._count += 1
        self.all.append(template)
        if len(variants) < _VARIANTS:
            variants.append(_variant(chunk, start, size, reader.uses, template))
        return template


def _same(variant: _Variant, chunk: Chunk, start: int) -> bool:
    found = variant.layout.unpack_from(chunk.data, start)
    if found[::2] != variant.pieces:
        return False
    for (at, name), place in zip(variant.names, found[1::2]):
        if name is None:
            if place != start + at + 4:
                return False
        else:
            try:
                if chunk.name(place) != name:
                    return False
            except BinXmlError:
                return False
    return True


def _variant(chunk: Chunk, start: int, size: int, uses: list[NameUse], template: Template) -> _Variant:
    layout, names, last = "<", [], 0
    for use in sorted(uses, key=lambda u: u.at):
        at = use.at - start
        # a name that stands here begins with the offset of another name, which differs as well
        layout += f"{at - last}sI4x" if use.inline else f"{at - last}sI"
        last = at + 8 if use.inline else at + 4
        names.append((at, None if use.inline else use.name))
    made = struct.Struct(layout + f"{size - last}s")
    return _Variant(made, made.unpack_from(chunk.data, start)[::2], tuple(names), template)
