# SPDX-License-Identifier: Apache-2.0
"""Windows registry hives: every key and value, deleted ones too, and what they mean (windows.registry).

Reads:  /Windows/System32/config/{SYSTEM,SOFTWARE,SAM,SECURITY,DEFAULT,…} and RegBack, NTUSER.DAT, UsrClass.dat, Amcache.hve.
Time:   last write of each key, FILETIME, UTC, 100 ns, by the host's own clock; values have none of their own.
Format: https://github.com/msuhanov/regf/blob/master/Windows%20registry%20file%20format%20specification.md, versions 1.2 to 1.6.
Limits: the hive as recorded: what its transaction logs change is told by windows.registry_log; names of a deleted key's parents
        are claims; transactional (CLFS) changes and layered keys are not resolved; data beyond 64 KiB of text is cut.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from headwater.examine.batch import Batch, Skipped, frame_of, merge_gaps
from headwater.examine.hive_artifacts import artifact_batches
from headwater.examine.hive_place import Place, place_of
from headwater.examine.registry_rows import empty_frame, hive_frames
from headwater.formats.registry_deleted import SLACK, Deleted
from headwater.formats.registry_hive import Hive, open_hive
from headwater.formats.registry_layout import MAGIC, base_block
from headwater.formats.registry_tree import CLASS, DATA, FREE, LIST, SECURITY
from headwater.model.kinds import GapReason
from headwater.model.records import Count, File, Gap

FEED = "windows.registry"
VERSION = 1
_SYSTEM = ("SYSTEM", "SOFTWARE", "SAM", "SECURITY", "DEFAULT", "COMPONENTS", "DRIVERS", "ELAM", "BBI")
READS = (
    *(f"/{folder}/{name}" for folder in ("config", "Config", "RegBack") for n in _SYSTEM for name in (n, n.lower())),
    *("/NTUSER.DAT", "/ntuser.dat", "/NTUSER.dat", "/UsrClass.dat", "/usrclass.dat", "/USRCLASS.DAT"),
    *("/Amcache.hve", "/amcache.hve", "/AMCACHE.HVE"),
)
HIVE_MOST = 2 << 30
_ROWS = 100_000  # of one batch
_ROLES = (
    (LIST, "list of keys or values"),
    (DATA, "data of a value, told with it"),
    (SECURITY, "security descriptor"),
    (CLASS, "class name of a key, told with it"),
)


def recognise(head: bytes) -> bool:
    return head.startswith(MAGIC) and head[28:32] == bytes(4)


def batches(file: File) -> Iterator[Batch]:
    """What the keys mean, a batch per artifact; then all rows in the order of their places, and the count with the last."""
    data = file.pread(0, min(file.size, HIVE_MOST)) if file.size <= HIVE_MOST else b""
    hive = open_hive(data)
    if hive is None:
        yield Batch(0, file.size, frame_of([]), (_refused(file, data),) if file.size else (), (), Count(0))
        return
    place = place_of(hive, file.path)
    yield from artifact_batches(hive, place)
    yield from _cut(hive, place, file.size)


def _refused(file: File, data: bytes) -> Gap:
    if file.size > HIVE_MOST:
        return Gap(0, file.size, GapReason.LIMIT, "a hive cannot be larger than 2 GiB")
    base = base_block(data)
    if base is None:
        return Gap(0, file.size, GapReason.NOT_THIS_FORMAT, "no base block of a registry hive")
    if base.file_type != 0:
        return Gap(0, file.size, GapReason.NOT_THIS_FORMAT, "a transaction log, not a hive")
    detail = f"a hive of version {base.version[0]}.{base.version[1]}"
    return Gap(0, file.size, GapReason.UNSUPPORTED, detail)


def _cut(hive: Hive, place: Place, size: int) -> Iterator[Batch]:
    """The rows in batches that tile the file; the last one has the gaps, the skips and the count."""
    deleted = Deleted(hive)
    frames = hive_frames(hive, place, deleted, _ROWS)
    frame, start = next(frames, empty_frame()), 0
    for following in frames:
        end = int(following["offset"][0])
        yield Batch(start, end, frame)
        frame, start = following, end
    tree = hive.tree
    found = len(tree.key_cell) + len(tree.value_cell) + len(deleted.keys) + len(deleted.values)
    count = Count(found + tree.lost, tree.lost, _slack(hive))
    gaps = [*hive.cells.gaps, *tree.gaps, *_state(hive)]
    yield Batch(start, size, frame, merge_gaps(gaps), _skips(hive, deleted), count)


def _state(hive: Hive) -> Iterator[Gap]:
    """That the hive was being written, where its base block says so: these rows are the hive as recorded."""
    if hive.base.dirty:
        numbers = (
            f"sequence numbers {hive.base.primary} and {hive.base.secondary}" if hive.base.sound else "wrong checksum"
        )
        detail = f"a write was not ended ({numbers}): the rows are the hive as recorded, without what its logs bring"
        yield Gap(0, 0, GapReason.NOT_REPLAYED, detail)


def _slack(hive: Hive) -> int:
    """Bytes that no record in use needs: freed cells, and what stands in used ones behind their records."""
    cells, tree = hive.cells, hive.tree
    needed = np.where(tree.role == FREE, 0, tree.extent)
    return int((cells.sizes - needed).sum())


def _skips(hive: Hive, deleted: Deleted) -> tuple[Skipped, ...]:
    cells, tree = hive.cells, hive.tree
    found: dict[str, tuple[int, int]] = {}
    for size, reason in cells.skips:
        n, total = found.get(reason, (0, 0))
        found[reason] = (n + 1, total + size)
    for role, reason in _ROLES:
        chosen = tree.role == role
        found[reason] = (int(chosen.sum()), int(cells.sizes[chosen].sum()))
    n, total = found[_ROLES[0][1]]
    found[_ROLES[0][1]] = (n, total - sum(g.length for g in tree.gaps))
    in_cells = sum(r.length for r in deleted.keys if r.where != SLACK)
    in_cells += sum(r.length for r in deleted.values if r.where != SLACK)
    unled = (tree.role == FREE) & cells.used
    free = int(cells.sizes[tree.role == FREE].sum()) - int(cells.sizes[unled].sum())
    found["cell in use that nothing leads to"] = (int(unled.sum()), int(cells.sizes[unled].sum()))
    found["freed cell, without the remains in it"] = (int((~cells.used).sum()), free - in_cells)
    return tuple(Skipped(reason, n, size) for reason, (n, size) in sorted(found.items()) if n)
