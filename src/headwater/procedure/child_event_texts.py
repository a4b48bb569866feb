# SPDX-License-Identifier: Apache-2.0
"""What runs in the confined children to read the texts of events out of the files that carry them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headwater.examine import event_texts
from headwater.examine.event_texts import Ask
from headwater.formats.sources import MemorySource
from headwater.model.kinds import GapReason
from headwater.model.paths import join
from headwater.model.ports import ByteSource
from headwater.model.records import Gap
from headwater.procedure.child_targets import Message, Targets
from headwater.store.parts import encode_events, encode_gaps

_LOST_MOST = 100  # places of one file


class _Steady:
    """A file whose bad places cost its own texts alone, and not those of the files beside it."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self.size = source.size
        self.lost: list[tuple[int, int]] = []

    @property
    def bad(self) -> Sequence[tuple[int, int, GapReason, str]]:
        return self._source.bad

    def pread(self, offset: int, length: int) -> bytes:
        try:
            return self._source.pread(offset, length)
        except OSError:
            if len(self.lost) < _LOST_MOST:
                self.lost.append((offset, min(length, max(0, self.size - offset))))
            return b""

    def close(self) -> None:
        self._source.close()


def take(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """The rows of all files of the task; a file that cannot be read is a gap and carries nothing."""
    number, feed = int(args["number"]), event_texts.FEED
    targets = Targets(args, fds)
    sources: list[ByteSource] = []
    gaps: list[tuple[str, Gap]] = []
    for target in args["targets"]:
        try:
            sources.append(_Steady(targets.content(target)))
        except (OSError, ValueError, KeyError) as error:
            sources.append(MemorySource(b""))
            why = f"event texts: {type(error).__name__}"
            gaps.append((join(target["view"], target["path"]), Gap(0, int(target["size"]), GapReason.UNREADABLE, why)))
    asks = [
        Ask(str(a["provider"]), str(a["guid"]), tuple((int(c), q) for c, q in a["events"]), tuple(a["files"]))
        for a in args["asks"]
    ]
    rows: list[event_texts.Row] = []
    paths: list[str] = []
    for target, found in zip(args["targets"], event_texts.describe(asks, sources), strict=True):
        rows.extend(row | {"file_path": target["path"], "hash": target["hash"]} for row in found)
        paths.extend([join(target["view"], target["path"])] * len(found))
    for target, source in zip(args["targets"], sources, strict=True):
        for offset, length in getattr(source, "lost", ()):
            why = "event texts: cannot be read here"
            gaps.append((join(target["view"], target["path"]), Gap(offset, length, GapReason.UNREADABLE, why)))
    if len(rows) >= event_texts.ROWS_MOST:
        why = f"event texts: more than {event_texts.ROWS_MOST} texts, the rest was left out"
        gaps.append((paths[-1], Gap(0, 0, GapReason.LIMIT, why)))
    if rows:
        blob = encode_events(event_texts.frame(rows, paths), clock=str(number), feed=feed, source=number, path=None)
        yield {"family": "events", "feed": feed, "part": 0}, blob
    if gaps:
        yield {"family": "gaps", "feed": feed, "part": 0}, encode_gaps(gaps, feed=feed, source=number)
    yield {"result": {"rows": len(rows)}}, b""
