# SPDX-License-Identifier: Apache-2.0
"""Fill the tables of settings and rights from the events of state, and mark those that findings cite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from headwater.detect.detectors.windows_rights import open_to
from headwater.model.kinds import EventKind
from headwater.model.nouns import Finding, Text
from headwater.procedure.corridor import Corridor, store_of
from headwater.report.settings_data import SettingRow, SettingTable
from headwater.store.events import EventStore
from headwater.store.parts import HEADER_SCHEMA

MOST = 200  # rows of one table
_TABLES: tuple[tuple[EventKind, Text], ...] = (
    (EventKind.STATE_ACCOUNT, Text("账户", "Accounts")),
    (EventKind.STATE_GROUP, Text("用户组", "Groups")),
    (EventKind.STATE_SUDO, Text("提权授权", "Rights to act as another")),
    (EventKind.STATE_RIGHT, Text("用户权利指派", "User rights")),
    (EventKind.STATE_SECURITY, Text("文件属主与访问控制", "Owners and access lists of files")),
    (EventKind.STATE_KEY, Text("登录密钥", "Login keys")),
    (EventKind.STATE_SERVICE, Text("服务", "Services")),
    (EventKind.STATE_SCHEDULE, Text("计划任务", "Scheduled tasks")),
    (EventKind.STATE_AUTORUN, Text("自启动项", "Autoruns")),
    (EventKind.STATE_SHARE, Text("共享", "Shares")),
    (EventKind.STATE_FIREWALL, Text("防火墙规则", "Firewall rules")),
    (EventKind.STATE_NETWORK, Text("网络设置", "Network settings")),
    (EventKind.STATE_MOUNT, Text("挂载", "Mounts")),
    (EventKind.STATE_DEVICE, Text("外接设备", "Devices")),
)
_SHOWN = 8  # fields of one row
_SECURITY = ("owner", "dacl", "writable_by", "files", "such_as", "security_id", "group", "sacl")
_VALUE = 120  # characters of one value; the whole stands at the cited place
_PLACE = ("source", "path", "offset", "ordinal")
Place = tuple[int, str, int, int]


def tables(corridor: Corridor, findings: Sequence[Finding]) -> Iterator[SettingTable]:
    """One table for each kind of setting that the evidence keeps, in a fixed order."""
    store = store_of(corridor)
    remarked: dict[Place, list[str]] = {}
    for finding in findings:
        for cited in finding.spans:
            span = cited.span
            names = remarked.setdefault((span.evidence, span.path, span.offset, cited.ordinal), [])
            if finding.id not in names:
                names.append(finding.id)
    if not store.feeds():
        return
    present: dict[str, list[str]] = {}
    for named, feed in (
        store.scan().select("kind", "feed").unique().drop_nulls().collect().sort("kind", "feed").iter_rows()
    ):
        present.setdefault(named, []).append(feed)
    for kind, title in _TABLES:
        if str(kind) not in present:
            continue
        rows: list[SettingRow] = []
        total = 0
        for feed in present[str(kind)]:
            count, found = _rows(store, feed, kind, remarked)
            total += count
            rows.extend(found)
        rows.sort(key=lambda row: (not row.findings, row.evidence, row.path, row.offset))
        yield SettingTable(title, total, tuple(rows[:MOST]))


def _rows(
    store: EventStore, feed: str, kind: EventKind, remarked: Mapping[Place, Sequence[str]]
) -> tuple[int, list[SettingRow]]:
    """How many entries of a kind a feed holds, and the first of them with all that are remarked on."""
    places = store.scan(kinds=[str(kind)], feeds=[feed]).select(_PLACE).collect()
    if places.is_empty():
        return 0, []
    wanted = [place for place in places.iter_rows() if place in remarked]
    first = places.sort(_PLACE).head(MOST)
    keys = pl.concat([first, pl.DataFrame(wanted, schema=first.schema, orient="row")]).unique(maintain_order=True)
    own = [c for c in store.columns(feed) if c not in HEADER_SCHEMA]
    frame = store.scan(kinds=[str(kind)], feeds=[feed], columns=own)
    held = frame.join(keys.lazy(), on=list(_PLACE), how="semi").collect().sort(_PLACE)
    if kind is EventKind.STATE_SECURITY and "security_id" in held.columns:
        held = _bearers(store, held)
        own = [name for name in _SECURITY if name in held.columns]
    return places.height, [_row(row, own, remarked) for row in held.iter_rows(named=True)]


def _bearers(store: EventStore, held: pl.DataFrame) -> pl.DataFrame:
    """The security descriptors with the number and the first of the files that bear them, and whom they let write.

    ``writable_by``: the groups of everyday users, by SID.
    """
    lists = held["dacl"].to_list() if "dacl" in held.columns else [None] * held.height
    wide = [" ".join(open_to(str(dacl))) if dacl is not None else "" for dacl in lists]
    held = held.with_columns(pl.Series("writable_by", [sids or None for sids in wide], dtype=pl.String))
    volume = pl.col("path").str.extract(r"^(.*)!").fill_null("").alias("volume")
    held = held.with_columns(volume, pl.col("security_id").cast(pl.Int64, strict=False).alias("number"))
    none = (pl.lit(None, dtype=pl.Int64).alias("files"), pl.lit(None, dtype=pl.String).alias("such_as"))
    if "windows.mft" not in store.feeds() or "security_id" not in store.columns("windows.mft"):
        return held.with_columns(*none)
    files = store.scan(feeds=["windows.mft"], columns=["security_id"]).filter(pl.col("file_path").is_not_null())
    counts = files.group_by("source", volume, pl.col("security_id").cast(pl.Int64, strict=False).alias("number")).agg(
        pl.col("file_path").n_unique().cast(pl.Int64).alias("files"), pl.col("file_path").min().alias("such_as")
    )
    wanted = held.lazy().select("source", "volume", "number").unique()
    known = counts.join(wanted, on=["source", "volume", "number"], how="semi").collect()
    return held.join(known, on=["source", "volume", "number"], how="left", maintain_order="left")


def _row(row: Mapping[str, Any], own: Sequence[str], remarked: Mapping[Place, Sequence[str]]) -> SettingRow:
    says = [(name, row[name]) for name in ("command_line", "file_path", "src_ip", "hash") if row.get(name)]
    says += [
        (name.removeprefix("own."), row[name])
        for name in own
        if row[name] is not None and row[name] is not False and name != "message"
    ]
    place = (row["source"], row["path"], row["offset"], row["ordinal"])
    return SettingRow(
        row["host"],
        row["user"],
        tuple((name, _brief(value)) for name, value in says[:_SHOWN]),
        row["source"],
        row["path"],
        row["offset"],
        row["length"],
        tuple(remarked.get(place, ())),
    )


def _brief(value: object) -> str:
    """A value in one short line."""
    text = " ".join(str(value)[: 4 * _VALUE].split())
    return text if len(text) <= _VALUE else text[: _VALUE - 1] + "…"
