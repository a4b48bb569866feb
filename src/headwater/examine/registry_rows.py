# SPDX-License-Identifier: Apache-2.0
"""A hive's keys and values as one frame, in the order of their places; columns are built at once, not row by row.

A value has no time of its own: its row has none, and ``key_written`` says when its key was last written, which the value
cannot be younger than. Data beyond 64 KiB of text or 256 bytes shown in hexadecimal is cut and says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from headwater.examine.batch import HEAD_SCHEMA, printable
from headwater.examine.hive_place import Place
from headwater.formats.registry_deleted import Deleted, DeletedKey, DeletedValue
from headwater.formats.registry_hive import BINARY, TEXT_MOST, Hive, behind_text, shown, type_name
from headwater.formats.registry_layout import EARLIEST, FILETIME_EPOCH, LATEST, nanoseconds
from headwater.formats.registry_tree import BIG, INLINE
from headwater.model.kinds import EventKind, TimeBasis

BYTES_MOST = 256  # of data shown in hexadecimal
_SHARED_MOST = 256  # bytes shown of data that another value has as well
_TEXTS = frozenset({1, 2, 6, 7})
_ONE_TEXT = frozenset({1, 2, 6})
OWN: dict[str, Any] = {
    "key": pl.String, "value": pl.String, "value_type": pl.String, "data": pl.String, "data_size": pl.Int64,
    "data_offset": pl.Int64, "data_cut": pl.Boolean, "key_written": pl.Int64, "subkeys": pl.Int64, "values": pl.Int64,
    "class_name": pl.String, "state": pl.String, "found_in": pl.String, "claim": pl.String,
}  # fmt: skip
SCHEMA: dict[str, Any] = HEAD_SCHEMA | OWN
RECORDED, DELETED = "recorded", "deleted"


def _times(filetimes: Any) -> tuple[Any, Any]:
    """Nanoseconds since 1970 and where there are any."""
    good = (filetimes >= EARLIEST) & (filetimes <= LATEST)
    return np.where(good, (filetimes - FILETIME_EPOCH) * 100, 0), good


def _nulled(values: Any, good: Any) -> pl.Series:
    return pl.Series(values, dtype=pl.Int64).set(pl.Series(~good), None)


def _whole(columns: dict[str, Any], height: int) -> pl.DataFrame:
    """A frame with all columns; what is not given is null."""
    made = []
    for name, dtype in SCHEMA.items():
        values = columns.get(name)
        if values is None or isinstance(values, str | int):
            made.append(pl.Series(name, [values], dtype=dtype).new_from_index(0, height))
        else:
            made.append(pl.Series(name, values, dtype=dtype))
    return pl.DataFrame(made)


def empty_frame() -> pl.DataFrame:
    """No row, all columns."""
    return _whole({}, 0)


def keys_frame(hive: Hive, place: Place, rows: Any | None = None) -> pl.DataFrame:
    """One row per key, or per key of these numbers."""
    tree = hive.tree
    rows = np.arange(len(tree.key_cell)) if rows is None else rows
    cell = tree.key_cell[rows]
    time, good = _times(hive.written[rows])
    paths = hive.paths
    classed = np.flatnonzero(hive.words.short(hive.cells.starts[cell] + 4 + 74) > 0).tolist()
    classes: list[str | None] = [None] * len(cell)
    for row in classed:
        found = hive.class_name(int(rows[row]))
        classes[row] = printable(found) if found is not None else None
    columns = {
        "t_recorded": _nulled(time, good),
        "t_basis": pl.Series(good).replace_strict({True: TimeBasis.UTC.value, False: TimeBasis.NONE.value}),
        "t_kind": "modified",
        "kind": EventKind.REGISTRY_KEY.value,
        "user": place.user,
        "offset": hive.cells.starts[cell],
        "length": hive.cells.sizes[cell],
        "ordinal": 0,
        "key": [printable(place.path(paths[row])) for row in rows.tolist()],
        "subkeys": tree.keys_under[rows],
        "values": tree.values_in[rows],
        "class_name": classes,
        "state": RECORDED,
    }
    return _whole(columns, len(cell))


def values_frame(hive: Hive, place: Place, rows: Any | None = None) -> pl.DataFrame:
    """One row per value, or per value of these numbers."""
    tree = hive.tree
    rows = np.arange(len(tree.value_cell)) if rows is None else rows
    cell, key = tree.value_cell[rows], tree.value_key[rows]
    time, good = _times(hive.written[key])
    paths, names = hive.paths, hive.value_names
    sizes = hive.sizes[rows]
    inline = sizes & INLINE != 0
    real = np.where(inline, sizes & ~INLINE, sizes)
    data_cell = tree.data_cell[rows]
    known = inline | (data_cell >= 0)
    starts = hive.cells.starts
    at = np.where(inline, starts[cell] + 12, (starts[data_cell] if len(starts) else data_cell) + 4)
    texts, cut, claims = _data_texts(hive, rows)
    unique = {row: printable(place.path(paths[row])) for row in np.unique(key).tolist()}
    kinds = {number: type_name(number) for number in np.unique(hive.types[rows]).tolist()}
    columns = {
        "t_basis": TimeBasis.NONE.value,
        "t_kind": "recorded",
        "kind": EventKind.REGISTRY_VALUE.value,
        "user": place.user,
        "offset": starts[cell],
        "length": hive.cells.sizes[cell],
        "ordinal": 0,
        "key": [unique[row] for row in key.tolist()],
        "value": [printable(names[row]) for row in rows.tolist()],
        "value_type": [kinds[number] for number in hive.types[rows].tolist()],
        "data": texts,
        "data_size": real,
        "data_offset": _nulled(at, known & (real > 0)),
        "data_cut": cut,
        "key_written": _nulled(time, good),
        "state": RECORDED,
        "claim": claims,
    }
    return _whole(columns, len(cell))


def _data_texts(hive: Hive, rows: Any) -> tuple[list[str | None], list[bool | None], list[str | None]]:
    """Data as text, whether it was cut, and what is to be said where it is not all there."""
    tree, cells, data = hive.tree, hive.cells, hive.data
    sizes, kinds, shared, cell = hive.sizes[rows], hive.types[rows], tree.data_shared[rows], tree.data_cell[rows]
    inline = sizes & INLINE != 0
    real = np.where(inline, sizes & ~INLINE, sizes)
    most = np.where(shared, _SHARED_MOST, np.where(np.isin(kinds, tuple(_TEXTS)), TEXT_MOST, BYTES_MOST))
    starts = np.where(inline, cells.starts[tree.value_cell[rows]] + 12, cells.starts[cell] + 4)
    room = np.where(inline, 4, np.where(cell >= 0, cells.sizes[cell] - 4, 0))
    taken = np.minimum(np.minimum(real, most), room)
    big = (real > BIG) & ~inline & (cell >= 0)
    texts: list[str | None] = []
    hidden: dict[int, int] = {}
    for row, (at, size, kind) in enumerate(zip(starts.tolist(), taken.tolist(), kinds.tolist(), strict=True)):
        raw = data[at : at + size]
        text = _shown(kind, raw)
        texts.append(text)
        if kind in _ONE_TEXT and 2 * len(text) + 4 < size and (more := behind_text(raw)):
            hidden[row] = more
    for row in np.flatnonzero(big).tolist():
        found = hive.value_data(int(rows[row]), int(most[row]))
        texts[row], taken[row] = _shown(int(kinds[row]), found), len(found)
    gone = ~inline & (real > 0) & (cell < 0)
    cut: list[bool | None] = [True if c else None for c in ((taken < real) & ~gone).tolist()]
    claims: list[str | None] = [None] * len(texts)
    for row in np.flatnonzero(gone | shared | ((taken < real) & (taken < most))).tolist():
        if gone[row]:
            texts[row], claims[row] = None, "its data is not there"
        else:
            claims[row] = (
                "another value has the same data" if shared[row] else "its cell holds less data than it declares"
            )
    for row, more in hidden.items():
        claims[row] = claims[row] or f"{more} bytes behind the end of its text"
    return texts, cut, claims


def _shown(kind: int, data: bytes) -> str:
    text = shown(kind, data)
    return text if text.isascii() else printable(text)


def _deleted_key(found: DeletedKey, place: Place) -> dict[str, Any]:
    above = found.parent
    path = f"{above}\\{found.name}" if above else found.name
    time = nanoseconds(found.written)
    return {
        "t_recorded": time,
        "t_basis": (TimeBasis.UTC if time is not None else TimeBasis.NONE).value,
        "t_kind": "modified",
        "kind": EventKind.REGISTRY_KEY.value,
        "key": printable(path if above.startswith("?") else place.path(path)),
        "subkeys": found.subkeys,
        "values": found.values,
        "claim": f"the key above it: {found.parent_state}",
    }


def _deleted_value(found: DeletedValue, place: Place) -> dict[str, Any]:
    data = found.data if found.type in _TEXTS else found.data[:BYTES_MOST]
    owner = found.owner
    return {
        "t_basis": TimeBasis.NONE.value,
        "t_kind": "recorded",
        "kind": EventKind.REGISTRY_VALUE.value,
        "key": None if owner is None else printable(owner if owner.startswith("?") else place.path(owner)),
        "value": printable(found.name),
        "value_type": type_name(found.type),
        "data": printable(shown(found.type if found.data_state == "as-left" else BINARY, data)) if data else None,
        "data_size": found.size,
        "data_offset": found.data_offset,
        "data_cut": True if len(data) < found.size else None,
        "claim": f"its data: {found.data_state}",
    }


def deleted_frame(remains: Sequence[DeletedKey | DeletedValue], place: Place) -> pl.DataFrame:
    """One row per key and value that no tree leads to; what is claimed of each stands apart."""
    rows: list[dict[str, Any]] = []
    for found in remains:
        made = _deleted_key(found, place) if isinstance(found, DeletedKey) else _deleted_value(found, place)
        given = {
            "offset": found.offset,
            "length": found.length,
            "ordinal": 0,
            "found_in": found.where,
            "user": place.user,
        }
        rows.append(made | given | {"state": DELETED})
    columns = {name: [row.get(name) for row in rows] for name in SCHEMA}
    return _whole(columns, len(rows))


def hive_frames(hive: Hive, place: Place, deleted: Deleted, most: int) -> Iterator[pl.DataFrame]:
    """Every key and value of a hive, in use or deleted, in the order of their places; at most ``most`` rows at once."""
    remains: list[DeletedKey | DeletedValue] = sorted([*deleted.keys, *deleted.values], key=lambda r: r.offset)
    tree, starts = hive.tree, hive.cells.starts
    gone = np.array([r.offset for r in remains], dtype=np.int64)
    places = (starts[tree.key_cell], starts[tree.value_cell], gone)
    order = np.argsort(np.concatenate(places), kind="stable")
    keys, values = len(tree.key_cell), len(tree.key_cell) + len(tree.value_cell)
    for at in range(0, len(order), most):
        some = order[at : at + most]
        parts = [
            keys_frame(hive, place, some[some < keys]),
            values_frame(hive, place, some[(some >= keys) & (some < values)] - keys),
            deleted_frame([remains[i - values] for i in some[some >= values].tolist()], place),
        ]
        yield pl.concat(parts).sort("offset", maintain_order=True)
