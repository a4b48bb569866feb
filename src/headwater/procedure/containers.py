# SPDX-License-Identifier: Apache-2.0
"""Sealing in fact: an item's files into containers for two or more recipients, and out of them again.

What goes in is compared with the registration while it is sealed; what comes out, with the container's own digest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from headwater.formats.opened import open_readonly
from headwater.model.errors import IntegrityError, VaultError
from headwater.model.paths import decode_name
from headwater.procedure.corridor import Corridor, evidence_of
from headwater.procedure.custody import OBJECTS
from headwater.vault import items
from headwater.vault.hwcase import measure
from headwater.vault.sealed import Container, Contents, seal
from headwater.vault.storage import Folder


def _files(corridor: Corridor, number: str) -> Iterator[tuple[Path, str]]:
    """The files that hold an item, with the SHA-256 that each was registered with."""
    for item in items.items_of(corridor.ledger.entries()):
        if item.number == number:
            yield Folder(corridor.case / OBJECTS).path(item.sha256), item.sha256
    for source in evidence_of(corridor.ledger):
        if f"E{source.number}" == number:
            if source.kind == "folder":
                raise VaultError("HW3018", source.source_path, what="a folder is packed into an archive or image first")
            for name, _, sha256 in source.files:
                yield Path(os.fsdecode(decode_name(name))), sha256


def seal_into(corridor: Corridor, numbers: Sequence[str], folder: Path, recipients: Sequence[str]) -> dict[str, str]:
    """Seal the files of items into ``folder``; returns the containers' names and their SHA-256.

    Raises:
        VaultError: HW3018 recipients or a folder, HW3015 where a container stands there already, HW3004 unwritable.
        IntegrityError: HW3003 where a file is no longer what was registered; its container is not kept.
    """
    made: dict[str, str] = {}
    for number in numbers:
        for at, (path, sha256) in enumerate(_files(corridor, number), 1):
            target = folder / f"{number}-{at:03d}.hwsealed"
            _seal_one(path, sha256, target, recipients)
            made[target.name] = measure(target)[0]
    return made


def _seal_one(path: Path, sha256: str, target: Path, recipients: Sequence[str]) -> None:
    if target.exists():
        raise VaultError("HW3015", str(target), what="it exists")
    temporary = target.with_name(target.name + ".tmp")
    file = open_readonly(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.dup(file.fd), "rb") as source, open(temporary, "wb") as out:
            source.seek(0)
            held = seal(source, out, recipients)
            out.flush()
            os.fsync(out.fileno())
            os.fchmod(out.fileno(), 0o444)
        if held.sha256 != sha256:
            raise IntegrityError("HW3003", str(path), expected=sha256, found=held.sha256)
        os.rename(temporary, target)
    except OSError as error:
        raise VaultError("HW3004", str(target), what=error.strerror or error) from error
    finally:
        file.close()
        temporary.unlink(missing_ok=True)


def open_into(container: Path, identity: Path, out: Path) -> Contents:
    """Open a container with an age identity file into a new file, which is read-only.

    Raises:
        VaultError: HW3018, HW3015 where ``out`` exists, HW3004; IntegrityError: HW3003, HW3018: nothing is kept.
    """
    if out.exists():
        raise VaultError("HW3015", str(out), what="it exists")
    temporary = out.with_name(out.name + ".tmp")
    try:
        words = [w for w in identity.read_text().splitlines() if w.startswith("AGE-SECRET-KEY-")]
        if not words:
            raise VaultError("HW3018", str(identity), what="no age identity in it")
        with open(container, "rb") as source, open(temporary, "wb") as target:
            opened = Container(source, words[0].strip(), str(container))
            for block in opened.pieces():
                target.write(block)
            target.flush()
            os.fsync(target.fileno())
            os.fchmod(target.fileno(), 0o444)
        os.rename(temporary, out)
    except (OSError, ValueError) as error:
        raise VaultError("HW3004", str(out), what=error) from error
    finally:
        temporary.unlink(missing_ok=True)
    return opened.held
