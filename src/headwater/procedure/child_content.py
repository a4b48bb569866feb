# SPDX-License-Identifier: Apache-2.0
"""What runs in the confined children to describe whole files: digests, type, entropy of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headwater.examine import content
from headwater.model.kinds import GapReason
from headwater.model.paths import join, outside
from headwater.model.records import Gap
from headwater.procedure.child_targets import Message, Targets
from headwater.store.parts import encode_events, encode_gaps

GAPS_MOST = 100  # of one file, each by itself
_PROGRESS = 8 << 20  # bytes between two words of progress


def describe(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """Describe the targets of one task in order; one part of events and one of gaps. Hard links are read once."""
    number = int(args["number"])
    targets = Targets(args, fds)
    rows: list[content.Row] = []
    paths: list[str] = []
    gaps: list[tuple[str, Gap]] = []
    known: dict[tuple[str, str], tuple[content.Row | None, list[Gap]]] = {}
    progress = 0
    for target in args["targets"]:
        path = join(target["view"], target["path"])
        same = (outside(str(target["view"])), str(target["key"]))
        try:
            again = same in known
            row, its_gaps = known[same] if again else _row(targets, target)
        except (OSError, ValueError, KeyError) as error:
            row = None
            its_gaps = [Gap(0, int(target["size"]), GapReason.UNREADABLE, f"content: {type(error).__name__}")]
        else:
            known[same] = row, its_gaps
        gaps.extend((path, gap) for gap in its_gaps)
        if row is not None:
            rows.append(content.renamed(row, str(target["path"])) if again else row)
            paths.append(path)
        progress += int(target["size"])
        if progress >= _PROGRESS:
            yield {"progress": progress}, b""
            progress = 0
    if rows:
        blob = encode_events(content.frame(rows, paths), clock=str(number), feed=content.FEED, source=number, path=None)
        yield {"family": "events", "feed": content.FEED, "part": 0}, blob
    if gaps:
        yield {"family": "gaps", "feed": content.FEED, "part": 0}, encode_gaps(gaps, feed=content.FEED, source=number)
    yield {"result": {}, "progress": progress}, b""


def _row(targets: Targets, target: Mapping[str, Any]) -> tuple[content.Row | None, list[Gap]]:
    """What one file holds, None where it is too large or nothing is left of it, and what of it could not be read."""
    source = targets.content(target)
    if source.size > content.FILE_MOST:
        return None, [Gap(0, source.size, GapReason.LIMIT, f"content: more than {content.FILE_MOST} bytes")]
    row = content.describe(source, str(target["path"]))
    bad = list(source.bad)
    gaps = [Gap(offset, length, reason, f"content: {why}") for offset, length, reason, why in bad[:GAPS_MOST]]
    if len(bad) > GAPS_MOST:  # one gap from the first that is not listed to the end of the last
        first, last = bad[GAPS_MOST], max(offset + length for offset, length, _, _ in bad[GAPS_MOST:])
        gaps.append(Gap(first[0], last - first[0], first[2], f"content: {len(bad) - GAPS_MOST} more ranges within"))
    if row["length"] < source.size:
        rest = source.size - int(row["length"])
        gaps.append(Gap(int(row["length"]), rest, GapReason.TRUNCATED, "content: shorter than its stated size"))
    return _its_own(row, bad), gaps


def _its_own(row: content.Row, bad: Sequence[tuple[int, int, GapReason, str]]) -> content.Row | None:
    return content.its_own(row, [(at, length) for at, length, reason, _ in bad if reason is GapReason.OVERWRITTEN])


def redescribe(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """The same for verification: for each target its row as the bytes give it now."""
    targets = Targets(args, fds)
    for target in args["targets"]:
        source = targets.content(target)
        row = _its_own(content.describe(source, str(target["path"])), list(source.bad))
        fixed = {"kind": "state.file", "offset": 0, "ordinal": content.WHOLE}
        yield {"path": join(target["view"], target["path"]), "rows": [] if row is None else [row | fixed]}, b""
    yield {"result": {}}, b""
