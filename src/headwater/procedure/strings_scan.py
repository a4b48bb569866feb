# SPDX-License-Identifier: Apache-2.0
"""Take the telling strings of every new or changed program, script and library of an item.

New or changed is a program whose digest no package database of the item states; where the item has none, one that lies
where intruders put things. Each content once, likely places first, bounded; what is beyond the bound is a gap by name.
dpkg states no digest of its packages' own scripts, and a plain Debian holds three hundred of them: they come last, or
they alone would fill the bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from headwater.confine.pool import Pool
from headwater.examine import content, program_strings
from headwater.formats.patterns import lazy_regex
from headwater.model.custody import Evidence
from headwater.model.kinds import GapReason
from headwater.model.paths import join
from headwater.model.records import Gap, own_column
from headwater.procedure.corridor import Corridor, store_of
from headwater.procedure.intake import Held
from headwater.procedure.tasks import STRINGS, Unit
from headwater.procedure.whole_files import Look, Named, cut, run
from headwater.procedure.yara_scan import place_of, stated_digests

PROGRAMS = ("elf", "pe", "mach-o", "java-class", "script", "php", "wasm")
MOST = 300  # contents of one item
BYTES_MOST = 512 << 20  # of them together
FILES_PER_TASK = 100
BYTES_PER_TASK = 128 << 20
_GAPS_MOST = 2_000
_OF_DPKG = lazy_regex(r"(?:^|!)/var/lib/dpkg/info/[^/]+\.(?:preinst|postinst|prerm|postrm|config)$")
_LAST = 9  # behind every place that place_of knows

Json = dict[str, Any]


def rank(path: str) -> int:
    """Which programs come first: by their place, the scripts of dpkg's own records last."""
    return _LAST if _OF_DPKG.search(path) else place_of(path)


def chosen(corridor: Corridor, item: Evidence, contents: Sequence[Sequence[Any]]) -> tuple[list[Json], list[str]]:
    """The targets in order, each content once, and the paths of what is beyond the bound."""
    names = [own_column("md5"), own_column("type")]
    held = store_of(corridor).scan(feeds=[content.FEED], columns=names).filter(pl.col("source") == item.number)
    held = held.filter(pl.col(names[1]).is_in(PROGRAMS))
    stated = stated_digests(corridor, item)
    new = ~(pl.col("hash").is_in(stated) | pl.col(names[0]).is_in(stated))
    rows = held.filter(new).select("path", "hash").collect()
    hashes = dict(rows.iter_rows())
    packaged = bool(stated.explode().len())
    found: dict[str, Json] = {}
    order: list[tuple[int, int, Json]] = []
    for at, (view, key, path, size) in enumerate(contents):
        full = join(view, path)
        if full not in hashes or not (packaged or place_of(full) == 0):
            continue
        same = found.get(hashes[full])
        if same is not None:
            same["also"].append([view, path])
            continue
        target = {"view": view, "key": key, "path": path, "size": int(size), "also": [], "hash": hashes[full]}
        found[hashes[full]] = target
        order.append((rank(full), at, target))
    ordered = [t for _, _, t in sorted(order, key=lambda o: o[:2])]
    kept: list[Json] = []
    beyond: list[str] = []
    size = 0
    for target in ordered:
        size += min(target["size"], program_strings.FILE_MOST)
        if len(kept) < MOST and size <= BYTES_MOST:
            kept.append(target)
        else:
            beyond.append(join(target["view"], target["path"]))
    return kept, beyond


def strings_all(corridor: Corridor, pool: Pool, item: Evidence, open_files: Held, listing: Json) -> list[int]:
    """Take the strings; returns the numbers of the tasks."""
    targets, beyond = chosen(corridor, item, listing["contents"])
    made_of = {"strings": program_strings.VERSION, "beyond": beyond}
    units = cut(item, targets, STRINGS, FILES_PER_TASK, BYTES_PER_TASK, made_of)
    why = f"strings: beyond the first {MOST} new programs or {BYTES_MOST} bytes"

    def more(unit: Unit) -> Sequence[Named]:
        if unit.number != STRINGS:
            return ()
        return [(path, Gap(0, 0, GapReason.LIMIT, why)) for path in beyond[:_GAPS_MOST]]

    look = Look("strings", program_strings.FEED, "headwater.procedure.child_strings:take", told=False, more=more)
    return run(corridor, pool, open_files, units, look)
