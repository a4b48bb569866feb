# SPDX-License-Identifier: Apache-2.0
"""Memory: the RAM of a running Linux as one LiME file, with what is needed to read it beside it, as one item of evidence.

1. Order, persons, authority, arrival (:mod:`headwater.procedure.scene_errand`).
2. What the kernel shows is looked at; lockdown, an absent kcore, hidden addresses and a missing root are refused by name.
3. There must be room for it here. The intent is entered before the first byte.
4. Symbols, types and version first, because they are small; then the RAM, range by range.
5. The file is read again and compared; the item is registered; which encrypted volumes were open stands in the entry.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.acquire.memory_layout import NoLayout, Piece, layout, ram_of, segments_of
from headwater.acquire.memory_reading import Line, MemoryReader, Taken
from headwater.acquire.memory_scripts import (
    BESIDE_MOST,
    BOOT_SCRIPT,
    KERNELS,
    Looked,
    Places,
    beside_script,
    look_script,
    looked,
)
from headwater.acquire.ssh_stream import ConnectionLost
from headwater.formats.atomic import write_atomic
from headwater.model.custody import Evidence, Verdict
from headwater.model.errors import AcquireError
from headwater.procedure.corridor import Progress, environment, silent
from headwater.procedure.scene_errand import Errand, There, at_server
from headwater.procedure.scene_items import enter_item, file_item
from headwater.procedure.scene_visit import Visit

BEGUN = "memory-begin"
_SPARE = 64 << 20
_LOOK_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class MemoryOrder:
    """``out``: the image's name without extension."""

    errand: Errand
    out: Path
    places: Places = KERNELS


@dataclass(frozen=True, slots=True)
class MemoryTaken:
    """What came of it."""

    evidence: Evidence
    taken: Taken
    beside: tuple[str, ...]
    encrypted: tuple[str, ...] | None

    @property
    def whole(self) -> bool:
        """Whether all RAM that the server states stands in the image."""
        return not (self.taken.stopped or self.taken.bad or self.taken.missing)


def take(order: MemoryOrder, progress: Progress = silent) -> MemoryTaken:
    """Take the memory; the steps are numbered as in the module's docstring.

    Raises:
        AcquireError: HW2169 not root, HW2170 lockdown, HW2171 no kcore, HW2172 addresses hidden, HW2173 a header that is
            none, HW2174 no RAM is shown, HW2175 no room, HW2176 the file is there; what :func:`at_server` raises.
    """
    out = order.out.absolute()
    if not out.parent.is_dir():
        raise AcquireError("HW2022", str(out.parent), what="not a folder")
    path = out.with_name(out.name + ".lime")
    if path.exists():
        raise AcquireError("HW2176", str(path))
    with at_server(order.errand, "memory", progress) as there:
        found, pieces, basis = _looked(there.visit, order.places)
        size = sum(p.size + 32 for p in pieces if p.offset is not None)
        free = shutil.disk_usage(out.parent).free
        if free < size + _SPARE:
            raise AcquireError("HW2175", str(out.parent), need=size, free=free)
        plan = {"pieces": [[hex(p.start), p.size, p.offset is not None] for p in pieces[:1000]], "basis": basis,
                "ram": str(sum(p.size for p in pieces)), "visit": there.visit.plain(), **there.passed.note()}  # fmt: skip
        there.corridor.record(BEGUN, environment=environment(), note=plan)
        beside = _beside(there.visit, order.places, found, out)
        reader = MemoryReader(
            Line(there.visit.shell.stream, lambda: _again(there.visit), found.boot), order.places.kcore,
            byte_flags=found.byte_flags, tell=lambda done, total: progress("memory", done, total, "bytes"),
        )  # fmt: skip
        taken = reader.read(pieces, path)
        return _finished(there, found, pieces, taken, beside, path, basis)


def _finished(
    there: There, found: Looked, pieces: Sequence[Piece], taken: Taken, beside: Sequence[tuple[Path, int, str]],
    path: Path, basis: str,
) -> MemoryTaken:  # fmt: skip
    """Step 5, and the entries."""
    verdicts = _verdicts(path, taken)
    sidecar = _sidecar(there, found, pieces, taken, verdicts, beside, path.with_suffix(""))
    notes = {"source": there.visit.name, "basis": basis, "ranges": str(taken.ranges), "sidecar": sidecar[0].name}
    with there.corridor.ledger.group():
        item = file_item(there.corridor, path, kind="file", digests=taken.digests, size=taken.size, verdicts=verdicts,
                         beside=[*beside, sidecar], notes=notes)  # fmt: skip
        enter_item(there.corridor, item, taken.bad)
        more: dict[str, Any] = {
            "evidence": item.number, "ram": str(taken.ram), "zero_bytes": str(taken.zeros), "stopped": taken.stopped,
            "missing": [[hex(a), s] for a, s in taken.missing[:1000]], "bad_pages": len(taken.bad),
            "line": taken.events[:200],
            "encrypted": {"not_recorded": "no /sys/class/block"} if found.encrypted is None else list(found.encrypted),
        }  # fmt: skip
        if taken.stopped or taken.missing:
            more["encrypted"] = {"not_recorded": "the image is not whole", "seen": list(found.encrypted or ())}
        there.enter("memory", more, evidence=[item.number], products={p.name: d for p, _, d in [*beside, sidecar]})
    return MemoryTaken(item, taken, tuple(p.name for p, _, _ in beside), found.encrypted)


def _looked(visit: Visit, places: Places) -> tuple[Looked, list[Piece], str]:
    """Step 2."""
    script, marker = look_script(places)
    found = looked(visit.shell.run(script, _LOOK_SECONDS).output, marker, visit.name)
    try:
        ram = ram_of(found.iomem)
    except NoLayout as error:
        raise AcquireError("HW2172", visit.name, what=error) from error
    try:
        segments, basis = segments_of(found.header, ram[0][0])
    except NoLayout as error:
        raise AcquireError("HW2173", visit.name, what=error) from error
    pieces = layout(ram, segments)
    if all(p.offset is None for p in pieces):
        raise AcquireError("HW2174", visit.name)
    return found, pieces, basis


def _again(visit: Visit) -> str:
    """A lost line made anew; the boot id that answers."""
    if visit.session is None:
        raise ConnectionLost("this machine's own shell ended")
    visit.session.drop()
    visit.session.connect()
    return visit.shell.run(BOOT_SCRIPT, 60).output.strip().decode("ascii", "replace")


def _beside(visit: Visit, places: Places, found: Looked, out: Path) -> list[tuple[Path, int, str]]:
    """Step 4: (file, size, SHA-256) of each small file of the kernel that is there."""
    kept = []
    held = [("iomem", found.iomem), ("kcore-header", found.header)]
    for name, where in places.beside:
        data = _whole(visit, where)
        if data:
            held.append((name, data))
    for name, data in held:
        path = out.with_name(f"{out.name}.{name}")
        if path.exists():
            raise AcquireError("HW2176", str(path))
        kept.append((path, len(data), write_atomic(path, data)))
        path.chmod(0o444)
    return kept


def _whole(visit: Visit, where: str) -> bytes:
    """One file of the kernel's own, b'' where it is not there; never more than 256 MiB of it."""
    flow = visit.shell.stream(beside_script(where))
    data, buffer = bytearray(), memoryview(bytearray(1 << 20))
    try:
        while len(data) < BESIDE_MOST and (got := flow.read_into(buffer, 120.0)):
            data += buffer[:got]
    except ConnectionLost as error:
        raise AcquireError("HW2064", visit.name, what=error) from error
    finally:
        flow.cancel()
    return bytes(data) if not flow.status else b""


def _verdicts(path: Path, taken: Taken) -> list[Verdict]:
    """Step 5."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    same = digest.hexdigest() == taken.digests["sha256"]
    verdicts = [
        Verdict(
            "stream-equals-image",
            "match" if same else "mismatch",
            "sha256",
            taken.digests["sha256"],
            digest.hexdigest(),
        )
    ]
    verdicts.append(Verdict("source-read-again", "not-claimable", reason="memory in use is never twice the same"))
    lack = [taken.stopped] if taken.stopped else []
    if taken.bad:
        lack.append(f"{len(taken.bad)} pages could not be read")
    if taken.missing:
        lack.append(f"{sum(s for _, s in taken.missing)} bytes of RAM are not shown by kcore")
    verdicts.append(Verdict("read-completely", "mismatch" if lack else "match", reason="; ".join(lack)))
    return verdicts


def _sidecar(
    there: There, found: Looked, pieces: Sequence[Piece], taken: Taken, verdicts: Sequence[Verdict],
    beside: Sequence[tuple[Path, int, str]], out: Path,
) -> tuple[Path, int, str]:  # fmt: skip
    """What stands beside the image for whoever has no ledger; the ledger holds its digest."""
    record = {
        "visit": there.visit.plain(), "boot_id": found.boot, "digests": taken.digests, "size": taken.size,
        "ranges": [[p.start, p.size] for p in pieces if p.offset is not None],
        "missing": taken.missing, "bad": taken.bad, "zero_bytes": taken.zeros, "stopped": taken.stopped,
        "line": taken.events, "encrypted_volumes": found.encrypted,
        "verdicts": [[v.what, v.result, v.reason] for v in verdicts],
        "beside": [[p.name, size, sha256] for p, size, sha256 in beside],
        "consistency": "each page as it was when it was read; the machine went on running meanwhile",
    }  # fmt: skip
    data = json.dumps(record, ensure_ascii=False, indent=1).encode() + b"\n"
    path = out.with_name(out.name + ".json")
    sha256 = write_atomic(path, data)
    return path, len(data), sha256
