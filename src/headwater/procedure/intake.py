# SPDX-License-Identifier: Apache-2.0
"""Register: take an item in, digest it, compare with what its container states, and enter it in the ledger.

1. The files that hold the item are found and opened read-only; nothing of ours can write to them.
2. They are digested in a confined child (an E01's medium needs decoding); a folder's manifest is made here, because
   it takes no parsing.
3. Size and modification time are compared before and after: a source that changed meanwhile is refused.
4. Each digest that the container states is compared with the one found: match, or mismatch. Both are recorded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from headwater.confine.pool import Message, Pool, Task
from headwater.formats.atomic import write_atomic
from headwater.formats.folders import FolderTree, open_root
from headwater.formats.manifests import manifest
from headwater.formats.opened import OpenFile, open_readonly
from headwater.formats.segments import segments
from headwater.model.custody import NOT_RECORDED, Evidence, Verdict
from headwater.model.errors import AcquireError, ExamineError
from headwater.model.paths import encode_name
from headwater.procedure.child_image_check import ACQUISITION
from headwater.procedure.corridor import REGISTERED, Corridor, environment, evidence_of, utc_now
from headwater.procedure.image_check import stated_beside
from headwater.procedure.within_mandate import gate_note, within

ALGORITHMS = ("sha256", "md5", "sha1")


@dataclass(frozen=True, slots=True)
class Gate:
    """What a person says at the gate: why a source is taken in although outside the mandate, and whether an attack
    came from it.
    """

    override: str | None = None
    attack_source: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """The open descriptors of one item: segments of an image or a lone file; none for a folder. ``beside``: files of other
    items that are read with it."""

    paths: tuple[Path, ...]
    files: tuple[OpenFile, ...]
    beside: tuple[OpenFile, ...] = ()

    @property
    def fds(self) -> tuple[int, ...]:
        return tuple(f.fd for f in (*self.files, *self.beside))

    def args(self) -> list[list[Any]]:
        """Names and sizes as a child wants them, and of what another item holds that one's number."""
        own = [[encode_name(os.fsencode(f.name)), f.size] for f in self.files]
        return own + [[encode_name(os.fsencode(f.name)), f.size, f.item] for f in self.beside]


@contextmanager
def held(source: Path, beside: Sequence[tuple[int, Path]] = ()) -> Iterator[Held]:
    """Open all files of an item read-only for the time of a procedure, and behind them those of other items, by number.

    Raises:
        AcquireError: HW2001 missing, HW2002 empty, HW2003 unreadable.
    """
    if source.is_dir():
        yield Held((), ())
        return
    paths = tuple(segments(source))
    opened: list[OpenFile] = []
    others = [(number, path) for number, other in beside for path in segments(other)]
    try:
        for number, path in [*((0, path) for path in paths), *others]:
            file = replace(open_readonly(path), item=number)
            opened.append(file)
            if not file.size:
                raise AcquireError("HW2002", str(path))
        yield Held(paths, tuple(opened[: len(paths)]), tuple(opened[len(paths) :]))
    finally:
        for file in opened:
            file.close()


def raise_from(error: Mapping[str, Any]) -> None:
    """Raise again in the parent what a child reported."""
    code = str(error["code"])
    kind = AcquireError if code.startswith("HW2") else ExamineError
    names = {k: v for k, v in dict(error["names"]).items() if k not in {"code", "where"}}
    raise kind(code, str(error["where"]), **names)


def call(pool: Pool, task: Task, on_message: Any = None) -> dict[str, Any]:
    """Run one task and give back its result.

    Raises:
        AcquireError: what the child refused.
        ExamineError: HW4003 where the child did not end well.
    """
    result: dict[str, Any] = {}

    def take(message: Message) -> None:
        if "error" in message.header:
            result["error"] = message.header["error"]
        elif "result" in message.header:
            result["result"] = message.header["result"]
        elif on_message is not None:
            on_message(message)

    for outcome in pool.run([task], take):
        if "error" in result:
            raise_from(result["error"])
        if outcome.status != "done" or "result" not in result:
            raise ExamineError("HW4003", task.id, what=f"{outcome.status}: {outcome.detail}")
    return dict(result["result"])


def take_in(corridor: Corridor, pool: Pool, number: int, source: Path, gate: Gate) -> Evidence:
    """Register one source under its number; a second call with the same source finds it registered.

    Raises:
        AuthorityError: HW1013 outside the mandate's dates, HW2200; nothing was read then.
    """
    source = source.absolute()
    for item in evidence_of(corridor.ledger):
        if item.number == number:
            return item
    if not source.exists():
        raise AcquireError("HW2001", str(source))
    objections = within(corridor, None, gate.override, method="import", attack_source=gate.attack_source)
    bad: list[Any] = []
    if source.is_dir():
        item = _folder(corridor, number, source)
    else:
        item, bad = _files(corridor, pool, number, source)
    corridor.record(
        REGISTERED,
        evidence=[number],
        materials={item.name: item.digests["sha256"]},
        environment=environment() | {"confinement": " ".join(pool.level)},
        note={"evidence": asdict(item), "bad": bad, **gate_note(objections, gate.override)},
    )
    return item


def _stat(paths: tuple[Path, ...]) -> list[tuple[int, int, int]]:
    return [(s.st_size, s.st_mtime_ns, s.st_ino) for s in (os.stat(p) for p in paths)]


def _files(corridor: Corridor, pool: Pool, number: int, source: Path) -> tuple[Evidence, list[Any]]:
    with held(source) as open_files:
        before = _stat(open_files.paths)
        result = measured(corridor, pool, number, open_files)
        if _stat(open_files.paths) != before:
            raise AcquireError("HW2008", str(source), what="size or modification time")
        held_digests = result["held"]
        files = tuple(
            (encode_name(os.fsencode(p)), f.size, d["sha256"])
            for p, f, d in zip(open_files.paths, open_files.files, held_digests, strict=True)
        )
    kind = result["kind"]
    item = Evidence(
        number=number,
        name=encode_name(os.fsencode(source.name)),
        kind=kind,
        source_path=encode_name(os.fsencode(source)),
        size=int(result["size"]),
        digest_of=result["digest_of"],
        digests=result["medium"],
        files=files,
        method="import",
        custodian=" / ".join(corridor.actors) or NOT_RECORDED,
        purpose=corridor.settings.purpose,
        registered_at=utc_now(),
        verdicts=(*_verdicts(result), *stated_beside(source, result["medium"])),
        stated=result["stated"],
        notes=result["notes"],
    )
    return item, list(result["bad"])


def measured(
    corridor: Corridor,
    pool: Pool,
    number: int,
    open_files: Held,
    algorithms: Sequence[str] = ALGORITHMS,
    stage: str = "hash",
) -> dict[str, Any]:
    """Digests, kind and views of the open files, from a confined child; ``stage`` names the progress."""
    total = sum(f.size for f in open_files.files)

    def progress(message: Message) -> None:
        corridor.progress(stage, int(message.header["progress"]), int(message.header["total"]), "bytes")

    corridor.progress(stage, 0, None, "bytes")  # how large the medium in the files is, the child will say
    task = Task(
        f"measure-{number}",
        "headwater.procedure.child:measure",
        {"files": open_files.args(), "algorithms": list(algorithms)},
        open_files.fds,
        wall=86_400.0 + (total >> 20),  # a second for each MiB is several times what the digests take
        cpu=3_600 + (total >> 20),
    )
    return call(pool, task, progress)


def _verdicts(result: Mapping[str, Any]) -> Iterator[Verdict]:
    found = result["medium"]
    stated = result["stated"]
    for algorithm in ("md5", "sha1", "sha256"):
        if algorithm in stated:
            same = stated[algorithm].lower() == found.get(algorithm, "").lower()
            yield Verdict(
                "stated-in-container",
                "match" if same else "mismatch",
                algorithm,
                stated[algorithm].lower(),
                found.get(algorithm, ""),
            )
    wrong = [b for b in result["bad"] if result["kind"] == "e01" and b[3] != ACQUISITION]
    if wrong and not any(stated.get(a, found[a]).lower() != found[a].lower() for a in found):
        size = sum(int(b[1]) for b in wrong)
        yield Verdict(
            "stated-in-container", "mismatch", reason=f"{size} bytes do not fit the container's own checksums"
        )
    elif not stated:
        yield Verdict("stated-in-container", "not-claimable", reason="the container states no digest")
    if result["bad"]:
        size = sum(int(b[1]) for b in result["bad"])
        yield Verdict("read-completely", "mismatch", reason=f"{size} bytes could not be read; they are listed as gaps")


def _folder(corridor: Corridor, number: int, source: Path) -> Evidence:
    root = open_root(source)
    lines: list[bytes] = []
    try:
        tree = FolderTree(root)
        found = manifest(tree, lines.append, lambda done: corridor.progress("hash", done, None, "bytes"))
        tree.close()
    finally:
        os.close(root)
    if not found.entries:
        raise AcquireError("HW2002", str(source))
    listing = corridor.case / "manifests" / f"{number:04d}.jsonl"
    file_digest = write_atomic(listing, b"".join(lines))
    verdicts = [Verdict("stated-in-container", "not-claimable", reason="a folder states no digest")]
    if found.gaps:
        verdicts.append(Verdict("read-completely", "mismatch", reason=f"{len(found.gaps)} entries could not be read"))
    return Evidence(
        number=number,
        name=encode_name(os.fsencode(source.name)) or "/",
        kind="folder",
        source_path=encode_name(os.fsencode(source)),
        size=found.size,
        digest_of="manifest",
        digests={"sha256": found.digest},
        files=((f"manifests/{number:04d}.jsonl", sum(len(line) for line in lines), file_digest),),
        method="import",
        custodian=" / ".join(corridor.actors) or NOT_RECORDED,
        purpose=corridor.settings.purpose,
        registered_at=utc_now(),
        verdicts=tuple(verdicts),
        notes={"entries": str(found.entries)},
    )
