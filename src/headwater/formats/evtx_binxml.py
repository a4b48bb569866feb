# SPDX-License-Identifier: Apache-2.0
"""Reads Microsoft's binary XML, as event logs have it, into elements whose gaps are filled by substitution values.

Names and template definitions are found by their offset in the chunk; either may stand where it is first used. Depth and
the number of tokens are bounded, offsets are checked, so that no input loops or grows.
https://learn.microsoft.com/openspecs/windows_protocols/ms-even6/c73573ae-1c90-43a2-a65f-ad7501155956
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

DEPTH = 32  # elements within each other
TOKENS = 8_192  # of one fragment
BUDGET = 200_000  # tokens of all fragments of one chunk
NAME_LEAST, NAME_MOST = 1, 512  # characters
_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_NAME = struct.Struct("<IHH")
(END, OPEN, CLOSE_START, CLOSE_EMPTY, CLOSE, VALUE, ATTRIBUTE, CDATA, CHARACTER, ENTITY, TARGET, DATA) = range(12)
INSTANCE, SUBSTITUTION, OPTIONAL, FRAGMENT = 12, 13, 14, 15
_MORE = 0x40
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
STRING = 1


class BinXmlError(ValueError):
    """These bytes are no binary XML that can be read; becomes a gap, never leaves the reader."""


@dataclass(frozen=True, slots=True)
class Sub:
    """A place that substitution value ``index`` fills."""

    index: int


@dataclass(slots=True)
class Element:
    name: str
    attributes: list[tuple[str, list[str | Sub]]] = field(default_factory=list)
    content: list[str | Sub | Element] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class NameUse:
    """Where a fragment refers to a name: position of the offset field, the name, whether it stands right behind."""

    at: int
    name: str
    inline: bool


def decoded(data: bytes) -> str:
    """UTF-16 text; what is no UTF-16 stays visible as an escape."""
    try:
        return data.decode("utf-16-le")
    except UnicodeDecodeError:
        text = data[: len(data) & ~1].decode("utf-16-le", "surrogatepass")
        tail = f"\\x{data[-1]:02x}" if len(data) & 1 else ""
        return text.encode("utf-8", "backslashreplace").decode("utf-8") + tail


class Chunk:
    """The bytes of one chunk, and the names that were looked up in it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.budget = BUDGET
        self._names: dict[int, str] = {}

    def u16(self, at: int) -> int:
        try:
            return int(_U16.unpack_from(self.data, at)[0])
        except struct.error as error:
            raise BinXmlError("beyond the chunk") from error

    def u32(self, at: int) -> int:
        try:
            return int(_U32.unpack_from(self.data, at)[0])
        except struct.error as error:
            raise BinXmlError("beyond the chunk") from error

    def name(self, at: int) -> str:
        """The name at an offset of the chunk."""
        known = self._names.get(at)
        if known is not None:
            return known
        if at + _NAME.size > len(self.data):
            raise BinXmlError("a name beyond the chunk")
        count = _NAME.unpack_from(self.data, at)[2]
        if not NAME_LEAST <= count <= NAME_MOST or at + 8 + 2 * count > len(self.data):
            raise BinXmlError("a name of impossible length")
        text = decoded(self.data[at + 8 : at + 8 + 2 * count]).rstrip("\0")
        self._names[at] = text
        return text

    def text(self, at: int) -> tuple[str, int]:
        """A text behind its count of characters, and where it ends."""
        end = at + 2 + 2 * self.u16(at)
        if end > len(self.data):
            raise BinXmlError("a text beyond the chunk")
        return decoded(self.data[at + 2 : end]), end


class Reader:
    """Reads one fragment from ``at`` up to ``end``; ``dependent``: elements carry a dependency identifier."""

    def __init__(self, chunk: Chunk, at: int, end: int, dependent: bool) -> None:
        self.chunk = chunk
        self.at = at
        self.end = min(end, len(chunk.data))
        self.dependent = dependent
        self.uses: list[NameUse] = []
        self._left = TOKENS

    def _token(self) -> int:
        if self.at >= self.end:
            return END
        self._left -= 1
        self.chunk.budget -= 1
        if self._left < 0 or self.chunk.budget < 0:
            raise BinXmlError("too many tokens")
        return self.chunk.data[self.at]

    def _name(self, at: int) -> tuple[str, int]:
        """The name whose offset stands at ``at``, and where reading goes on."""
        place = self.chunk.u32(at)
        name = self.chunk.name(place)
        inline = place == at + 4
        self.uses.append(NameUse(at, name, inline))
        if not inline:
            return name, at + 4
        return name, at + 4 + 8 + 2 * self.chunk.u16(at + 4 + 6) + 2

    def fragment(self) -> list[Element]:
        """The elements of the fragment (an event has one)."""
        found: list[Element] = []
        while True:
            token = self._token()
            kind = token & ~_MORE
            if kind == FRAGMENT:
                self.at += 4
            elif kind == OPEN:
                found.append(self._element(token, DEPTH))
            elif kind == TARGET:
                self.at = self._name(self.at + 1)[1]
            elif kind == DATA:
                self.at = self.chunk.text(self.at + 1)[1]
            elif kind == END:
                return found
            else:
                raise BinXmlError(f"token {token:#x} outside an element")

    def _element(self, token: int, depth: int) -> Element:
        if not depth:
            raise BinXmlError("elements too deep within each other")
        at = self.at + (3 if self.dependent else 1) + 4
        name, at = self._name(at)
        element = Element(name)
        self.at = at + 4 if token & _MORE else at
        while (mark := self._token()) & ~_MORE == ATTRIBUTE:
            name, self.at = self._name(self.at + 1)
            parts: list[str | Sub | Element] = []
            while self._part(parts):
                pass
            element.attributes.append((name, [p for p in parts if not isinstance(p, Element)]))
        self.at += 1
        if mark == CLOSE_EMPTY:
            return element
        if mark != CLOSE_START:
            raise BinXmlError(f"token {mark:#x} in a start tag")
        self._inside(element, depth)
        return element

    def _inside(self, element: Element, depth: int) -> None:
        while True:
            token = self._token()
            kind = token & ~_MORE
            if kind == OPEN:
                element.content.append(self._element(token, depth - 1))
            elif kind == CLOSE:
                self.at += 1
                return
            elif kind == TARGET:
                self.at = self._name(self.at + 1)[1]
            elif kind == DATA:
                self.at = self.chunk.text(self.at + 1)[1]
            elif not self._part(element.content):
                raise BinXmlError(f"token {token:#x} in an element")

    def _part(self, parts: list[str | Sub | Element]) -> bool:
        """One piece of text or one substitution, added to ``parts``; False where something else stands here."""
        kind = self._token() & ~_MORE
        chunk, at = self.chunk, self.at
        if kind == VALUE:
            if chunk.data[at + 1 : at + 2] != b"\x01":
                raise BinXmlError("a literal that is no text")
            text, self.at = chunk.text(at + 2)
            parts.append(text)
        elif kind in (SUBSTITUTION, OPTIONAL):
            parts.append(Sub(chunk.u16(at + 1)))
            self.at = at + 4
        elif kind == CDATA:
            text, self.at = chunk.text(at + 1)
            parts.append(text)
        elif kind == CHARACTER:
            parts.append(decoded(chunk.data[at + 1 : at + 3]))
            self.at = at + 3
        elif kind == ENTITY:
            name, self.at = self._name(at + 1)
            parts.append(_ENTITIES.get(name, f"&{name};"))
        else:
            return False
        return True
