# SPDX-License-Identifier: Apache-2.0
"""A BitLocker volume as its startup key (.BEK) opens it.

libbde takes a startup key by the path of its file alone, and a confined child opens no path. It does take a key that
stands in the volume's own metadata in clear, as Windows leaves it while protection is suspended. So libbde is given the
volume with the startup key's protector read as a clear one; the medium itself is not touched. Only a key that unwraps
the protector, by the protector's own authentication code (AES-CCM), is put there.
Format: Joachim Metz, "BitLocker Drive Encryption (BDE) format", https://github.com/libyal/libbde/blob/main/documentation/
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from headwater.formats.overlay import Patched
from headwater.model.ports import ByteSource

_SIGNATURE = b"-FVE-FS-"
_BLOCK, _HEAD = 64, 48  # the header of a metadata block, and of the metadata in it
_MOST = 1 << 20
_VMK, _STARTUP = 2, 6  # types of entries
_KEY, _USE, _CCM, _MASTER, _EXTERNAL, _UNUSED = 1, 4, 5, 8, 9, 0x15  # types of their values
_NONCE, _CODE = 12, 16
_WITHIN = 28  # a master key's identifier, time, and the kind of protection in the last two bytes
_STARTUP_KIND, _CLEAR_KIND = 0x0200, 0x0000
_METHOD = 0x2002  # AES-CCM of 256 bits, as key entries name it


class Entry(NamedTuple):
    """An entry of metadata or of a key file; ``at``: where its 8 bytes of head stand in what was looked through."""

    at: int
    kind: int
    value: int
    data: bytes


def entries(data: bytes) -> Iterator[Entry]:
    """The entries that stand one behind the other, until one does not fit."""
    at = 0
    while at + 8 <= len(data):
        size, kind, value = struct.unpack_from("<HHH", data, at)
        if size < 8 or at + size > len(data):
            return
        yield Entry(at, kind, value, data[at + 8 : at + size])
        at += size


def external_key(file: bytes) -> bytes | None:
    """The key in the content of a .BEK file; None where it is none."""
    if len(file) < _HEAD or struct.unpack_from("<I", file, 8)[0] != _HEAD:
        return None
    for outer in entries(file[_HEAD:]):
        if (outer.kind, outer.value) == (_STARTUP, _EXTERNAL):
            for inner in entries(outer.data[24:]):  # behind its identifier and time
                if inner.value == _KEY and len(inner.data) == 36:
                    return inner.data[4:]
    return None


def is_suspended(source: ByteSource) -> bool:
    """Whether a protector of the volume stands in clear in its own metadata: whoever has the volume can open it."""
    return any(
        (entry.kind, entry.value) == (_VMK, _MASTER)
        and len(entry.data) > _WITHIN
        and struct.unpack_from("<H", entry.data, 26)[0] == _CLEAR_KIND
        for _, metadata in _metadata(source)
        for entry in entries(metadata)
    )


def with_startup_key(source: ByteSource, key: bytes) -> Patched | None:
    """The volume as this external key opens it; None where it is another volume's."""
    replaced: dict[int, bytes] = {}
    for start, metadata in _metadata(source):
        for entry in entries(metadata):
            if (entry.kind, entry.value) == (_VMK, _MASTER) and len(entry.data) > _WITHIN:
                cleared = _cleared(entry.data, key)
                if cleared is not None:
                    replaced[start + entry.at + 8] = cleared
    return Patched(source, replaced) if replaced else None


def _cleared(master: bytes, key: bytes) -> bytes | None:
    """The entry of a master key with its startup key in clear, of the same length; None where the key does not fit."""
    if struct.unpack_from("<H", master, 26)[0] != _STARTUP_KIND:
        return None
    inside = list(entries(master[_WITHIN:]))
    use = next((e for e in inside if e.value == _USE and len(e.data) >= 44), None)
    if use is None or not any(_opens(key, e) for e in inside):
        return None
    clear = struct.pack("<HHHHI", 44, 0, _KEY, 1, _METHOD) + key
    rest = struct.pack("<HHHH", len(use.data) - 36, 0, _UNUSED, 1).ljust(len(use.data) - 36, b"\0")
    at = _WITHIN + use.at
    made = master[:at] + clear + rest + master[at + 8 + len(use.data) :]
    return made[:26] + struct.pack("<H", _CLEAR_KIND) + made[28:]


def _opens(key: bytes, entry: Entry) -> bool:
    """Whether the key unwraps an AES-CCM entry: nonce, code, content."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM

    if entry.value != _CCM or len(entry.data) <= _NONCE + _CODE:
        return False
    nonce, code, content = entry.data[:_NONCE], entry.data[_NONCE:][:_CODE], entry.data[_NONCE + _CODE :]
    try:
        AESCCM(key, tag_length=_CODE).decrypt(nonce, content + code, None)
    except InvalidTag:
        return False
    return True


def _metadata(source: ByteSource) -> Iterator[tuple[int, bytes]]:
    """Each copy of the metadata's entries that can be read, with its place on the volume."""
    head = source.pread(0, 512)
    if len(head) < 512:
        return
    cluster = struct.unpack_from("<H", head, 11)[0] * head[13]
    places = [*struct.unpack_from("<3Q", head, 176), *struct.unpack_from("<3Q", head, 440)]  # Windows 7 on; To Go
    places.append(struct.unpack_from("<Q", head, 56)[0] * cluster)  # Vista
    for at in dict.fromkeys(places):
        if not 0 < at < source.size:
            continue
        block = source.pread(at, _BLOCK + _HEAD)
        if len(block) < _BLOCK + _HEAD or not block.startswith(_SIGNATURE):
            continue
        size, _, inner = struct.unpack_from("<III", block, _BLOCK)
        if inner == _HEAD and _HEAD < size <= _MOST:
            start = at + _BLOCK + _HEAD
            yield start, source.pread(start, size - _HEAD)
