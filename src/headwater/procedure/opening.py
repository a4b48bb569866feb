# SPDX-License-Identifier: Apache-2.0
"""Open: look into an item without examining it: list, stat, digest, or hand out one thing's bytes.

1. The files of the item are opened read-only; all parsing is done in a confined child, on descriptors alone.
2. What the child says is handed on as it comes; bytes are digested on the way out.
3. With a case, the reading is entered in its ledger: what was read, how much, and its digest. Without one nothing is
   recorded, and whoever shows the result says so.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headwater.case import folder as case_folder
from headwater.case.authority import Claim
from headwater.confine.pool import Limits, Message, Pool, Task
from headwater.formats.keys import Key, plain
from headwater.formats.media import segments
from headwater.formats.opened import OpenFile, open_readonly
from headwater.model.custody import Evidence
from headwater.model.errors import AcquireError, UsageError
from headwater.model.paths import encode_name
from headwater.procedure.admission import admitted
from headwater.procedure.corridor import Corridor, environment, evidence_of
from headwater.procedure.intake import Held, call

READ = "read"
ACTS = {"ls": "ls", "stat": "stat", "hash": "digest", "cat": "read"}
# a whole disk may be read out: what bounds it is the item's size, not a file's
LIMITS = Limits(cpu=1 << 24, wall=float(1 << 24), files=8192, total=1 << 60, messages=1 << 40)


@dataclass(frozen=True, slots=True)
class Look:
    """What a person asks for. ``act``: ``ls``, ``stat``, ``hash`` or ``cat``. ``offset``, ``length``: bytes, for cat.

    ``allow``: further folders in which files of the image may lie. ``snapshot``: a state that the image keeps.
    """

    image: Path
    act: str
    path: str = ""
    recursive: bool = False
    algorithms: tuple[str, ...] = ("sha256",)
    offset: int = 0
    length: int | None = None
    case: Path | None = None
    examiners: tuple[str, ...] = ()
    allow: tuple[Path, ...] = ()
    allow_missing: bool = False
    snapshot: str = ""
    keys: tuple[Key, ...] = ()
    command: tuple[str, ...] = field(default_factory=tuple)


@contextmanager
def image_files(image: Path, allow: Sequence[Path] = ()) -> Iterator[Held]:
    """All files of an image, open read-only.

    Raises:
        AcquireError: HW2001 missing, HW2002 empty, HW2003 unreadable, HW2007 a folder.
    """
    if image.is_dir():
        raise AcquireError("HW2007", str(image), what="a folder; look into it directly")
    paths = tuple(segments(image, allow))
    opened: list[OpenFile] = []
    try:
        for path in paths:
            opened.append(open_readonly(path))
        if not opened[0].size:
            raise AcquireError("HW2002", str(image))
        yield Held(paths, tuple(opened))
    finally:
        for file in opened:
            file.close()


@contextmanager
def entered(look_case: Path | None, examiners: Sequence[str], command: Sequence[str]) -> Iterator[Corridor | None]:
    """The case to record in, or None. It must exist: looking does not open a case.

    Raises:
        UsageError: HW0002 it is no case; AuthorityError: HW1003 its authority has ended.
    """
    if look_case is None:
        yield None
        return
    with admitted(case_folder.require(look_case), Claim(), examiners, command) as corridor:
        yield corridor


def registered(corridor: Corridor, paths: Sequence[Path]) -> Evidence | None:
    """The item of the case that these files hold."""
    names = {encode_name(os.fsencode(path.absolute())) for path in paths}
    for item in evidence_of(corridor.ledger):
        if names & {name for name, _, _ in item.files}:
            return item
    return None


def task_args(files: Held, snapshot: str, allow_missing: bool) -> dict[str, Any]:
    """What every function of :mod:`headwater.procedure.child_open` is given."""
    return {"files": files.args(), "snapshot": snapshot, "allow_missing": allow_missing}


def look(
    wanted: Look,
    on_rows: Callable[[str, Sequence[Mapping[str, Any]]], None] = lambda kind, rows: None,
    on_bytes: Callable[[bytes], None] = lambda data: None,
) -> dict[str, Any]:
    """Do what is asked; rows (``volumes``, ``entries``) and bytes are handed on as they come, the rest is given back.

    Raises:
        AcquireError: the image cannot be opened; HW2044 nothing in it has that path.
        ExamineError: HW4003 the child did not end well.
    """
    if wanted.act not in ACTS:
        raise UsageError("HW0001", what=f"{wanted.act}: {', '.join(ACTS)}")
    digest, at = hashlib.sha256(), wanted.offset
    counted = 0

    def take(message: Message) -> None:
        nonlocal at, counted
        if message.header.get("at") == at:  # a task that is tried again begins anew: what was handed on is not repeated
            digest.update(message.blob)
            on_bytes(message.blob)
            at += len(message.blob)
        for kind in ("volumes", "entries"):
            if kind in message.header and message.attempt == 1:
                counted += len(message.header[kind])
                on_rows(kind, message.header[kind])

    with (
        entered(wanted.case, wanted.examiners, wanted.command) as corridor,
        image_files(wanted.image, wanted.allow) as files,
    ):
        args = task_args(files, wanted.snapshot, wanted.allow_missing) | {
            "path": wanted.path, "recursive": wanted.recursive, "algorithms": list(wanted.algorithms),
            "offset": wanted.offset, "length": wanted.length,
        }  # fmt: skip
        task = Task(wanted.act, f"headwater.procedure.child_open:{ACTS[wanted.act]}", args, files.fds)
        given = [("headwater.formats.keys:hold", plain(wanted.keys))] if wanted.keys else []
        with Pool(1, LIMITS, prepare=given) as pool:
            result = call(pool, task, take)
        if wanted.act == "cat":
            result |= {"read": at - wanted.offset, "sha256": digest.hexdigest()}
        if corridor is not None:
            _record(corridor, wanted, files, result, counted)
    return result


def _record(corridor: Corridor, wanted: Look, files: Held, result: Mapping[str, Any], counted: int) -> None:
    item = registered(corridor, files.paths)
    note: dict[str, Any] = {
        "act": wanted.act,
        "image": encode_name(os.fsencode(wanted.image.absolute())),
        "path": encode_name(os.fsencode(wanted.path)) if not wanted.path.isascii() else wanted.path,
    }
    if wanted.snapshot:
        note["snapshot"] = wanted.snapshot
    if wanted.act == "ls":
        note["entries"] = counted
    elif wanted.act == "cat":
        note |= {"offset": wanted.offset, "length": result["read"], "sha256": result["sha256"], "bad": result["bad"]}
    elif wanted.act == "hash":
        note |= {"digests": dict(result["digests"]), "size": result["size"], "bad": result["bad"]}
    corridor.record(
        READ,
        evidence=[item.number] if item else [],
        materials={item.name: item.digests["sha256"]} if item else {},
        environment=environment(),
        note=note,
    )
