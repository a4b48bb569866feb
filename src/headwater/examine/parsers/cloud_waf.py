# SPDX-License-Identifier: Apache-2.0
"""Requests that a cloud web application firewall judged, with Alibaba Cloud's field names (cloud.waf).

Reads:  *waf*.json, *waf*.jsonl and *waf*.log exports of the log service; or content with its field names.
Time:   ``time`` with its offset, else ``__time__`` in UTC seconds.
Format: one JSON object per line.
Limits: written after the documented fields, tried on no real export; ``real_client_ip`` is the service's own judgement.

Source: https://www.alibabacloud.com/help/en/waf/web-application-firewall-3-0/user-guide/log-fields
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from headwater.examine.batch import Batch
from headwater.examine.parsers._json_columns import Form, Head, Lists, json_batches
from headwater.examine.parsers._records import event, flatten, json_lines, said
from headwater.examine.parsers._text import Line
from headwater.examine.parsers._when import NONE, When, epoch, iso
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome
from headwater.model.records import Event, File, Record, Value

FEED = "cloud.waf"
VERSION = 1
READS = ("/*waf*.json", "/*waf*.jsonl", "/*waf*log*.log")
_NAMES = {
    "request_method": "cs-method", "request_path": "cs-uri-stem", "querystring": "cs-uri-query", "status": "sc-status",
    "http_user_agent": "cs-user-agent", "http_referer": "cs-referer", "http_x_forwarded_for": "x-forwarded-for",
    "body_bytes_sent": "sc-bytes", "server_protocol": "cs-version",
}  # fmt: skip
_REFUSED = ("block", "deny", "captcha", "sigchl", "js", "slide")


_DROPPED = ("host", "time", "user", "process", "pid")


def _number(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _when(stated: str) -> When:
    return epoch(stated) if stated.isdigit() else iso(stated)


def _head(entry: dict[str, Any]) -> Head | None:
    keys = entry.keys()
    if not {"request_path", "real_client_ip", "matched_host"} & keys or not {"host", "matched_host"} & keys:
        return None
    stated, status = said(entry, "time", "__time__"), _number(entry.get("status"))
    peers = (entry.get("real_client_ip"), entry.get("remote_addr"))
    outcome = Outcome.FAILURE if str(entry.get("final_action", "")).lower() in _REFUSED else None
    if outcome is None and status is not None:
        outcome = Outcome.FAILURE if status >= 400 else Outcome.SUCCESS
    peer = next((v for v in peers if v not in (None, "", "-")), None)
    return Head(None if stated is None else str(stated), K.WEB_REQUEST, outcome, None, peer)


def _fields(columns: Lists, objects: Sequence[dict[str, Any]]) -> Lists | None:
    """Under their usual names, a dash as nothing."""
    if columns.keys() & {*_NAMES.values(), "src_ip", "cs-host"}:
        return None
    kept = {
        _NAMES.get(name, name): [None if v == "-" else v for v in values] if "-" in values else values
        for name, values in columns.items()
        if name not in _DROPPED
    }
    for name in ("sc-status", "sc-bytes"):
        if name in kept:
            kept[name] = [_number(value) for value in kept[name]]
    kept["cs-host"] = [said(entry, "host", "matched_host") for entry in objects]
    return kept


def make(line: Line, entry: dict[str, Any]) -> Event | None:
    head = _head(entry)
    if head is None:
        return None
    when = NONE if head.stated is None else _when(head.stated)
    fields: dict[str, Value] = {}
    for name, value in flatten(entry).items():
        fields[_NAMES.get(name, name)] = None if value == "-" else value
    for name in ("sc-status", "sc-bytes"):
        fields[name] = _number(fields.get(name))
    fields["src_ip"], fields["cs-host"] = head.src_ip, said(entry, "host", "matched_host")
    for name in _DROPPED:
        fields.pop(name, None)
    if when[0] is None and head.stated is not None:
        fields["time_text"] = head.stated
    return event(line, when, head.kind, head.outcome, fields)


_FORM = Form(_head, _when, make, fields=_fields)


def parse(file: File) -> Iterator[Record]:
    return json_lines(file, make)


def batches(file: File) -> Iterator[Batch]:
    return json_batches(file, _FORM)


def recognise(head: bytes) -> bool:
    return head.startswith(b"{") and b'"real_client_ip"' in head and b'"matched_host"' in head
