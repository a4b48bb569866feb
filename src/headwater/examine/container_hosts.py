# SPDX-License-Identifier: Apache-2.0
"""Containers as hosts within the host: found in the engine's folders while a tree is listed, each with its merged view.

Docker (overlay2): ``containers/ID/config.v2.json``, ``image/overlay2/layerdb/mounts/ID/mount-id``, ``overlay2/LAYER/{diff,
link,lower}`` (https://docs.docker.com/engine/storage/drivers/overlayfs-driver/). Podman and CRI-O (containers/storage):
``overlay-containers/containers.json``, ``overlay/LAYER/…``, ``overlay-containers/ID/userdata/config.json``
(https://github.com/containers/storage/blob/main/docs/containers-storage.md), and what podman's database adds
(:mod:`headwater.examine.podman_records`). containerd (and Docker's store in it):
``io.containerd.metadata.v1.bolt/meta.db`` and ``io.containerd.snapshotter.v1.NAME/`` with ``metadata.db`` and
``snapshots/N/fs`` (see :mod:`headwater.examine.containerd_facts`). Named volumes lie under ``volumes/NAME/_data``.
The folder that holds all this may be anywhere. A mount of the host's own folders shows files of the host and is not followed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from headwater.examine import containerd_facts, podman_records
from headwater.examine.container_facts import Facts, docker_facts, podman_facts
from headwater.examine.layer_merge import Merged, put_at, put_over
from headwater.examine.opening import View
from headwater.formats.attributes import Attributes, attributes
from headwater.formats.bolt_file import Bolt, open_bolt
from headwater.formats.patterns import lazy_regex
from headwater.formats.sqlite_file import open_sqlite
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
_LAYER = lazy_regex(r"^(.*)/(overlay2?)/([0-9a-z-]{8,80})/(diff|link|lower)(/.*)?$")
_LINK = lazy_regex(r"^(.*)/(overlay2?)/l/([A-Z0-9]{16,40})$")
_VOLUME = lazy_regex(r"^(.*/volumes/[^/]+(?:/[^/]+)?)/_data(/.*)?$|^(.*/volumes/kubernetes\.io~empty-dir/[^/]+)(/.*)?$")
_SNAPSHOTS = r"^(.*/io\.containerd\.snapshotter\.v1\.[a-z0-9-]{1,40})"
_SNAPSHOT = lazy_regex(rf"{_SNAPSHOTS}/snapshots/([0-9]{{1,18}})/fs(/.*)?$")
_SNAPSHOTTER = lazy_regex(rf"{_SNAPSHOTS}/metadata\.db$")
_META = lazy_regex(r"^(.*)/io\.containerd\.metadata\.v1\.bolt/meta\.db$")
_DOCKER = lazy_regex(rf"^(.*)/containers/({_ID})/config\.v2\.json$")
_MOUNT = lazy_regex(rf"^(.*)/image/overlay2/layerdb/mounts/({_ID})/mount-id$")
_PODMAN = lazy_regex(r"^(.*)/overlay-containers/containers\.json$")
_SPEC = lazy_regex(rf"^(.*)/overlay-containers/({_ID})/userdata/config\.json$")
_WORDS = (
    "overlay",
    "/volumes/",
    "/containers/",
    "/io.containerd.",
    "/libpod/",
    "/db.sql",
)  # one of them is in every path that matters
_ANY_WORD = lazy_regex("|".join(map(re.escape, _WORDS)))
_LIBPOD = lazy_regex(r"^.*/(?:libpod/bolt_state\.db|db\.sql)$")
_POINTS_TO = lazy_regex(r"^\.\./([0-9a-z-]{8,80})/diff$")

Layer = list[tuple[str, Entry]]


@dataclass(frozen=True, slots=True)
class Host:
    """One container: the layer of its view's name, what its engine says of it, and its entries under their own paths."""

    name: str
    facts: Facts
    entries: Sequence[Entry]
    stored: Mapping[str, str]  # by path in the container, where it lies in the tree: the layer's own file
    layers: int
    lower: tuple[str, ...]  # where the layers lie that are not its own: what the paths of their files begin with
    unknown: int  # directories of which it is not known whether they hide what is below, and entries left out

    def times(self, most: int) -> Sequence[Entry]:
        """The entries whose times are to be told: all, or where they are more than ``most`` those that no image brought."""
        if len(self.entries) <= most:
            return self.entries
        return [e for e in self.entries if not self.stored[e.path].startswith(self.lower)]


class Containers:
    """Takes a tree's entries as they are listed; knows at the end which of them are seen in which container."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._layers: dict[tuple[str, str], Layer] = {}
        self._volumes: dict[str, Layer] = {}
        self._links: dict[tuple[str, str], str] = {}
        self._texts: dict[str, Entry] = {}
        self._kept = self._unknown = 0
        self._below: dict[tuple[str, str], list[str]] = {}  # of a snapshot of containerd, those below it
        self._named = False  # whether the layers' own short names were read
        self.gaps: list[tuple[str, Gap]] = []  # what an engine's own files do not tell, by their path
        self._seen: set[str] = set()

    def take(self, entries: Iterable[Entry]) -> list[Entry]:
        """The entries that belong to the host; those of layers and volumes are kept."""
        named = _ANY_WORD.search
        return [e for e in entries if not (named(e.path) and self._keep(e))]

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
            folder, inner = match.group(1) or match.group(3), match.group(2) or match.group(4)
            return self._put(self._volumes.setdefault(folder, []), inner or "", entry)
        match = _SNAPSHOT.match(path)
        if match is not None:
            return self._put(self._layers.setdefault((match.group(1), match.group(2)), []), match.group(3) or "", entry)
        match = _LINK.match(path)
        points = _POINTS_TO.match(entry.target or "") if match is not None else None
        if match is not None and points is not None:
            self._links[(f"{match.group(1)}/{match.group(2)}", match.group(3))] = points.group(1)
        if any(one.match(path) for one in (_DOCKER, _MOUNT, _PODMAN, _SPEC, _META, _SNAPSHOTTER, _LIBPOD)):
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
        """The containers whose own layer is there, by folder and id; where two would have one name, the second is told apart."""
        named: set[str] = set()
        for store, layer, volumes, facts in sorted(self._described(), key=lambda each: (each[0], each[3].id))[
            :HOSTS_MOST
        ]:
            if (store, layer) in self._layers:
                host = self._host(store, layer, volumes, facts)
                while host.name in named:
                    host = replace(host, name=host.name + "-again")
                named.add(host.name)
                yield host

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
                known = self._in_podman(root)
                for layer, facts in podman_facts(
                    self._read(path),
                    lambda number, root=root: self._read(  # type: ignore[misc]
                        f"{root}/overlay-containers/{number}/userdata/config.json"
                    ),
                ):
                    yield f"{root}/overlay", layer, root, _filled(facts, known.get(facts.id))
            match = _META.match(path)
            if match is not None:
                yield from self._in_containerd(path, match.group(1))

    def _in_podman(self, root: str) -> dict[str, Facts]:
        """What podman's own database says of its containers, by id: whichever of the two kinds is there."""
        found: dict[str, Facts] = {}
        path = f"{root}/libpod/bolt_state.db"
        bolt = self._bolt(path) if path in self._texts else None
        if bolt is not None:
            found = podman_records.of_bolt(bolt)
            self._tell(path, bolt)
        path = f"{root}/db.sql"
        entry = self._texts.get(path)
        if entry is not None and entry.kind == "file" and entry.size:
            try:
                found |= podman_records.of_sqlite(open_sqlite(self._view.tree.open(entry.key)))
            except ValueError as error:
                self.gaps.append((path, Gap(0, entry.size, GapReason.UNREADABLE, str(error))))
        return found

    def _in_containerd(self, path: str, root: str) -> Iterator[tuple[str, str, str, Facts]]:
        """The containers of one containerd: those of its record, and those whose snapshot alone is there."""
        bolt = self._bolt(path)
        records = {} if bolt is None else {(r.namespace, r.key): r for r in containerd_facts.recorded(bolt) if r.key}
        self._tell(path, bolt)
        docker = {match.group(2): match.group(1) for p in self._texts if (match := _DOCKER.match(p)) is not None}
        for other in sorted(self._texts):
            match = _SNAPSHOTTER.match(other)
            if match is None or not other.startswith(f"{root}/io.containerd."):
                continue
            bolt = self._bolt(other)
            found = {} if bolt is None else containerd_facts.snapshots(bolt)
            self._tell(other, bolt)
            store = match.group(1)
            for namespace, key, name in containerd_facts.placed(found):
                record = records.get((namespace, key))
                if record is not None and not store.endswith(f".{record.snapshotter}"):
                    continue
                facts = record.facts if record is not None else containerd_facts.nameless(namespace, key)
                if facts is None:
                    continue
                if namespace == "moby" and key in docker:
                    config = self._read(f"{docker[key]}/containers/{key}/config.v2.json")
                    facts = replace(docker_facts(key, config), more=facts.more)
                numbers = containerd_facts.chain(found, name, _LAYERS_MOST)
                self._below[(store, numbers[0])] = numbers[1:]
                yield store, numbers[0], docker.get(key, root), facts

    def _bolt(self, path: str) -> Bolt | None:
        entry = self._texts[path]
        if entry.kind != "file" or entry.size <= 0:
            return None
        try:
            return open_bolt(self._view.tree.open(entry.key).pread, entry.size)
        except ValueError as error:
            self.gaps.append((path, Gap(0, entry.size, GapReason.UNREADABLE, str(error))))
            return None

    def _tell(self, path: str, bolt: Bolt | None) -> None:
        for fault in bolt.faults if bolt is not None else ():
            self.gaps.append((path, Gap(fault.offset, fault.length, GapReason.UNREADABLE, fault.reason)))

    def _read(self, path: str) -> bytes:
        entry = self._texts.get(path)
        if entry is None or entry.kind != "file" or not 0 < entry.size <= _TEXT_MOST:
            return b""
        return self._view.tree.open(entry.key).pread(0, entry.size)

    def _chain(self, store: str, upper: str) -> list[str]:
        """The layers below the upper one, the nearest first."""
        if (store, upper) in self._below:
            return [layer for layer in self._below[(store, upper)] if (store, layer) in self._layers]
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
            held = self._volumes.get(self._folder(volume) if volume.startswith("/") else f"{volumes}/volumes/{volume}")
            if held is not None:
                put_at(merged, place, sorted(held, key=lambda each: each[0]))
        entries: list[Entry] = []
        stored: dict[str, str] = {}
        for path, entry in merged.files():
            self._seen.add(entry.path)
            stored[path] = entry.path
            entries.append(entry._replace(path=path))
        label = re.sub(r"[^A-Za-z0-9_-]", "_", facts.name or "unnamed")[:64]
        name = f"{CONTAINER}{label}.{re.sub(r'[^A-Za-z0-9_-]', '_', facts.id[:12])}"
        lower = tuple(f"{store}/{place}{layer}/" for layer in chain[1:] for place in ("", "snapshots/"))
        return Host(name, facts, entries, stored, len(chain), lower, self._unknown + merged.left_out)

    def _folder(self, mounted: str) -> str:
        """The folder of this tree that the running system knew by a path: the tree may be mounted below its root."""
        return next((path for path in sorted(self._volumes) if mounted.endswith(path)), mounted)

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
                found = attributes(self._view.tree.kind, record, *self._reader())
        self._unknown += not found.whole
        return found

    def _reader(self) -> tuple[Callable[[int, int], bytes], int]:
        """How attributes outside a record are read, and the size of a block: ext asks for bytes, XFS for blocks."""
        head = getattr(self._view.tree, "head", None)
        if head is None:
            return self._view.pread, getattr(getattr(self._view.tree, "block", None), "block_size", 4096)
        return lambda block, length: self._view.pread(head.place(block), length), head.block_size


def _filled(facts: Facts, other: Facts | None) -> Facts:
    """The facts of a container, with those of its record where its files lack them: they are written when it first runs."""
    if other is None:
        return facts
    return replace(
        facts, name=facts.name or other.name, image=facts.image or other.image, hostname=facts.hostname or other.hostname,
        zone=facts.zone or other.zone, volumes=facts.volumes or other.volumes,
    )  # fmt: skip


class ContainerTree:
    """What one container sees, as a tree over the one that its layers lie in."""

    def __init__(self, host: Host, tree: Tree, entries: Sequence[Entry] | None = None) -> None:
        self._host, self._tree = host, tree
        self._entries = host.entries if entries is None else entries
        self.kind, self.view = "overlay", "merged"
        self.record_spans = getattr(tree, "record_spans", None)  # records are the volume's own
        self.capabilities = getattr(tree, "capabilities", None)

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
        return iter(self._entries)

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
    } | {f"container_{word}": value for word, value in facts.more.items()}  # fmt: skip
    grounds = (("TZ", facts.zone), ("/etc/timezone", own.get("timezone")), ("/etc/localtime", own.get("localtime")))
    for ground, zone in grounds:
        if zone:
            said |= {"container_zone": zone, "container_zone_from": ground}
            break
    return {name: value for name, value in said.items() if value}
