# SPDX-License-Identifier: Apache-2.0
"""Disk sets: several images that only together hold a volume, read as one medium, one disk after the other.

The members of an array or a volume group lie on disks that were imaged apart. A set is a small JSON file beside the
images that names them in order; opened, it is a medium of their bytes one behind the other, on which each member keeps
its place and its name (``m1``, ``m2`` …). It holds no evidence of its own: the images stay as they are, each with its
digests, and the order is part of the digest of the whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from headwater.formats.opened import OpenFile
from headwater.formats.sources import ChainSource, FileSource, Piece
from headwater.model.errors import AcquireError
from headwater.model.paths import encode_name
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

MAGIC = b'{"headwater-disk-set": 1,'
SUFFIX = ".hwset"
_DESCRIPTION_MOST = 1 << 20
MEMBERS_MOST = 64  # more disks than any array here has


@dataclass(frozen=True, slots=True)
class Member:
    """One disk of a set: its name there, where it begins on the medium, its size, what it was held in."""

    name: str
    offset: int
    size: int
    kind: str


class SetMedium(ChainSource):
    """The members' bytes, one behind the other."""

    kind = "disk-set"
    sector_size = 512

    def __init__(
        self, sources: Sequence[tuple[str, str, ByteSource]], warnings: Sequence[Gap], notes: Mapping[str, str]
    ) -> None:
        super().__init__(
            tuple(Piece(source, 0, source.size) for _, _, source in sources), owned=tuple(s for _, _, s in sources)
        )
        self.stated: Mapping[str, str] = {}
        self.notes = dict(notes)
        self.warnings: Sequence[Gap] = tuple(warnings)
        found: list[Member] = []
        at = 0
        for name, kind, source in sources:
            found.append(Member(name, at, source.size, kind))
            at += source.size
        self.members = tuple(found)


def describe(members: Sequence[Sequence[Path]], beside: Path) -> bytes:
    """The description of a set whose members' files are these, to lie in the folder ``beside``.

    Raises:
        AcquireError: HW2009, fewer than two members or more than :data:`MEMBERS_MOST`, or a file that is not in that folder.
    """
    if not 2 <= len(members) <= MEMBERS_MOST:
        raise AcquireError("HW2009", os.fspath(beside), what=f"{len(members)} members")
    rows = []
    for number, files in enumerate(members, 1):
        for file in files:
            if file.absolute().parent != beside.absolute():
                raise AcquireError("HW2009", os.fspath(file), what=f"not in {beside}")
        rows.append({"name": f"m{number}", "files": [encode_name(os.fsencode(file.name)) for file in files]})
    held = {"headwater-disk-set": 1, "members": rows}
    return (
        json.dumps(held, ensure_ascii=False, indent=1).replace('{\n "headwater-disk-set": 1,', MAGIC.decode(), 1) + "\n"
    ).encode()


def is_set(head: bytes) -> bool:
    """Whether a file begins as the description of a set."""
    return head.startswith(MAGIC)


def set_files(description: Path, decode: Mapping[str, Path]) -> list[Path]:
    """The description and all files that it names, in order; ``decode``: the folder's files by their encoded names.

    Raises:
        AcquireError: HW2009 it is none, HW2004 a file that it names is not there.
    """
    with description.open("rb") as file:
        rows = _rows(file.read(_DESCRIPTION_MOST + 1), description.name)
    found = [description]
    for _, names in rows:
        for name in names:
            if name not in decode:
                raise AcquireError("HW2004", os.fspath(description), what=name)
            found.append(decode[name])
    return found


def _rows(data: bytes, name: str) -> list[tuple[str, list[str]]]:
    try:
        if len(data) > _DESCRIPTION_MOST or not is_set(data):
            raise ValueError("no description of a set")
        rows = [(str(m["name"]), [str(f) for f in m["files"]]) for m in json.loads(data)["members"]]
        names = [n for n, _ in rows]
        if not 2 <= len(rows) <= MEMBERS_MOST or names != [f"m{n}" for n in range(1, len(rows) + 1)]:
            raise ValueError("members m1, m2 …")
        if any(not files or any("/" in f or f in ("", ".", "..") for f in files) for _, files in rows):
            raise ValueError("files of its own folder alone")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise AcquireError("HW2009", name, what=str(error)[:200]) from error
    return rows


def members_of(files: Sequence[OpenFile]) -> list[tuple[str, Sequence[OpenFile]]]:
    """The files of each member, from the description and the files behind it as :func:`set_files` orders them.

    Raises:
        AcquireError: HW2009, the files are not those that the description names.
    """
    source = FileSource(files[0])
    rows = _rows(source.pread(0, min(files[0].size, _DESCRIPTION_MOST + 1)), files[0].name)
    found: list[tuple[str, Sequence[OpenFile]]] = []
    at = 1
    for name, names in rows:
        held = files[at : at + len(names)]
        if [encode_name(os.fsencode(f.name)) for f in held] != names:
            raise AcquireError("HW2009", files[0].name, what=f"{name}: {', '.join(names)[:200]}")
        found.append((name, held))
        at += len(names)
    if at != len(files):
        raise AcquireError("HW2009", files[0].name, what="more files than it names")
    return found
