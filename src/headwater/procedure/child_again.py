# SPDX-License-Identifier: Apache-2.0
"""What runs in the confined children for verify and trace: derive records again, fetch the bytes of spans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from headwater.examine import reading, told
from headwater.examine.container_hosts import container_view
from headwater.examine.opening import View, open_evidence
from headwater.formats.keys import at_hand
from headwater.model.paths import container_of, outside
from headwater.model.records import Facts
from headwater.procedure.child_targets import Message, Targets, listing, open_files

ROWS_AT_ONCE = 50  # rows per message
FETCH_MOST = 1 << 20  # bytes of one span that are handed out


def rederive(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """Parse the cited files again and give back, for each wanted (offset, ordinal), the event as it is derived now.

    A line grammar is given the record's bytes alone; other parsers read the file anew.
    """
    targets = Targets(args, fds)
    for target in args["targets"]:
        ready, _ = targets.ready(target, args)
        wanted = {(int(o), int(n)) for o, n in target["wanted"]}
        offsets = pl.Series(sorted({o for o, _ in wanted}), dtype=pl.Int64).implode()
        rows: list[dict[str, Any]] = []
        for parser in ready.parsers:
            for batch in reading.run(parser, ready):
                if batch.events.is_empty():
                    continue
                chosen = batch.events.filter(pl.col("offset").is_in(offsets))
                for row in chosen.iter_rows(named=True):
                    if (row["offset"], row["ordinal"]) in wanted:
                        rows.append({k: v for k, v in row.items() if v is not None})
        yield from _in_pieces(ready.path, rows)
    yield {"result": {}}, b""


def _in_pieces(path: str, rows: Sequence[dict[str, Any]]) -> Iterator[Message]:
    """Rows in messages small enough for the header's cap."""
    for at in range(0, len(rows), ROWS_AT_ONCE):
        yield {"path": path, "rows": rows[at : at + ROWS_AT_ONCE]}, b""


def rederive_walk(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """List the trees again and give back the wanted file-system events: (view, offset, ordinal, file path)."""
    wanted: dict[str, list[list[Any]]] = args["wanted"]
    opened = open_evidence(open_files(args, fds), keys=at_hand())
    for view in [*opened.views, *_containers(opened.views, wanted)]:
        keys = wanted.get(view.name or "/")
        if not keys:
            continue
        pairs = {(int(o), int(n)) for o, n in keys}
        rows: list[dict[str, Any]] = []
        for frame, _ in listing(view, opened.kind):
            if frame is None:
                continue
            chosen = frame.filter(pl.col("offset").is_in(sorted({o for o, _ in pairs})))
            rows.extend(
                {k: v for k, v in row.items() if v is not None}
                for row in chosen.iter_rows(named=True)
                if (row["offset"], row["ordinal"]) in pairs
            )
        for _, again in told.frames_of(view):
            rows.extend(
                {k: v for k, v in row.items() if v is not None}
                for row in again.iter_rows(named=True)
                if (row["offset"], row["ordinal"]) in pairs
            )
        yield from _in_pieces(view.name or "/", rows)
    yield {"result": {}}, b""


def _containers(views: Sequence[View], wanted: Iterable[str]) -> Iterator[View]:
    """The views of those containers that are wanted."""
    for name in sorted(wanted):
        container = container_of(name)
        volume = next((v for v in views if v.name == outside(name)), None) if container is not None else None
        view = container_view(volume, container) if volume is not None and container is not None else None
        if view is not None:
            yield view


def fetch(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """The bytes of spans: of targets (in their last layer), or of a volume where the target is a view alone."""
    targets = Targets(args, fds)
    for target in args["targets"]:
        offset, length = int(target["offset"]), min(int(target["length"]), FETCH_MOST)
        if target.get("medium"):
            data = targets.medium().pread(offset, length)
        elif target.get("key") is None:
            data = targets.view(target["view"]).pread(offset, length)
        elif target.get("whole"):
            data = targets.content(target).pread(offset, length)
        else:
            source, _ = targets.open(target)
            ready = reading.prepare(source, target["path"], target["mtime"], Facts(), target["sniff"])
            data = ready.source.pread(offset, length)
        yield {"span": [target["path"], offset, length]}, data
    yield {"result": {}}, b""
