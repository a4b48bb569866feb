# SPDX-License-Identifier: Apache-2.0
"""The loaded modules that /sys/module still holds (live.sys_module).

Reads:  /sys/module/*/{initstate,refcnt,taint,coresize,srcversion} of a live collection.
Time:   none; the files state no time.
Format: Documentation/ABI/testing/sysfs-module: one value a file; only what was loaded has ``initstate``, what is built in
        has not.
Limits: a module can take its folder out of /sys as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._live import all_of
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Record, Skip, Value

FEED = "live.sys_module"
VERSION = 1
_FACTS = ("initstate", "refcnt", "taint", "coresize", "srcversion")
READS = tuple(f"/sys/module/*/{name}" for name in _FACTS)
_PLACE = lazy_regex(r"/sys/module/([^/]+)/([^/]+)$")


def parse(file: File) -> Iterator[Record]:
    data, gap = all_of(file)
    place = _PLACE.search(file_layer(file.path))
    text = data.decode("utf-8", "surrogateescape").strip()
    if text:
        name = place[1] if place else None
        fact = place[2] if place else None
        fields: dict[str, Value] = {"module": name, "fact": fact, "value": text[:1000], "view": "/sys/module"}
        fields = {k: v for k, v in fields.items() if v is not None}
        yield Event(0, len(data), EventKind.STATE_MODULE, fields=fields)
    elif data:
        yield Skip(0, len(data), "empty")
    if gap:
        yield gap
