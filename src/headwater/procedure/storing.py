# SPDX-License-Identifier: Apache-2.0
"""Contents of a case laid into write-once object storage, and read back from there by the versions that the ledger names.

1. The bucket must have Object Lock on; each content is locked in compliance mode for a number of days.
2. A content is compared with its registration while it is sent, read back as the version that was written, and its
   verdict laid beside it, locked too.
3. What was stored, where, under which version and until when, is entered in the ledger.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.formats.opened import open_readonly
from headwater.model.errors import IntegrityError, UsageError, VaultError
from headwater.model.paths import decode_name
from headwater.procedure.corridor import Corridor, evidence_of
from headwater.procedure.custody import Desk
from headwater.vault import items
from headwater.vault.s3 import LockedStore, Place

STORED = "store"


@dataclass(frozen=True, slots=True)
class Content:
    """One file of an item: its number, SHA-256, and where it lies."""

    item: str
    sha256: str
    path: Path


@dataclass(frozen=True, slots=True)
class Kept:
    """A content in the store; ``result``: ``match``, or what is wrong."""

    item: str
    sha256: str
    size: int
    version: str
    result: str = "match"


def place_of(url: str, bucket: str, region: str, credentials: Path | None) -> Place:
    """The bucket, with the keys from a file of two lines (``access``, ``secret``) or from the environment.

    Raises:
        UsageError: HW0001, there are none.
    """
    names = os.environ.get("AWS_ACCESS_KEY_ID", ""), os.environ.get("AWS_SECRET_ACCESS_KEY", "")
    if credentials is not None:
        try:
            lines = credentials.read_text().split()
        except (OSError, ValueError) as error:
            raise UsageError("HW0001", what=f"--credentials {credentials}: {error}") from error
        names = (lines[0], lines[1]) if len(lines) == 2 else ("", "")
    if not all(names):
        raise UsageError("HW0001", what="--credentials FILE, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY")
    return Place(url, bucket, names[0], names[1], region)


def contents(corridor: Corridor, desk: Desk, numbers: Sequence[str]) -> list[Content]:
    """The files of these items, of all where none is named; a folder's are not: it has no content of its own.

    Raises:
        VaultError: HW3014, no such item.
    """
    known: dict[str, list[Content]] = {}
    for source in evidence_of(corridor.ledger):
        files = () if source.kind == "folder" else source.files
        number = f"E{source.number}"
        known[number] = [Content(number, sha, Path(os.fsdecode(decode_name(name)))) for name, _, sha in files]
    for item in items.items_of(corridor.ledger.entries()):
        known[item.number] = [Content(item.number, item.sha256, desk.store.path(item.sha256))]
    for number in numbers:
        if number not in known:
            raise VaultError("HW3014", what=number)
    return [c for number in numbers or known for c in known[number]]


def store(desk: Desk, place: Place, days: int, numbers: Sequence[str]) -> list[Kept]:
    """Lay the contents of items into the bucket and enter them.

    Raises:
        VaultError: HW3014, HW3019; IntegrityError: HW3003, a file is no longer what was registered.
    """
    desk.permit("copy")
    kept = LockedStore(place, days)
    found: list[Kept] = []
    for content in contents(desk.corridor, desk, numbers):
        file = open_readonly(content.path)
        try:
            with os.fdopen(os.dup(file.fd), "rb") as handle:
                handle.seek(0)
                put = kept.put(handle)
        finally:
            file.close()
        if put.sha256 != content.sha256:
            raise IntegrityError("HW3003", str(content.path), expected=content.sha256, found=put.sha256)
        found.append(Kept(content.item, put.sha256, put.size, put.version))
    if found:
        note = {
            "place": place.url, "bucket": place.bucket, "days": days, "mode": "COMPLIANCE",
            "objects": [{"item": k.item, "sha256": k.sha256, "size": str(k.size), "version": k.version} for k in found],
        }  # fmt: skip
        numbered = sorted({int(k.item[1:]) for k in found if k.item.startswith("E")})
        desk.record(STORED, note, evidence=numbered, materials={f"{k.item} {k.sha256[:12]}": k.sha256 for k in found})
    return found


def _named(corridor: Corridor, place: Place) -> Iterator[Mapping[str, Any]]:
    for sealed in corridor.ledger.entries():
        note = sealed.entry.note
        if sealed.entry.action == STORED and (note["place"], note["bucket"]) == (place.url, place.bucket):
            yield from note["objects"]


def check(corridor: Corridor, place: Place) -> list[Kept]:
    """Read back every content that the ledger says is in this bucket, by its version; the verdict on each."""
    kept = LockedStore(place, 1)
    found = []
    for each in {str(o["sha256"]): o for o in _named(corridor, place)}.values():
        result = "match"
        try:
            for _ in kept.version(str(each["sha256"]), str(each["version"])):
                pass
        except VaultError as error:
            result = error.text("en")
        found.append(Kept(str(each["item"]), str(each["sha256"]), int(each["size"]), str(each["version"]), result))
    return found
