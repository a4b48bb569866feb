# SPDX-License-Identifier: Apache-2.0
"""What runs in the confined children to look for a text or an expression in the bytes of evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headwater.examine import reading
from headwater.examine.byte_search import Hit, hits, patterns
from headwater.examine.opening import open_evidence
from headwater.formats.keys import at_hand
from headwater.model.paths import join
from headwater.model.records import Facts
from headwater.procedure.child_targets import Message, Targets, open_files

_PROGRESS = 8 << 20


def in_files(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """Matches in the targets' bytes and in what a compressed one holds, file by file.

    Of each file at most ``most`` are told, and how many bytes were not read.
    """
    targets = Targets(args, fds)
    wanted = patterns(args["text"], regex=args["regex"], ignore_case=args["ignore_case"])
    known: set[tuple[str, str]] = set()
    progress = 0
    for target in args["targets"]:
        path = join(target["view"], target["path"])
        same = (str(target["view"]), str(target["key"]))
        progress += int(target["size"])
        if progress >= _PROGRESS:
            yield {"progress": progress}, b""
            progress = 0
        if same in known:  # a further name of one file
            continue
        known.add(same)
        try:
            source, _ = targets.open(target)
            yield from _told(path, hits(source, wanted), int(args["most"]))
            unread = sum(length for _, length, _, _ in source.bad)
            within = reading.prepare(source, path, None, Facts(), False)
            if within.path != path:  # compressed: what it holds is looked through as well
                yield from _told(within.path, hits(within.source, wanted), int(args["most"]))
                if within.gap is not None:
                    yield {"path": within.path, "unread": within.gap.length}, b""
        except (OSError, ValueError, KeyError):
            unread = int(target["size"])
        if unread:
            yield {"path": path, "unread": unread}, b""
    yield {"result": {}, "progress": progress}, b""


def in_medium(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """Matches in one stretch of the medium itself, below all volumes: deleted and unallocated bytes too."""
    opened = open_evidence(open_files(args, fds), keys=at_hand())
    wanted = patterns(args["text"], regex=args["regex"], ignore_case=args["ignore_case"])
    begin, end = int(args["begin"]), int(args["end"])
    yield from _told("", hits(opened.source, wanted, begin, end), int(args["most"]))
    unread = sum(max(0, min(end, offset + length) - max(begin, offset)) for offset, length, _, _ in opened.source.bad)
    if unread:
        yield {"path": "", "unread": unread}, b""
    yield {"result": {}, "progress": end - begin}, b""


def _told(path: str, found: Iterator[Hit], most: int) -> Iterator[Message]:
    for count, hit in enumerate(found):
        if count >= most:
            yield {"path": path, "cut": most}, b""
            return
        header = {
            "path": path,
            "offset": hit.offset,
            "length": hit.length,
            "encoding": hit.encoding,
            "before": hit.before,
        }
        yield header, hit.context
