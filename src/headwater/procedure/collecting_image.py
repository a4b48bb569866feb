# SPDX-License-Identifier: Apache-2.0
"""Collect from an image: the same profiles on a disk at rest, read by our own readers in a confined child.

It is how Windows servers are collected from, and how a profile can be tried against what a running server gave. The image
itself is no less evidence for it; what is collected names the image it came from by its digest where the case holds it.
"""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import Any

from headwater.acquire.catalogue import Chosen
from headwater.acquire.collect_receiving import Received, Sink
from headwater.acquire.system_files import inert_text
from headwater.confine.pool import Limits, Message, Pool, Task
from headwater.formats.keys import Key, plain
from headwater.model.errors import AcquireError, HeadwaterError
from headwater.model.paths import encode_name
from headwater.procedure.admission import admitted
from headwater.procedure.collecting import (
    STOPPED,
    Collected,
    CollectOrder,
    begin,
    chosen_of,
    manifest_of,
    note_of,
    outcome,
    products_of,
)
from headwater.procedure.collecting_place import path_of, room_for
from headwater.procedure.corridor import TOOL, Corridor, Progress, environment, silent
from headwater.procedure.intake import Held, call
from headwater.procedure.opening import image_files, registered
from headwater.procedure.scene_items import enter_item
from headwater.procedure.within_mandate import within

IMAGE, COLLECTED = "image:", "collect-image"


def collect_image(order: CollectOrder, progress: Progress = silent, keys: tuple[Key, ...] = ()) -> Collected:
    """Run the whole procedure on an image (``image:PATH``).

    Raises:
        UsageError: HW2100, HW2101; AcquireError: HW2001 … the image cannot be opened, HW2104 it cannot be written.
        AuthorityError: HW1001 … HW1013.
    """
    errand = order.errand
    image = Path(errand.address.removeprefix(IMAGE))
    with (
        admitted(
            errand.case, errand.claim, errand.examiners, errand.command, progress, errand.hand, signed=True
        ) as corridor,
        image_files(image) as files,
    ):
        within(corridor, None, errand.override, method="image")
        chosen = chosen_of(order, corridor, ("linux", "windows"))
        path = path_of(order.out, corridor, image.name.split(".")[0])
        held = registered(corridor, files.paths)
        source: dict[str, Any] = {"image": [encode_name(os.fsencode(p.absolute())) for p in files.paths]}
        if held is not None:
            source |= {"image_evidence": held.number, "image_sha256": held.digests["sha256"]}
        begin(corridor, order, chosen, path, source)
        try:
            received = _taken(corridor, order, chosen, path, files, keys)
        except (HeadwaterError, KeyboardInterrupt) as error:
            what = error.text("en") if isinstance(error, HeadwaterError) else "interrupted"
            corridor.record(
                STOPPED, note={"address": errand.address, "out": encode_name(os.fsencode(path)), "what": what}
            )
            raise
        facts = {"source": encode_name(os.fsencode(image)), "state": "image", **source}
        came = manifest_of(corridor, received, facts, progress)
        notes = {"source": encode_name(os.fsencode(image)), "hostname": came.head.get("host", ""), "form": "image"}
        done = outcome(corridor, order, chosen, received, came, notes)
        note = {"collection": note_of(done, chosen, received, came), **source}
        with corridor.ledger.group():
            enter_item(corridor, done.evidence, came.result["damage"])
            corridor.record(
                COLLECTED, evidence=[done.evidence.number], environment=environment(), note=note,
                products=products_of(received, came),
            )  # fmt: skip
        return done


class _Taker:
    """Writes the child's stream; a second attempt of the child begins it anew."""

    def __init__(self, path: Path, progress: Progress, seconds: float) -> None:
        self._path, self._progress = path, progress
        self._attempt, self.size = 1, 0
        self._deadline = time.monotonic() + seconds
        self.sink = Sink(path)

    def take(self, message: Message) -> None:
        """One message of the child."""
        if message.attempt != self._attempt:
            self.sink.drop()
            self.sink, self._attempt, self.size = Sink(self._path), message.attempt, 0
        if "stream" in message.header:
            self.size += len(message.blob)
            self.sink.put(message.blob)
            self._progress("collect", self.size, None, "bytes")


def _taken(
    corridor: Corridor, order: CollectOrder, chosen: Chosen, path: Path, files: Held, keys: tuple[Key, ...]
) -> Received:
    limits = room_for(path, order.most)
    orders = [a.order() | {"platform": a.platform} for a in chosen.artifacts]
    args = {
        "files": files.args(), "artifacts": orders, "marker": secrets.token_hex(16), "most": limits,
        "file_most": order.file_most or 1 << 62,
        "facts": {"tool": TOOL, "case_operators": inert_text(" / ".join(corridor.actors))},
    }  # fmt: skip
    total = sum(f.size for f in files.files)
    seconds = 14_400 + (total >> 20)
    task = Task(
        "collect", "headwater.procedure.collecting_tree:collect_tree", args, files.fds, wall=seconds, cpu=seconds
    )
    taker = None
    try:
        taker = _Taker(path, corridor.progress, seconds)
        given = [("headwater.formats.keys:hold", plain(keys))] if keys else []
        with Pool(1, Limits(total=1 << 60, messages=1 << 40), prepare=given) as pool:
            call(pool, task, taker.take)
        digests = taker.sink.end()
    except OSError as error:
        raise AcquireError("HW2104", str(path), what=error.strerror or str(error)) from error
    except BaseException:
        if taker is not None:
            taker.sink.drop()
        raise
    return Received(path, taker.size, digests, "image", "")
