# SPDX-License-Identifier: Apache-2.0
"""Requests and authentications that GitLab's JSON logs keep (ci.gitlab).

Reads:  production_json.log, api_json.log, auth_json.log, auth.log.json, audit_json.log below a gitlab-rails folder.
Time:   UTC, milliseconds.
Format: one JSON object per line.
Limits: written after the documented fields, tried on no real server; parameters are kept as JSON, filtered by GitLab itself.

Source: https://docs.gitlab.com/administration/logs/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from headwater.examine.batch import Batch
from headwater.examine.parsers._json_columns import Form, Head, Lists, json_batches
from headwater.examine.parsers._records import event, flatten, json_lines, said
from headwater.examine.parsers._text import Line
from headwater.examine.parsers._when import iso
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome
from headwater.model.records import Event, File, Record, Value

FEED = "ci.gitlab"
VERSION = 1
READS = ("/gitlab-rails/*_json.log*", "/gitlab/**/*_json.log*")
_NAMES = {
    "method": "cs-method",
    "path": "cs-uri-stem",
    "ua": "cs-user-agent",
    "status": "sc-status",
    "username": "user",
}


_DROPPED = ("time", "remote_ip", "host", "pid")


def _head(entry: dict[str, Any]) -> Head | None:
    stated = said(entry, "time", "created_at")
    if not isinstance(stated, str):
        return None
    status, kind = entry.get("status"), K.WEB_REQUEST if "method" in entry else K.LOG_MESSAGE
    outcome = None if not isinstance(status, int) else Outcome.FAILURE if status >= 400 else Outcome.SUCCESS
    signing = entry.get("path") in ("/users/sign_in", "/oauth/token") and entry.get("method") == "POST"
    if signing and outcome is not None:
        kind = K.AUTH_FAILURE if outcome == Outcome.FAILURE else K.WEB_REQUEST
    user, peer = said(entry, "username", "meta.user", "author_name"), said(entry, "remote_ip", "ip_address")
    return Head(stated, kind, outcome, user, peer, "gitlab")


def _fields(columns: Lists, objects: Sequence[dict[str, Any]]) -> Lists | None:
    """Under their usual names; the header has the user."""
    if columns.keys() & {*_NAMES.values(), "src_ip"}:
        return None
    kept = {_NAMES.get(name, name): values for name, values in columns.items() if name not in _DROPPED}
    kept.pop("user", None)
    return kept


def make(line: Line, entry: dict[str, Any]) -> Event | None:
    head = _head(entry)
    if head is None or head.stated is None:
        return None
    when = iso(head.stated)
    fields: dict[str, Value] = {_NAMES.get(k, k): v for k, v in flatten(entry).items() if k not in _DROPPED}
    fields["src_ip"], fields["user"] = head.src_ip, head.user
    fields["time_text"] = head.stated if when[0] is None else None
    return event(line, when, head.kind, head.outcome, fields, provider="gitlab")


_FORM = Form(_head, iso, make, fields=_fields)


def parse(file: File) -> Iterator[Record]:
    return json_lines(file, make)


def batches(file: File) -> Iterator[Batch]:
    return json_batches(file, _FORM)
