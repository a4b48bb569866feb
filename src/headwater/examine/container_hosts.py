# SPDX-License-Identifier: Apache-2.0
"""Containers as hosts within the host: found in the engine's folders while a tree is listed, each with its merged view.

Docker (overlay2): ``containers/ID/config.v2.json``, ``image/overlay2/layerdb/mounts/ID/mount-id``, ``overlay2/LAYER/{diff,
link,lower}`` (https://docs.docker.com/engine/storage/drivers/overlayfs-driver/). Podman and CRI-O (containers/storage):
``overlay-containers/containers.json``, ``overlay/LAYER/…``, ``overlay-containers/ID/userdata/config.json``
(https://github.com/containers/storage/blob/main/docs/containers-storage.md). Named volumes lie under ``volumes/NAME/_data``.
The folder that holds all this may be anywhere. A mount of the host's own folders shows files of the host and is not followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from headwater.examine.container_facts import Facts, docker_facts, podman_facts
from headwater.examine.layer_merge import Merged, put_at, put_over
from headwater.examine.opening import View
from headwater.formats.attributes import Attributes, attributes
from headwater.formats.trees import Coverage, Entry, Tree
from headwater.model.kinds import GapReason
from headwater.model.paths import CONTAINER, join
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

KEPT_MOST = 2_000_000  # entries of layers and volumes kept in mind
HOSTS_MOST = 1_000
_TEXT_MOST = 4 << 20  # bytes of an engine's file
_LAYERS_MOST = 500  # of one container, as the kernel has it
_ID = r"[0-9a-f]{64}"
_LAYER = re.compile(r"^(.*)/(overlay2?)/([0-9a-z-]{8,80})/(diff|link|lower)(/.*)?$")
_LINK = re.compile(r"^(.*)/(overlay2?)/l/([A-Z0-9]{16,40})$")
_VOLUME = re.compile(r"^(.*/volumes/[^/]+)/_data(/.*)?$")
_DOCKER = re.compile(rf"^(.*)/containers/({_ID})/config\.v2\.json$")
_MOUNT = re.compile(rf"^(.*)/image/overlay2/layerdb/mounts/({_ID})/mount-id$")
_PODMAN = re.compile(r"^(.*)/overlay-containers/containers\.json$")
_SPEC = re.compile(rf"^(.*)/overlay-containers/({_ID})/userdata/config\.json$")
_POINTS_TO = re.compile(r"^\.\./([0-9a-z-]{8,80})/diff$")

Layer = list[tuple[str, Entry]]


@dataclass(frozen=True, slots=True)
class Host:
    """One container: the layer of its view's name, what its engine says of it, and its entries under their own paths."""

    name: str
    facts: Facts
    entries: Sequence[Entry]
    stored: Mapping[str, str]  # by path in the container, where it lies in the tree: the layer's own file
    layers: int
    unknown: int  # directories of which it is not known whether they hide what is below, and entries left out


class Containers:
    """Takes a tree's entries as they are listed; knows at the end which of them are seen in which container."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._layers: dict[tuple[str, str], Layer] = {}
        self._volumes: dict[str, Layer] = {}
        self._links: dict[tuple[str, str], str] = {}
        self._texts: dict[str, Entry] = {}
        self._kept = self._unknown = 0
        self._named = False  # whether the layers' own short names were read
        self._seen: set[str] = set()

    def take(self, entries: Iterable[Entry]) -> list[Entry]:
        """The entries that belong to the host; those of layers and volumes are kept."""
        return [
            e
            for e in entries
            if not (("overlay" in e.path or "/volumes/" in e.path or "/containers/" in e.path) and self._keep(e))
        ]

    def _keep(self, entry: Entry) -> bool:
        """Whether an entry is kept for the containers; engines' own files are noted and stay the host's."""
        if not entry.allocated:
            return False
        path = entry.path
        match = _LAYER.match(path)
        if match is not None:
            root, driver, layer, what, inner = match.groups()
            if what != "diff":
                if inner is None:
                    self._texts[path] = entry
                return False
            return self._put(self._layers.setdefault((f"{root}/{driver}", layer), []), inner or "", entry)
        match = _VOLUME.match(path)
        if match is not None:
            return self._put(self._volumes.setdefault(match.group(1), []), match.group(2) or "", entry)
        match = _LINK.match(path)
        points = _POINTS_TO.match(entry.target or "") if match is not None else None
        if match is not None and points is not None:
            self._links[(f"{match.group(1)}/{match.group(2)}", match.group(3))] = points.group(1)
        if any(one.match(path) for one in (_DOCKER, _MOUNT, _PODMAN, _SPEC)):
            self._texts[path] = entry
        return False

    def _put(self, layer: Layer, inner: str, entry: Entry) -> bool:
        if self._kept >= KEPT_MOST:
            return False
        self._kept += 1
        layer.append((inner, entry))
        return True

    def rest(self) -> Iterator[Entry]:
        """What was kept and is seen in no container: images that none uses, what an upper layer hides."""
        for layers in (self._layers, self._volumes):
            for layer in layers.values():
                yield from (entry for _, entry in layer if entry.path not in self._seen)

    def hosts(self) -> Iterator[Host]:
        """The containers whose own layer is there, by folder and id."""
        for store, layer, volumes, facts in sorted(self._described(), key=lambda each: (each[0], each[3].id))[
            :HOSTS_MOST
        ]:
            if (store, layer) in self._layers:
                yield self._host(store, layer, volumes, facts)

    def _described(self) -> Iterator[tuple[str, str, str, Facts]]:
        """The store of the layers, the uppermost layer, the folder of the volumes, and the facts of each container."""
        for path in sorted(self._texts):
            match = _MOUNT.match(path)
            if match is not None:
                root, number = match.groups()
                config = self._read(f"{root}/containers/{number}/config.v2.json")
                yield (
                    f"{root}/overlay2",
                    self._read(path).decode("ascii", "replace").strip(),
                    root,
                    docker_facts(number, config),
                )
            match = _PODMAN.match(path)
            if match is not None:
                root = match.group(1)
                for layer, facts in podman_facts(
                    self._read(path),
                    lambda number, root=root: self._read(  # type: ignore[misc]
                        f"{root}/overlay-containers/{number}/userdata/config.json"
                    ),
                ):
                    yield f"{root}/overlay", layer, root, facts

    def _read(self, path: str) -> bytes:
        entry = self._texts.get(path)
        if entry is None or entry.kind != "file" or not 0 < entry.size <= _TEXT_MOST:
            return b""
        return self._view.tree.open(entry.key).pread(0, entry.size)

    def _chain(self, store: str, upper: str) -> list[str]:
        """The layers below the upper one, the nearest first."""
        if not self._named:
            for path in self._texts:
                match = _LAYER.match(path)
                if match is not None and match.group(4) == "link":
                    name = self._read(path).decode("ascii", "replace").strip()
                    self._links.setdefault((f"{match.group(1)}/{match.group(2)}", name), match.group(3))
            self._named = True
        words = self._read(f"{store}/{upper}/lower").decode("ascii", "replace").strip().split(":")
        found = (self._links.get((store, word.removeprefix("l/"))) for word in words[:_LAYERS_MOST] if word)
        return [layer for layer in found if layer is not None and (store, layer) in self._layers]

    def _host(self, store: str, upper: str, volumes: str, facts: Facts) -> Host:
        merged = Merged()
        self._unknown = 0
        chain = [upper, *self._chain(store, upper)]
        for number, layer in enumerate(reversed(chain)):
            ordered = sorted(self._layers[(store, layer)], key=lambda each: each[0])
            put_over(merged, ordered, self._attributes, number == 0)
        for place, volume in sorted(facts.volumes.items()):
            held = self._volumes.get(f"{volumes}/volumes/{volume}")
            if held is not None:
                put_at(merged, place, sorted(held, key=lambda each: each[0]))
        entries: list[Entry] = []
        stored: dict[str, str] = {}
        for path, entry in merged.files():
            self._seen.add(entry.path)
            stored[path] = entry.path
            entries.append(entry._replace(path=path))
        label = re.sub(r"[^A-Za-z0-9_-]", "_", facts.name or "unnamed")[:64]
        name = f"{CONTAINER}{label}.{facts.id[:12]}"
        return Host(name, facts, entries, stored, len(chain), self._unknown + merged.left_out)

    def _attributes(self, entry: Entry) -> Attributes:
        spans = getattr(self._view.tree, "record_spans", None)
        if spans is None or self._view.volume is None:
            found = Attributes(whole=False)
        else:
            offsets, lengths = spans(np.array([entry.inode], dtype=np.int64))
            if offsets[0] < 0:
                found = Attributes(whole=False)
            else:
                record = self._view.pread(int(offsets[0]), int(lengths[0]))
                block = getattr(getattr(self._view.tree, "block", None), "block_size", 4096)
                found = attributes(self._view.tree.kind, record, self._view.pread, block)
        self._unknown += not found.whole
        return found


class ContainerTree:
    """What one container sees, as a tree over the one that its layers lie in."""

    def __init__(self, host: Host, tree: Tree) -> None:
        self._host, self._tree = host, tree
        self.kind, self.view = "overlay", "merged"

    @property
    def warnings(self) -> Sequence[Gap]:
        """What is not known of the view, beside what its volume says of itself."""
        if not self._host.unknown:
            return ()
        detail = (
            f"of {self._host.unknown} entries it is not known whether they hide what lies below, or they are left out"
        )
        return (Gap(0, 0, GapReason.UNSUPPORTED, detail),)

    def entries(self) -> Iterator[Entry]:
        """Every path that the container sees."""
        return iter(self._host.entries)

    def open(self, key: str) -> ByteSource:
        """The bytes in the layer."""
        return self._tree.open(key)

    def extents(self, key: str) -> tuple[tuple[int, int], ...]:
        """Where they lie on the volume."""
        return self._tree.extents(key)

    def coverage(self) -> Iterator[tuple[int, int, Coverage]]:
        """Nothing that the volume does not tell itself."""
        return iter(())


def container_view(view: View, name: str) -> View | None:
    """The view of one container on a volume, by the layer that names it; lists the volume. None: it has none of that name."""
    found = Containers(view)
    found.take(view.tree.entries())
    host = next((host for host in found.hosts() if host.name == name), None)
    if host is None:
        return None
    return replace(view, name=join(view.name, name), tree=ContainerTree(host, view.tree), derived=True)


def told(host: Host, own: Mapping[str, str]) -> dict[str, str]:
    """What the record says of a container: its engine's words, and what its own files say of its zone.

    A container that says nothing of its zone runs in UTC, whatever its host does.
    """
    facts = host.facts
    said = {
        "container": facts.id, "container_engine": facts.engine, "container_name": facts.name,
        "container_image": facts.image, "container_hostname": facts.hostname or own.get("hostname", ""),
        "container_os": own.get("os_release", ""), "container_layers": str(host.layers),
        "container_volumes": ", ".join(sorted(facts.volumes)), "container_unknown": str(host.unknown or ""),
    }  # fmt: skip
    grounds = (("TZ", facts.zone), ("/etc/timezone", own.get("timezone")), ("/etc/localtime", own.get("localtime")))
    for ground, zone in grounds:
        if zone:
            said |= {"container_zone": zone, "container_zone_from": ground}
            break
    return {name: value for name, value in said.items() if value}
