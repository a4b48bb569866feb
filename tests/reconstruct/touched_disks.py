# SPDX-License-Identifier: Apache-2.0
"""Small disks before and after a hand touched them, read in this process into a small event store.

SOURCE: made here with mkfs and the kernel through a loop device; the lines are written here.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "formats"))
sys.path.insert(0, str(Path(__file__).parents[1] / "detect"))

import disk_images
import polars as pl
from memory_events import MemoryEvents, event
from memory_events import at as moment_of

from headwater.examine import content, reading, registry
from headwater.examine.macb import macb_batches
from headwater.examine.opening import open_evidence
from headwater.formats.opened import open_readonly
from headwater.model.paths import join
from headwater.model.records import Facts
from headwater.procedure.child_notamper import traced
from headwater.reconstruct.notamper_terms import SECOND, Baseline, Question, Volume

__all__ = ["SECOND", "MemoryEvents", "disk_images", "event", "moment_of"]
LOG = "/var/log/syslog"


def syslog(moment: float, text: str) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%S.%f}+00:00 web01 {text}\n"


def logins(moments: list[float], zeroed: int = -1) -> bytes:
    """Login records; the one numbered ``zeroed`` is overwritten with zeros."""
    found = b""
    for at, moment in enumerate(moments):
        if at == zeroed:
            found += bytes(384)
            continue
        found += struct.pack(
            "<hxxi32s4s32s256shhiii4i20x", 7, 900 + at, b"pts/0", b"ts/0", b"root", b"198.51.100.7", 0, 0, 0, int(moment),
            0, 0x076433C6, 0, 0, 0,
        )  # fmt: skip
    return found


def fill(root: Path, now: float) -> None:
    """An ordinary small server's files."""
    for folder in ("etc", "var/log", "var/lib/systemd", "var/lib/logrotate", "home/u", "srv/data", "tmp"):
        (root / folder).mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nu:x:1000:1000::/home/u:/bin/sh\n")
    (root / "etc/hostname").write_text("web01\n")
    for at in range(24):
        (root / f"home/u/note-{at}").write_text(f"note {at}\n" * 40)
    (root / "srv/data/ledger.csv").write_bytes(b"2026-03-02,4711,transfer,100\n" * 400)
    lines = [syslog(now - 40 + at, f"systemd[1]: Started job {at}.") for at in range(40)]
    (root / LOG[1:]).write_text("".join(lines))
    (root / "var/log/auth.log").write_text(
        "".join(syslog(now - 30 + at, f"sshd[{900 + at}]: Failed password for root from 203.0.113.66 port 4{at:04d} ssh2")
                for at in range(30))
    )  # fmt: skip
    (root / "var/log/wtmp").write_bytes(logins([now - 20, now - 15, now - 10]))
    (root / "var/lib/systemd/random-seed").write_bytes(b"seed")


@contextmanager
def mounted(image: Path, *options: str) -> Iterator[Path]:
    point = image.with_suffix(".mounted")
    disk_images.mounted(image, point, *options)
    try:
        yield point
    finally:
        if point.is_mount():
            disk_images.unmounted(point)
        point.rmdir()


class Disk:
    """A disk as it was at T0, of which copies are touched, and some that stayed mounted over T0; one wait serves all."""

    def __init__(self, folder: Path, make: Callable[[Path], Path], *options: str, running: int = 0) -> None:
        self.folder, self.count, self.options = folder, 0, options
        self.image = make(folder / "before.img")
        with ExitStack() as stack:
            self._running = [folder / f"running-{n}.img" for n in range(running)]
            for image in self._running:
                _copy(self.image, image)
                fill(stack.enter_context(mounted(image, *options)), time.time())
            with mounted(self.image, *options) as root:
                fill(root, time.time())
            for image in self._running:  # else the journal's timer of five seconds commits it when T0 has come
                subprocess.run(["sync", "-f", str(image.with_suffix(".mounted"))], check=True)
            time.sleep(1.1)  # superblocks tell whole seconds
            self.t0 = time.time_ns()
            time.sleep(2.2)  # more than ε on either side
            self._stack = stack.pop_all()

    def touched(self, act: Callable[[Path], None] | None = None) -> Path:
        """A copy, with ``act`` done to its mounted root."""
        self.count += 1
        copy = self.folder / f"after-{self.count}.img"
        _copy(self.image, copy)
        if act is not None:
            with mounted(copy, *self.options) as root:
                act(root)
        return copy

    def went_on(self, act: Callable[[Path], None]) -> Path:
        """One that was mounted before T0, with ``act`` done to it since, and unmounted."""
        image = self._running.pop()
        point = image.with_suffix(".mounted")
        act(point)
        disk_images.unmounted(point)
        return image

    def close(self) -> None:
        self._stack.close()


def _copy(image: Path, copy: Path) -> None:
    subprocess.run(["cp", "--sparse=always", str(image), str(copy)], check=True)


def read(image: Path, contents: bool = False) -> tuple[MemoryEvents, tuple[Volume, ...]]:
    """The events and volumes of an image, read as the confined children would."""
    events = MemoryEvents()
    opened = open_evidence([open_readonly(image)])
    volumes = []
    for view in opened.views:
        for frame, entries in macb_batches(view.tree):
            events.put_frame("fs.macb", _stored(frame, "fs.macb", view.name or "/"))
            if view.derived:
                continue
            for entry in entries:
                if entry.kind == "file" and entry.size and entry.allocated:
                    path = join(view.name, entry.path)
                    source = view.tree.open(entry.key)
                    if contents:
                        row = content.describe(source, path)
                        shown = {"file_path": entry.path, "hash": row["hash"], "length": row["length"]}
                        events.put_frame("fs.content", _stored(pl.DataFrame([shown]), "fs.content", path))
                    _parse(events, source, path, entry.modified)
        if not view.derived:
            volumes.append(volume(traced(view, 0)))
    return events, tuple(volumes)


def volume(plain: dict[str, Any]) -> Volume:
    return Volume(**{k: tuple(map(tuple, v)) if k in {"commits", "states", "differing", "wrong"} and v is not None else v
                     for k, v in plain.items()})  # fmt: skip


def _parse(events: MemoryEvents, source: Any, path: str, modified: int | None) -> None:
    if not registry.by_path(reading.bare(path)):
        return
    ready = reading.prepare(source, path, modified, Facts(), False)
    for parser in ready.parsers:
        for batch in reading.run(parser, ready):
            if batch.events.height:
                events.put_frame(parser.feed, _stored(batch.events, parser.feed, ready.path))
            for gap in batch.gaps:
                events.gap(ready.path, parser.feed, gap.offset, gap.length, str(gap.reason), gap.detail)


def _stored(frame: pl.DataFrame, feed: str, path: str) -> pl.DataFrame:
    head = {"t_recorded": pl.Int64, "t_basis": pl.String, "offset": pl.Int64, "ordinal": pl.Int64, "length": pl.Int64}
    missing = [pl.lit(None, dtype=t).alias(n) for n, t in head.items() if n not in frame.columns]
    frame = frame.with_columns(missing)
    return frame.with_columns(
        pl.col("t_recorded").alias("ts"), pl.lit(feed).alias("feed"), pl.lit(1, dtype=pl.Int64).alias("source"),
        pl.lit(path).alias("path"), pl.col("offset").fill_null(0), pl.col("ordinal").fill_null(0),
    )  # fmt: skip


def question(t0: int, volumes: tuple[Volume, ...], **more: Any) -> Question:
    """T0 known within a second; acquired now."""
    base = Baseline(t0, "a test", 0, SECOND)
    return Question(1, base, time.time_ns() + SECOND, volumes=volumes, **more)
