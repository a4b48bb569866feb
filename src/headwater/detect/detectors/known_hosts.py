# SPDX-License-Identifier: Apache-2.0
"""Hosts that an account connected to by ssh, noted in a known_hosts file written after an entry.

Needs:      linux.known_hosts, the file system's times of that file, and an entry (guessing or a confirmed web command).
Technique:  T1021.004 remote services: SSH.
Says:       which hosts stand in the file, and that it was last written within a day after an entry into this host.
False when: an administrator connected onwards on the same day; the file tells neither which line was added then nor
            whether a login followed, and hashed names cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.frames import account_zh, names, state, take
from headwater.detect.intrusion import after_words, cited, entries, entries_before
from headwater.detect.system_view import of_same_files
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="known-hosts-after-entry",
    version="2",
    author="Headwater",
    title=Text("入侵后由本机连往他机", "Connections to other hosts after an entry"),
    stage=Stage.SPREAD,
    techniques=("T1021.004",),
    severity=Severity.MEDIUM,
)

CLAIMS = ("kind", "user", "dst_ip", "file_path", "hosts", "key_fingerprint")


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Findings in order of source and path; nothing where no entry is known."""
    held = entries(events, settings)
    if not held:
        return
    rows = take(
        events,
        kinds=[EventKind.STATE_HOST_KEY],
        header=["user", "dst_ip", "file_path", "host"],
        own=["hosts", "hashed", "key_fingerprint"],
    )
    if rows.is_empty():
        return
    paths = rows["file_path"].drop_nulls().unique().to_list()
    kinds = [EventKind.FILE_CREATED, EventKind.FILE_MODIFIED]
    times = take(events, kinds=kinds, header=["file_path"], where=pl.col("file_path").is_in(paths))
    for part in rows.sort("source", "path", "offset").partition_by("source", "path", maintain_order=True):
        source, user = int(part["source"][0]), part["user"][0]
        written = of_same_files(times, part).drop_nulls("ts")
        near_rows = [row for row in written.iter_slices(1) if entries_before(held, source, int(row["ts"][0]))]
        if not near_rows:
            continue
        mine = pl.concat(near_rows)
        near = entries_before(held, source, int(mine["ts"][0]))
        hosts = part.filter(~pl.col("hashed").fill_null(False))["hosts"].unique(maintain_order=True).to_list()
        hidden = part["hosts"].n_unique() - len(hosts)
        words = after_words(near)
        told_zh = names(hosts[:5], len(hosts), "zh") if hosts else ""
        told_en = names(hosts[:5], len(hosts), "en") if hosts else ""
        zh = f"{account_zh(user)}的 known_hosts 记有曾连接的主机：{told_zh or '主机名均经散列，无法读出'}"
        en = f"known_hosts of {user or 'an account not recorded'} holds hosts that it connected to: {told_en or 'all names are hashed'}"
        if hosts and hidden:
            zh += f"，另有 {hidden} 个经散列"
            en += f", {hidden} more hashed"
        yield state(
            events, RULE, part, CLAIMS, Text(f"{zh}{words[0]}。", f"{en}{words[1]}."),
            severity=Severity.MEDIUM, confidence=Confidence.MEDIUM,
            facts={"hosts": ",".join(hosts[:20]), "hashed": hidden, "targets": ",".join(hosts[:20])},
            more=[(mine, ("kind", "file_path"))], beside=cited(near), moments=mine["ts"].to_list(), user=user,
        )  # fmt: skip
