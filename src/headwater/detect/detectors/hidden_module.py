# SPDX-License-Identifier: Apache-2.0
"""Kernel modules that one list of the running system has and another has not, and a taint that no listed module explains.

Needs:      live.modules (lsmod, /proc/modules) and live.sys_module of the same collection; live.host for the taint.
Technique:  T1014 rootkit; T1547.006 kernel modules.
Says:       which module which lists lack; or that a module from outside the kernel's tree, or unsigned, was loaded and none is
            listed.
False when: a module was loaded or unloaded between two lists; the taint stays after an unloading until the next boot.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.frames import state
from headwater.detect.live_view import by_view, called, collected, cut, neighbours, plain, rows
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="hidden-module",
    version="1",
    author="Headwater",
    title=Text("被隐藏的内核模块", "A hidden kernel module"),
    stage=Stage.COVER,
    techniques=("T1014", "T1547.006"),
    severity=Severity.HIGH,
)
CLAIMS = ("kind", "module", "view", "fact", "value", "taint", "state")
HOST_CLAIMS = ("kind", "mechanism", "value")
_SYS = "/sys/module"
_OUTSIDE, _UNSIGNED = 1 << 12, 1 << 13  # Documentation/admin-guide/tainted-kernels.rst
MOST = 50


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """By source and module; then the taint."""
    if not collected(events):
        return
    own = list(CLAIMS[1:])
    listed = rows(events, ["live.modules"], own, EventKind.STATE_MODULE)
    sysfs = rows(events, ["live.sys_module"], own, EventKind.STATE_MODULE)
    loaded = sysfs.filter(pl.col("fact") == "initstate")
    tainted = rows(
        events,
        ["live.host"],
        ["mechanism", "value"],
        EventKind.STATE_HOST,
        pl.col("mechanism") == "tainted",
        whole=False,
    )
    broken = cut(events)
    for source in sorted({*listed["source"].to_list(), *tainted["source"].to_list()}):
        mine, folder = (f.filter(pl.col("source") == source) for f in (listed, loaded))
        taint = sysfs.filter((pl.col("source") == source) & (pl.col("fact") == "taint"))
        yield from _differences(events, mine, folder, lost=source in broken)
        yield from _tainted(
            events, tainted.filter(pl.col("source") == source), pl.concat([mine, taint], how="diagonal_relaxed")
        )


def _differences(events: Events, listed: pl.DataFrame, folder: pl.DataFrame, *, lost: bool) -> Iterator[Finding]:
    """``lost``: the stream ended early, so that what the kernel's own views lack may only not have come."""
    views = by_view(listed)
    if folder.height:
        views[_SYS] = folder
    if len(views) < 2:
        return
    every = pl.concat(list(views.values()), how="diagonal_relaxed")
    for module in every["module"].drop_nulls().unique().sort().to_list()[: 100 * MOST]:
        shown = {p for p, v in views.items() if v["module"].eq(module).any()}
        lacking = {p: v for p, v in views.items() if p not in shown and not (lost and "/@command/" not in p)}
        if not lacking:
            continue
        part = every.filter(pl.col("module") == module)
        zh = f"内核模块 {module} 见于 {called(shown, 'zh')}，而 {called(lacking, 'zh')} 中没有。"
        en = f"The kernel module {module} stands in {called(shown, 'en')} and not in {called(lacking, 'en')}."
        near = pl.concat([neighbours(v, "module", module) for v in lacking.values()], how="diagonal_relaxed")
        sure = len(shown) >= 2 or _SYS in shown
        yield state(
            events, RULE, plain(part, CLAIMS), CLAIMS, Text(zh, en), severity=Severity.HIGH if sure else Severity.MEDIUM,
            confidence=Confidence.MEDIUM, facts={"reason": "difference", "module": module},
            more=[(plain(near, CLAIMS), CLAIMS)], moments=every["ts"].drop_nulls().to_list()[:1], limit=20,
        )  # fmt: skip


def _tainted(events: Events, taint: pl.DataFrame, modules: pl.DataFrame) -> Iterator[Finding]:
    for row in taint.iter_slices(1):
        text = str(row["value"][0])
        bits = int(text) if text.isascii() and text.isdigit() and len(text) < 18 else 0
        letters = "O" * bool(bits & _OUTSIDE) + "E" * bool(bits & _UNSIGNED)
        marks = "".join(
            str(t) for c in ("taint", "value") for t in modules[c].drop_nulls().to_list() if len(str(t)) < 8
        )
        missing = "".join(sorted(set(letters) - set(marks)))
        if not missing or modules.is_empty():
            continue
        zh = (
            f"内核带有污染标志 {missing}（O 为源码树外模块，E 为未签名模块），而所列模块中没有一个带此标志："
            "曾装入这样的模块，其后被卸载或自行隐藏。"
        )
        en = (
            f"The kernel is tainted {missing} (O: a module from outside its tree, E: an unsigned one) and no listed module "
            "bears the mark: such a module was loaded and has since been unloaded or hides itself."
        )
        yield state(
            events, RULE, plain(row, HOST_CLAIMS), HOST_CLAIMS, Text(zh, en), severity=Severity.MEDIUM,
            confidence=Confidence.LOW, facts={"reason": "taint", "flags": missing},
        )  # fmt: skip
