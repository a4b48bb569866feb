# SPDX-License-Identifier: Apache-2.0
"""What is brought home from a scene, as evidence of the case: numbered, digested, registered."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from headwater.model.custody import NOT_RECORDED, Evidence, Verdict
from headwater.model.paths import encode_name
from headwater.procedure.corridor import REGISTERED, Corridor, environment, evidence_of, utc_now

ALGORITHMS = ("sha256", "md5", "sha1")


def next_number(corridor: Corridor) -> int:
    """The number of the next piece of evidence of the case."""
    named = next(corridor.ledger.entries()).entry.note.get("sources", [])
    return max([len(named), *(i.number for i in evidence_of(corridor.ledger))]) + 1


def file_item(
    corridor: Corridor,
    path: Path,
    *,
    kind: str,
    digests: Mapping[str, str],
    size: int,
    verdicts: Sequence[Verdict],
    beside: Sequence[tuple[Path, int, str]] = (),
    notes: Mapping[str, str] | None = None,
) -> Evidence:
    """A file that was acquired live, with the files ``beside`` it as (path, size in bytes, SHA-256)."""
    name = encode_name(os.fsencode(path.absolute()))
    others = tuple((encode_name(os.fsencode(p.absolute())), length, sha256) for p, length, sha256 in beside)
    return Evidence(
        number=next_number(corridor),
        name=encode_name(os.fsencode(path.name)),
        kind=kind,
        source_path=name,
        size=size,
        digest_of="file",
        digests=dict(digests),
        files=((name, size, digests["sha256"]), *others),
        method="live",
        custodian=" / ".join(corridor.actors) or NOT_RECORDED,
        purpose=corridor.settings.purpose,
        registered_at=utc_now(),
        verdicts=tuple(verdicts),
        notes=dict(notes or {}),
    )


def enter_item(corridor: Corridor, item: Evidence, bad: Sequence[Sequence[Any]] = ()) -> None:
    """Register it; ``bad``: [offset, length, reason, detail] in the file."""
    corridor.record(
        REGISTERED,
        evidence=[item.number],
        materials={item.name: item.digests["sha256"]},
        environment=environment(),
        note={"evidence": asdict(item), "bad": [list(b) for b in bad[:10_000]]},
    )
