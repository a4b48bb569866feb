# SPDX-License-Identifier: Apache-2.0
"""Calls of Alibaba Cloud's programming interface, logins to its console among them (cloud.actiontrail).

Reads:  *actiontrail*.json and its exports; or content that looks like them.
Time:   UTC, whole seconds, when the call was made.
Format: an array of records, ``{"Events": [ … ]}``, or one record per line; each record is its own span.
Limits: written after the documented fields, tried on no real trail; data events are kept elsewhere.

Source: https://www.alibabacloud.com/help/en/actiontrail/product-overview/management-event-structure
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headwater.examine.batch import Batch
from headwater.examine.parsers._json_columns import Form, Head
from headwater.examine.parsers._json_items import item_batches, json_items
from headwater.examine.parsers._records import flatten, said
from headwater.examine.parsers._slots import address
from headwater.examine.parsers._text import Line
from headwater.examine.parsers._when import iso
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome
from headwater.model.records import Event, File, Record

FEED = "cloud.actiontrail"
VERSION = 1
READS = ("/*actiontrail*.json", "/*actiontrail*.jsonl", "/*ActionTrail*.json", "/*actiontrail*.log")
OPENING = lazy_regex(r'\s*(?:\{\s*"Events"\s*:\s*)?\[')
_KINDS = {
    "CreateUser": K.ACCOUNT_CREATE, "DeleteUser": K.ACCOUNT_DELETE, "CreateAccessKey": K.ACCOUNT_CHANGE,
    "AttachPolicyToUser": K.ACCOUNT_CHANGE, "CreateLoginProfile": K.ACCOUNT_CHANGE, "AddUserToGroup": K.GROUP_CHANGE,
    "StopLogging": K.AUDIT_CONFIG, "DeleteTrail": K.AUDIT_CONFIG,
}  # fmt: skip


def _inside(entry: dict[str, Any]) -> dict[str, Any]:
    inner = entry.get("event")
    return inner if isinstance(inner, dict) else entry


def _head(entry: dict[str, Any]) -> Head | None:
    name, stated = entry.get("eventName"), entry.get("eventTime")
    if not isinstance(name, str) or not isinstance(stated, str):
        return None
    failed = bool(entry.get("errorCode"))
    kind = _KINDS.get(name, K.LOG_MESSAGE)
    if name in ("ConsoleSignin", "ConsoleSignIn"):
        kind = K.AUTH_FAILURE if failed else K.AUTH_SUCCESS
    user, outcome = (
        said(entry, "userIdentity.userName", "userIdentity.principalId"),
        Outcome.FAILURE if failed else Outcome.SUCCESS,
    )
    provider = str(said(entry, "serviceName", "eventSource") or "") or None
    return Head(stated, kind, outcome, user, entry.get("sourceIpAddress") or None, provider, name)


def make(line: Line, entry: dict[str, Any]) -> Event | None:
    entry = _inside(entry)
    head = _head(entry)
    if head is None or head.stated is None:
        return None
    when, fields = iso(head.stated), flatten(entry)
    if when[0] is None:
        fields["time_text"] = head.stated
    return Event(
        line.offset, line.length, head.kind, t_recorded=when[0], t_basis=when[1], t_kind="called", provider=head.provider,
        outcome=head.outcome, user=None if head.user is None else str(head.user),
        src_ip=address(str(head.src_ip)) if head.src_ip else None, event_code=head.event_code, fields=fields,
    )  # fmt: skip


_FORM = Form(_head, iso, make, inside=_inside, judged=False, t_kind="called")


def parse(file: File) -> Iterator[Record]:
    return json_items(file, OPENING, make)


def batches(file: File) -> Iterator[Batch]:
    return item_batches(file, OPENING, _FORM)


def recognise(head: bytes) -> bool:
    return b'"acsRegion"' in head and b'"eventName"' in head and head.lstrip()[:1] in (b"{", b"[")
