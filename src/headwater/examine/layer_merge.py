# SPDX-License-Identifier: Apache-2.0
"""Layers of an overlay put one over the other: what the kernel's own mount of them would show, from a listing alone.

Rules (https://docs.kernel.org/filesystems/overlayfs.html): an upper name hides a lower one, two directories become one unless
the upper is opaque (``trusted.overlay.opaque`` = ``y``; ``user.overlay.…`` where the mount was without root), a character
device 0/0 is a whiteout, a moved directory says where its lower content stood (``….redirect``), and an upper file with
``….metacopy`` has no content of its own. fuse-overlayfs and the image format write whiteouts as ``.wh.NAME`` and
``.wh..wh..opq``. No content is read or copied: an entry of the result is the entry of the layer that it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from headwater.formats.attributes import Attributes
from headwater.formats.trees import Entry
from headwater.model.paths import encode_name

Asked = Callable[[Entry], Attributes]

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_PREFIXES = (b"trusted.overlay.", b"user.overlay.", b"user.fuseoverlayfs.")
COPIES_MOST = 500_000  # entries that stand elsewhere because their directory was moved: hostile layers double them
DEEP = 512  # directories below each other; more is left out and counted


@dataclass(slots=True)
class Node:
    """One name of the merged view: its entry, and for a directory the names in it."""

    entry: Entry
    names: dict[str, Node] | None = None


@dataclass(slots=True)
class Merged:
    """The merged view so far; ``left_out``: entries too deep, or below what is no directory."""

    root: dict[str, Node] = field(default_factory=dict)
    left_out: int = 0
    copied: int = 0

    def files(self) -> Iterator[tuple[str, Entry]]:
        """Every path with its entry, a directory's names before those of the directories in it, in order of name."""
        waiting: list[tuple[str, dict[str, Node]]] = [("", self.root)]
        while waiting:
            path, names = waiting.pop()
            below = []
            for name in sorted(names):
                node = names[name]
                yield f"{path}/{name}", node.entry
                if node.names is not None:
                    below.append((f"{path}/{name}", node.names))
            waiting.extend(reversed(below))

    def folder(self, path: str) -> dict[str, Node] | None:
        """The names in a directory of the view; None where it has none of that path."""
        names: dict[str, Node] | None = self.root
        for part in path.strip("/").split("/") if path.strip("/") else ():
            node = names.get(part) if names is not None else None
            names = node.names if node is not None else None
        return names

    def node(self, path: str) -> Node | None:
        """What the view has at a path."""
        folder, _, name = path.rpartition("/")
        return (self.folder(folder) or {}).get(name)


def stated(said: Attributes, name: bytes) -> bytes | None:
    """An attribute of the overlay under whichever of its prefixes it has."""
    return next((said.values[p + name] for p in _PREFIXES if p + name in said.values), None)


def _copied(merged: Merged, names: dict[str, Node]) -> dict[str, Node]:
    """A directory's names with all below them, as nodes of their own; what is too much is left out."""
    copy: dict[str, Node] = {}
    waiting = [(names, copy)]
    while waiting:
        old, new = waiting.pop()
        for name, node in old.items():
            if merged.copied >= COPIES_MOST:
                merged.left_out += 1
                continue
            merged.copied += 1
            below: dict[str, Node] | None = None
            if node.names is not None:
                below = {}
                waiting.append((node.names, below))
            new[name] = Node(node.entry, below)
    return copy


def put_over(merged: Merged, layer: Sequence[tuple[str, Entry]], attributes: Asked, lowest: bool) -> None:
    """Put a layer (paths in it, directories before what is in them) over what is merged.

    ``attributes`` gives what the record of an entry says; it is asked of devices, and where there is something below.
    """
    said: dict[str, Attributes] = {}
    moved: dict[str, dict[str, Node]] = {}
    if not lowest:
        asked = (
            (path, entry)
            for path, entry in layer
            if path and (entry.kind == "dir" or (entry.kind == "file" and entry.size))
        )
        for path, entry in asked:
            facts = said[path] = attributes(entry)
            target = _stood(path, stated(facts, b"redirect"))
            if entry.kind == "dir" and target is not None:
                source = merged.folder(target)
                if source is not None:
                    moved[path] = _copied(merged, source)
            elif entry.kind == "file" and stated(facts, b"metacopy") is not None:
                below = merged.node(target or path)
                if below is not None and below.names is None:
                    # the owner and mode are the upper's; the content, which is what is examined, stands below
                    moved[path] = {"": Node(below.entry._replace(mode=entry.mode, uid=entry.uid, gid=entry.gid))}
        for path, entry in layer:
            _hide(merged, path, entry, said)
    for path, entry in layer:
        name = path.rpartition("/")[2]
        if path in moved:
            folder = merged.folder(path.rpartition("/")[0])
            if folder is not None:
                folder[name] = Node(entry, moved[path]) if entry.kind == "dir" else moved[path][""]
        elif path and not name.startswith(_WHITEOUT):
            _add(merged, path, entry, attributes)


def _stood(path: str, redirect: bytes | None) -> str | None:
    """Where in the lower layers something stood that was moved; None for what was not."""
    if redirect is None:
        return None
    text = encode_name(redirect)
    return text if text.startswith("/") else f"{path.rpartition('/')[0]}/{text}"


def _hide(merged: Merged, path: str, entry: Entry, said: Mapping[str, Attributes]) -> None:
    """Take away what an upper entry hides, before anything of its layer is added."""
    folder, _, name = path.rpartition("/")
    names = merged.folder(folder)
    if names is None or not name:
        return
    if name == _OPAQUE:
        names.clear()
    elif name.startswith(_WHITEOUT):
        names.pop(name[len(_WHITEOUT) :], None)
    elif name in names:
        below = names[name].names
        if entry.kind != "dir":
            if entry.kind == "char" or below is not None:
                del names[name]
        elif below is None or stated(said[path], b"opaque") == b"y":
            del names[name]


def _add(merged: Merged, path: str, entry: Entry, attributes: Asked) -> None:
    folder, _, name = path.rpartition("/")
    names = merged.folder(folder) if path.count("/") <= DEEP else None
    if names is None:
        merged.left_out += 1
        return
    if entry.kind == "char" and not attributes(entry).device:
        return  # a whiteout; where the number is not known too, for containers seldom make devices
    below = names.get(name)
    if entry.kind == "dir":
        names[name] = Node(entry, below.names if below is not None and below.names is not None else {})
        return
    names[name] = Node(entry)


def put_at(merged: Merged, path: str, layer: Sequence[tuple[str, Entry]]) -> None:
    """Put a mounted folder at a path: it hides what is there, and its directories are made where the path lacks them."""
    names = merged.root
    entry = next((e for p, e in layer if not p), None)
    if entry is None:
        return
    for part in [p for p in path.split("/") if p][:DEEP]:
        node = names.get(part)
        if node is None or node.names is None:
            node = names[part] = Node(entry, {})
        names = node.names if node.names is not None else {}
    names.clear()
    for inner, each in layer:
        if inner:
            _add(
                merged,
                inner if not path.strip("/") else "/" + path.strip("/") + inner,
                each,
                lambda _: Attributes(device=1),
            )
