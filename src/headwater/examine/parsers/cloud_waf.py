# SPDX-License-Identifier: Apache-2.0
"""Requests that a cloud web application firewall judged, with Alibaba Cloud's field names (cloud.waf).

Reads:  *waf*.json, *waf*.jsonl and *waf*.log exports of the log service; or content with its field names.
Time:   ``time`` with its offset, else ``__time__`` in UTC seconds.
Format: one JSON object per line.
Limits: written after the documented fields, tried on no real export; ``real_client_ip`` is the service's own judgement.

Source: https://www.alibabacloud.com/help/en/waf/web-application-firewall-3-0/user-guide/log-fields
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headwater.examine.parsers._records import event, flatten, json_lines, said
from headwater.examine.parsers._text import Line
from headwater.examine.parsers._when import NONE, epoch, iso
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


def make(line: Line, entry: dict[str, Any]) -> Event | None:
    if (
        not {"request_path", "real_client_ip", "matched_host"} & entry.keys()
        or not {"host", "matched_host"} & entry.keys()
    ):
        return None
    stated = said(entry, "time", "__time__")
    when = NONE if stated is None else epoch(stated) if str(stated).isdigit() else iso(str(stated))
    fields: dict[str, Value] = {}
    for name, value in flatten(entry).items():
        fields[_NAMES.get(name, name)] = None if value == "-" else value
    for name in ("sc-status", "sc-bytes"):
        text = str(fields.get(name))
        fields[name] = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
    fields["src_ip"] = next(
        (v for v in (entry.get("real_client_ip"), entry.get("remote_addr")) if v not in (None, "", "-")), None
    )
    fields["cs-host"] = said(entry, "host", "matched_host")
    for name in ("host", "time", "user", "process", "pid"):
        fields.pop(name, None)
    if stated is not None and when[0] is None:
        fields["time_text"] = str(stated)
    refused = str(entry.get("final_action", "")).lower() in _REFUSED
    status = fields.get("sc-status")
    outcome = Outcome.FAILURE if refused else None
    if outcome is None and isinstance(status, int):
        outcome = Outcome.FAILURE if status >= 400 else Outcome.SUCCESS
    return event(line, when, K.WEB_REQUEST, outcome, fields)


def parse(file: File) -> Iterator[Record]:
    return json_lines(file, make)


def recognise(head: bytes) -> bool:
    return head.startswith(b"{") and b'"real_client_ip"' in head and b'"matched_host"' in head
