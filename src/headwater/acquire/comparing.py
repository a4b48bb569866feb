# SPDX-License-Identifier: Apache-2.0
"""Reads an image back, and a source again, and compares each with the stream that was imaged: by digest, by block."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from headwater.acquire.blocks import Pool
from headwater.acquire.image_files import open_files, open_image
from headwater.acquire.plans import Plan
from headwater.acquire.ports import BlockSource, UnreadableError
from headwater.acquire.rescue import Rescue
from headwater.acquire.stages import Stages
from headwater.formats.hashing import hash_source
from headwater.formats.sources import Bad, FileSource
from headwater.model.custody import Verdict

STREAM, AGAIN = "stream-equals-image", "source-read-again"


@dataclass(frozen=True, slots=True)
class Read:
    """The stream as it was read: its SHA-256, a CRC-32 per ``block`` bytes, its size; ``padding``: zeros that the image
    holds behind it.
    """

    sha256: str
    marks: array[int]
    block: int
    size: int
    padding: int = 0


@dataclass(frozen=True, slots=True)
class Back:
    """What reading back found; ``segments``: (name, size, SHA-256) of each file of the image."""

    verdict: Verdict
    segments: list[tuple[str, int, str]]


def _first_difference(before: Read, again: array[int]) -> str:
    for index, (one, other) in enumerate(zip(before.marks, again)):
        if one != other:
            return f"first difference in the {before.block} bytes from offset {index * before.block}"
    return f"{len(again)} blocks instead of {len(before.marks)}" if len(again) != len(before.marks) else "digest only"


def _judge(what: str, before: Read, stages: Stages) -> Verdict:
    found = stages.hexdigests()["sha256"]
    same = found == before.sha256 and stages.marks == before.marks
    reason = "" if same else _first_difference(before, stages.marks)
    return Verdict(what, "match" if same else "mismatch", "sha256", before.sha256, found, reason)


def read_back(
    folder: Path, names: Sequence[str], plan: Plan, before: Read, bad: Sequence[Bad], tell: Callable[[int], None]
) -> Back:
    """Step 4 of imaging for one destination. The files are digested beside, on a thread of their own."""
    alone = plan.format in ("raw", "sparse")
    segments: list[tuple[str, int, str]] = []
    failures: list[BaseException] = []

    def digest_files() -> None:
        try:
            for file in open_files(folder, names):
                source = FileSource(file)
                try:
                    segments.append((file.name, file.size, hash_source(source)["sha256"]))
                    if source.bad:
                        raise OSError(f"{file.name} cannot be read back at {source.bad[0][0]}")
                finally:
                    source.close()
        except BaseException as error:  # raised below, in the thread that judges
            failures.append(error)

    beside = threading.Thread(target=digest_files, daemon=True)
    if not alone:
        beside.start()
    verdict = Verdict(STREAM, "not-claimable", reason="the image was not read back, as was asked")
    if plan.read_back:
        verdict = _read_medium(folder, names, plan, before, bad, tell)
    if beside.ident is not None:
        beside.join()
    else:
        segments.append((names[0], before.size, verdict.found or before.sha256))
    if failures:
        verdict = Verdict(STREAM, "mismatch", "sha256", before.sha256, "", str(failures[0]))
    return Back(verdict, segments)


def _read_medium(
    folder: Path, names: Sequence[str], plan: Plan, before: Read, bad: Sequence[Bad], tell: Callable[[int], None]
) -> Verdict:
    from headwater.formats.media import read_into  # heavy, and only for an image that is read back

    stages = Stages(Pool(plan.buffers, plan.block), ("sha256",))
    medium = open_image(folder, names, e01=plan.format == "e01")
    try:
        if medium.size != before.size + before.padding or medium.pread(before.size, before.padding).strip(b"\0"):
            reason = f"the image holds {medium.size} bytes, the source had {before.size}"
            return Verdict(STREAM, "mismatch", "sha256", before.sha256, "", reason)
        for offset in range(0, before.size, plan.block):
            block = stages.free()
            block.offset = offset
            block.length = read_into(medium, offset, block.view[: min(plan.block, before.size - offset)])
            stages.put(block)
            tell(offset + block.length)
        stages.drain()
        return _judge(STREAM, before, stages)
    finally:
        medium.close()


def compare_source(
    source: BlockSource, plan: Plan, before: Read, bad: Sequence[Bad], tell: Callable[[int], None]
) -> Verdict:
    """Step 5 of imaging: read a static source again."""
    if source.live:
        return Verdict(AGAIN, "not-claimable", reason="the source is live: it may change while it is read")
    if bad:
        return Verdict(AGAIN, "not-claimable", reason="the source has ranges that cannot be read")
    if not plan.read_again:
        return Verdict(AGAIN, "not-claimable", reason="the source was not read again, as was asked")
    forget = getattr(source, "forget_cache", None)
    if forget is not None:  # a file of this machine; devices are read past the cache, servers elsewhere
        forget()
    stages = Stages(Pool(plan.buffers, plan.block), ("sha256",))
    rescue = Rescue(source, 0)
    try:
        for offset in range(0, source.size, plan.block):
            block = stages.free()
            block.offset, block.length = offset, min(plan.block, source.size - offset)
            rescue.fill(offset, block.data)
            stages.put(block)
            tell(offset + block.length)
            if rescue.bad:
                break
    except UnreadableError as error:
        stages.drain()
        return Verdict(AGAIN, "not-claimable", reason=f"the source vanished at offset {error.offset}")
    stages.drain()
    if rescue.bad:
        return Verdict(AGAIN, "not-claimable", reason=f"at offset {rescue.bad[0][0]} it can no longer be read")
    return _judge(AGAIN, before, stages)
