# SPDX-License-Identifier: Apache-2.0
"""The text descriptor of a VMDK: which extents the disk consists of, and which parent lies beneath it.

Specification: VMware, "Virtual Disk Format 5.0" (technical note, 2011), chapter "The Descriptor File".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from headwater.formats.patterns import lazy_regex
from headwater.formats.virtual_blocks import MEDIUM_MOST
from headwater.model.errors import AcquireError

TEXT_MOST = 1 << 20
EXTENTS_MOST = 4096
_SECTOR = 512
_EXTENT = lazy_regex(r'(RW|RDONLY|NOACCESS)\s+(\d{1,18})\s+([A-Z]+)(?:\s+"([^"]*)")?(?:\s+(\d{1,18}))?\s*\Z')
_PAIR = lazy_regex(r'\s*([A-Za-z][\w.]*)\s*=\s*"?([^"]*)"?\s*\Z')
NO_PARENT = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Extent:
    """``length`` bytes of the disk in file ``name`` from ``offset`` (flat extents only)."""

    access: str
    length: int
    type: str
    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class Descriptor:
    """``cid`` and ``parent_cid``: content identifiers, None where not stated. ``values``: everything else by key."""

    extents: tuple[Extent, ...]
    cid: int | None
    parent_cid: int | None
    parent: str
    values: dict[str, str]

    @property
    def has_parent(self) -> bool:
        return self.parent_cid is not None and self.parent_cid != NO_PARENT


def parse(raw: bytes, name: str) -> Descriptor:
    """The descriptor in these bytes; zeros behind it are padding.

    Raises:
        AcquireError: HW2007 an encrypted disk; HW2042 more extents or bytes than can be.
    """
    text = _decoded(raw.split(b"\0", 1)[0])
    extents: list[Extent] = []
    values: dict[str, str] = {}
    for line in text.splitlines():
        line = line.strip()
        if match := _EXTENT.match(line):
            access, sectors, kind, file, offset = match.groups()
            extents.append(Extent(access, int(sectors) * _SECTOR, kind, file or "", int(offset or 0) * _SECTOR))
            if len(extents) > EXTENTS_MOST:
                raise AcquireError("HW2042", name, what=f"more than {EXTENTS_MOST} extents")
        elif (match := _PAIR.match(line)) and len(values) < 1000:
            values.setdefault(match.group(1), match.group(2)[:4096])
    if sum(extent.length for extent in extents) > MEDIUM_MOST:
        raise AcquireError("HW2042", name, what="the extents are larger than any disk")
    if any(key.startswith("encryption.") for key in values):
        raise AcquireError("HW2007", name, what="encrypted VMDK")
    hint = values.get("parentFileNameHint", "")
    return Descriptor(tuple(extents), _hex(values.get("CID")), _hex(values.get("parentCID")), hint, values)


def _decoded(raw: bytes) -> str:
    """UTF-8, or what the descriptor's own ``encoding`` says (VMware writes GBK on Chinese Windows)."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        stated = re.search(rb'^encoding="([\w-]{1,20})"', raw, re.MULTILINE)
        name = stated.group(1).decode("ascii", "replace").lower() if stated else ""
        if name in ("gbk", "gb2312", "gb18030", "windows-936", "big5", "shift_jis", "windows-1252"):
            return raw.decode(
                {"windows-936": "gbk"}.get(name, name), "surrogateescape" if name == "utf-8" else "replace"
            )
        return raw.decode("utf-8", "surrogateescape")


def _hex(text: str | None) -> int | None:
    try:
        return None if text is None else int(text, 16)
    except ValueError:
        return None
