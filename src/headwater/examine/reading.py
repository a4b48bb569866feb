# SPDX-License-Identifier: Apache-2.0
"""One file → batches: choose the parser, undo one layer of compression, run it, and hold it to the law.

A parser that raises on evidence loses nothing: what it had not yet said becomes a gap that names the error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from headwater.examine import registry
from headwater.examine.batch import FAULTS, Batch, batches_of, frame_of
from headwater.examine.lines import line_batches
from headwater.examine.registry import Parser
from headwater.formats.compressed import layer_of
from headwater.formats.sources import ChainSource
from headwater.formats.spooled import spooled
from headwater.model.kinds import GapReason
from headwater.model.paths import file_layer, join
from headwater.model.ports import ByteSource
from headwater.model.records import Facts, File, Gap

SUFFIXES = {".gz": "gz", ".bz2": "bz2", ".xz": "xz", ".zst": "zst", ".cab": "cab"}
SUFFIXED = tuple(SUFFIXES)  # how a name ends that has one


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of one file: the parsers that read it and the path of the layer that they read."""

    path: str
    size: int
    parsers: tuple[Parser, ...]
    file: File
    source: ByteSource
    gap: Gap | None = None  # compressed bytes that could not be undone; counts in the file, not in the layer


def bare(path: str) -> str:
    """The file layer of a path without its compression suffix: what ``READS`` patterns are matched against."""
    name = file_layer(path)
    if not name.endswith(SUFFIXED):
        return name
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name


def prepare(source: ByteSource, path: str, mtime_ns: int | None, facts: Facts, sniff: bool) -> Reading:
    """Find out who reads a file, and how: by path, or by content where ``sniff`` allows it."""
    head = source.pread(0, registry.HEAD_BYTES)
    layer = layer_of(file_layer(path), head)
    gap = None
    if layer:
        content = spooled(source, layer)
        source, gap = content, content.gap
        path = join(path, layer)
        head = source.pread(0, registry.HEAD_BYTES)
    parsers = registry.by_path(bare(path))
    if not parsers and sniff:
        found = registry.by_context(bare(path), facts.context) or registry.by_content(head)
        parsers = (found,) if found else ()
    file = File(path, source.size, source.pread, mtime_ns, facts, _held(source))
    return Reading(path, source.size, parsers, file, source, gap)


def _held(source: ByteSource) -> tuple[tuple[int, int], ...] | None:
    """Which stretches of a sparse file are stored, where its source can tell and has holes."""
    return source.stored() if isinstance(source, ChainSource) and source.sparse and not source.bad else None


def run(parser: Parser, reading: Reading) -> Iterator[Batch]:
    """The batches of one parser over one file, tiling it (or, for a container, counted)."""
    end = 0
    try:
        for batch in _batches(parser, reading.file):
            end = batch.end
            yield _marked(batch, reading.source)
    except FAULTS as error:
        detail = f"the parser {parser.name} failed here: {type(error).__name__}"
        gap = Gap(end, reading.size - end, GapReason.NOT_THIS_FORMAT, detail)
        yield Batch(end, reading.size, frame_of([]), (gap,) if gap.length > 0 else ())


def _batches(parser: Parser, file: File) -> Iterator[Batch]:
    if parser.grammar is not None:
        own = parser.grammar_for(file) if parser.grammar_for is not None else None
        yield from line_batches(own or parser.grammar, file)
    elif parser.batches is not None:
        yield from parser.batches(file)
    elif parser.parse is not None:
        yield from batches_of(parser.parse(file), file.size)


def _marked(batch: Batch, source: ByteSource) -> Batch:
    """Gaps on bytes that could not be read say so, rather than what their zeros looked like."""
    bad = source.bad
    if not bad or not batch.gaps:
        return batch
    gaps = []
    for gap in batch.gaps:
        for offset, length, reason, detail in bad:
            if offset < gap.offset + gap.length and gap.offset < offset + length:
                gap = Gap(gap.offset, gap.length, reason, detail)
                break
        gaps.append(gap)
    return replace(batch, gaps=tuple(gaps))
