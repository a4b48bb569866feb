# SPDX-License-Identifier: Apache-2.0
"""What came of an imaging, as it ended or as the sidecar of a whole image tells it again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headwater.acquire import sidecar
from headwater.acquire.plans import Plan
from headwater.formats.sources import Bad
from headwater.model.custody import Verdict
from headwater.model.kinds import GapReason


@dataclass(frozen=True, slots=True)
class Imaged:
    """What came of it. ``segments``: (name, size, SHA-256) of each file; ``failures``: folder → why it was left.

    ``digests`` are of the source; ``medium`` those of what the image holds, which differ where an E01 is padded.
    """

    folder: Path
    segments: tuple[tuple[str, int, str], ...]
    size: int
    sector_size: int
    digests: Mapping[str, str]
    medium: Mapping[str, str]
    bad: tuple[Bad, ...]
    zeros: int
    verdicts: tuple[Verdict, ...]
    failures: Mapping[str, str]
    sidecar: Path
    sidecar_sha256: str
    resumed_at: tuple[int, ...]


def finished(plan: Plan) -> Imaged | None:
    """An image that is whole by its sidecar: what imaging gave when it ended; None where there is none.

    Killed after the files got their names, an imaging leaves this to whoever enters it in the ledger. The image itself
    is not looked at.
    """
    for folder in plan.folders:
        path = sidecar.sidecar_path(folder, plan.stem)
        if not path.exists():
            continue
        document = sidecar.read(path)
        if document["state"] != sidecar.COMPLETE or sidecar.signed_by(document) is None:
            continue
        image = document["image"]
        return Imaged(
            folder,
            tuple((str(s["name"]), int(s["size"]), str(s["sha256"])) for s in document["segments"]),
            int(image["size"]), int(image["sector_size"]), document["digests"], document["medium"]["digests"],
            tuple((int(b[0]), int(b[1]), GapReason(b[2]), str(b[3])) for b in document["bad"]),
            int(document["zeros"]["bytes"]), tuple(Verdict(**v) for v in document["verdicts"]),
            {d["folder"]: d["failure"] for d in document["destinations"] if d["failure"]}, path,
            hashlib.sha256(path.read_bytes()).hexdigest(),
            tuple(int(s["at"]) for s in document["times"]["sessions"][1:]),
        )  # fmt: skip
    return None
