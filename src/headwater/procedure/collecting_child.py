# SPDX-License-Identifier: Apache-2.0
"""What runs in a confined child after a collection: every file of the stream digested and held against what it states."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headwater.acquire.collector_wire import MARK, mark
from headwater.formats.collection import CollectionTree, Member
from headwater.formats.collection_records import number_of, text_of
from headwater.formats.opened import OpenFile
from headwater.formats.sources import FileSource
from headwater.model.paths import decode_name, encode_name
from headwater.model.times import rfc3339

Message = tuple[dict[str, Any], bytes]

_ROWS_BYTES = 1 << 20
_PIECE = 1 << 20
_LISTED = 200  # members of one kind that are named in the result; the manifest names all
_ZEROS = bytes(_PIECE)


def read_back(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """The manifest's rows as JSON lines (the blobs), then what it comes to. First the head of the stream."""
    name, size = args["files"][0]
    source = FileSource(OpenFile(fds[0], os.fsdecode(decode_name(name)), size))
    tree = CollectionTree(source)
    yield {"head": dict(list(tree.facts.items())[:100])}, b""
    lines: list[bytes] = []
    held = told = 0
    counts: Counter[str] = Counter()
    unlike: list[str] = []
    trouble: list[str] = []
    checked = 0
    for member in tree.members():
        row = _row(member)
        if member.kind in ("file", "command") and member.size:
            found = _digests(source, member)
            stated = {k: member.said[k] for k in ("sha256", "md5") if k in member.said}
            if member.said.get("digest_of") != "stored":
                row.update(found)
                checked += bool(stated)
                if any(found[k] != v for k, v in stated.items()):
                    row["stated"] = {k: v[:64] for k, v in stated.items()}
                    unlike.append(row["path"])
        counts[row["status"]] += 1
        if row["status"] in ("failed", "cut", "timeout"):
            trouble.append(f"{row['path']}: {row['status']} {row.get('why', '')}".rstrip())
        lines.append(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode("utf-8") + b"\n")
        held += len(lines[-1])
        if held >= _ROWS_BYTES:
            yield {"rows": len(lines)}, b"".join(lines)
            lines, held = [], 0
        if member.end - told >= 64 << 20:
            told = member.end
            yield {"progress": told, "total": source.size}, b""
    yield {"rows": len(lines)}, b"".join(lines)
    yield {"result": _result(tree, counts, checked, unlike, trouble)}, b""


def held(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """What a stream holds whole: marks of its files (the blobs), then the artifacts that it tells of, in their order."""
    name, size = args["files"][0]
    tree = CollectionTree(FileSource(OpenFile(fds[0], os.fsdecode(decode_name(name)), size)))
    artifacts: dict[str, None] = {}
    marks: list[bytes] = []
    for member in tree.members():
        said = member.said
        if said.get("artifact"):
            artifacts[text_of(said["artifact"])[:200]] = None
        numbers = [number_of(said.get(n)) for n in ("inode", "size", "modified", "changed")]
        kept = member.status in ("success", "empty", "listed") and not {"changed_while_read", "pseudo"} & said.keys()
        if kept and None not in numbers:
            marks.append(mark(member.path, *(n or 0 for n in numbers)))
        if len(marks) >= _ROWS_BYTES // MARK:
            yield {"marks": len(marks)}, b"".join(marks)
            marks = []
    yield {"marks": len(marks)}, b"".join(marks)
    yield {"result": {"artifacts": list(artifacts)[:10_000]}}, b""


def _result(
    tree: CollectionTree, counts: Counter[str], checked: int, unlike: Sequence[str], trouble: Sequence[str]
) -> dict[str, Any]:
    damage = [w for w in tree.warnings if w.detail.startswith(("no record", "the stream", "no stream"))]
    return {
        "counts": {k[:20]: n for k, n in counts.most_common(20)},
        "checked": checked,
        "unlike": [p[:500] for p in unlike[:_LISTED]],
        "unlike_count": len(unlike),
        "trouble": [t[:500] for t in trouble[:_LISTED]],
        "trouble_count": len(trouble),
        "whole": not damage,
        "damage": [[w.offset, w.length, w.reason.value, w.detail] for w in damage[:_LISTED]],
        "end": tree.ended(),
    }


def _row(member: Member) -> dict[str, Any]:
    said = member.said
    name = encode_name(member.path)
    path = f"/@command/{name}" if member.kind == "command" or "line" in said else name
    row: dict[str, Any] = {
        "path": path, "kind": member.kind[:20], "status": member.status[:20], "artifact": text_of(said.get("artifact", ""))[:80],
    }  # fmt: skip
    if member.kind in ("file", "command"):
        row["size"] = member.size
    for name in ("at", "start", "end"):
        when = number_of(said.get(name))
        if when is not None:
            row[{"at": "time"}.get(name, name)] = rfc3339(when)
    for name in ("atime", "changed_while_read", "line", "exit", "origin", "tool", "tool_sha256"):
        if name in said:
            row[name] = text_of(said[name])[:4000]
    if member.why:
        row["why"] = member.why[:500]
    return row


def _digests(source: FileSource, member: Member) -> dict[str, str]:
    sha, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    for offset, length in member.data:
        done = 0
        while done < length:
            take = min(_PIECE, length - done)
            piece = _ZEROS[:take] if offset < 0 else source.pread(offset + done, take)
            if not piece:
                break
            sha.update(piece)
            md5.update(piece)
            done += len(piece)
    return {"sha256": sha.hexdigest(), "md5": md5.hexdigest()}
