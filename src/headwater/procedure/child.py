# SPDX-License-Identifier: Apache-2.0
"""What runs in the confined children: measure, walk, parse, read. Descriptors in, messages out; no file is opened.

Every function is a generator of (header, blob) messages, as :mod:`headwater.confine.pool` wants them; the last
header of each has the key ``result``.
"""

from __future__ import annotations

import gc
import queue
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import polars as pl

from headwater.examine import reading, registry, told
from headwater.examine.batch import Batch, parsed_bytes
from headwater.examine.container_hosts import Containers
from headwater.examine.context import Taker
from headwater.examine.coverage import state_of
from headwater.examine.identity import identify
from headwater.examine.line_views import constant
from headwater.examine.opening import Opened, View, open_evidence
from headwater.formats.hashing import hash_source
from headwater.formats.heap import keep_memory
from headwater.formats.keys import at_hand
from headwater.formats.media import CONTAINED, MEDIA
from headwater.formats.sources import FileSource
from headwater.formats.trees import Entry
from headwater.model.errors import HeadwaterError
from headwater.model.kinds import GapReason
from headwater.model.paths import join
from headwater.model.ports import ByteSource
from headwater.model.records import Gap
from headwater.procedure.child_containers import hosts_within
from headwater.procedure.child_targets import Message, Targets, listing, open_files, told_of
from headwater.procedure.child_worth import candidates, contents
from headwater.store.parts import encode_events, encode_gaps

# A listing makes hundreds of thousands of small objects that live: collecting often costs a fifth of its time.
gc.set_threshold(200_000, 50, 1000)
keep_memory()

PART_BYTES = 16 << 20  # input per part
PART_ROWS = 200_000
HEADER_BYTES = 256 << 10  # of JSON per message, well under the cap on headers
_CLAIMS_MOST = 400_000  # of a volume that lies in pieces; what lies beyond stays "unknown" in the coverage
EXTENTS_MOST = 8_000  # of one file; what lies beyond stays "no-parser" in the coverage

PROGRESS_STEP = 32 << 20  # bytes between two words of progress


def _error(error: HeadwaterError) -> dict[str, Any]:
    return {"error": {"code": error.code, "where": error.where, "names": error.names}}


def measure(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """Digest one item: every file that holds it, and the medium where that is not the file itself."""
    files = open_files(args, fds)
    algorithms = tuple(args["algorithms"])
    try:
        opened = open_evidence(files, keys=at_hand())
    except HeadwaterError as error:
        yield _error(error), b""
        return
    total = sum(f.size for f in files)
    contained = opened.kind in CONTAINED
    total += opened.source.size if contained else 0
    done = 0
    held: list[dict[str, str]] = []
    for file in files:
        for step in _digesting(FileSource(file), algorithms):
            if isinstance(step, int):
                yield {"progress": done + step, "total": total}, b""
            else:
                held.append(step)
        done += file.size
    medium = held[0]
    if contained:
        for step in _digesting(opened.source, algorithms):
            if isinstance(step, int):
                yield {"progress": done + step, "total": total}, b""
            else:
                medium = step
    views = [
        {"name": v.name, "kind": v.tree.kind, "offset": v.offset, "size": v.size, "on_medium": v.on_medium}
        for v in opened.views
    ]
    yield (
        {
            "result": {
                "kind": opened.kind,
                "size": opened.source.size,
                "held": held,
                "medium": medium,
                "digest_of": "medium" if opened.kind in MEDIA else "file",
                "stated": dict(opened.stated),
                "notes": dict(opened.notes),
                "views": views,
                "bad": [[o, n, r.value, d] for o, n, r, d in opened.source.bad][:10_000],
            }
        },
        b"",
    )


def _digesting(source: ByteSource, algorithms: Sequence[str]) -> Iterator[int | dict[str, str]]:
    """Bytes done, now and then, and at the end the digests; the hashing runs on threads of its own."""
    news: queue.SimpleQueue[int | dict[str, str] | Exception] = queue.SimpleQueue()
    told = 0

    def progress(done: int, total: int) -> None:
        nonlocal told
        if done - told >= PROGRESS_STEP:
            told = done
            news.put(done)

    def work() -> None:
        try:
            news.put(hash_source(source, algorithms, progress))
        except Exception as error:  # handed to the caller's thread, which raises it
            news.put(error)

    threading.Thread(target=work, daemon=True).start()
    while True:
        item = news.get()
        if isinstance(item, Exception):
            raise item
        yield item
        if isinstance(item, dict):
            return


def walk(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """List every tree of one item: file-system events as parts, files worth parsing as candidates, gaps."""
    number = int(args["number"])
    opened = open_evidence(open_files(args, fds), keys=at_hand())
    part = listed = 0
    parts = count()  # of the feed of the containers' listings
    gaps: list[tuple[str, Gap]] = [(name or "/", gap) for name, gap, _ in opened.unopened]
    # what could not be read of the medium when it was registered: a gap of the medium itself
    gaps.extend(("/", gap) for gap in opened.warnings)
    gaps.extend(("/", Gap(int(o), int(n), GapReason(r), f"medium: {d}")) for o, n, r, d in args["bad"])
    facts: dict[str, dict[str, str]] = {}
    for view in opened.views:
        facts[view.name] = {"file_system": view.tree.kind, "view": str(getattr(view.tree, "view", ""))}
        facts[view.name].update({f"volume {name}": value for name, value in view.facts})
        taker = Taker(view.name, view.tree)
        containers = None if view.derived or opened.kind == "file" else Containers(view)
        for frame, entries in listing(view, opened.kind):
            listed += len(entries)
            if frame is not None and frame.height:
                frame = frame.with_columns(pl.lit(view.name or "/", dtype=pl.String).alias("path"))
                blob = encode_events(frame, clock=str(number), feed="fs.macb", source=number, path=None)
                yield {"family": "events", "feed": "fs.macb", "part": part}, blob
                part += 1
            if not view.derived:
                identify(view.tree, entries, facts[view.name])
            yield from _worth(view, entries if containers is None else containers.take(entries), taker, opened.kind)
            yield {"entries": listed}, b""
        if containers is not None:
            yield from _contained(containers, view, number, opened.kind, facts, parts)
            yield from _worth(view, list(containers.rest()), taker, opened.kind)
            gaps.extend((join(view.name, path), gap) for path, gap in containers.gaps)
        for feed, frame in told.frames_of(view):
            blob = encode_events(frame, clock=str(number), feed=feed, source=number, path=None)
            yield {"family": "events", "feed": feed, "part": part}, blob
            part += 1
        gaps.extend((view.name or "/", gap) for gap in view.tree.warnings)
        back = getattr(view.tree, "reaches_back", None)
        if back is not None:
            facts[view.name]["reaches_back"] = str(back)
        if taker.left_out:
            facts[view.name]["context_left_out"] = str(taker.left_out)
    yield {"family": "gaps", "feed": "fs.macb", "part": 0}, encode_gaps(gaps, feed="fs.macb", source=number)
    for ranges in _bundles(_claims(opened, args["bad"]), ()):
        yield {"ranges": ranges}, b""
    locked = sum(gap.reason == GapReason.ENCRYPTED for _, gap in gaps)
    yield {"result": {"entries": listed, "facts": facts, "medium": _medium_size(opened), "locked": locked}}, b""


def _worth(view: View, entries: Sequence[Entry], taker: Taker, kind: str) -> Iterator[Message]:
    """What of these entries is to be described, known beside others, and parsed."""
    for some in _bundles(contents(view, entries, kind), (2,)):
        yield {"contents": some}, b""
    for texts in _bundles(taker.take(entries), ("path", "text")):
        yield {"context": texts}, b""
    for worth in _bundles(candidates(view, entries, kind), ("path", "key")):
        yield {"candidates": worth}, b""


def _contained(
    containers: Containers, view: View, number: int, kind: str, facts: dict[str, dict[str, str]], parts: Iterator[int]
) -> Iterator[Message]:
    return hosts_within(
        containers, view, number, facts, parts, _bundles,
        lambda its, entries: contents(its, entries, kind), lambda its, entries: candidates(its, entries, kind),
    )  # fmt: skip


def _bundles(items: Iterable[Any], texts: Sequence[str] | Sequence[int]) -> Iterator[list[Any]]:
    """Items in lists small enough for a header's cap, however long the texts in them are."""
    some: list[Any] = []
    size = 0
    for item in items:
        some.append(item)
        size += 160
        for text in texts:
            size += 6 * len(str(item[text]))  # JSON may escape a character as six
        if size >= HEADER_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


def _medium_size(opened: Opened) -> int | None:
    """The size of the medium that coverage is told of; None for what is no medium."""
    return opened.source.size if opened.kind in MEDIA else None


def _claims(opened: Opened, bad: Sequence[Sequence[Any]]) -> Iterator[list[Any]]:
    """What the volumes and file systems say of the ranges of the medium, before any file is parsed."""
    if _medium_size(opened) is None:
        return
    for _, gap, offset in opened.unopened:
        yield [offset, gap.length, "unopened"]
    for view in opened.views:
        if view.derived:
            continue
        if view.on_medium:
            yield [view.offset, view.size, "unknown"]
        left = _CLAIMS_MOST
        for offset, length, what in view.tree.coverage():
            for at, size in view.spread(opened.source, offset, length):
                left -= not view.on_medium  # striping cuts a large volume into very many ranges
                if left < 0:
                    break
                yield [at, size, state_of(what)]
    for offset, length, _, _ in bad:
        yield [int(offset), int(length), "unreadable"]


class _Collector:
    """Gathers batches per feed and gives out parts whose bounds depend on the input alone."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.frames: dict[str, list[pl.DataFrame]] = {}
        self.size: dict[str, tuple[int, int]] = {}
        self.gaps: dict[str, list[tuple[str, Gap]]] = {}
        self.parts: dict[str, int] = {}

    def add(self, feed: str, path: str, batch: Batch, clock: str | None = None) -> Iterator[Message]:
        """Take in one batch; give out a part where the feed has enough. ``clock``: where it is not the item's own."""
        self.gaps.setdefault(feed, []).extend((path, gap) for gap in batch.gaps)
        taken, rows = self.size.get(feed, (0, 0))
        self.size[feed] = (taken + batch.end - batch.start, rows + batch.events.height)
        if batch.events.height:
            clock = clock or str(self.number)
            self.frames.setdefault(feed, []).append(
                batch.events.hstack(
                    [
                        constant(text, batch.events.height).alias(name)
                        for name, text in (("path", path), ("clock", clock))
                    ]
                )
            )
        if self.size[feed][0] >= PART_BYTES or self.size[feed][1] >= PART_ROWS:
            yield from self._flush(feed)

    def gap(self, feed: str, path: str, gap: Gap) -> None:
        """Take in a gap that no parser made."""
        self.gaps.setdefault(feed, []).append((path, gap))

    def _flush(self, feed: str) -> Iterator[Message]:
        frames = self.frames.pop(feed, [])
        self.size.pop(feed, None)
        if not frames:
            return
        whole = frames[0] if len(frames) == 1 else pl.concat(_aligned(frames), how="diagonal")
        blob = encode_events(whole, clock=None, feed=feed, source=self.number, path=None)
        part = self.parts.get(feed, 0)
        self.parts[feed] = part + 1
        yield {"family": "events", "feed": feed, "part": part}, blob

    def finish(self) -> Iterator[Message]:
        """Give out what is left, and the gaps."""
        for feed in sorted(self.frames):
            yield from self._flush(feed)
        for feed, gaps in sorted(self.gaps.items()):
            if gaps:
                yield {"family": "gaps", "feed": feed, "part": 0}, encode_gaps(gaps, feed=feed, source=self.number)


def _aligned(frames: list[pl.DataFrame]) -> list[pl.DataFrame]:
    """Frames whose common columns have one type: a column that differs is text in all."""
    types: dict[str, Any] = {}
    for frame in frames:
        for name, dtype in frame.schema.items():
            types[name] = dtype if types.get(name, dtype) == dtype else pl.String
    return [
        f if all(types[n] == t for n, t in f.schema.items()) else f.select(pl.col(n).cast(types[n]) for n in f.columns)
        for f in frames
    ]


def parse(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """Parse the targets of one task in order; events and gaps as parts, one account per file and parser."""
    collector = _Collector(int(args["number"]))
    targets = Targets(args, fds)
    for target in args["targets"]:
        ready, extents = targets.ready(target, args)
        each = [(one, str(one["path"]) + ready.path[len(str(target["path"])) :]) for one in told_of(target)]
        if ready.gap is not None:
            for one, _ in each:
                collector.gap("file.compressed", str(one["path"]), ready.gap)
        if not ready.parsers:
            for one, path in each:
                yield {"account": _account(one, ready, path, None, {}, extents)}, b""
        for parser in ready.parsers:
            tally: dict[str, int] = {"records": 0, "parsed": 0, "gap": 0, "skipped": 0, "slack": 0}
            for batch in reading.run(parser, ready):
                _add_up(tally, batch)
                for one, path in each:
                    yield from collector.add(batch.feed or parser.feed, path, batch, one.get("clock"))
            for one, path in each:
                yield {"account": _account(one, ready, path, parser, tally, extents)}, b""
            yield {"progress": target["size"]}, b""
    yield from collector.finish()
    yield {"result": {}}, b""


def _add_up(tally: dict[str, int], batch: Batch) -> None:
    first = batch.events["ordinal"] == 0  # of the other columns nothing is asked
    tally["records"] += int(first.sum())
    tally["parsed"] += parsed_bytes(batch.events)
    tally["gap"] += sum(g.length for g in batch.gaps)
    tally["skipped"] += sum(s.size for s in batch.skipped)
    if batch.count is not None:
        tally["declared"] = tally.get("declared", 0) + batch.count.declared
        tally["lost"] = tally.get("lost", 0) + batch.count.lost
        tally["slack"] += batch.count.slack


def _account(
    target: Mapping[str, Any],
    ready: reading.Reading,
    path: str,
    parser: registry.Parser | None,
    tally: Mapping[str, int],
    extents: Sequence[tuple[int, int]],
) -> dict[str, Any]:
    return {
        "path": path, "target": {k: v for k, v in target.items() if k != "fd"}, "size": ready.size,
        "parser": parser.name if parser else "", "version": parser.version if parser else 0,
        "feed": parser.feed if parser else "", "tally": dict(tally),
        "extents": [list(e) for e in extents[:EXTENTS_MOST]],
    }  # fmt: skip
