# SPDX-License-Identifier: Apache-2.0
"""Verify an image on its own, without its case: everything that it and its sidecar state, derived again.

1. The sidecar: its signature, and that it speaks of a whole image.
2. Every chunk against its own checksum, every segment there and in order (in a confined child).
3. The digests of the stream against those in the container and in the sidecar.
4. The digest of each file against the sidecar.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headwater.acquire import sidecar
from headwater.confine.pool import Limits, Message, Pool, Task
from headwater.formats.hashing import ALGORITHMS
from headwater.formats.opened import OpenFile, open_readonly
from headwater.formats.segments import segments
from headwater.model.custody import Verdict
from headwater.model.errors import AcquireError, ExamineError
from headwater.model.paths import encode_name

Tell = Callable[[str, int, int | None, str], None]
_NAMED = 20


@dataclass(frozen=True, slots=True)
class ImageCheck:
    """One comparison: ``ok``, ``failed``, or ``not-claimable`` with its reason in ``detail``."""

    what: str
    result: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ImageChecked:
    """All comparisons, the digests found, the size of the medium in bytes, and the key that signed the sidecar."""

    checks: tuple[ImageCheck, ...]
    digests: Mapping[str, str] = field(default_factory=dict)
    size: int = 0
    public_key: str = ""

    @property
    def sound(self) -> bool:
        """Whether nothing failed, and at least one digest was there to be compared with."""
        results = {check.what: check.result for check in self.checks}
        return "failed" not in results.values() and results.get("digests") != "not-claimable"


def check_image(image: Path, beside: Path | None, tell: Tell) -> ImageChecked:
    """Verify; ``beside`` is the sidecar, found by its name where None.

    Raises:
        AcquireError: HW2001 … HW2007 the image cannot be opened at all; HW2029 a sidecar that was named is none.
    """
    document = _sidecar(image, beside)
    paths = segments(image)
    files = [open_readonly(path) for path in paths]
    try:
        found = _measure(files, document, tell)
    finally:
        for file in files:
            file.close()
    key = sidecar.signed_by(document) or "" if document is not None else ""
    checks = [*_of_sidecar(document, key), *_of_medium(found), *_of_digests(found, document)]
    if document is not None:
        checks.extend(_of_files(found, document, [p.name for p in paths]))
    return ImageChecked(tuple(checks), dict(found["medium"]), int(found["size"]), key)


def stated_beside(image: Path, found: Mapping[str, str]) -> Iterator[Verdict]:
    """What the sidecar that lies beside an image states of its medium, against what was found; nothing without one."""
    try:
        document = _sidecar(image, None)
        if document is None:
            return
        expected = str(document["medium"]["digests"]["sha256"]) if document["state"] == sidecar.COMPLETE else ""
    except (KeyError, TypeError):
        expected = ""
    key = sidecar.signed_by(document) if document is not None else None
    if key is None or not expected:
        reason = (
            "the sidecar's signature does not verify" if key is None else "the sidecar says that the image is not whole"
        )
        yield Verdict("stated-in-sidecar", "mismatch", "sha256", expected, found["sha256"], reason)
        return
    same = expected == found["sha256"]
    yield Verdict(
        "stated-in-sidecar", "match" if same else "mismatch", "sha256", expected, found["sha256"], f"key {key}"
    )


def _sidecar(image: Path, beside: Path | None) -> sidecar.Document | None:
    if beside is not None:
        return sidecar.read(beside)
    path = image.with_suffix(".json")
    if not path.exists():
        return None
    try:
        return sidecar.read(path)
    except AcquireError:
        return None  # some other file of that name


def _measure(files: Sequence[OpenFile], document: sidecar.Document | None, tell: Tell) -> dict[str, Any]:
    """Step 2 and the digests, from a confined child."""
    image = document["image"] if document is not None else {}
    listed = [name for name in (document or {}).get("digests", {}) if name in ALGORITHMS]
    args = {
        "files": [[encode_name(os.fsencode(f.name)), f.size] for f in files],
        "raw": bool(image) and image.get("format") != "e01",
        "source_size": int(image["size"]) if image else None,
        "algorithms": listed,
        "hold_files": document is not None,
    }
    results: dict[str, Any] = {}

    def take(message: Message) -> None:
        if "progress" in message.header:
            tell("verify", int(message.header["progress"]), int(message.header["total"]), "bytes")
        else:
            results.update(message.header)

    task = Task(
        "check-image", "headwater.procedure.child_image_check:check", args, tuple(f.fd for f in files), wall=864_000.0
    )
    with Pool(1, Limits(cpu=864_000)) as pool:
        for outcome in pool.run([task], take):
            if "error" in results:
                error = results["error"]
                names = {k: v for k, v in error["names"].items() if k not in ("code", "where")}
                raise AcquireError(str(error["code"]), str(error["where"]), **names)
            if outcome.status != "done" or "result" not in results:
                raise ExamineError("HW4003", files[0].name, what=f"{outcome.status}: {outcome.detail}")
    return dict(results["result"])


def _of_sidecar(document: sidecar.Document | None, key: str) -> Iterator[ImageCheck]:
    if document is None:
        yield ImageCheck("sidecar", "not-claimable", "there is none: only what the container states is compared")
        return
    yield ImageCheck("sidecar signature", "ok" if key else "failed", f"Ed25519 {key}" if key else "")
    if document["state"] != sidecar.COMPLETE:
        yield ImageCheck("sidecar state", "failed", str(document["state"]))


def _of_medium(found: Mapping[str, Any]) -> Iterator[ImageCheck]:
    faults = [*found["damage"][:_NAMED], *found["warnings"][:_NAMED]]
    for fault in faults:
        yield ImageCheck("structure", "failed", str(fault))
    if not faults:
        yield ImageCheck("structure", "ok", f"{found['kind']}, {found['size']} bytes, {found['files']} files")
    noted = found["noted"]
    if noted:
        lost = sum(int(n[1]) for n in noted)
        detail = f"{lost} bytes in {len(noted)} ranges were unreadable when it was made; they are zeros"
        yield ImageCheck("read errors at acquisition", "ok", detail)


def _of_digests(found: Mapping[str, Any], document: sidecar.Document | None) -> Iterator[ImageCheck]:
    claims: list[tuple[str, str, str, str]] = []
    for name, value in found["stated"].items():
        claims.append(("container", name, str(value), str(found["medium"].get(name, ""))))
    if document is not None:
        for name, value in document.get("digests", {}).items():
            claims.append(("sidecar", name, str(value), str(found["source"].get(name, ""))))
        for name, value in document.get("medium", {}).get("digests", {}).items():
            if value != document["digests"].get(name):
                claims.append(("sidecar, padded", name, str(value), str(found["medium"].get(name, ""))))
    for where, name, stated, again in claims:
        same = stated.lower() == again
        yield ImageCheck(f"{name} ({where})", "ok" if same else "failed", again if same else f"{stated}, found {again}")
    if not claims:
        yield ImageCheck("digests", "not-claimable", "nothing states a digest to compare with")


def _of_files(found: Mapping[str, Any], document: sidecar.Document, names: Sequence[str]) -> Iterator[ImageCheck]:
    again = dict(zip(names, found["held"], strict=True))
    listed = {str(row["name"]): str(row["sha256"]) for row in document.get("segments", [])}
    if sorted(listed) != sorted(again) and list(listed.values()) == list(again.values()):
        yield ImageCheck("files", "ok", f"{len(listed)} files have the digests of the sidecar; they were renamed")
        return
    wrong = [n for n in sorted(listed | again) if listed.get(n) != again.get(n)]
    for name in wrong[:_NAMED]:
        yield ImageCheck(
            f"file {name}", "failed", f"{listed.get(name, 'not listed')}, found {again.get(name, 'nothing')}"
        )
    if not wrong:
        yield ImageCheck("files", "ok", f"{len(listed)} files have the digests of the sidecar")
