# SPDX-License-Identifier: Apache-2.0
"""Look for YARA rules in an item: each content once, likely places first, then what no file holds.

The files are those that were described (fs.content): equal contents, by SHA-256, are looked at once and what is found
stands under each of their names. Of a medium, volumes that nothing here opens (memory, swap, unknown) are looked at as
they lie; unallocated space where the case asks for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from headwater.confine.pool import Pool
from headwater.examine import content, yara_matches
from headwater.formats.patterns import lazy_regex
from headwater.model.custody import Evidence
from headwater.model.kinds import EventKind
from headwater.model.paths import join
from headwater.model.records import own_column
from headwater.procedure.corridor import Corridor, store_of
from headwater.procedure.intake import Held
from headwater.procedure.tasks import STRINGS, WALK, YARA, Unit
from headwater.procedure.whole_files import Look, cut, run
from headwater.procedure.yara import OWN, Loaded, loaded

FILES_PER_TASK = 4_000
BYTES_PER_TASK = 256 << 20
_LOOK = Look("yara", yara_matches.FEED, "headwater.procedure.child_yara:scan", rate=4 << 20)
# where intruders put things, where programs lie, everything else
_LIKELY = (
    lazy_regex(
        r"(?:^|!)/(?:tmp|var/tmp|dev/shm|run|root|home|srv|www|var/www|etc|var/spool|Users|ProgramData|inetpub|PerfLogs)/"
        r"|/(?:[Tt]emp|htdocs|wwwroot|webapps|uploads?)/|!(?:deleted|carved)!|^(?:deleted|carved)!",
    ),
    lazy_regex(r"(?:^|!)/(?:usr/)?(?:local|s?bin|opt|libexec)/|/Windows/(?:System32|SysWOW64|Tasks)/|/Program Files"),
)

Json = dict[str, Any]


def place_of(path: str) -> int:
    """How likely a place is: 0 where intruders put things, 1 where programs lie, 2 everything else."""
    return next((n for n, pattern in enumerate(_LIKELY) if pattern.search(path)), len(_LIKELY))


def targets(corridor: Corridor, item: Evidence, listing: Json, rules: Loaded) -> list[Json]:
    """What is to be looked at, in order; each content once unless the rules ask for names.

    Where the rules are our own alone, contents whose digest a package database of the item states are passed over.
    """
    by_name = rules.compiled.by_name
    columns = [own_column("md5")]
    held = store_of(corridor).scan(feeds=[content.FEED], columns=columns).filter(pl.col("source") == item.number)
    rows = held.select("path", "hash", *columns).collect()
    if set(rules.compiled.count) == {OWN}:
        stated = stated_digests(corridor, item)
        rows = rows.filter(~(pl.col("hash").is_in(stated) | pl.col(columns[0]).is_in(stated)))
    hashes = dict(rows.select("path", "hash").iter_rows())
    found: dict[str, Json] = {}
    order: list[tuple[int, int, Json]] = []
    for at, (view, key, path, size) in enumerate(listing["contents"]):
        full = join(view, path)
        if full not in hashes:
            continue  # a gap of fs.content says why, or a package brought it as it is
        same = found.get(hashes[full])
        if same is not None and not by_name:
            same["also"].append([view, path])
            continue
        target = {"view": view, "key": key, "path": path, "size": int(size), "also": []}
        found[hashes[full]] = target
        order.append((place_of(full), at, target))
    return [t for _, _, t in sorted(order, key=lambda o: o[:2])] + _medium(corridor, listing)


def stated_digests(corridor: Corridor, item: Evidence) -> pl.Series:
    """The digests, MD5 and SHA-256, that package databases of the item state of their files."""
    names = ["md5", "sha256"]
    kinds = [EventKind.STATE_PACKAGE_FILE]
    rows = store_of(corridor).scan(kinds=kinds, columns=names).filter(pl.col("source") == item.number)
    frame = rows.select(pl.col(n).cast(pl.String) for n in names).collect()
    return pl.concat([frame["md5"].rename("d"), frame["sha256"].rename("d")]).drop_nulls().unique().implode()


def _medium(corridor: Corridor, listing: Json) -> list[Json]:
    """Ranges of the medium that no file holds, in targets of bounded size."""
    wanted = {"unopened", "unallocated"} if corridor.settings.yara_unallocated else {"unopened"}
    made: list[Json] = []
    for offset, length, state in listing["ranges"]:
        at, end = int(offset), int(offset) + int(length)
        while state in wanted and at < end:
            size = min(end - at, BYTES_PER_TASK)
            if not made or made[-1]["size"] + size > BYTES_PER_TASK or len(made[-1]["ranges"]) >= FILES_PER_TASK:
                made.append({"view": "", "key": None, "path": "", "size": 0, "ranges": []})
            made[-1]["ranges"].append([at, size])
            made[-1]["size"] += size
            at += size
    return made


def scan_all(corridor: Corridor, pool: Pool, item: Evidence, open_files: Held, listing: Json) -> list[int]:
    """Look at everything with the rules of the case; returns the numbers of the tasks. Nothing where it keeps no rules.

    The pool's children must hold the rules (:func:`headwater.procedure.yara.early`).
    """
    rules = loaded(corridor.case)
    if rules is None:
        return []
    made_of = {"yara": yara_matches.VERSION, "rules": rules.digest}
    chosen = targets(corridor, item, listing, rules)
    return run(corridor, pool, open_files, cut(item, chosen, YARA, FILES_PER_TASK, BYTES_PER_TASK, made_of), _LOOK)


def targets_again(corridor: Corridor, item: Evidence, places: dict[str, list[tuple[int, int]]]) -> list[Json]:
    """The targets in which these places (offset, ordinal) by path stand, each with its ``wanted`` and its ``name``."""
    found: list[Json] = []
    listed = _listed(corridor.case, item)
    named = {join(v, p): {"view": v, "key": k, "path": p, "size": int(s)} for v, k, p, s in listed["contents"]}
    for path, wanted in sorted(places.items()):
        if path in named:
            found.append(named[path] | {"wanted": wanted, "name": path})
            continue
        for target in _medium(corridor, listed):
            inside = [w for w in wanted if any(o <= w[0] < o + n for o, n in target["ranges"])]
            if inside:
                found.append(target | {"wanted": inside, "name": path})
    return found


def _listed(case: Path, item: Evidence) -> Json:
    try:
        marker: Json = json.loads(Unit(item, WALK).marker(case).read_bytes())
    except (OSError, ValueError):
        return {"contents": [], "ranges": []}
    return marker


def told(case: Path, items: Iterable[Evidence]) -> Json:
    """What was looked at and with what, for the list of rules: files of rules, faults, slow rules, bytes."""
    rules = loaded(case)
    if rules is None:
        return {}
    looked = {"contents": 0, "bytes": 0}
    for item in items:
        for marker in sorted((case / "tasks").glob(f"{item.number:04d}-*.json")):
            if not YARA <= int(marker.stem.split("-")[1]) < STRINGS:
                continue
            result = json.loads(marker.read_bytes())["result"]
            looked["contents"] += int(result.get("targets", 0))
            looked["bytes"] += int(result.get("bytes", 0))
    compiled = rules.compiled
    return {
        "digest": rules.digest,
        "files": [[name, count] for name, count in compiled.count.items()],
        "faults": [[f.file, f.rule, f.line, f.why] for f in compiled.faults],
        "slow": [[f.file, f.rule, f.line, f.why] for f in compiled.slow],
        "looked": looked,
    }
