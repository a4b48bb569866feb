# SPDX-License-Identifier: Apache-2.0
"""Images a block source in one pass, reads the image back, and says what can be claimed of it.

1. Nothing that is there is overwritten; an incomplete image is gone on with only when that is asked for.
2. Resuming: the image is cut at its last checkpoint and what it holds is read and digested again.
3. The source is read once: digests, packing and writing run beside each other; bad sectors become zeros and are listed.
4. The image is closed and read back: its stream must have the digest of the stream that was read, block by block.
5. A static source is read again and compared with the image.
6. Only then do the files get their own names, and the sidecar says ``complete``.

Killed anywhere, what was durable at the last checkpoint is kept. A vanished source or an interruption closes the image
at the last byte read; a full or lost destination is left behind while another holds.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from headwater.acquire import sidecar
from headwater.acquire.blocks import Block, Pool
from headwater.acquire.comparing import Read, compare_source, read_back
from headwater.acquire.destinations import Destinations
from headwater.acquire.e01_writer import Checkpoint, E01Layout, E01Writer
from headwater.acquire.image_files import leftovers, open_image, rename_whole
from headwater.acquire.imaged import Imaged
from headwater.acquire.packing import CHUNK, Chunker, Packed, as_is
from headwater.acquire.plans import Plan, plain_name
from headwater.acquire.ports import BlockSource, UnreadableError
from headwater.acquire.preparing import Preparation, Prepared
from headwater.acquire.raw_writer import RawWriter
from headwater.acquire.rescue import Rescue
from headwater.acquire.resuming import Standing, level_out, standing
from headwater.acquire.stages import Stages
from headwater.acquire.zero_map import ZeroMap
from headwater.model.custody import Verdict
from headwater.model.errors import AcquireError

__all__ = ["Desk", "Imaged", "Imaging"]

COMPLETELY = "read-completely"
_TOLD = 100_000  # ranges that the sidecar lists


@dataclass(frozen=True, slots=True)
class Desk:
    """What imaging is handed by the procedure: how progress is told, who signs, what time it is (RFC 3339).

    ``inspect``: given folder and names of the finished image and the ranges of zeros, what the file systems in it say
    of them, for the sidecar.
    """

    progress: Callable[[str, int, int | None, str], None]
    sign: sidecar.Signer
    now: Callable[[], str]
    tool: str
    record: Mapping[str, Any]
    inspect: Callable[[Path, Sequence[str], Sequence[tuple[int, int]]], Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class Passed:
    """What the pass gave: digests of the source, of the medium as the image holds it, and the marks to compare by."""

    digests: dict[str, str]
    medium: dict[str, str]
    read: Read


class Imaging:
    """One imaging of one source; :meth:`run` does all of it."""

    def __init__(self, source: BlockSource, plan: Plan, desk: Desk, *, resume: bool = False) -> None:
        self._source = source
        self._plan = plan
        self._desk = desk
        if plan.format == "e01" and CHUNK % source.sector_size:
            # disks formatted with 520 or 528 bytes: E01 counts chunks in whole sectors
            raise AcquireError("HW2007", source.name, what=f"sectors of {source.sector_size} bytes; use --format raw")
        self._done = 0
        self._stage = "image"
        self._stand = standing(plan, source) if resume else Standing.new(desk.now(), uuid.uuid4().bytes)
        if not resume:
            self._refuse_overwriting()
        self._rescue = Rescue(source, plan.retries, self._stand.bad)
        self._zeros = ZeroMap()
        self._out = Destinations(plan.folders)
        self._saved = self._stand.checkpoint
        self._writer = self._make_writer()
        self._sessions: list[dict[str, Any]] = [
            *map(dict, self._stand.sessions),
            {"begun": desk.now(), "at": self._stand.checkpoint.done},
        ]

    def _refuse_overwriting(self) -> None:
        plan = self._plan
        ending = {"e01": "E01", "raw": "dd", "sparse": "dd"}.get(plan.format)
        names = [f"{plan.stem}.{ending}"] if ending else [f"{plan.stem}.{1:0{w}d}" for w in (3, 4, 5)]
        for folder in plan.folders:
            found = leftovers(folder, [*names, f"{plan.stem}.json"])
            if found:
                raise AcquireError("HW2020", str(folder / found[0]))

    def _make_writer(self) -> E01Writer | RawWriter:
        plan, source = self._plan, self._source
        if plan.format == "e01":
            layout = E01Layout(
                plan.stem, source.size, source.sector_size, plan.segment, plan.level, self._stand.set_id,
                plan.fields, datetime.fromisoformat(self._stand.begun[:19] + "+00:00"), plan.physical,
                plan.table_chunks,
            )  # fmt: skip
            return E01Writer(layout, self._out, self._keep)
        part = plan.segment if plan.format == "split" else 0
        sparse = plan.format == "sparse"
        return RawWriter(plan.stem, source.size, self._out, self._keep, part=part, sparse=sparse, every=plan.checkpoint)

    def run(self) -> Imaged:
        """All steps of the module.

        Raises:
            AcquireError: HW2021 the source vanished, HW2022 no destination is left, HW2024 the image differs from what
                was read. In each case the sidecar says how far the image is durable.
        """
        with self._ticking():
            passed = self._pass()
            verdicts, segments = self._compare(passed.read)
        return self._complete(passed, verdicts, segments)

    @contextmanager
    def _ticking(self) -> Iterator[None]:
        """Tell of progress twice a second, also while a read hangs on a failing disk."""
        over = threading.Event()

        def tick() -> None:
            while not over.wait(0.5):
                self._desk.progress(self._stage, self._done, self._source.size, "bytes")

        thread = threading.Thread(target=tick, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    # --- the pass

    def _pass(self) -> Passed:
        plan, start = self._plan, self._stand.checkpoint.done
        pool = Pool(plan.buffers, plan.block)
        pack: Callable[[memoryview], Packed] = Chunker(plan.level) if plan.format == "e01" else as_is
        packing = plan.format == "e01"  # else there is nothing to compress: whoever writes looks for zeros too
        padding = plan.padding(self._source)
        prepare = Preparation(pack, start, self._source.size, padding)

        def write(block: Block) -> None:
            made: Prepared = block.made if packing else prepare(block)
            for at, length in made.zeros:
                self._zeros.add(at, length)
            if made.packed is not None:
                self._writer.add(made.packed)

        if start:
            level_out(plan, self._stand, self._writer.name)
        self._save(sidecar.INCOMPLETE)
        compared = plan.read_back or (plan.read_again and not self._source.live)
        stages = Stages(pool, plan.digests, prepare if packing else None, write, mark=compared)
        try:
            try:
                self._writer.begin(self._stand.checkpoint if start else None)
                if start:
                    self._read_held(stages, start)
                self._read_source(stages, start)
            finally:
                stages.drain()
        except (UnreadableError, KeyboardInterrupt) as error:
            self._pause()
            if isinstance(error, KeyboardInterrupt):
                raise
            raise AcquireError("HW2021", self._source.name, what=error.strerror, offset=error.offset) from error
        except BaseException:
            self._out.abandon()
            self._save_if_possible()
            raise
        medium = stages.hexdigests(bytes(padding))
        bad = [(at, length) for at, length, _, _ in self._rescue.bad]
        try:
            self._writer.finish(medium, bad)
        except BaseException:
            self._out.abandon()
            self._save_if_possible()
            raise
        digests = stages.hexdigests()
        read = Read(digests["sha256"], stages.marks, plan.block, self._source.size, padding)
        return Passed(digests, medium, read)

    def _read_held(self, stages: Stages, until: int) -> None:
        """Step 2: what the image already holds, digested again from the image."""
        self._stage = "resume"
        names = [self._writer.name(n) for n in range(1, self._stand.checkpoint.segment + 1)]
        medium = open_image(self._stand.folder, names, e01=self._plan.format == "e01", cut=True)
        try:
            known = [(at, at + length) for at, length, _, _ in self._stand.bad]
            size, step = self._source.size, self._plan.block
            for offset in range(0, until, step):
                block = stages.free()
                block.offset, block.length = offset, min(step, size - offset)
                held = min(block.length, until - offset)
                block.view[:held] = medium.pread(offset, held).ljust(held, b"\0")
                if held < block.length:  # the checkpoint lies in this block: the rest of it comes from the source
                    self._rescue.fill(offset + held, block.view[held : block.length])
                stages.put(block)
                self._done = offset + block.length
            for at, length, _, detail in medium.bad:
                if at < until and not any(low <= at and at + length <= high for low, high in known):
                    raise AcquireError("HW2025", str(self._stand.folder), what=f"offset {at}: {detail}")
        finally:
            medium.close()

    def _read_source(self, stages: Stages, start: int) -> None:
        self._stage = "image"
        size, step = self._source.size, self._plan.block
        for at in range(-(-start // step) * step, size, step):
            block = stages.free()
            block.offset, block.length = at, min(step, size - at)
            self._rescue.fill(at, block.data)
            stages.put(block)
            self._done = at + block.length

    def _pause(self) -> None:
        try:
            self._writer.pause()
        except AcquireError:
            self._out.abandon()
        self._save_if_possible()

    # --- checkpoints

    def _keep(self, checkpoint: Checkpoint) -> None:
        self._saved = checkpoint
        self._save(sidecar.INCOMPLETE)

    def _save_if_possible(self) -> None:
        try:
            self._save(sidecar.INCOMPLETE)
        except AcquireError:
            pass  # the earlier checkpoint still stands; the failure that led here is the one to be told

    def _document(self, state: str) -> dict[str, Any]:
        plan, source = self._plan, self._source
        done = self._saved.done
        bad = [list(b) for b in self._rescue.bad if state != sidecar.INCOMPLETE or b[0] < done]
        return {
            "schema": sidecar.SCHEMA,
            "state": state,
            "tool": self._desk.tool,
            "image": {
                "stem": plan.stem, "format": plan.format, "size": source.size, "sector_size": source.sector_size,
                "level": plan.level, "segment_size": plan.segment, "block": plan.block,
                "algorithms": list(plan.digests), "set_id": self._stand.set_id.hex(),
                "fields": {k: plain_name(v) for k, v in plan.fields.items()},
            },
            "source": {
                "name": plain_name(source.name), "size": source.size, "sector_size": source.sector_size, "live": source.live,
                "facts": {k: plain_name(v) for k, v in source.facts.items()},
            },
            "record": dict(self._desk.record),
            "bad": bad[:_TOLD],
            "bad_bytes": sum(b[1] for b in bad),
            "read_errors": self._rescue.errors + self._stand.errors,
            "times": {"begun": self._stand.begun, "sessions": self._sessions},
            "destinations": [{"folder": plain_name(os.fspath(d.folder)), "failure": d.failure or ""} for d in self._out.all],
        }  # fmt: skip

    def _save(self, state: str, more: Mapping[str, Any] | None = None) -> str:
        """Write the sidecar into every folder that holds; one that does not take it is left behind."""
        document = self._document(state) | dict(more or {})
        if state == sidecar.INCOMPLETE:
            document["checkpoint"] = asdict(self._saved)
        digest, failure = "", None
        for one in self._out.alive:
            try:
                digest = sidecar.write(sidecar.sidecar_path(one.folder, self._plan.stem), document, self._desk.sign)
            except AcquireError as error:
                one.failure, failure = error.names.get("what", "") or "cannot be written", error
        if not digest and failure is not None:
            raise failure
        return digest

    # --- afterwards

    def _compare(self, marks: Read) -> tuple[list[Verdict], list[tuple[str, int, str]]]:
        verdicts: list[Verdict] = []
        segments: list[tuple[str, int, str]] = []
        for one in list(self._out.alive):
            self._stage, self._done = "read-back", 0
            found = read_back(one.folder, self._writer.names, self._plan, marks, self._rescue.bad, self._tell)
            where = "" if len(self._out.all) == 1 else plain_name(os.fspath(one.folder))
            verdicts.append(replace(found.verdict, reason="; ".join(w for w in (found.verdict.reason, where) if w)))
            if found.verdict.result == "mismatch":
                one.failure = found.verdict.reason
            elif not segments:
                segments = found.segments
        if not self._out.alive:
            self._save_failed(verdicts)
            raise AcquireError("HW2024", os.fspath(self._plan.folder), what=verdicts[-1].reason)
        self._stage, self._done = "read-again", 0
        verdicts.append(compare_source(self._source, self._plan, marks, self._rescue.bad, self._tell))
        lost = sum(length for _, length, _, _ in self._rescue.bad)
        verdicts.append(
            Verdict(COMPLETELY, "mismatch", reason=f"{lost} bytes could not be read; they are zeros in the image")
            if lost
            else Verdict(COMPLETELY, "match")
        )
        return verdicts, segments

    def _tell(self, done: int) -> None:
        self._done = done

    def _save_failed(self, verdicts: Sequence[Verdict]) -> None:
        document = self._document(sidecar.FAILED) | {"verdicts": [asdict(v) for v in verdicts]}
        for one in self._out.all:
            sidecar.write(sidecar.sidecar_path(one.folder, self._plan.stem), document, self._desk.sign)

    def _complete(
        self, passed: Passed, verdicts: Sequence[Verdict], segments: Sequence[tuple[str, int, str]]
    ) -> Imaged:
        lead = self._out.alive[0].folder
        ranges = self._zeros.ranges()
        more: dict[str, Any] = {
            "digests": passed.digests,
            "medium": {"size": passed.read.size + passed.read.padding, "digests": passed.medium},
            "segments": [{"name": name, "size": size, "sha256": sha} for name, size, sha in segments],
            "verdicts": [asdict(v) for v in verdicts],
            "zeros": {
                "granularity": CHUNK, "bytes": self._zeros.total, "ranges": [list(r) for r in ranges[:_TOLD]],
                "complete_to": self._complete_to(ranges),
            },
        }  # fmt: skip
        if self._desk.inspect is not None:
            more["allocated_zeros"] = dict(self._desk.inspect(lead, self._writer.names, ranges))
        for one in self._out.alive:
            rename_whole(one.folder, self._writer.names)
        self._sessions[-1]["ended"] = self._desk.now()
        digest = self._save(sidecar.COMPLETE, more)
        return Imaged(
            lead, tuple(segments), self._source.size, self._source.sector_size, passed.digests, passed.medium, self._rescue.bad,
            self._zeros.total, tuple(verdicts), {plain_name(os.fspath(d.folder)): d.failure for d in self._out.all if d.failure},
            sidecar.sidecar_path(lead, self._plan.stem), digest, tuple(int(s["at"]) for s in self._sessions[1:]),
        )  # fmt: skip

    def _complete_to(self, ranges: Sequence[tuple[int, int]]) -> int:
        """Up to which offset every range of zeros is listed."""
        if len(ranges) > _TOLD:
            return ranges[_TOLD][0]
        return self._source.size if self._zeros.complete_to is None else self._zeros.complete_to
