# SPDX-License-Identifier: Apache-2.0
"""Shortcuts (.lnk) as they state their target, alone in a file or one of several within another.

Source: [MS-SHLLINK], https://learn.microsoft.com/openspecs/windows_protocols/ms-shllink/. Numbers are little-endian, times FILETIME
in UTC. Text in a code page is shown as ASCII with escapes where the Unicode form is missing: the page is not stated.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from headwater.formats import shell_items

MAGIC = bytes.fromhex("4c0000000114020000000000c000000000000046")
_HEAD = 76
_BLOCKS_MOST = 64
_TEXT_MOST = 4096  # characters
_ID_LIST, _INFO, _UNICODE = 1, 2, 0x80
_STRINGS = ((4, "description"), (8, "relative_path"), (16, "folder"), (32, "arguments"), (64, "icon"))
_DRIVES = {1: "no root", 2: "removable", 3: "fixed", 4: "network", 5: "optical", 6: "RAM disk"}
_GREGORIAN = 122_192_928_000_000_000  # 100 ns from 1582-10-15 to 1970
_ENVIRONMENT, _TRACKER = 0xA0000001, 0xA0000003


@dataclass(frozen=True, slots=True)
class Link:
    """``end``: where it ends in the data. Times are FILETIMEs of the target when the link was written, 0 where not set.

    ``said``: what else it states, by name: local, network, items (paths of the target), volume_serial, volume_label,
    drive, machine, droid, birth_droid, droid_time, mac, environment, and the strings.
    """

    end: int
    whole: bool
    size: int
    attributes: int
    created: int
    accessed: int
    modified: int
    said: Mapping[str, str] = field(default_factory=dict)


def read(data: bytes, at: int = 0) -> Link | None:
    """The link that begins at a place; None where none does. What lies behind a broken length is not read."""
    if data[at : at + 20] != MAGIC or len(data) < at + _HEAD:
        return None
    flags, attributes, created, accessed, modified, size = struct.unpack_from("<IIQQQI", data, at + 20)
    said: dict[str, str] = {}
    try:
        end = _parts(data, at + _HEAD, flags, said)
        whole = True
    except _Cut as cut:
        end, whole = cut.at, False
    return Link(end, whole, size, attributes, created, accessed, modified, {k: v for k, v in said.items() if v})


class _Cut(Exception):
    """The data end, or a length points behind them; ``at``: where the last whole part ended."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


def _number(data: bytes, at: int, size: int, last: int) -> int:
    if at + size > len(data):
        raise _Cut(last)
    return int.from_bytes(data[at : at + size], "little")


def _parts(data: bytes, at: int, flags: int, said: dict[str, str]) -> int:
    if flags & _ID_LIST:
        size = _number(data, at, 2, at)
        if at + 2 + size > len(data):
            raise _Cut(at)
        said["items"] = shell_items.path_of(list(shell_items.items(data[at + 2 : at + 2 + size])))
        at += 2 + size
    if flags & _INFO:
        size = _number(data, at, 4, at)
        if size < 28 or at + size > len(data):
            raise _Cut(at)
        _info(data[at : at + size], said)
        at += size
    for bit, name in _STRINGS:
        if flags & bit:
            width = 2 if flags & _UNICODE else 1
            size = width * _number(data, at, 2, at)
            if at + 2 + size > len(data):
                raise _Cut(at)
            raw = data[at + 2 : at + 2 + size]
            said[name] = _wide(raw) if width == 2 else _ansi(raw)
            at += 2 + size
    for _ in range(_BLOCKS_MOST):
        size = _number(data, at, 4, at)
        if size < 4:
            return at + 4
        if size < 8 or at + size > len(data):
            raise _Cut(at)
        _block(data[at : at + size], said)
        at += size
    raise _Cut(at)


def _info(data: bytes, said: dict[str, str]) -> None:
    """The link information: the volume, and the target's path on it or on the network."""
    head, flags, volume, base, network, suffix = struct.unpack_from("<6I", data, 4)
    wide_base, wide_suffix = struct.unpack_from("<II", data, 28) if head >= 36 and len(data) >= 36 else (0, 0)
    tail = _wide(data[wide_suffix:]) if wide_suffix else _ansi(data[suffix:]) if suffix else ""
    if flags & 1:
        said["local"] = (_wide(data[wide_base:]) if wide_base else _ansi(data[base:]) if base else "") + tail
        if 0 < volume <= len(data) - 16:
            sort, serial, label = struct.unpack_from("<III", data, volume + 4)
            said["drive"] = _DRIVES.get(sort, "unknown")
            said["volume_serial"] = f"{serial >> 16:04X}-{serial & 0xFFFF:04X}"
            if label == 20 and volume + 20 <= len(data):
                place = int.from_bytes(data[volume + 16 : volume + 20], "little")
                said["volume_label"] = _wide(data[volume + place :])
            elif label:
                said["volume_label"] = _ansi(data[volume + label :])
    if flags & 2 and 0 < network <= len(data) - 20:
        name = int.from_bytes(data[network + 8 : network + 12], "little")
        wide = int.from_bytes(data[network + 20 : network + 24], "little") if name > 20 else 0
        share = _wide(data[network + wide :]) if wide else _ansi(data[network + name :])
        said["network"] = f"{share}\\{tail}" if tail else share


def _block(data: bytes, said: dict[str, str]) -> None:
    kind = int.from_bytes(data[4:8], "little")
    if kind == _ENVIRONMENT and len(data) >= 268:
        said["environment"] = _wide(data[268:788]) or _ansi(data[8:268])
    elif kind == _TRACKER and len(data) >= 96:
        said["machine"] = _ansi(data[16:32])
        said.update(tracked(data[32:64], data[64:96]))


def tracked(droid: bytes, birth: bytes) -> dict[str, str]:
    """What two pairs of identifiers (volume, file; 32 bytes each) say of a target: now and when it was made.

    ``mac`` and ``droid_time`` (UTC): an identifier of version 1 has in it the address of a network card and when it was given.
    """
    said = {"droid": f"{guid(droid[:16])} {guid(droid[16:])}", "birth_droid": f"{guid(birth[:16])} {guid(birth[16:])}"}
    if droid[23] >> 4 == 1:
        said["mac"] = droid[26:32].hex(":")
        low, middle, high = struct.unpack_from("<IHH", droid, 16)
        given = (high & 0xFFF) << 48 | middle << 32 | low  # 100 ns since 1582-10-15
        seconds, rest = divmod(given - _GREGORIAN, 10_000_000)
        if 0 <= seconds < 1 << 32:
            said["droid_time"] = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:07d}Z"
    return said


def guid(raw: bytes) -> str:
    return "-".join(p.hex() for p in (raw[3::-1], raw[5:3:-1], raw[7:5:-1], raw[8:10], raw[10:16]))


def _ansi(data: bytes) -> str:
    return data[:_TEXT_MOST].partition(b"\0")[0].decode("ascii", "backslashreplace")


def _wide(data: bytes) -> str:
    text = data[: 2 * _TEXT_MOST]
    return text[: len(text) & ~1].decode("utf-16-le", "backslashreplace").partition("\0")[0]
