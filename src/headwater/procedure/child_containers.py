# SPDX-License-Identifier: Apache-2.0
"""What a listing tells of the containers on a tree: each a system of its own, whose paths lead to the layers' bytes.

A content is read once: a file of a layer that several containers see is one task with the other paths beside it, where the
small texts that its parser may ask for are the same in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from headwater.examine import reading, registry
from headwater.examine.container_hosts import Containers, ContainerTree, told
from headwater.examine.context import Taker
from headwater.examine.identity import identify
from headwater.examine.macb import macb_batches
from headwater.examine.opening import View
from headwater.formats.canonical import digest
from headwater.formats.trees import Entry
from headwater.model.paths import file_layer, join
from headwater.procedure.child_targets import Message
from headwater.store.parts import encode_events

FEED = "fs.container"  # the times of a container's files under the paths that it sees
TIMES_MOST = 500_000  # entries of images' layers whose times are told again; of what containers wrote, all are

Json = dict[str, Any]
Bundles = Callable[[Iterable[Any], Sequence[str] | Sequence[int]], Iterator[list[Any]]]


def hosts_within(
    containers: Containers,
    view: View,
    number: int,
    facts: dict[str, dict[str, str]],
    parts: Iterator[int],
    bundles: Bundles,
    whole: Callable[[View, Sequence[Entry]], Iterable[list[Any]]],
    candidates: Callable[[View, Sequence[Entry]], Iterable[Json]],
) -> Iterator[Message]:
    """The contents, small texts, times and candidates of every container on a view.

    ``facts`` gets a word on each, by view; ``parts`` numbers the parts of the feed of their listings.
    """
    left = TIMES_MOST
    shared: dict[tuple[str, str, str], Json] = {}
    for host in containers.hosts():
        its = replace(view, name=join(view.name, host.name))
        if its.name in facts:
            continue  # twice in the engine's files
        own: dict[str, str] = {}
        identify(view.tree, host.entries, own)
        clock = f"{number}.c{sum('clock' in said for said in facts.values()) + 1}"
        facts[its.name] = told(host, own) | {"clock": clock}
        texts = list(Taker(its.name, view.tree).take(host.entries))
        for some in bundles(texts, ("path", "text")):
            yield {"context": some}, b""
        for some in bundles(whole(its, host.entries), (2,)):
            yield {"contents": some}, b""
        known = digest([[text["path"], text["text"]] for text in texts])
        entries = host.times(left)
        left -= len(host.entries) if len(entries) == len(host.entries) else 0
        if len(entries) < len(host.entries):
            facts[its.name]["container_times_left_out"] = str(len(host.entries) - len(entries))
        for frame, _ in macb_batches(ContainerTree(host, view.tree, entries)):
            if frame.height:
                frame = frame.with_columns(pl.lit(its.name, dtype=pl.String).alias("path"))
                blob = encode_events(frame, clock=str(number), feed=FEED, source=number, path=None)
                yield {"family": "events", "feed": FEED, "part": next(parts)}, blob
        for found in candidates(its, host.entries):
            path = file_layer(str(found["path"]))
            found |= {"clock": clock, "stored": join(view.name, host.stored[path])}
            same = (str(found["key"]), path, known)
            if registry.beside(reading.bare(str(found["path"]))):  # what stands beside it may differ
                same = (str(found["path"]), "", "")
            first = shared.setdefault(same, found)
            if first is found:
                found["also"] = []
            else:
                first["also"].append({k: found[k] for k in ("view", "path", "clock")})
    for some in bundles(shared.values(), ("path", "key", "stored", "also")):
        yield {"candidates": some}, b""
