# SPDX-License-Identifier: Apache-2.0
"""Rules of the packet filter that lead connections outside, or by a mark in them to SSH behind another service's port.

Needs:      state.firewall (iptables-save, nft, the files that they are loaded from).
Technique:  T1090 proxy; T1205 traffic signaling.
Says:       which rule forwards what to which address outside, or turns connections to a web or database port to port 22. Rules that
            forward within the host or its networks (containers, orchestrators, a further port of one's own) are not told. It
            does not say that anything was forwarded.
False when: a gateway or a relocated server is meant to forward; its administrator tells.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.commands import excerpt, suspicious, targets
from headwater.detect.frames import state, take
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.paths import file_layer
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="redirected-traffic",
    version="1",
    author="Headwater",
    title=Text("包过滤规则转发连接", "Rules of the packet filter that redirect connections"),
    stage=Stage.SPREAD,
    techniques=("T1090", "T1205"),
    severity=Severity.MEDIUM,
)
CLAIMS = ("kind", "table", "chain", "rule", "action", "target")
_TOLD = {
    "redirect-outside": ("把连接转发至外部地址", "forwards connections to an outside address", "T1090"),
    "port-reuse": ("把其他服务端口的连接转至 SSH 端口", "turns connections to another service's port to that of SSH", "T1205"),
}  # fmt: skip
_MOST = 200


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """By source, path and place; one finding for each rule, at most 200."""
    rows = take(
        events, kinds=[EventKind.STATE_FIREWALL], header=["host"], own=CLAIMS[1:], where=pl.col("rule").is_not_null()
    )
    if rows.is_empty():
        return
    rule, chain = pl.col("rule").cast(pl.String), pl.col("chain").cast(pl.String).fill_null("")
    saved = pl.lit("iptables -A ") + chain + pl.lit(" ") + rule
    rows = rows.with_columns(
        pl.when(rule.str.starts_with("-")).then(saved).otherwise(pl.lit("nft ") + rule).alias("line")
    )
    known = suspicious(rows, "line")
    told = 0
    for row in rows.sort("source", "path", "offset").iter_slices(1):
        line = str(row["line"][0])
        trait = next((t.name for t in known.get(line, ()) if t.name in _TOLD), None)
        if trait is None or told >= _MOST:
            continue
        told += 1
        zh, en, technique = _TOLD[trait]
        path, shown = file_layer(row["path"][0]), excerpt(str(row["rule"][0]), 160)
        rest = tuple(t for t in RULE.techniques if t != technique)
        card = Rule(RULE.id, RULE.version, RULE.author, RULE.title, RULE.stage, (technique, *rest), RULE.severity)
        yield state(
            events, card, row, CLAIMS, Text(f"{path} 中的规则{zh}：{shown}。", f"A rule in {path} {en}: {shown}."),
            severity=Severity.MEDIUM, confidence=Confidence.MEDIUM,
            facts={"reason": trait, "path": path, "targets": targets([line])},
        )  # fmt: skip
