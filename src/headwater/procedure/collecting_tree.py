# SPDX-License-Identifier: Apache-2.0
"""What runs in a confined child when an image is collected from: the same artifacts, the same stream, other bytes beneath.

1. A first pass over the listings: links, account files, mount table, the web servers' configuration.
2. Each tree is given its place in the system (``/etc/fstab``); one that has none stands under ``/@volume/NAME``.
3. A second pass: a path goes to the first artifact that names it, as on a running server.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headwater.acquire.collector_patterns import (
    WEB_CONFIG,
    WEB_CONFIG_BYTES,
    WEB_CONFIG_FILES,
    compiled,
    expanded,
    homes,
    resolved,
    web_roots,
)
from headwater.acquire.collector_wire import PIECE, WHOLE, Wire, now_ns, quoted
from headwater.examine.opening import View, open_evidence
from headwater.formats.keys import at_hand
from headwater.formats.partitions import Partition
from headwater.formats.patterns import lazy_regex
from headwater.formats.stacking import table_of
from headwater.formats.trees import Entry
from headwater.model.errors import HeadwaterError
from headwater.model.paths import decode_name
from headwater.model.ports import ByteSource
from headwater.procedure.child_targets import Message, open_files

_LINKS_MOST = 1_000_000
_SMALL = 1 << 20
_DEVICE = lazy_regex(r"(/dev/(?:[shv]d[a-z]{1,2}|xvd[a-z]{1,2}|(?:nvme\d+n\d+|mmcblk\d+)p))(\d{1,3})")
_TEXTS = (b"/etc/passwd", b"/etc/fstab", b"/etc/hostname", b"/etc/machine-id", b"/etc/os-release")
_CONFIG = tuple(c + b"/" for c in WEB_CONFIG)


class Yielding(Wire):
    """A wire whose bytes are taken by a generator."""

    def __init__(self, marker: bytes, most: int) -> None:
        super().__init__(-1, marker, most)
        self.ready: list[bytes] = []

    def flush(self) -> None:
        """Hold what is to be yielded."""
        parts, self._held, self._size = self._held, [], 0
        if parts:
            self.ready.append(b"".join(parts))

    def drain(self) -> Iterator[Message]:
        """What is ready."""
        ready, self.ready = self.ready, []
        for blob in ready:
            yield {"stream": len(blob)}, blob


@dataclass(slots=True)
class Seen:
    """What the first pass found of one tree."""

    view: View
    links: dict[bytes, bytes] = field(default_factory=dict)
    texts: dict[bytes, bytes] = field(default_factory=dict)
    roots: list[bytes] = field(default_factory=list)
    windows: bool = False
    place: bytes = b""


def collect_tree(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """The stream, as blobs; the result says which platform it is."""
    try:
        opened = open_evidence(open_files(args, fds), keys=at_hand())
    except HeadwaterError as error:
        yield {"error": {"code": error.code, "where": error.where, "names": error.names}}, b""
        return
    seen = [_look(view) for view in opened.views if not view.derived]
    windows = any(s.windows for s in seen) and not any(b"/etc/passwd" in s.texts for s in seen)
    place(seen, table_of(opened.source).partitions, windows=windows)
    wire = Yielding(str(args["marker"]).encode("ascii"), int(args["most"]))
    wire.start()
    wire.record("H", _head(seen, args, windows))
    artifacts = [a for a in args["artifacts"] if a["platform"] == ("windows" if windows else "linux")]
    rules = _Rules(seen, artifacts, windows)
    for artifact in artifacts:
        for what in artifact["collect"]:
            if "files" not in what:
                fields = {"artifact": artifact["name"], "kind": "artifact", "status": "missing",
                          "why": quoted(b"an image runs nothing")}  # fmt: skip
                wire.record("M", fields, artifact["name"].encode())
    for name, gap, _ in opened.unopened:
        fields = {"artifact": "", "kind": "volume", "status": "failed", "why": quoted(gap.detail.encode())}
        wire.record("M", fields, b"/@volume/" + (name or "-").encode())
    for one in seen:
        for entry in one.view.tree.entries():
            name = rules.owner(one.place, entry)
            if name:
                yield from _send(wire, one, entry, name, int(args["file_most"]))
    for name, pattern in rules.missing():
        wire.record("M", {"artifact": name, "status": "missing"}, pattern)
    wire.record("Q", {"end": now_ns(), "full": 0})
    wire.flush()
    yield from wire.drain()
    yield {"result": {"platform": "windows" if windows else "linux", "views": [s.view.name for s in seen]}}, b""


def _look(view: View) -> Seen:
    """Step 1."""
    found, configured = Seen(view), 0
    for entry in view.tree.entries():
        if not entry.allocated:
            continue
        path = decode_name(entry.path)
        if entry.kind == "link" and entry.target is not None and len(found.links) < _LINKS_MOST:
            found.links[path] = decode_name(entry.target)
        elif entry.kind == "dir":
            found.windows = found.windows or path.lower() == b"/windows/system32"
        elif entry.kind == "file" and (path in _TEXTS or path == b"/fstab"):
            found.texts[path] = _content(view, entry, _SMALL)
        elif (
            entry.kind == "file"
            and entry.size <= WEB_CONFIG_BYTES
            and configured < WEB_CONFIG_FILES
            and path.startswith(_CONFIG)
        ):
            configured += 1
            found.roots += [r for r in web_roots(_content(view, entry, WEB_CONFIG_BYTES)) if r not in found.roots]
    return found


def _content(view: View, entry: Entry, most: int) -> bytes:
    try:
        return view.tree.open(entry.key).pread(0, min(entry.size, most))
    except (KeyError, OSError):
        return b""


# ------------------------------------------------------------------ step 2


def place(seen: Sequence[Seen], partitions: Sequence[Partition] = (), *, windows: bool) -> None:
    """Give each tree its place in the system: ``Seen.place``, empty for the root's own.

    A mount table may name partitions by the table's own marks or by device; a device is this medium where the table says
    that the root lies on it, under the number that it has here.
    """
    roots = [s for s in seen if (s.windows if windows else b"/etc/passwd" in s.texts or b"/etc/fstab" in s.texts)]
    root = roots[0] if roots else (seen[0] if len(seen) == 1 else None)
    table = _table(root.texts.get(b"/etc/fstab", b"")) if root is not None else {}
    by_name = {p.name: p for p in partitions}
    disk = _disk(root, table) if root is not None else ""
    for one in seen:
        if one is root:
            continue
        known = (*_names_of(one.view), *_named(by_name.get(one.view.name), disk))
        names = [n for n in known if table.get(n, b"/") != b"/"]
        one.place = table[names[0]] if names else b"/@volume/" + (one.view.name or "-").encode()


def _table(fstab: bytes) -> dict[str, bytes]:
    """Where each device of a mount table belongs: fstab(5)."""
    found: dict[str, bytes] = {}
    for line in fstab.split(b"\n")[:1000]:
        words = line.split()
        if len(words) >= 3 and not words[0].startswith(b"#") and words[1].startswith(b"/"):
            point = re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m.group(1), 8) & 255]), words[1]).rstrip(b"/")
            if point or words[1] == b"/":
                found[words[0].decode("utf-8", "replace").replace('"', "").lower()] = posixpath.normpath(point or b"/")
    return found


def _disk(root: Seen, table: Mapping[str, bytes]) -> str:
    """What the mount table calls the medium that the root lies on; empty where it does not name the root by a device."""
    device = next((name for name, point in table.items() if point == b"/"), "")
    match = _DEVICE.fullmatch(device)
    return match[1] if match and root.view.name == f"p{match[2]}" else ""


def _named(partition: Partition | None, disk: str) -> Iterator[str]:
    """How a mount table may name a partition: by the marks of the partition table, or by device."""
    if partition is None:
        return
    for word, value in (("uuid", partition.uuid), ("label", partition.label.lower())):
        if value:
            yield f"part{word}={value}"
            yield f"/dev/disk/by-part{word}/{value}"
    if disk:
        yield f"{disk}{partition.name[1:]}"


def _names_of(view: View) -> Iterator[str]:
    """How a mount table may name the volume of a view: by UUID, label, or logical volume."""
    part = view.name.rpartition("!")[2]
    if part.startswith("lv."):
        group, _, volume = part[3:].partition(".")
        yield f"/dev/{group}/{volume}".lower()
        yield f"/dev/mapper/{group.replace('-', '--')}-{volume.replace('-', '--')}".lower()
    head = view.pread(0, 4096)
    uuid = label = b""
    if head[1080:1082] == b"\x53\xef":  # ext: https://docs.kernel.org/filesystems/ext4/super.html
        uuid, label = head[1024 + 0x68 : 1024 + 0x78], head[1024 + 0x78 : 1024 + 0x88]
    elif head[:4] == b"XFSB":  # sb_uuid, sb_fname
        uuid, label = head[32:48], head[108:120]
    if len(uuid) == 16:
        words = struct.unpack(">IHHH6s", uuid)
        text = f"{words[0]:08x}-{words[1]:04x}-{words[2]:04x}-{words[3]:04x}-{words[4].hex()}"
        yield f"uuid={text}"
        yield f"/dev/disk/by-uuid/{text}"
    named = label.split(b"\0", 1)[0].decode("utf-8", "replace").strip().lower()
    if named:
        yield f"label={named}"


# ------------------------------------------------------------------ step 3


class _Rules:
    """Which artifact a path belongs to."""

    def __init__(self, seen: Sequence[Seen], artifacts: Sequence[Mapping[str, Any]], windows: bool) -> None:
        links = {s.place + p: t for s in seen for p, t in s.links.items()}
        passwd = next((s.texts[b"/etc/passwd"] for s in seen if b"/etc/passwd" in s.texts), b"")
        home = [b"/Users/*"] if windows else homes(passwd)
        roots = [r for s in seen for r in s.roots]
        self._named: dict[bytes, str] = {}
        self._rules: list[tuple[str, Any, Any]] = []
        self._open: dict[tuple[str, bytes], Any] = {}
        everything: list[bytes] = []
        for artifact in artifacts:
            name = str(artifact["name"])
            for what in artifact["collect"]:
                patterns = [p.encode("utf-8", "surrogateescape") for p in what.get("files", ())]
                no = compiled([p.encode("utf-8", "surrogateescape") for p in what.get("exclude", ())], windows)
                real: list[bytes] = []
                for pattern in patterns:
                    mine: list[bytes] = []
                    for one in expanded(pattern, home, roots):
                        todo, met = resolved(one, links.get)
                        mine += todo
                        for path in met:
                            self._named.setdefault(path, name)
                    self._open[name, pattern] = compiled(mine, windows)
                    if any(
                        self._named.get(p) == name
                        for one in expanded(pattern, home, roots)
                        for p in resolved(one, links.get)[1]
                    ):
                        del self._open[name, pattern]
                    real += mine
                if real:
                    self._rules.append((name, compiled(real, windows), no))
                    everything += real
        self._any = compiled(everything, windows)

    def owner(self, place: bytes, entry: Entry) -> str:
        """The first artifact that names the entry; empty where none does."""
        if not entry.allocated or "!" in entry.path:
            return ""
        path = place + decode_name(entry.path)
        named = self._named.get(path, "")
        if not named and (self._any is None or not self._any.match(path)):
            return ""
        for name, yes, no in self._rules:
            if yes.match(path) and not (no is not None and no.match(path)):
                for key, made in list(self._open.items()):
                    if made is None or made.match(path):
                        del self._open[key]
                return name
        return named

    def missing(self) -> list[tuple[str, bytes]]:
        """The patterns that nothing fitted."""
        return list(self._open)


def _head(seen: Sequence[Seen], args: Mapping[str, Any], windows: bool) -> dict[str, Any]:
    texts = {k: v for s in seen for k, v in s.texts.items()}
    said = {"host": texts.get(b"/etc/hostname", b"").strip(), "machine_id": texts.get(b"/etc/machine-id", b"").strip()}
    head = {k: quoted(v[:200]) for k, v in said.items() if v}
    head |= {"form": "image", "platform": "windows" if windows else "linux", "start": str(now_ns())}
    return head | {str(k): quoted(str(v).encode("utf-8")) for k, v in args["facts"].items()}


def _send(wire: Yielding, seen: Seen, entry: Entry, artifact: str, most: int) -> Iterator[Message]:
    path = seen.place + decode_name(entry.path)
    fields: dict[str, Any] = {
        "kind": entry.kind, "mode": entry.mode, "uid": entry.uid, "gid": entry.gid, "size": entry.size, "inode": entry.inode,
        "modified": entry.modified, "accessed": entry.accessed, "changed": entry.changed, "created": entry.created,
        "artifact": artifact, "at": now_ns(), "atime": "kept", "volume": quoted(seen.view.name.encode()) or None,
    }  # fmt: skip
    if entry.kind == "link":
        target = decode_name(entry.target or "")
        wire.record("F", fields | {"target": len(target), "status": "success"}, path + target)
    elif entry.kind != "file":
        wire.record("F", fields | {"status": "success" if entry.kind == "dir" else "listed"}, path)
    else:
        try:
            source = seen.view.tree.open(entry.key)
        except (KeyError, OSError) as error:
            wire.record("F", fields | {"status": "failed", "why": quoted(str(error).encode())}, path)
            return
        yield from _file(wire, fields, path, source, most)
    yield from wire.drain()


def _file(wire: Yielding, fields: dict[str, Any], path: bytes, source: ByteSource, most: int) -> Iterator[Message]:
    """A file's content, whole or in pieces; pieces of zeros as holes."""
    size = min(source.size, most)
    sha, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    whole = size <= WHOLE
    if not whole:
        wire.record("B", fields, path)
    at, data = 0, b""
    while at < size:
        data = source.pread(at, min(PIECE, size - at))
        if not data:
            break
        at += len(data)
        sha.update(data)
        md5.update(data)
        if not whole:
            if data.count(0) == len(data):
                wire.record("S", {"length": len(data)})
            else:
                wire.record("D", {}, b"", data)
            yield from wire.drain()
    end: dict[str, Any] = {
        "status": "success" if at else "empty",
        "size": at,
        "sha256": sha.hexdigest(),
        "md5": md5.hexdigest(),
    }
    bad = sum(b[1] for b in source.bad)
    if bad or at < size:
        end["status"], end["why"] = (
            "failed",
            quoted(b"%d bytes could not be read; they stand as zeros" % max(bad, size - at)),
        )
    elif size < source.size:
        end["status"], end["why"] = "cut", quoted(b"larger than the limit for one file")
    if whole:
        wire.record("F", fields | end, path, data if at else b"")
    else:
        wire.record("E", end | {"end": now_ns()})
