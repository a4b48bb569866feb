# SPDX-License-Identifier: Apache-2.0
"""Reads one event record at a time: the plain way, for records that the columnar reader leaves over.

It says the same of a record as :mod:`headwater.formats.evtx_groups` does; tests hold the two against each other.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from headwater.formats.evtx_binxml import FRAGMENT, INSTANCE, BinXmlError, Chunk, Reader, Sub
from headwater.formats.evtx_fields import Slot, numbered, slots
from headwater.formats.evtx_layout import RECORD_HEADER
from headwater.formats.evtx_templates import DEFINITION, Template, Templates
from headwater.formats.evtx_values import NESTED, value_text

LEVELS = 8  # binary XML within substitution values
MOST_VALUES = 4_096  # of one template instance


@dataclass(frozen=True, slots=True)
class Instance:
    """A template and where its values stand: (type, start, end) in the chunk."""

    template: Template
    values: tuple[tuple[int, int, int], ...]


def instance_at(chunk: Chunk, at: int, end: int, templates: Templates) -> Instance:
    """The template instance whose token stands at ``at``.

    Raises:
        BinXmlError: it does not hold together, or its definition is not the one that it names.
    """
    identifier, definition = chunk.u32(at + 2), chunk.u32(at + 6)
    template = templates.at(chunk, definition)
    if identifier != template.identifier:
        raise BinXmlError("the template definition was overwritten")
    at += 10
    if definition == at:
        at += DEFINITION + template.size
    count = chunk.u32(at)
    place = at + 4 + 4 * count
    if count > MOST_VALUES or place > end:
        raise BinXmlError("more values than fit")
    values = []
    for size, kind, _ in struct.iter_unpack("<HBB", chunk.data[at + 4 : place]):
        values.append((kind, place, place + size))
        place += size
    if place > end:
        raise BinXmlError("values beyond the record")
    return Instance(template, tuple(values))


class Walker:
    """The fields of the records of one chunk."""

    def __init__(self, chunk: Chunk, templates: Templates) -> None:
        self.chunk = chunk
        self.templates = templates

    def record(self, offset: int, size: int) -> dict[str, str]:
        """The fields of the record at ``offset``, each as text.

        Raises:
            BinXmlError: it cannot be read.
        """
        found: dict[str, str] = {}
        self._fragment(offset + RECORD_HEADER, offset + size - 4, None, found, set(), LEVELS)
        return found

    def _fragment(
        self, at: int, end: int, within: str | None, found: dict[str, str], taken: set[str], levels: int
    ) -> None:
        if not levels:
            raise BinXmlError("binary XML too deep within values")
        data = self.chunk.data
        if at < end and data[at] == FRAGMENT:
            at += 4
        if at < end and data[at] == INSTANCE:
            instance = instance_at(self.chunk, at, end, self.templates)
            for slot in instance.template.slots(within):
                self._slot(slot, instance, found, taken, levels)
            return
        elements = Reader(self.chunk, at, end, dependent=within is None).fragment()
        for slot in slots(elements, within):
            text = "".join(p for p in slot.parts if isinstance(p, str))
            found[numbered(slot.name, taken)] = text

    def _slot(self, slot: Slot, instance: Instance, found: dict[str, str], taken: set[str], levels: int) -> None:
        texts: list[str] = []
        for part in slot.parts:
            if isinstance(part, Sub):
                if part.index >= len(instance.values):
                    continue
                kind, start, end = instance.values[part.index]
                if kind == NESTED:
                    if end > start:
                        self._fragment(start, end, slot.within, found, taken, levels - 1)
                    continue
                text = value_text(kind, self.chunk.data[start:end])
                if text is not None:
                    texts.append(text)
            else:
                texts.append(part)
        if texts:
            found[numbered(slot.name, taken)] = "".join(texts)
