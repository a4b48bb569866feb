# SPDX-License-Identifier: Apache-2.0
"""Where new and changed programs reach out to: addresses, links, hidden services, wallets and keys in their strings.

Needs:      file.strings (made of programs that no package brought); fs.macb for the files' times.
Technique:  T1071 application layer protocol; T1552.004 private keys; T1496 for wallets.
Says:       which program holds which text, and where; a text in a program is no proof that the program used it.
False when: an ordinary program that was installed without a package names its maker's site, or a test's address.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.addresses import outside
from headwater.detect.commands import quoted
from headwater.detect.frames import names, state, take
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings
from headwater.model.records import Value

RULE = Rule(
    id="program-strings",
    version="1",
    author="Headwater",
    title=Text("新增或改动的程序中的地址与密钥", "Addresses and keys in new or changed programs"),
    stage=Stage.SPREAD,
    techniques=("T1071",),
    severity=Severity.INFO,
)
CLAIMS = ("kind", "file_path", "class", "part")
MOST = 60  # findings of one item
_TELLING = ("onion", "wallet", "key")
_NUMERIC = r"://(?:\d{1,3}\.){3}\d{1,3}\b"


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """One finding for each program that names an outside address, a hidden service, a wallet or a key; by item and path."""
    rows = take(
        events, kinds=[EventKind.STATE_STRING], header=["file_path", "hash", "host"], own=["class", "part", "strings"],
        where=pl.col("class").is_in([*_TELLING, "url", "address"]),
    )  # fmt: skip
    if rows.is_empty():
        return
    part = pl.col("part")
    bare = pl.Series([outside(p) for p in rows["part"].to_list()], dtype=pl.Boolean)
    plain = (pl.col("class") == "address") & bare
    linked = (
        (pl.col("class") == "url") & part.str.contains(_NUMERIC) & ~part.str.contains(r"://(?:127|0|10|192\.168)\.")
    )
    rows = rows.filter(plain | linked | pl.col("class").is_in(_TELLING)).sort("source", "path", "offset", "ordinal")
    for item in rows.partition_by("source", maintain_order=True):
        programs = item.partition_by("hash", maintain_order=True)
        for held in programs[:MOST]:
            yield _finding(events, held, max(0, len(programs) - MOST))


def _finding(events: Events, held: pl.DataFrame, beyond: int) -> Finding:
    paths = held["file_path"].unique(maintain_order=True).to_list()
    parts = held["part"].unique(maintain_order=True).to_list()
    telling = bool(held["class"].is_in(_TELLING).any())
    zh = f"{names(paths[:3], len(paths), 'zh')}（不属于任何软件包或已改动）的字符串中有：{quoted(parts, 'zh', 5)}。"
    en = f"The strings of {names(paths[:3], len(paths), 'en')}, which no package brought as it is, hold {quoted(parts, 'en', 5)}."
    facts: dict[str, Value] = {
        "path": str(paths[0]),
        "parts": len(parts),
        "classes": ",".join(held["class"].unique().sort().to_list()),
    }
    if beyond:
        facts["beyond"] = beyond
    return state(
        events, RULE, held, CLAIMS, Text(zh, en), severity=Severity.LOW if telling else Severity.INFO,
        confidence=Confidence.LOW, facts=facts, limit=20, moments=(),
    )  # fmt: skip
