# SPDX-License-Identifier: Apache-2.0
"""The case's evidence and custody as CASE/UCO JSON-LD: an interchange view, not the record itself.

https://caseontology.org/ (CASE 1.4 on UCO 1.4). Node ids are UUIDs of version 5 over the ledger's origin, so that the
same case gives the same graph.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from headwater.model.custody import Sealed

_UCO, _CASE = "https://ontology.unifiedcyberontology.org/uco/", "https://ontology.caseontology.org/case/"
CONTEXT = {
    "case-investigation": f"{_CASE}investigation/",
    "kb": "http://example.org/kb/",
    **{f"uco-{n}": f"{_UCO}{n}/" for n in
       ("action", "core", "identity", "observable", "tool", "types")},
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}  # fmt: skip
_METHODS = {"sha256": "SHA256", "sha1": "SHA1", "md5": "MD5", "sha512": "SHA512"}
_LENGTHS = {"sha256": 64, "sha1": 40, "md5": 32, "sha512": 128}


@dataclass(frozen=True, slots=True)
class Thing:
    """One piece of evidence in the graph."""

    number: str
    name: str
    size: int
    digests: tuple[tuple[str, str], ...]


class _Graph:
    def __init__(self, origin: str) -> None:
        self._base = uuid.uuid5(uuid.NAMESPACE_URL, f"urn:headwater:{origin}")
        self.nodes: list[dict[str, Any]] = []

    def id(self, kind: str, name: str) -> str:
        return f"kb:{kind}-{uuid.uuid5(self._base, f'{kind}/{name}')}"

    def add(self, kind: str, node_type: str, name: str, **fields: Any) -> dict[str, str]:
        node: dict[str, Any] = {"@id": self.id(kind, name), "@type": node_type}
        node.update(fields)
        self.nodes.append(node)
        return {"@id": node["@id"]}


def _when(time: str) -> dict[str, str]:
    return {"@type": "xsd:dateTime", "@value": time}


def graph(origin: str, case_name: str, authorisation: str, things: Sequence[Thing], entries: Iterable[Sealed]) -> bytes:
    """The JSON-LD file: people, tools, evidence with hashes, and every act of the ledger on evidence."""
    made = _Graph(origin)
    files = {t.number: _file(made, t) for t in things}
    records = {
        t.number: made.add(
            "provenance-record", "case-investigation:ProvenanceRecord", t.number,
            **{"case-investigation:exhibitNumber": t.number, "uco-core:object": [files[t.number]]},
        )
        for t in things
    }  # fmt: skip
    people: dict[str, dict[str, str]] = {}
    tools: dict[str, dict[str, str]] = {}
    actions = []
    for sealed in entries:
        entry = sealed.entry
        numbers = _numbers(sealed, files)
        if not numbers:
            continue
        for name in entry.actors:
            if name not in people:
                people[name] = _person(made, name)
        performers = [people[n] for n in dict.fromkeys(entry.actors)]
        if entry.tool not in tools:
            tools[entry.tool] = _tool(made, entry.tool)
        fields: dict[str, Any] = {
            "uco-core:name": str(entry.note.get("act", entry.action)),
            "uco-core:description": f"ledger entry {entry.seq}, {sealed.hash}",
            "uco-action:startTime": _when(entry.time),
            "uco-action:instrument": [tools[entry.tool]],
            "uco-action:object": [files[n] for n in numbers],
            "uco-action:result": [records[n] for n in numbers],
        }
        if performers:
            fields["uco-action:performer"] = performers[0]
        if performers[1:]:
            fields["uco-action:participant"] = performers[1:]
        actions.append(made.add("action", "case-investigation:InvestigativeAction", sealed.hash, **fields))
    authority = made.add(
        "authorization", "case-investigation:Authorization", "authority",
        **{"case-investigation:authorizationIdentifier": authorisation or "not recorded"},
    )  # fmt: skip
    made.add(
        "investigation", "case-investigation:Investigation", "case",
        **{"uco-core:name": case_name or "not recorded", "case-investigation:relevantAuthorization": [authority],
           "uco-core:object": [*files.values(), *records.values(), *actions]},
    )  # fmt: skip
    return json.dumps({"@context": CONTEXT, "@graph": made.nodes}, ensure_ascii=False, indent=1).encode() + b"\n"


def _numbers(sealed: Sealed, known: dict[str, dict[str, str]]) -> list[str]:
    note = sealed.entry.note
    named = [f"E{n}" for n in sealed.entry.evidence] + [str(n) for n in note.get("items", [])]
    if sealed.entry.action in {"add-item", "judge-item"}:
        named.append(str(note.get("item", "")))
    return [n for n in dict.fromkeys(named) if n in known]


def _file(made: _Graph, thing: Thing) -> dict[str, str]:
    hashes = [
        {
            "@id": made.id("hash", f"{thing.number}/{name}"),
            "@type": "uco-types:Hash",
            "uco-types:hashMethod": _METHODS[name],
            "uco-types:hashValue": {"@type": "xsd:hexBinary", "@value": value},
        }
        for name, value in thing.digests
        if name in _METHODS and len(value) == _LENGTHS[name]
    ]
    facets = [
        {
            "@id": made.id("file-facet", thing.number),
            "@type": "uco-observable:FileFacet",
            "uco-observable:fileName": thing.name,
            "uco-observable:sizeInBytes": thing.size,
        },
        {
            "@id": made.id("content-data-facet", thing.number),
            "@type": "uco-observable:ContentDataFacet",
            "uco-observable:hash": hashes,
        },
    ]
    return made.add("file", "uco-observable:File", thing.number, **{"uco-core:hasFacet": facets})


def _person(made: _Graph, name: str) -> dict[str, str]:
    return made.add("person", "uco-identity:Person", name, **{"uco-core:name": name})


def _tool(made: _Graph, text: str) -> dict[str, str]:
    name, _, version = text.partition(" ")
    return made.add(
        "tool", "uco-tool:Tool", text, **{"uco-core:name": name, "uco-tool:version": version or "not recorded"}
    )
