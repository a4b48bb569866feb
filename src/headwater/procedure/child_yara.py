# SPDX-License-Identifier: Apache-2.0
"""What runs in the confined children to look for YARA rules in files, and in ranges of a medium that no file holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headwater.examine import content, yara_matches
from headwater.model.kinds import GapReason
from headwater.model.paths import join
from headwater.model.ports import ByteSource
from headwater.model.records import Gap
from headwater.procedure.child_targets import Message, Targets
from headwater.store.parts import encode_events, encode_gaps

MEDIUM = "/"  # the path of what stands on the medium itself
_PROGRESS = 8 << 20  # bytes between two words of progress


def scan(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """Look at the targets of one task in order; one part of events and one of gaps.

    What is found in a file stands once for each name that the same content has (``also``).
    """
    number = int(args["number"])
    targets = Targets(args, fds)
    rows: list[yara_matches.Row] = []
    paths: list[str] = []
    gaps: list[tuple[str, Gap]] = []
    progress = looked = 0
    for target in args["targets"]:
        found, names = _scanned(targets, target)
        for view, path in names:
            full = join(view, path) if path else MEDIUM
            rows.extend(row | {"file_path": path or None} for row in found.rows)
            paths.extend([full] * len(found.rows))
            gaps.extend((full, gap) for gap in found.gaps)
        looked += found.size
        progress += int(target["size"])
        if progress >= _PROGRESS:
            yield {"progress": progress}, b""
            progress = 0
    feed = yara_matches.FEED
    if rows:
        blob = encode_events(yara_matches.frame(rows, paths), clock=str(number), feed=feed, source=number, path=None)
        yield {"family": "events", "feed": feed, "part": 0}, blob
    if gaps:
        yield {"family": "gaps", "feed": feed, "part": 0}, encode_gaps(gaps, feed=feed, source=number)
    yield {"result": {"targets": len(args["targets"]), "bytes": looked}, "progress": progress}, b""


def _scanned(targets: Targets, target: Mapping[str, Any]) -> tuple[yara_matches.Scanned, list[tuple[str, str]]]:
    names = [(str(target["view"]), str(target["path"])), *((str(v), str(p)) for v, p in target.get("also", ()))]
    found = yara_matches.Scanned()
    try:
        source = _source(targets, target)
        size = min(source.size, content.FILE_MOST)
        for start, length in target.get("ranges", [[0, size]]):
            part = yara_matches.scan(source, names[0][1], int(start), int(length), windows="ranges" in target)
            found.rows.extend(part.rows)
            found.gaps.extend(part.gaps)
            found.size += part.size
    except (OSError, ValueError, KeyError) as error:
        found.gaps.append(Gap(0, int(target["size"]), GapReason.UNREADABLE, f"yara: {type(error).__name__}"))
    return found, names


def _source(targets: Targets, target: Mapping[str, Any]) -> ByteSource:
    return targets.medium() if "ranges" in target else targets.content(target)


def rescan(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """The same for verification: for each target its rows as the bytes give them now, of the wanted places alone."""
    targets = Targets(args, fds)
    for target in args["targets"]:
        found, _ = _scanned(targets, target)
        wanted = {(int(o), int(n)) for o, n in target["wanted"]}
        kind = {"kind": "state.match", "file_path": target["path"] or None}
        rows = [row | kind for row in found.rows if (row["offset"], row["ordinal"]) in wanted]
        for at in range(0, len(rows), 100):
            yield {"path": target["name"], "rows": rows[at : at + 100]}, b""
    yield {"result": {}}, b""
