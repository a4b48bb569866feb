# SPDX-License-Identifier: Apache-2.0
"""Names the fields of an event: every text and attribute of its XML under the name that rules and examiners use.

``<System><Execution ProcessID=…>`` is ``Execution_ProcessID``, ``<Data Name="Image">`` is ``Image``, unnamed data are
``Data``, ``Data_1`` …; an event's own data never take the name of a System field: they become ``EventData.Channel``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from headwater.formats.evtx_binxml import Element, Sub

# https://learn.microsoft.com/windows/win32/wes/eventschema-systempropertiestype-complextype
SYSTEM = (
    "Provider_Name", "Provider_Guid", "Provider_EventSourceName", "EventID", "EventID_Qualifiers", "Version", "Level",
    "Task", "Opcode", "Keywords", "TimeCreated_SystemTime", "TimeCreated_RawTime", "EventRecordID",
    "Correlation_ActivityID", "Correlation_RelatedActivityID", "Execution_ProcessID", "Execution_ThreadID",
    "Execution_ProcessorID", "Execution_SessionID", "Execution_KernelTime", "Execution_UserTime",
    "Execution_ProcessorTime", "Channel", "Computer", "Container", "Security_UserID",
)  # fmt: skip
# What the reader itself says of a record.
RECORD_NUMBER, RECOVERED, CHECKSUM, WRITTEN, OTHER = (
    "RecordNumber",
    "recovered",
    "checksum_wrong",
    "t_written",
    "other_fields",
)
TIME = "TimeCreated_SystemTime"
_KNOWN = {name.lower(): name for name in SYSTEM}
_RESERVED = frozenset(_KNOWN) | {n.lower() for n in (RECORD_NUMBER, RECOVERED, CHECKSUM, WRITTEN, OTHER)}
_NAME_ATTRIBUTE = "Name"


@dataclass(frozen=True, slots=True)
class Slot:
    """A field: its name, the literals and substitutions that it is made of, and the element that it stands in."""

    name: str
    parts: tuple[str | Sub, ...]
    within: str


def _literal(element: Element, attribute: str) -> str | None:
    for name, parts in element.attributes:
        if name == attribute and parts and all(isinstance(p, str) for p in parts):
            return "".join(p for p in parts if isinstance(p, str))
    return None


def _own_name(element: Element) -> str:
    """``Data`` and ``ComplexData`` are named by an attribute, all else by its tag."""
    if element.name in ("Data", "ComplexData"):
        return (_literal(element, _NAME_ATTRIBUTE) or "").strip() or element.name
    return element.name


def _fields(element: Element, section: str) -> Iterator[Slot]:
    """The fields of an element below ``section`` (a child of Event), in order of their places."""
    name = _own_name(element)
    for attribute, parts in element.attributes:
        named = attribute == _NAME_ATTRIBUTE and name != element.name
        if parts and not named and attribute.partition(":")[0] != "xmlns":
            yield Slot(f"{element.name}_{attribute}", tuple(parts), section)
    children = [c for c in element.content if isinstance(c, Element)]
    texts = tuple(c for c in element.content if not isinstance(c, Element))
    if texts and (not children or any(isinstance(t, Sub) or t.strip() for t in texts)):
        yield Slot(name, texts, section)
    for child in children:
        yield from _fields(child, section)


def _sections(element: Element, nested: bool) -> Iterator[Slot]:
    """The fields of an Event (or of what is substituted into one), by its children."""
    if nested or element.name != "Event":
        section = "EventData" if element.name == "System" else element.name
        yield from _fields(element, section)
        return
    for child in element.content:
        if isinstance(child, Element):
            yield from _fields(child, child.name)
        elif isinstance(child, Sub):
            yield Slot("Event", (child,), "Event")


def numbered(name: str, taken: set[str]) -> str:
    """A name that no other field of the event has, in any case: the second ``Data`` is ``Data_1``."""
    if name.lower() not in taken:
        taken.add(name.lower())
        return name
    number = 1
    while f"{name}_{number}".lower() in taken:
        number += 1
    taken.add(f"{name}_{number}".lower())
    return f"{name}_{number}"


def slots(elements: Iterable[Element], within: str | None) -> tuple[Slot, ...]:
    """The fields of a fragment; ``within``: the element into which it is substituted, None for a whole event."""
    found: list[Slot] = []
    taken: set[str] = set()
    for element in elements:
        inside = within is not None and within != "Event"
        made = _fields(element, within or "") if inside else _sections(element, within is not None)
        for slot in made:
            name = slot.name
            if slot.within == "System" and within is None:
                name = _KNOWN.get(name.lower(), f"System.{name}")
            elif name.lower() in _RESERVED:
                name = f"{slot.within}.{name}"
            found.append(Slot(numbered(name, taken), slot.parts, slot.within))
    return tuple(found)
