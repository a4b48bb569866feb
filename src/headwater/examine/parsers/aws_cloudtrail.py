# SPDX-License-Identifier: Apache-2.0
"""Calls of the AWS programming interface, logins to its console among them (aws.cloudtrail).

Reads:  *_CloudTrail_*.json as delivered to a bucket, *cloudtrail*.json and .jsonl exports; or content that looks like them.
Time:   UTC, whole seconds, when the call was made.
Format: ``{"Records": [ … ]}``, each record its own span; or one record per line, bare or inside ``CloudTrailEvent``.
Limits: data events only where they were switched on; the address may be a service's name, which is kept as such.

Source: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headwater.examine.batch import Batch
from headwater.examine.parsers._json_columns import Form, Head
from headwater.examine.parsers._json_items import item_batches, json_items
from headwater.examine.parsers._records import flatten, object_of, said
from headwater.examine.parsers._slots import address
from headwater.examine.parsers._text import Line
from headwater.examine.parsers._when import iso
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome
from headwater.model.records import Event, File, Record

FEED = "aws.cloudtrail"
VERSION = 1
READS = ("/*_CloudTrail_*.json", "/*cloudtrail*.json", "/*cloudtrail*.jsonl")
OPENING = lazy_regex(r'\s*\{\s*"Records"\s*:\s*\[')
_KINDS = {
    "CreateUser": K.ACCOUNT_CREATE, "CreateRole": K.ACCOUNT_CREATE, "DeleteUser": K.ACCOUNT_DELETE, "DeleteRole": K.ACCOUNT_DELETE,
    **dict.fromkeys(
        ("AttachUserPolicy", "PutUserPolicy", "AttachRolePolicy", "PutRolePolicy", "CreateAccessKey", "CreateLoginProfile",
         "UpdateLoginProfile", "UpdateAssumeRolePolicy", "DeactivateMFADevice", "ChangePassword"), K.ACCOUNT_CHANGE),
    **dict.fromkeys(("AddUserToGroup", "AttachGroupPolicy", "PutGroupPolicy", "CreateGroup"), K.GROUP_CHANGE),
    **dict.fromkeys(("StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors", "DeleteFlowLogs"), K.AUDIT_CONFIG),
}  # fmt: skip


def _inside(entry: dict[str, Any]) -> dict[str, Any]:
    inner = entry.get("CloudTrailEvent")
    return object_of(inner) or {} if isinstance(inner, str) else entry


def _head(entry: dict[str, Any]) -> Head | None:
    name, stated = entry.get("eventName"), entry.get("eventTime")
    if not isinstance(name, str) or not isinstance(stated, str) or "eventSource" not in entry:
        return None
    failed = bool(entry.get("errorCode")) or said(entry, "responseElements.ConsoleLogin") == "Failure"
    kind = _KINDS.get(name, K.LOG_MESSAGE)
    if name == "ConsoleLogin":
        kind = K.AUTH_FAILURE if failed else K.AUTH_SUCCESS
    user = said(entry, "userIdentity.userName", "userIdentity.arn", "userIdentity.invokedBy")
    outcome, provider = Outcome.FAILURE if failed else Outcome.SUCCESS, str(entry["eventSource"])
    return Head(stated, kind, outcome, user, entry.get("sourceIPAddress") or None, provider, name)


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
    return b'"eventSource"' in head and b'"eventName"' in head and b'"awsRegion"' in head and head.lstrip()[:1] == b"{"
