# SPDX-License-Identifier: Apache-2.0
"""What runs in the confined children for open and convert: list, stat, digest and read one thing; stream a medium.

Every function is a generator of (header, blob) messages; the last header of each has the key ``result`` or ``error``.
A path is in the grammar of :mod:`headwater.model.paths`: a volume, a path on it, then layers (``gz``, ``tar`` …).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

from headwater.examine.container_hosts import container_view
from headwater.examine.opening import Opened, View, open_evidence
from headwater.formats.archives import ArchiveKind, archive_kind, open_archive
from headwater.formats.compressed import Layer, layer_of
from headwater.formats.hashing import hash_source
from headwater.formats.keys import at_hand
from headwater.formats.media import Medium, is_medium, open_medium
from headwater.formats.sources import window
from headwater.formats.spooled import spooled
from headwater.formats.trees import Entry, Tree
from headwater.formats.virtual_blocks import BlockMedium, faults_in
from headwater.formats.volumes import volumes
from headwater.model.errors import AcquireError, HeadwaterError
from headwater.model.paths import container_of, join, layers, outside
from headwater.model.ports import ByteSource
from headwater.model.records import Gap
from headwater.procedure.child_targets import Message, open_files

STEP = 1 << 20
_AT_ONCE = 200  # entries per message: a path may have 4 KiB, and a header at most 1 MiB
_TOLD = 200  # warnings and bad ranges that are told one by one
_EXTENTS = 4_000


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a path leads. ``tree`` and ``path``: in which tree; ``source``: a volume or a layer, which is no entry."""

    view: View | None
    tree: Tree | None
    path: str
    source: ByteSource | None = None


def _open(args: Mapping[str, Any], fds: Sequence[int]) -> Opened:
    files = open_files(args, fds)
    if len(files) == 1 and not is_medium(files[0]):
        return open_evidence(files, keys=at_hand())
    return open_evidence(files, medium=_medium(args, fds), keys=at_hand())


def _medium(args: Mapping[str, Any], fds: Sequence[int]) -> Medium:
    medium = open_medium(open_files(args, fds), allow_missing=bool(args["allow_missing"]))
    wanted = args["snapshot"]
    if not wanted:
        return medium
    found = medium.at_snapshot(wanted) if isinstance(medium, BlockMedium) else None
    if found is None:
        raise AcquireError("HW2044", args["files"][0][0], what=f"snapshot {wanted}")
    return found


def _told(call: Callable[[], Iterator[Message]]) -> Iterator[Message]:
    try:
        yield from call()
    except HeadwaterError as error:
        yield {"error": {"code": error.code, "where": error.where, "names": error.names}}, b""


def _gaps(gaps: Sequence[Gap]) -> list[list[Any]]:
    return [[g.offset, g.length, g.reason.value, g.detail] for g in gaps[:_TOLD]]


def _bad(source: ByteSource) -> list[list[Any]]:
    return [[o, n, r.value, d] for o, n, r, d in source.bad[:_TOLD]]


def _locate(opened: Opened, path: str, name: str) -> _Place:
    """Where a path leads, its layers opened one behind the other.

    Raises:
        AcquireError: HW2044 it leads nowhere.
    """
    parts = [part for part in layers(path) if part]
    first = next((i for i, part in enumerate(parts) if part.startswith("/")), len(parts))
    volume = join(*parts[:first])
    view = next((v for v in opened.views if v.name == volume), None) or _container(opened, volume)
    if first == len(parts):
        return _Place(view, view.tree if view else None, "/", _volume(opened, volume, name))
    if view is None:
        raise AcquireError("HW2044", name, what=path)
    tree, inner, rest = view.tree, parts[first], parts[first + 1 :]
    while rest:
        source: ByteSource = tree.open(_find(tree, inner, path, name).key)
        layer = rest.pop(0)
        if layer in get_args(ArchiveKind):
            tree, inner = open_archive(source, cast(ArchiveKind, layer)), rest.pop(0) if rest else "/"
            continue
        if layer not in get_args(Layer) or layer_of(inner, source.pread(0, 512)) != layer:
            raise AcquireError("HW2044", name, what=path)
        source = spooled(source, layer)
        if not rest:
            return _Place(view, None, path, source)
        kind = archive_kind(source, "")
        if kind is None:
            raise AcquireError("HW2044", name, what=path)
        tree, inner = open_archive(source, kind), rest.pop(0)
    return _Place(view, tree, inner)


def _container(opened: Opened, volume: str) -> View | None:
    """The view of a container on one of the volumes; None where the name is no container's."""
    name = container_of(volume)
    view = next((v for v in opened.views if v.name == outside(volume)), None) if name is not None else None
    return container_view(view, name) if view is not None and name is not None else None


def _volume(opened: Opened, volume: str, name: str) -> ByteSource:
    """The bytes of a volume; of the whole item where none is named."""
    if not volume:
        return opened.source
    for view in opened.views:
        if view.name == volume and view.on_medium:
            return window(opened.source, view.offset, view.size)
    for found in volumes(opened.source).volumes:
        if found.name == volume:
            return found.source
    raise AcquireError("HW2044", name, what=volume)


def _find(tree: Tree, inner: str, path: str, name: str) -> Entry:
    """The entry of a path: the allocated one where a deleted one has the same name."""
    deleted: Entry | None = None
    for entry in tree.entries():
        if entry.path == inner:
            if entry.allocated:
                return entry
            deleted = deleted or entry
    if deleted is None:
        raise AcquireError("HW2044", name, what=path)
    return deleted


def _plain(entry: Entry) -> dict[str, Any]:
    row = entry._asdict()
    del row["key"]
    return row


def ls(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """The volumes of an item, or the entries at a path: the directory's own, or all below it."""
    return _told(lambda: _ls(args, fds))


def _ls(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    opened, path = _open(args, fds), str(args["path"])
    if not path:
        yield {"volumes": list(_volumes(opened))}, b""
        yield {"result": {"kind": opened.kind, "warnings": _gaps(opened.warnings)}}, b""
        return
    place = _locate(opened, path, args["files"][0][0])
    if place.tree is None:
        raise AcquireError("HW2044", args["files"][0][0], what=path)
    inner = place.path.rstrip("/")
    some: list[dict[str, Any]] = []
    count = 0
    for entry in place.tree.entries():
        parent, _, _ = entry.path.rpartition("/")
        wanted = parent == inner or (args["recursive"] and entry.path.startswith(inner + "/"))
        if not wanted and (entry.path != inner or entry.kind == "dir"):
            count += entry.path == inner
            continue
        count += 1
        some.append(_plain(entry))
        if len(some) >= _AT_ONCE:
            yield {"entries": some}, b""
            some = []
    if some:
        yield {"entries": some}, b""
    if not count and inner:
        raise AcquireError("HW2044", args["files"][0][0], what=path)
    warnings = (*opened.warnings, *place.tree.warnings)
    yield {"result": {"kind": opened.kind, "count": count, "warnings": _gaps(warnings)}}, b""


def _volumes(opened: Opened) -> Iterator[dict[str, Any]]:
    for view in opened.views:
        yield {
            "volume": view.name, "kind": view.tree.kind, "offset": view.offset, "size": view.size,
            "on_medium": view.on_medium, "derived": view.derived, "detail": "; ".join(w.detail for w in view.tree.warnings[:3]),
        }  # fmt: skip
    for name, gap, offset in opened.unopened:
        yield {
            "volume": name, "kind": gap.reason.value, "offset": offset, "size": gap.length, "on_medium": True,
            "derived": False, "detail": gap.detail,
        }  # fmt: skip
    for offset, length, what in opened.slack:
        yield {"volume": "", "kind": "slack", "offset": offset, "size": length, "on_medium": True, "derived": False,
            "detail": what,
        }  # fmt: skip


def stat(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """All that is recorded of one entry, and where on the medium its content lies; of the item itself without a path."""
    return _told(lambda: _stat(args, fds))


def _stat(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    opened, path, name = _open(args, fds), str(args["path"]), str(args["files"][0][0])
    place = _locate(opened, path, name)
    view = place.view
    where = {"volume": view.name, "file_system": view.tree.kind, "volume_offset": view.offset} if view else {}
    if place.tree is None or place.source is not None:
        facts = {"stated": dict(opened.stated), "notes": dict(opened.notes)} if not path else {}
        assert place.source is not None
        row = {"path": path or "/", "kind": opened.kind if not path else "bytes", "size": place.source.size}
        yield {"result": row | where | facts | {"warnings": _gaps(opened.warnings) if not path else []}}, b""
        return
    entry = _find(place.tree, place.path, path, name)
    extents: Sequence[tuple[int, int]] = ()
    base = 0
    if view is not None and place.tree is view.tree:
        extents = place.tree.extents(entry.key)
        base = view.offset if view.on_medium else 0
    counted = {"extents_on": "medium" if view is not None and view.on_medium else "volume"} if extents else {}
    told = [[base + o, n] for o, n in extents[:_EXTENTS]]
    more = {"extents": told, "extents_in_all": len(extents)}
    yield {"result": _plain(entry) | {"path": path} | where | more | counted}, b""


def _content(args: Mapping[str, Any], fds: Sequence[int]) -> ByteSource:
    path, name = str(args["path"]), str(args["files"][0][0])
    place = _locate(_open(args, fds), path, name)
    if place.source is not None:
        return place.source
    assert place.tree is not None
    entry = _find(place.tree, place.path, path, name)
    if entry.kind not in ("file", "link", "other"):
        raise AcquireError("HW2044", name, what=f"{path}: {entry.kind}")
    return place.tree.open(entry.key)


def digest(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """Digests of one thing's bytes."""
    return _told(lambda: _digest(args, fds))


def _digest(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    source = _content(args, fds)
    found = hash_source(source, tuple(args["algorithms"]))
    found = {name: found[name] for name in args["algorithms"]}
    yield {"result": {"path": args["path"], "size": source.size, "digests": found, "bad": _bad(source)}}, b""


def read(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """The bytes of one thing, from ``offset``, at most ``length`` (None: all), in order."""
    return _told(lambda: _read(args, fds))


def _read(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    source = _content(args, fds)
    start = int(args["offset"])
    end = source.size if args["length"] is None else min(source.size, start + int(args["length"]))
    for at in range(start, end, STEP):
        yield {"at": at}, source.pread(at, min(STEP, end - at))
    yield {"result": {"path": args["path"], "size": source.size, "bad": _bad(source)}}, b""


def describe(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """What a medium is."""
    return _told(lambda: _describe(args, fds))


def _describe(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    medium = _medium(args, fds)
    row = {
        "kind": medium.kind, "size": medium.size, "sector_size": medium.sector_size, "stated": dict(medium.stated),
        "notes": dict(medium.notes), "warnings": _gaps(medium.warnings),
    }  # fmt: skip
    yield {"result": row}, b""


def stream(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """A medium's bytes from ``offset`` in pieces of :data:`STEP`, with what of each piece could not be read."""
    return _told(lambda: _stream(args, fds))


def _stream(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    medium = _medium(args, fds)
    for at in range(int(args["offset"]), medium.size, STEP):
        data = medium.pread(at, STEP)
        bad = [[o, n, d] for o, n, _, d in faults_in(medium, at, len(data))]
        if len(bad) > STEP // 512:
            bad = [[at, len(data), "more ranges are unreadable here than there are sectors"]]
        yield {"at": at, "bad": bad}, data
    yield {"result": {}}, b""
