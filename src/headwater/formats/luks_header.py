# SPDX-License-Identifier: Apache-2.0
"""Headers of LUKS 1 and 2: key slots, digests and the segments that a volume is encrypted in.

Specifications: "LUKS On-Disk Format Specification" 1.2.3 and "LUKS2 On-Disk Format Specification" 1.1.3, both at
https://gitlab.com/cryptsetup/cryptsetup. Of the two headers of LUKS 2 the newer one whose checksum fits counts.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headwater.model.ports import ByteSource

MAGIC = b"LUKS\xba\xbe"
_SECOND = b"SKUL\xba\xbe"
_SECTOR = 512
_ACTIVE = 0x00AC71F3
_PLACES = (0x4000, 0x8000, 0x10000, 0x20000, 0x40000, 0x80000, 0x100000, 0x200000, 0x400000)
_MOST_SLOTS = 32
_MOST_STRIPES = 8192
_MOST_KEY = 512


class NotLuks(ValueError):
    """No header that fits, and why."""


@dataclass(frozen=True, slots=True)
class Kdf:
    """How a phrase becomes a key: ``pbkdf2`` (hash, iterations) or ``argon2i``/``argon2id`` (time, KiB, lanes)."""

    kind: str
    salt: bytes
    digest: str = ""
    iterations: int = 0
    memory: int = 0
    lanes: int = 0


@dataclass(frozen=True, slots=True)
class Slot:
    """One key slot: where its split key stands, how that is encrypted, and how it is put together again."""

    name: str
    kdf: Kdf
    key_size: int
    offset: int
    cipher: str
    area_key_size: int
    stripes: int
    digest: str


@dataclass(frozen=True, slots=True)
class Digest:
    """By which a volume key is known to be right; ``slots`` and ``segments`` that it is for."""

    kdf: Kdf
    value: bytes
    slots: frozenset[str]
    segments: frozenset[str]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the volume; ``length`` −1: to its end. ``cipher`` '' for one that is not encrypted."""

    name: str
    offset: int
    length: int
    cipher: str
    unit: int
    first: int  # added to the numbers of sectors in initial vectors
    integrity: str


@dataclass(frozen=True, slots=True)
class Header:
    version: int
    uuid: str
    slots: tuple[Slot, ...]
    digests: tuple[Digest, ...]
    segments: tuple[Segment, ...]
    notes: tuple[str, ...] = ()


def read_header(source: ByteSource) -> Header:
    """The header at the beginning of a volume, or in a detached header file.

    Raises:
        NotLuks: there is none that fits.
    """
    head = source.pread(0, 4096)
    try:
        if head[:6] == MAGIC and head[6:8] == b"\0\1":
            return _one(head)
        return _two(source)
    except (KeyError, TypeError, ValueError, AttributeError, struct.error, binascii.Error, RecursionError) as error:
        if isinstance(error, NotLuks):
            raise
        raise NotLuks(f"the header is not one: {type(error).__name__}: {error}") from error


def _one(head: bytes) -> Header:
    name, mode, digest = (head[at : at + 32].split(b"\0")[0].decode("ascii") for at in (8, 40, 72))
    payload, size = struct.unpack_from(">II", head, 104)
    _in(size, 8, _MOST_KEY)
    cipher = f"{name}-{mode}"
    known = Kdf("pbkdf2", head[132:164], digest, int.from_bytes(head[164:168], "big"))
    slots: list[Slot] = []
    for index in range(8):
        active, iterations, salt, at, stripes = struct.unpack_from(">II32sII", head, 208 + 48 * index)
        if active == _ACTIVE:
            _in(stripes, 1, _MOST_STRIPES)
            kdf = Kdf("pbkdf2", salt, digest, iterations)
            slots.append(Slot(str(index), kdf, size, at * _SECTOR, cipher, size, stripes, digest))
    everything = frozenset(slot.name for slot in slots)
    segment = Segment("0", payload * _SECTOR, -1, cipher, _SECTOR, 0, "")
    uuid = head[168:208].split(b"\0")[0].decode("ascii", "replace")
    return Header(1, uuid, tuple(slots), (Digest(known, head[112:132], everything, frozenset("0")),), (segment,))


def _two(source: ByteSource) -> Header:
    best: tuple[int, str, dict[str, Any]] | None = None
    for at in (0, *_PLACES):
        found = _checked(source, at)
        if found is not None and (best is None or found[0] > best[0]):
            best = found
    if best is None:
        raise NotLuks("no LUKS header whose checksum fits")
    _, uuid, tree = best
    slots = [_slot(name, said) for name, said in list(tree["keyslots"].items())[:_MOST_SLOTS] if _readable(said)]
    notes = [f"key slot {n}: {s.get('type')}" for n, s in tree["keyslots"].items() if not _readable(s)][:_MOST_SLOTS]
    notes += [f"requires {word}" for word in tree.get("config", {}).get("requirements", {}).get("mandatory", [])][:8]
    digests = [_digest(said) for said in list(tree["digests"].values())[:_MOST_SLOTS]]
    segments = [_segment(name, said) for name, said in list(tree["segments"].items())[:_MOST_SLOTS]]
    kept = [s for s in segments if not any(f.startswith("backup") for f in tree["segments"][s.name].get("flags", []))]
    kept.sort(key=lambda s: int(s.name))
    return Header(2, uuid, tuple(slots), tuple(digests), tuple(kept), tuple(notes))


def _checked(source: ByteSource, at: int) -> tuple[int, str, dict[str, Any]] | None:
    """Sequence number, UUID and JSON of one header; None where it does not fit."""
    head = source.pread(at, 4096)
    if len(head) < 4096 or head[:6] != (_SECOND if at else MAGIC) or head[6:8] != b"\0\2":
        return None
    size, sequence = struct.unpack_from(">QQ", head, 8)
    algorithm = head[72:104].split(b"\0")[0].decode("ascii", "replace")
    if (
        size not in _PLACES
        or int.from_bytes(head[256:264], "big") != at
        or algorithm not in hashlib.algorithms_available
    ):
        return None
    area = source.pread(at + 4096, size - 4096)
    found = hashlib.new(algorithm, head[:448] + bytes(64) + head[512:] + area).digest()
    if head[448 : 448 + len(found)] != found:
        return None
    tree = json.loads(area.split(b"\0")[0])
    return sequence, head[168:208].split(b"\0")[0].decode("ascii", "replace"), tree


def _readable(said: Mapping[str, Any]) -> bool:
    return said.get("type") == "luks2" and said["area"]["type"] == "raw"


def _in(value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise NotLuks(f"a number that cannot be: {value}")
    return value


def _slot(name: str, said: Mapping[str, Any]) -> Slot:
    area, af = said["area"], said["af"]
    return Slot(
        name,
        _kdf(said["kdf"]),
        _in(int(said["key_size"]), 8, _MOST_KEY),
        _in(int(area["offset"]), 0, 1 << 40),
        str(area["encryption"]),
        _in(int(area["key_size"]), 8, _MOST_KEY),
        _in(int(af["stripes"]), 1, _MOST_STRIPES),
        str(af["hash"]),
    )


def _kdf(said: Mapping[str, Any]) -> Kdf:
    salt = base64.b64decode(said["salt"])
    if said["type"] == "pbkdf2":
        return Kdf("pbkdf2", salt, str(said["hash"]), int(said["iterations"]))
    return Kdf(str(said["type"]), salt, "", int(said["time"]), int(said["memory"]), int(said["cpus"]))


def _digest(said: Mapping[str, Any]) -> Digest:
    kdf = Kdf(str(said["type"]), base64.b64decode(said["salt"]), str(said["hash"]), int(said["iterations"]))
    value = base64.b64decode(said["digest"])
    return Digest(kdf, value, frozenset(map(str, said["keyslots"])), frozenset(map(str, said["segments"])))


def _segment(name: str, said: Mapping[str, Any]) -> Segment:
    crypt = said["type"] == "crypt"
    unit = int(said["sector_size"]) if crypt else _SECTOR
    if unit not in (512, 1024, 2048, 4096):
        raise NotLuks(f"sectors of {unit} bytes")
    return Segment(
        name,
        _in(int(said["offset"]), 0, 1 << 60),
        -1 if said["size"] == "dynamic" else _in(int(said["size"]), 0, 1 << 60),
        str(said["encryption"]) if crypt else "",
        unit,
        int(said.get("iv_tweak", 0)) if crypt else 0,
        str(said["integrity"].get("type")) if "integrity" in said else "",
    )
