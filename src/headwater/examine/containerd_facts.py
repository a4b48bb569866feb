# SPDX-License-Identifier: Apache-2.0
"""What containerd's own files say of its containers: names, zones and volumes, and which snapshots each is made of.

Two Bolt files: ``io.containerd.metadata.v1.bolt/meta.db`` has the containers of each namespace, and each snapshotter's
``metadata.db`` has its snapshots, by ``NAMESPACE/NUMBER/KEY``, with the number of their folder and their parent
(https://github.com/containerd/containerd: core/metadata/buckets.go, core/snapshots/storage/bolt.go). A container's
specification is the runtime's JSON in a protobuf ``Any``. With Docker's containerd store a stopped container has a snapshot
but no record in containerd; its id is the snapshot's key. What is missing or of another type is left out; nothing raises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from headwater.examine.container_facts import LISTED_MOST, Facts, environment, parsed, part, text
from headwater.formats.bolt_file import Bolt, Item
from headwater.formats.patterns import lazy_regex

NAMESPACES_MOST = 200
SNAPSHOTS_MOST = 100_000
_ID = lazy_regex(r"^[0-9a-f]{64}$")
_ACTIVE = 2  # the kind of a snapshot that a container writes to
_POD = "io.kubernetes.pod."
_MOUNTED = lazy_regex(r"/volumes/(?:.*/_data|kubernetes\.io~empty-dir/[^/]+)$")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot: the number of its folder, the snapshot below it ("" for none), and whether it is written to."""

    number: int
    parent: str
    active: bool


@dataclass(frozen=True, slots=True)
class Recorded:
    """A container as ``meta.db`` has it: namespace, snapshotter and key of its snapshot, and its facts."""

    namespace: str
    snapshotter: str
    key: str
    facts: Facts


def snapshots(bolt: Bolt) -> dict[str, Snapshot]:
    """The snapshots of one snapshotter by their full names."""
    found: dict[str, Snapshot] = {}
    top = bolt.at(b"v1", b"snapshots")
    for item in bolt.items(top) if top is not None else ():
        if not item.bucket or len(found) >= SNAPSHOTS_MOST:
            continue
        said = {inner.key: inner.value for inner in bolt.items(item) if not inner.bucket}
        number = _varint(said.get(b"id", b""), 0)[0]
        if number:
            kind = said.get(b"kind", b"")[:1]
            found[_name(item.key)] = Snapshot(number, _name(said.get(b"parent", b"")), kind == bytes([_ACTIVE]))
    return found


def chain(found: Mapping[str, Snapshot], name: str, most: int) -> list[str]:
    """The numbers of a snapshot and of those below it, the nearest first; a circle ends it."""
    numbers: list[str] = []
    seen: set[str] = set()
    while name in found and name not in seen and len(numbers) < most:
        seen.add(name)
        numbers.append(str(found[name].number))
        name = found[name].parent
    return numbers


def placed(found: Mapping[str, Snapshot]) -> Iterator[tuple[str, str, str]]:
    """Namespace, key and full name of each snapshot that something writes to."""
    for name, snapshot in found.items():
        parts = name.split("/", 2)
        if snapshot.active and len(parts) == 3:
            yield parts[0], parts[2], name


def nameless(namespace: str, key: str) -> Facts | None:
    """What a snapshot alone says of its container: the id that is its key; None where the key is no id."""
    if not _ID.match(key):
        return None
    return Facts(key, "docker" if namespace == "moby" else "containerd", more={"namespace": namespace})


def recorded(bolt: Bolt) -> list[Recorded]:
    """The containers of every namespace, with the host name of their pod where their own is not stated."""
    rows: list[Recorded] = []
    top = bolt.at(b"v1")
    for number, namespace in enumerate(bolt.items(top) if top is not None else ()):
        if number >= NAMESPACES_MOST or not namespace.bucket:
            continue
        held = next((i for i in bolt.items(namespace) if i.key == b"containers" and i.bucket), None)
        for item in bolt.items(held) if held is not None else ():
            if item.bucket and len(rows) < LISTED_MOST:
                rows.append(_container(bolt, _name(namespace.key), item))
    return rows


def _container(bolt: Bolt, namespace: str, item: Item) -> Recorded:
    said: dict[str, bytes] = {}
    labels: dict[str, str] = {}
    extensions: dict[str, bytes] = {}
    for inner in bolt.items(item):
        if not inner.bucket:
            said[_name(inner.key)] = inner.value
        elif inner.key == b"labels":
            labels = {_name(i.key): text(i.value.decode("utf-8", "replace")) for i in bolt.items(inner)}
        elif inner.key == b"extensions":
            extensions = {_name(i.key): i.value for i in bolt.items(inner)}
    spec = parsed(_any(said.get("spec", b"")))
    words = part(spec, "process", "env")
    volumes: dict[str, str] = {}
    mounts = part(spec, "mounts")
    for mount in mounts[:LISTED_MOST] if isinstance(mounts, list) else ():
        source, place = part(mount, "source"), part(mount, "destination")
        if isinstance(source, str) and isinstance(place, str) and _MOUNTED.search(source.rstrip("/")):
            volumes[place] = source.rstrip("/").removesuffix("/_data")
    number = _name(item.key)
    facts = Facts(
        number, "docker" if namespace == "moby" else "containerd", _called(labels, number),
        text(said.get("image", b"").decode("utf-8", "replace")),
        text(part(spec, "hostname")) or labels.get("nerdctl/hostname", "") or environment(words, "HOSTNAME"),
        environment(words, "TZ").removeprefix(":"), volumes, _more(namespace, labels, extensions),
    )  # fmt: skip
    return Recorded(namespace, _name(said.get("snapshotter", b"")), _name(said.get("snapshotKey", b"")), facts)


def _called(labels: Mapping[str, str], number: str) -> str:
    """Pod and container as Kubernetes names them, nerdctl's name, or the id where it is a name that somebody gave."""
    pod = labels.get(_POD + "name", "")
    if pod:
        kind = labels.get("io.cri-containerd.kind", "")
        return f"{pod}/{labels.get('io.kubernetes.container.name') or kind or 'unnamed'}"
    return labels.get("nerdctl/name", "") or ("" if _ID.match(number) else text(number))


def _more(namespace: str, labels: Mapping[str, str], extensions: Mapping[str, bytes]) -> dict[str, str]:
    pod = "/".join(labels.get(_POD + word, "") for word in ("namespace", "name"))
    kept = part(parsed(_any(extensions.get("io.cri-containerd.container.metadata", b""))), "Metadata", "LogPath")
    more = {"namespace": namespace, "pod": pod.strip("/"), "log": kept if isinstance(kept, str) else ""}
    return {name: value for name, value in more.items() if value}


def _name(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends; 0 where it is cut or too long."""
    value = 0
    for n, byte in enumerate(data[at : at + 10]):
        value |= (byte & 127) << (7 * n)
        if byte < 128:
            return value & 0xFFFFFFFFFFFFFFFF, at + n + 1
    return 0, len(data)


def _any(data: bytes) -> bytes:
    """The value (field 2) of a protobuf ``Any``; empty where it has none."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        length, at = _varint(data, at)
        if tag & 7 != 2 or at + length > len(data):
            return b""
        if tag >> 3 == 2:
            return data[at : at + length]
        at += length
    return b""
