# SPDX-License-Identifier: Apache-2.0
"""The attack path as plain data: addresses, accounts and hosts as nodes, steps as edges between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headwater.correlate.steps import STAGES
from headwater.model.kinds import STAGE_TEXT, Stage
from headwater.model.nouns import Finding, Step, Text

# The finding's fact that names the other ends of what went out: addresses or host names joined by commas.
TARGETS = "targets"
_OUTWARD = (Stage.SPREAD, Stage.IMPACT)
UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class Node:
    """``kind``: actor (who acted), asset (what was acted on), target (whom the asset then reached)."""

    id: str
    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class Edge:
    """A step from one node to another; ``order`` counts steps from 1 in order of time."""

    source: str
    target: str
    stage: Stage
    order: int
    label: Text
    ts_first: int | None
    ts_last: int | None
    step: str


@dataclass(frozen=True, slots=True)
class Graph:
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def attack_graph(steps: Iterable[Step], findings: Iterable[Finding] = ()) -> Graph:
    """Nodes in order of first mention, edges in order of time.

    An actor that is not known is the node ``?``; a step outwards also draws the asset's edge to each target that its
    findings name.
    """
    by_id: Mapping[str, Finding] = {f.id: f for f in findings}
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []

    def node(kind: str, label: str | None) -> str:
        key = f"{kind}:{label or UNKNOWN}"
        nodes.setdefault(key, Node(key, kind, label or UNKNOWN))
        return key

    for order, step in enumerate(steps, 1):
        label = Text(*STAGE_TEXT[step.stage])
        actor, asset = node("actor", step.actor), node("asset", step.asset)
        edges.append(Edge(actor, asset, step.stage, order, label, step.ts_first, step.ts_last, step.id))
        if step.stage not in _OUTWARD:
            continue
        named = {
            t.strip()
            for f in step.findings
            if f in by_id
            for t in str(by_id[f].facts.get(TARGETS) or "").split(",")
            if t.strip()
        }
        for target in sorted(named):
            to = node("target", target)
            edges.append(Edge(asset, to, step.stage, order, label, step.ts_first, step.ts_last, step.id))
    edges.sort(key=lambda e: (e.order, STAGES.index(e.stage), e.source, e.target))
    return Graph(tuple(nodes.values()), tuple(edges))
