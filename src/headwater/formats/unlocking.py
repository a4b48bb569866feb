# SPDX-License-Identifier: Apache-2.0
"""Opens what is encrypted with the keys at hand, and says by number where none fits."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from headwater.formats.filesystems import identify
from headwater.formats.keys import Key
from headwater.model.errors import AcquireError
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

_opened_before: dict[bytes, tuple[Key, str]] = {}  # by digest of header and keys: the volume key, and the slot


class Opened(NamedTuple):
    """``kind``: ``luks`` or ``bitlocker``; ``facts``: version, cipher, and the label of the key with what it opened."""

    kind: str
    label: str
    source: ByteSource
    facts: tuple[tuple[str, str], ...]


def opened(source: ByteSource, keys: Sequence[Key], name: str, warnings: list[Gap], offset: int) -> Opened | None:
    """The content of an encrypted volume; None where it is none, or no key opens it (then ``warnings`` says why).

    Without any key nothing is tried and nothing warned of: that it is encrypted is said where it is opened as files.
    """
    mine = [key for key in keys if key.header is None and key.volume in ("", name)]
    apart = [key for key in keys if key.header is not None and key.volume == name]
    if not mine and not apart:
        return None
    head = source.pread(0, 512)
    kind = "luks" if apart or head[:6] == b"LUKS\xba\xbe" else identify(source)
    if kind not in ("luks", "bitlocker"):
        return None
    try:
        return _luks(source, apart or mine) if kind == "luks" else _bitlocker(source, mine)
    except AcquireError as error:
        detail = f"{name or 'the medium'}: {error.code} {error}"
        warnings.append(Gap(max(offset, 0), source.size, GapReason.ENCRYPTED, detail))
        return None


def _luks(source: ByteSource, keys: Sequence[Key]) -> Opened:
    from headwater.formats.luks import unlock
    from headwater.formats.sources import MemorySource

    headers = [key.header for key in keys if key.header is not None]
    head = MemorySource(headers[0]) if headers else None
    # a passphrase is stretched on purpose; a child that opens the same volume for every task does it once
    held = b"\0".join(key.label.encode("utf-8", "surrogatepass") + b"\0" + key.secret for key in keys)
    place = sha256((head or source).pread(0, 4096) + b"\0" + held).digest()
    known = _opened_before.get(place)
    found = unlock(source, [known[0]] if known else keys, head)
    slot = known[1] if known else found.slot
    _opened_before[place] = (Key(found.label, found.volume_key), slot)
    apart = f"kept apart, sha256 {sha256(headers[0]).hexdigest()}" if headers else ""
    facts = (
        ("version", str(found.version)),
        ("uuid", found.uuid),
        ("cipher", found.cipher),
        ("key", found.label),
        ("slot", slot),
        ("header", apart),
        ("notes", "; ".join(found.notes)),
    )
    return Opened("luks", found.uuid, found.source, tuple(f for f in facts if f[1]))


def _bitlocker(source: ByteSource, keys: Sequence[Key]) -> Opened:
    from headwater.formats.bitlocker import unlock

    found = unlock(source, keys)
    facts = (("cipher", found.cipher), ("description", found.description), ("key", found.label), ("slot", found.slot))
    return Opened("bitlocker", found.description, found.source, tuple(f for f in facts if f[1]))
