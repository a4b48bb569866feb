# SPDX-License-Identifier: Apache-2.0
"""The events of one shortcut, wherever it stands: one per time of its target, or one without a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from headwater.formats.registry_layout import nanoseconds
from headwater.formats.shell_link import Link
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.records import Event, Value

_TIMES = ("modified", "created", "accessed")
_PROGRAM = (".exe", ".com", ".bat", ".cmd", ".ps1", ".vbs", ".js", ".scr", ".msi", ".dll", ".hta", ".pif")


def events(
    link: Link, offset: int, length: int, kind: EventKind, user: str | None, more: Mapping[str, Value]
) -> Iterator[Event]:
    """``t_kind`` is target-modified, target-created or target-accessed: times of the target, not of its use."""
    said = dict(link.said)
    target = next((said[k] for k in ("local", "network", "environment", "items", "relative_path") if k in said), None)
    arguments = said.get("arguments")
    program = target is not None and target.lower().endswith(_PROGRAM)
    command = f"{target} {arguments or ''}".strip() if target and (arguments or program) else None
    fields: dict[str, Value] = {**said, **more, "size": link.size, "attributes": link.attributes}
    if not link.whole:
        fields["cut"] = True
    found = [(name, nanoseconds(getattr(link, name))) for name in _TIMES]
    told = [(f"target-{name}", when) for name, when in found if when is not None]
    for what, when in told or (("logged", None),):
        yield Event(
            offset, length, kind, when, TimeBasis.NONE if when is None else TimeBasis.UTC, what,
            user=user, command_line=command, file_path=target, fields=fields,
        )  # fmt: skip
