# SPDX-License-Identifier: Apache-2.0
"""Event logs written for tests of detectors, read by the parser as evidence is."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from memory_events import MemoryEvents

sys.path.insert(0, str(Path(__file__).parents[1] / "formats"))

import evtx_writing as writing
from evtx_writing import Happening

from headwater.detect import registry
from headwater.examine.parsers import windows_evtx
from headwater.model.nouns import Finding
from headwater.model.ports import Settings
from headwater.model.records import File

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "evtx-attack-samples"
__all__ = ["LOG", "SAMPLES", "TERMINAL", "Happening", "event", "logged", "read", "run", "writing"]
TERMINAL = "Microsoft-Windows-TerminalServices-"
LOG = "p1!/Windows/System32/winevt/Logs/Security.evtx"


def event(
    code: int,
    seconds: float,
    named: Mapping[str, str],
    provider: str = writing.SECURITY,
    channel: str = "Security",
    within: str = "",
) -> Happening:
    """An event whose fields are texts; ``within``: under this element of UserData."""
    data = [(name, writing.text(value)) for name, value in named.items()]
    return Happening(provider, code, channel, data, user_data=within, seconds=seconds)


def read(data: bytes, path: str = LOG, into: MemoryEvents | None = None) -> MemoryEvents:
    """The events of a log file as a case's store has them."""
    found = into or MemoryEvents()
    for batch in windows_evtx.batches(File.of(data, path)):
        given = {"feed": windows_evtx.FEED, "path": path, "clock": "host"}
        frame = batch.events.with_columns(
            pl.col("t_recorded").alias("ts"),
            pl.lit(1, dtype=pl.Int64).alias("source"),
            *(pl.lit(v).alias(k) for k, v in given.items()),
        )
        if frame.height:
            found.put_frame(windows_evtx.FEED, frame)
    return found


def logged(*events: Happening, path: str = LOG, into: MemoryEvents | None = None) -> MemoryEvents:
    """A log of these events, forty to a chunk."""
    ordered = sorted(events, key=lambda e: e.seconds)
    chunks = [writing.chunk_of(ordered[i : i + 40], first=i + 1) for i in range(0, len(ordered), 40)]
    return read(writing.log_file(chunks, len(ordered) + 1), path, into)


def run(module: Any, events: MemoryEvents) -> Sequence[Finding]:
    return list(registry.run(module, events, Settings()))
