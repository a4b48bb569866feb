# SPDX-License-Identifier: Apache-2.0
"""Requests and authentications that GitLab's JSON logs keep (ci.gitlab).

Reads:  production_json.log, api_json.log, auth_json.log, auth.log.json, audit_json.log below a gitlab-rails folder.
Time:   UTC, milliseconds.
Format: one JSON object per line.
Limits: written after the documented fields, tried on no real server; parameters are kept as JSON, filtered by GitLab itself.

Source: https://docs.gitlab.com/administration/logs/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headwater.examine.parsers._records import event, flatten, json_lines, said
from headwater.examine.parsers._text import Line
from headwater.examine.parsers._when import NONE, iso
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


def make(line: Line, entry: dict[str, Any]) -> Event | None:
    stated = said(entry, "time", "created_at")
    if not isinstance(stated, str):
        return None
    when = iso(stated) if stated else NONE
    fields: dict[str, Value] = {
        _NAMES.get(k, k): v for k, v in flatten(entry).items() if k not in ("time", "remote_ip", "host", "pid")
    }
    fields["src_ip"] = said(entry, "remote_ip", "ip_address")
    fields["user"] = said(entry, "username", "meta.user", "author_name")
    fields["time_text"] = stated if when[0] is None else None
    status = entry.get("status")
    outcome = None if not isinstance(status, int) else Outcome.FAILURE if status >= 400 else Outcome.SUCCESS
    kind = K.WEB_REQUEST if "method" in entry else K.LOG_MESSAGE
    if (
        entry.get("path") in ("/users/sign_in", "/oauth/token")
        and entry.get("method") == "POST"
        and outcome is not None
    ):
        kind = K.AUTH_FAILURE if outcome == Outcome.FAILURE else K.WEB_REQUEST
    return event(line, when, kind, outcome, fields, provider="gitlab")


def parse(file: File) -> Iterator[Record]:
    return json_lines(file, make)
