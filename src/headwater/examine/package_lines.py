# SPDX-License-Identifier: Apache-2.0
"""The lines that package managers write: dpkg and yum.

Formats: dpkg(1) "--log": https://man7.org/linux/man-pages/man1/dpkg.1.html; yum's log has no specification: it writes
``Mmm dd HH:MM:SS Installed: name-version-release.arch``.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from headwater.examine.line_blocks import Lines
from headwater.examine.line_time import YearlessTimes, bsd, iso
from headwater.examine.line_views import Flags, Ints, numbers
from headwater.examine.lines import Context, Cut, LineGrammar, groups
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import TimeBasis

OWN = {
    "action": pl.String,
    "package": pl.String,
    "arch": pl.String,
    "version": pl.String,
    "old_version": pl.String,
    "state": pl.String,
    "file": pl.String,
    "level": pl.String,
    "message": pl.String,
    "time_text": pl.String,
}
_KINDS = {
    "install": K.PACKAGE_INSTALL,
    "installed": K.PACKAGE_INSTALL,
    "dep-installed": K.PACKAGE_INSTALL,
    "reinstall": K.PACKAGE_INSTALL,
    "reinstalled": K.PACKAGE_INSTALL,
    "upgrade": K.PACKAGE_UPGRADE,
    "upgraded": K.PACKAGE_UPGRADE,
    "update": K.PACKAGE_UPGRADE,
    "updated": K.PACKAGE_UPGRADE,
    "downgrade": K.PACKAGE_UPGRADE,
    "downgraded": K.PACKAGE_UPGRADE,
    "remove": K.PACKAGE_REMOVE,
    "removed": K.PACKAGE_REMOVE,
    "purge": K.PACKAGE_REMOVE,
    "erase": K.PACKAGE_REMOVE,
    "erased": K.PACKAGE_REMOVE,
}
_DPKG = (
    r"^(?:(?P<action>install|upgrade|configure|trigproc|disappear|remove|purge) (?P<package>[^ :]+)(?::(?P<arch>[^ ]+))? "
    r"(?P<old_version>[^ ]+) (?P<version>[^ ]+)"
    r"|status (?P<state>[^ ]+) (?P<package2>[^ :]+)(?::(?P<arch2>[^ ]+))? (?P<version2>[^ ]*)"
    r"|conffile (?P<file>.+) (?P<state2>[^ ]+)|startup (?P<state3>.+))$"
)
_RPM = (
    r"^(?P<action>[A-Z][A-Za-z-]+): (?:[0-9]+:)?(?P<package>[^ ]+?)(?:-(?:[0-9]+:)?"
    r"(?P<version>[^- ]+-[^- ]+?)(?:\.(?P<arch>[^.\- ]+))?)?$"
)


def _kinds(action: pl.Series) -> pl.Series:
    lower = action.str.to_lowercase()
    return lower.replace_strict(_KINDS, default=str(K.PACKAGE_STATUS), return_dtype=pl.String)


def _times(ns: Ints, zoned: Flags) -> dict[str, pl.Series]:
    bases = pl.Series([str(TimeBasis.ZONE_ASSUMED), str(TimeBasis.ZONE_GIVEN)], dtype=pl.String)
    return {"t_recorded": pl.Series(ns), "t_basis": bases.gather(pl.Series(zoned.astype(np.uint32)))}


def dpkg_shape(lines: Lines, context: Context) -> Cut:
    times = iso(lines.data, lines.start, "- ")
    fits, got = groups(lines, times.end + 1, times.ok & (lines.data[times.end] == 32), _DPKG)
    if not fits.any():
        return Cut.none(lines)
    named = got.with_columns(
        pl.coalesce("package", "package2").alias("package"),
        pl.coalesce("arch", "arch2").alias("arch"),
        pl.coalesce("version", "version2").alias("version"),
        pl.coalesce("state", "state2", "state3").alias("state"),
        pl.coalesce(
            "action",
            pl.when(pl.col("file").is_not_null()).then(pl.lit("conffile")),
            pl.when(pl.col("state3").is_not_null()).then(pl.lit("startup")),
            pl.lit("status"),
        ).alias("action"),
    )
    # a remove or configure names the version at hand first and "<none>" where there is no new one
    none = (named["version"] == "<none>").fill_null(False)
    columns = {name: named[name] for name in ("action", "package", "arch", "state", "file")}
    columns["version"] = named["old_version"].zip_with(none, named["version"])
    old = named["old_version"]
    columns["old_version"] = old.set((none | (old == "<none>")).fill_null(True), None)
    columns["kind"] = _kinds(named["action"])
    return Cut(fits, columns | _times(times.ns[fits], times.zoned[fits]))


def yum_shape(lines: Lines, context: Context) -> Cut:
    times = bsd(lines.data, lines.start)
    if context.years is None or not times.ok.any():
        return Cut.none(lines)
    known, ns = context.years.nanoseconds(times)
    fits, got = groups(lines, lines.start + 16, times.ok, _RPM)
    if not fits.any():
        return Cut.none(lines)
    known = known[fits]
    bases = pl.Series([str(TimeBasis.NONE), str(TimeBasis.YEAR_ASSUMED)], dtype=pl.String)
    columns = {name: got[name] for name in ("action", "package", "version", "arch")}
    columns["kind"] = _kinds(got["action"])
    columns["t_recorded"] = numbers(ns[fits], known)
    columns["t_basis"] = bases.gather(pl.Series(known.astype(np.uint32)))
    if not known.all():
        mine = lines.take(fits)
        columns["time_text"] = mine.column(mine.start, mine.start + 15, ~known)
    return Cut(fits, columns)


def _yum_times(lines: Lines) -> YearlessTimes:
    return bsd(lines.data, lines.start)


DPKG = LineGrammar(shapes=(dpkg_shape,), own=OWN)
YUM = LineGrammar(shapes=(yum_shape,), own=OWN, yearless=_yum_times)
