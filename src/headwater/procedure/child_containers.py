# SPDX-License-Identifier: Apache-2.0
"""What a listing tells of the containers on a tree: each a system of its own, whose paths lead to the layers' bytes.

A content is read once: a file of a layer that several containers see is one task with the other paths beside it, where the
small texts that its parser may ask for are the same in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from headwater.examine import reading, registry
from headwater.examine.container_hosts import Containers, told
from headwater.examine.context import Taker
from headwater.examine.identity import identify
from headwater.examine.opening import View
from headwater.formats.canonical import digest
from headwater.formats.trees import Entry
from headwater.model.paths import join
from headwater.procedure.child_targets import Message

Json = dict[str, Any]
Bundles = Callable[[Iterable[Any], Sequence[str] | Sequence[int]], Iterator[list[Any]]]


def hosts_within(
    containers: Containers,
    view: View,
    number: int,
    facts: dict[str, dict[str, str]],
    bundles: Bundles,
    whole: Callable[[View, Sequence[Entry]], Iterable[list[Any]]],
    candidate: Callable[[View, Entry], Json | None],
) -> Iterator[Message]:
    """The contents, small texts and candidates of every container on a view; ``facts`` gets a word on each, by view."""
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
        for entry in host.entries:
            found = candidate(its, entry)
            if found is None:
                continue
            found |= {"clock": clock, "stored": join(view.name, host.stored[entry.path])}
            same = (entry.key, entry.path, known)
            if registry.beside(reading.bare(str(found["path"]))):  # what stands beside it may differ
                same = (str(found["path"]), "", "")
            first = shared.setdefault(same, found)
            if first is found:
                found["also"] = []
            else:
                first["also"].append({k: found[k] for k in ("view", "path", "clock")})
    for some in bundles(shared.values(), ("path", "key", "stored", "also")):
        yield {"candidates": some}, b""
