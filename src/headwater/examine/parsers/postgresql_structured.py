# SPDX-License-Identifier: Apache-2.0
"""Connections, refused logins, statements and errors of PostgreSQL servers, as CSV or JSON (postgresql.structured).

Reads:  *.csv and *.json beside PostgreSQL's text logs (log_destination csvlog, jsonlog).
Time:   log_timezone's clock with its abbreviation; UTC and GMT are taken at their word, CST and the like as a wall clock.
Format: the 22 to 26 columns of csvlog by their place, the keys of jsonlog by name; a quoted line end belongs to its record.
Limits: releases add columns at the end; such as are not known here are left out.

Source: https://www.postgresql.org/docs/16/runtime-config-logging.html
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from typing import Any

from headwater.examine.parsers._records import Chunk, chunks, event, meaning, object_of
from headwater.examine.parsers._when import NONE, iso
from headwater.examine.parsers.postgresql_log import RULES
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason
from headwater.model.records import Event, File, Gap, Record, Value

FEED = "postgresql.structured"
VERSION = 1
_PLACES = ("/var/log/postgresql/", "/var/lib/pgsql/**/log/", "/var/lib/pgsql/**/pg_log/", "/var/lib/postgresql/**/log/")
READS = (*(place + "*.csv" for place in _PLACES), *(place + "*.json" for place in _PLACES))
_COLUMNS = (
    "timestamp", "user", "dbname", "pid", "connection_from", "session_id", "line_num", "ps", "session_start", "vxid", "txid",
    "error_severity", "state_code", "message", "detail", "hint", "internal_query", "internal_position", "context", "statement",
    "cursor_position", "location", "application_name", "backend_type", "leader_pid", "query_id",
)  # fmt: skip
_STARTS = lazy_regex(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ [A-Z0-9+-]+,|\{\"timestamp\":")
_PEER = lazy_regex(r"^\[?(.*?)\]?(?::(\d+))?$")


def _csv(text: str) -> dict[str, Any] | None:
    try:
        row = next(csv.reader(text.splitlines(keepends=True), strict=True), [])
    except csv.Error:
        return None
    return dict(zip(_COLUMNS, row)) if 20 <= len(row) <= 40 else None


def _event(chunk: Chunk, entry: Mapping[str, Any]) -> Event:
    message = str(entry.get("message") or "")
    kind, outcome, found = meaning(RULES, message, K.LOG_MESSAGE)
    stated = str(entry.get("timestamp") or "")
    at = iso(stated) if stated else NONE
    peer = str(entry.get("remote_host") or "")
    match = _PEER.match(str(entry.get("connection_from") or ""))
    port = entry.get("remote_port") or (match.group(2) if match else None)
    fields: dict[str, Value] = {
        "src_ip": peer or (match.group(1) if match else None), "port": str(port) if port else None,
        "database": entry.get("dbname"), "level": entry.get("error_severity"), "event_code": entry.get("state_code"),
        "time_text": stated if at[0] is None else None, "zone_text": stated.rpartition(" ")[2] or None,
    }  # fmt: skip
    for name in (
        "user",
        "pid",
        "session_id",
        "ps",
        "message",
        "detail",
        "hint",
        "statement",
        "application_name",
        "backend_type",
    ):
        value = entry.get(name)
        fields[name] = None if value is None else str(value)
    fields |= {k: v for k, v in found.items() if v is not None}
    return event(chunk, at, kind, outcome, fields, provider="postgres")


def parse(file: File) -> Iterator[Record]:
    for chunk in chunks(file, _STARTS):
        if not isinstance(chunk, Chunk):
            yield chunk
            continue
        entry = object_of(chunk.text) if chunk.text.startswith("{") else _csv(chunk.text)
        if entry is None:
            yield Gap(chunk.offset, chunk.length, GapReason.NOT_THIS_FORMAT, "the record cannot be read")
        else:
            yield _event(chunk, entry)
