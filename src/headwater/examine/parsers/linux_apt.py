# SPDX-License-Identifier: Apache-2.0
"""What apt was told to do, by whom, and the packages that it changed (linux.apt).

Reads:  /var/log/apt/history.log and its rotations; each action of a block on each package is one event.
Time:   Start-Date, wall clock without a zone, whole seconds.
Format: blocks of ``Key: value`` lines between blank lines, as apt's pkgdpkgpm writes them.
Limits: a block without End-Date was not finished or is cut; Requested-By is there only under sudo or pkexec.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from headwater.examine.line_blocks import line_blocks
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Skip, Value
from headwater.model.times import SECOND

FEED = "linux.apt"
VERSION = 1
READS = ("/var/log/apt/history.log*", "/apt_history.log")
_BLOCK = 1 << 20
_ACTIONS = {
    "Install": EventKind.PACKAGE_INSTALL,
    "Reinstall": EventKind.PACKAGE_INSTALL,
    "Upgrade": EventKind.PACKAGE_UPGRADE,
    "Downgrade": EventKind.PACKAGE_UPGRADE,
    "Remove": EventKind.PACKAGE_REMOVE,
    "Purge": EventKind.PACKAGE_REMOVE,
}
_LINE = lazy_regex(r"([A-Z][A-Za-z-]*): ?(.*)")
_PACKAGE = lazy_regex(r"([^ :,()]+)(?::([^ ,()]+))? \(([^()]*)\)(?:, |$)")
_MOST_LINES = 1000  # of one block


def recognise(head: bytes) -> bool:
    return head.lstrip(b"\n").startswith(b"Start-Date: ") and b"\nCommandline: " in head


def parse(file: File) -> Iterator[Record]:
    """Events of a block stand on all its lines, from Start-Date to the last one before the blank line."""
    block: list[tuple[int, int, str]] = []
    for part in line_blocks(file, _BLOCK):
        gaps = iter((*part.gaps, None))
        gap = next(gaps)
        for offset, length, text in zip(part.offset.tolist(), part.length.tolist(), part.lines.text().to_list()):
            while gap is not None and gap.offset < offset:
                yield from _events(block)
                block = []
                yield gap
                gap = next(gaps)
            if not text.strip():
                yield from _events(block)
                block = []
                yield Skip(offset, length, "blank line")
            elif (
                not _LINE.fullmatch(text)
                or len(block) >= _MOST_LINES
                or (not block and not text.startswith("Start-Date:"))
            ):
                yield from _events(block)
                block = []
                yield Gap(offset, length, GapReason.NOT_THIS_FORMAT)
            else:
                block.append((offset, length, text))
        while gap is not None:
            yield from _events(block)
            block = []
            yield gap
            gap = next(gaps)
    yield from _events(block)


def _nanoseconds(text: str) -> int | None:
    try:
        moment = datetime.strptime(" ".join(text.split()), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) * SECOND


def _versions(action: str, inside: str) -> dict[str, Value]:
    """``1.0, automatic`` or, for an upgrade, ``old, new[, automatic]``."""
    words = inside.split(", ")
    automatic = "automatic" in words[1:]
    words = [w for k, w in enumerate(words) if k == 0 or w != "automatic"]
    if action in ("Upgrade", "Downgrade") and len(words) >= 2:
        return {"old_version": words[0], "version": words[1], "automatic": automatic}
    return {"version": words[0] or None, "automatic": automatic}


def _events(block: list[tuple[int, int, str]]) -> Iterator[Event]:
    if not block:
        return
    offset = block[0][0]
    length = block[-1][0] + block[-1][1] - offset
    said = [(m.group(1), m.group(2)) for m in (_LINE.fullmatch(text) for _, _, text in block) if m]
    keys = dict(said)
    time = _nanoseconds(keys.get("Start-Date", ""))
    asked = re.fullmatch(r"(.*) \([0-9]+\)", keys.get("Requested-By", ""))
    common: dict[str, Value] = {"end_text": keys.get("End-Date"), "error": keys.get("Error")}
    found: list[tuple[EventKind, dict[str, Value]]] = []
    for action, value in said:
        for name, arch, inside in _PACKAGE.findall(value) if action in _ACTIONS else ():
            own: dict[str, Value] = {"action": action.lower(), "package": name, "arch": arch or None}
            found.append((_ACTIONS[action], own | _versions(action, inside)))
    for kind, own in found or [(EventKind.PACKAGE_STATUS, {})]:
        yield Event(
            offset,
            length,
            kind,
            time,
            TimeBasis.NONE if time is None else TimeBasis.ZONE_ASSUMED,
            user=asked.group(1) if asked else None,
            command_line=keys.get("Commandline"),
            fields=common | own,
        )
