# SPDX-License-Identifier: Apache-2.0
"""Convert: a virtual disk or image into another form, with verdicts that the content is the same.

1. The files of the source are found and opened read-only; what it is, is asked of a confined child.
2. With a case, every file of the source is digested, and compared with its registration if it is registered.
3. The medium is streamed from a confined child into the new image, read back, and read from the source again.
4. What the source could not give is zeros in the new image, listed in its sidecar; digests that the source states are
   compared with those found.
5. With a case, all of it is entered in the ledger, and the sidecar is signed with the case's key. Without one nothing
   is recorded and the sidecar says that it is not signed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from headwater.acquire import sidecar
from headwater.acquire.imaging import Desk, Imaged, Imaging
from headwater.acquire.plans import Plan
from headwater.confine.pool import Pool, Task
from headwater.formats.hashing import hash_source
from headwater.formats.sources import FileSource
from headwater.model.custody import Evidence, Verdict
from headwater.model.errors import IntegrityError, UsageError
from headwater.model.nouns import Text
from headwater.model.paths import encode_name
from headwater.procedure.confined_source import ConfinedMedium
from headwater.procedure.corridor import TOOL, Corridor, Progress, environment, silent, utc_now
from headwater.procedure.imaging import case_signer
from headwater.procedure.intake import Held, call
from headwater.procedure.opening import LIMITS, entered, image_files, registered, task_args

CONVERTED = "convert"
_BAD_IN_LEDGER = 1_000


@dataclass(frozen=True, slots=True)
class ConvertOrder:
    """What a person asks for. ``plan``: options of :class:`~headwater.acquire.plans.Plan` besides folder and stem."""

    image: Path
    out: Path
    plan: Mapping[str, Any] = field(default_factory=dict)
    case: Path | None = None
    examiners: tuple[str, ...] = ()
    allow: tuple[Path, ...] = ()
    allow_missing: bool = False
    snapshot: str = ""
    resume: bool = False
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConvertOutcome:
    """What came of it. ``described``: the source's kind, size, notes and warnings."""

    imaged: Imaged
    described: Mapping[str, Any]
    verdicts: tuple[Verdict, ...]


def convert(order: ConvertOrder, progress: Progress = silent) -> ConvertOutcome:
    """Run the whole procedure; the steps are numbered as in the module's docstring.

    Raises:
        AcquireError: the source cannot be opened, or the image not be written; UsageError: the options.
        IntegrityError: HW3003 a file of the source is not as it was registered.
    """
    folder = order.out.absolute().parent
    if not folder.is_dir():
        raise UsageError("HW0001", what=Text(f"{folder}：不是目录", f"{folder}: not a folder"))
    plan = Plan(folder, order.out.name, retries=0, **order.plan)
    with (
        entered(order.case, order.examiners, order.command) as corridor,
        image_files(order.image, order.allow) as files,
    ):
        args = task_args(files, order.snapshot, order.allow_missing)
        with Pool(1, LIMITS) as pool:
            described = call(pool, Task("describe", "headwater.procedure.child_open:describe", args, files.fds))
        item = registered(corridor, files.paths) if corridor else None
        digests = _files(files, item, progress) if corridor else {}
        facts = _facts(order, described)
        source = ConfinedMedium(os.fspath(order.image), described, args, files.fds, LIMITS, facts)
        try:
            desk = Desk(progress, _signer(corridor), utc_now, TOOL, {"converted_from": dict(facts), "files": digests})
            imaged = Imaging(source, plan, desk, resume=order.resume).run()
        finally:
            source.close()
        verdicts = (*imaged.verdicts, *_stated(described, imaged))
        if corridor is not None:
            _record(corridor, order, item, digests, described, imaged, verdicts)
        return ConvertOutcome(imaged, described, verdicts)


def _facts(order: ConvertOrder, described: Mapping[str, Any]) -> dict[str, str]:
    facts = {"kind": str(described["kind"])} | {f"note {k}": str(v) for k, v in described["notes"].items()}
    if order.snapshot:
        facts["snapshot"] = order.snapshot
    for number, (_, _, _, detail) in enumerate(described["warnings"][:20], 1):
        facts[f"warning {number}"] = str(detail)
    return facts


def _signer(corridor: Corridor | None) -> sidecar.Signer:
    if corridor is not None:
        return case_signer(corridor)
    return lambda data: {"algorithm": "none", "public_key": "", "value": ""}


def _files(files: Held, item: Evidence | None, progress: Progress) -> dict[str, str]:
    """Step 2."""
    known = {name: sha256 for name, _, sha256 in item.files} if item else {}
    found: dict[str, str] = {}
    total, done = sum(f.size for f in files.files), 0

    def told(count: int, _: int) -> None:
        progress("hash", done + count, total, "bytes")

    for path, file in zip(files.paths, files.files, strict=True):
        digest = hash_source(FileSource(file), progress=told)
        done += file.size
        name = encode_name(os.fsencode(path.absolute()))
        found[name] = digest["sha256"]
        if name in known and known[name] != digest["sha256"]:
            raise IntegrityError("HW3003", name, expected=known[name], found=digest["sha256"])
    return found


def _stated(described: Mapping[str, Any], imaged: Imaged) -> Iterator[Verdict]:
    """Step 4: the digests that the source states of its medium."""
    for algorithm, value in described["stated"].items():
        if algorithm in imaged.digests:
            same = value.lower() == imaged.digests[algorithm]
            result = "match" if same else "mismatch"
            yield Verdict("stated-in-container", result, algorithm, value.lower(), imaged.digests[algorithm])


def _record(
    corridor: Corridor,
    order: ConvertOrder,
    item: Evidence | None,
    digests: Mapping[str, str],
    described: Mapping[str, Any],
    imaged: Imaged,
    verdicts: tuple[Verdict, ...],
) -> None:
    products = {name: sha256 for name, _, sha256 in imaged.segments} | {imaged.sidecar.name: imaged.sidecar_sha256}
    corridor.record(
        CONVERTED,
        evidence=[item.number] if item else [],
        materials=digests,
        products=products,
        environment=environment(),
        note={
            "image": encode_name(os.fsencode(order.image.absolute())),
            "out": encode_name(os.fsencode(order.out.absolute())),
            "format": str(order.plan.get("format", "e01")),
            "snapshot": order.snapshot,
            "source": dict(described),
            "digests": dict(imaged.digests),
            "verdicts": [asdict(v) for v in verdicts],
            "bad": [[at, n, reason.value, detail] for at, n, reason, detail in imaged.bad][:_BAD_IN_LEDGER],
            "bad_bytes": sum(n for _, n, _, _ in imaged.bad),
        },
    )
