# SPDX-License-Identifier: Apache-2.0
"""Maintainer scripts of packages that run a program from a hidden or temporary place, or one that no package brought.

Needs:      linux.package_script; for programs without a package linux.dpkg_files and fs.content.
Technique:  T1546.016 installer packages.
Says:       which line of which package's script runs what, as root, whenever the package is installed, configured or removed. It
            does not say that the script has run since the line stands there: dpkg's log tells when the package was last handled.
False when: the package is the administrator's own and its program was built on the spot; a script writes the line as a text.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.commands import excerpt
from headwater.detect.frames import state, take
from headwater.detect.package_view import packages, place
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.paths import file_layer
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="package-script",
    version="1",
    author="Headwater",
    title=Text("软件包维护脚本运行可疑程序", "A package's maintainer script runs an odd program"),
    stage=Stage.PERSIST,
    techniques=("T1546.016",),
    severity=Severity.HIGH,
)
CLAIMS = ("kind", "command_line", "file_path", "package", "act")
HELD = ("kind", "file_path", "hash", "type")
_OWN = ("package", "act", "programs", "sourced")
_ODD = lazy_regex(r"^/(?:tmp|var/tmp|dev/shm|run/shm)/|/\.[^/.]")
# written by scripts as they run or by ucf and debconf, never owned
_MADE = r"^/(?:etc|var/lib/dpkg|var/lib/ucf|proc|sys|dev|run)/|/__pycache__/|/modules/[^/]+/"


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """By source, path and place; one finding for each line."""
    rows = take(
        events, kinds=[EventKind.STATE_SETTING], feeds=["linux.package_script"], header=["host", "user", "command_line", "file_path"],
        own=_OWN,
    )  # fmt: skip
    if rows.is_empty():
        return
    unowned = _unowned(events, rows)
    for row in rows.sort("source", "path", "offset").iter_slices(1):
        said = row.to_dicts()[0]
        for program in str(said["programs"]).split(" "):
            odd = _ODD.search(program) is not None
            held = unowned.filter(
                (pl.col("file_path") == program) & (pl.col("source") == said["source"])
                & pl.lit(str(said["path"])).str.starts_with(pl.col("system"))
            )  # fmt: skip
            if odd or (held.height and str(said["sourced"]).lower() != "true"):
                yield _finding(events, row, program, odd, held.head(1))
                break


def _unowned(events: Events, rows: pl.DataFrame) -> pl.DataFrame:
    """The files that the scripts run and no package brought; none where the database does not know most of what they run."""
    view = packages(events)
    nothing = pl.DataFrame(schema={"file_path": pl.String, "source": pl.Int64, "system": pl.String})
    if view is None:
        return nothing
    named = sorted({p for said in rows["programs"].to_list() for p in str(said).split(" ")})
    asked = pl.DataFrame({"file_path": named}, schema={"file_path": pl.String}).with_columns(place().alias("place"))
    mine = view.held.join(asked.select("place").unique(), on="place", how="semi", maintain_order="left")
    known = view.owned.join(asked.select("place").unique(), on="place", how="semi", maintain_order="left")
    missing = view.unowned().join(asked.select("place").unique(), on="place", how="semi", maintain_order="left")
    missing = missing.filter(pl.col("type").is_in(["elf", "script"]) & ~pl.col("file_path").str.contains(_MADE))
    if missing.height * 2 > max(mine.height, known.height):
        return nothing
    by_name = asked.rename({"file_path": "named"})
    return missing.join(by_name, on="place", how="inner").with_columns(pl.col("named").alias("file_path")).drop("named")


def _finding(events: Events, row: pl.DataFrame, program: str, odd: bool, held: pl.DataFrame) -> Finding:
    said = row.to_dicts()[0]
    package, act, shown = said["package"], said["act"], excerpt(str(said["command_line"]), 160)
    zh = f"软件包 {package} 的 {act} 脚本以 root 身份运行{'隐藏或临时目录中的' if odd else '不属于任何软件包的'}程序 {program}：{shown}。"
    what = "in a hidden or temporary place" if odd else "that no package brought"
    en = f"The {act} script of the package {package} runs, as root, the program {program} {what}: {shown}."
    return state(
        events, RULE, row, CLAIMS, Text(zh, en), severity=Severity.HIGH if odd else Severity.MEDIUM,
        confidence=Confidence.MEDIUM,
        facts={"reason": "hidden" if odd else "unowned", "path": file_layer(str(said["path"])), "program": program},
        more=[(held, HELD)] if held.height else [],
    )  # fmt: skip
