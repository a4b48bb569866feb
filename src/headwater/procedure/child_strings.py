# SPDX-License-Identifier: Apache-2.0
"""What runs in the confined children to take the telling strings out of new and changed programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headwater.examine import program_strings
from headwater.model.kinds import GapReason
from headwater.model.paths import join
from headwater.model.records import Gap
from headwater.procedure.child_targets import Message, Targets
from headwater.store.parts import encode_events, encode_gaps


def take(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """The strings of the targets of one task, in order; equal contents stand under each of their names."""
    number, feed = int(args["number"]), program_strings.FEED
    targets = Targets(args, fds)
    rows: list[program_strings.Row] = []
    paths: list[str] = []
    gaps: list[tuple[str, Gap]] = []
    for target in args["targets"]:
        names = [(str(target["view"]), str(target["path"])), *((str(v), str(p)) for v, p in target["also"])]
        try:
            found = program_strings.describe(targets.content(target))
        except (OSError, ValueError, KeyError) as error:
            why = f"strings: {type(error).__name__}"
            gaps.extend((join(v, p), Gap(0, int(target["size"]), GapReason.UNREADABLE, why)) for v, p in names)
            continue
        rest = int(target["size"]) - int(found[0]["length"])
        for view, path in names:
            full = join(view, path)
            rows.extend(row | {"file_path": path, "hash": target["hash"]} for row in found)
            paths.extend([full] * len(found))
            if rest > 0:
                gaps.append(
                    (full, Gap(int(found[0]["length"]), rest, GapReason.LIMIT, "strings: beyond what is looked at"))
                )
        yield {"progress": int(target["size"])}, b""
    if rows:
        blob = encode_events(program_strings.frame(rows, paths), clock=str(number), feed=feed, source=number, path=None)
        yield {"family": "events", "feed": feed, "part": 0}, blob
    if gaps:
        yield {"family": "gaps", "feed": feed, "part": 0}, encode_gaps(gaps, feed=feed, source=number)
    yield {"result": {"targets": len(args["targets"])}}, b""


def again(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """The same for verification: of each target the wanted rows as the bytes give them now."""
    targets = Targets(args, fds)
    for target in args["targets"]:
        wanted = {(int(o), int(n)) for o, n in target["wanted"]}
        found = program_strings.describe(targets.content(target))
        same = {"kind": "state.string", "file_path": target["path"]}
        rows = [row | same for row in found if (row["offset"], row["ordinal"]) in wanted]
        for at in range(0, len(rows), 100):
            yield {"path": target["name"], "rows": rows[at : at + 100]}, b""
    yield {"result": {}}, b""
