# SPDX-License-Identifier: Apache-2.0
"""Sessions, remote numbers and addresses that AnyDesk wrote down (remote.anydesk).

Reads:  ad.trace, ad_svc.trace, connection_trace.txt and file_transfer_trace.txt in ProgramData/AnyDesk and AppData/Roaming/AnyDesk;
        also /var/log/anydesk.trace and ~/.anydesk of Linux.
Time:   traces: UTC with milliseconds, without saying so; the two lists: whole minutes, of whose zone nothing is documented.
Format: https://support.anydesk.com/knowledgebase/articles/467186-connection-log; traces as
        https://alexandruhera.com/posts/anydesk-trace-file-forensics and https://dfir.it/blog/2021/09/anydesk-forensics/ describe them.
Limits: the address is the one the relay saw, a VPN's if there was one; "Logged in from" is no logon yet: whether it was let in
        stands on another line; texts change with the version; a list line names no address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._records import TextLog, event, rule, text_records
from headwater.examine.parsers._text import Line, name_of, user_of
from headwater.examine.parsers._when import NONE, When, iso
from headwater.examine.parsers._wide import text_lines
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, Outcome, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "remote.anydesk"
VERSION = 1
READS = (
    "/AnyDesk/*.trace", "/AnyDesk/*.trace.*", "/AnyDesk/connection_trace.txt", "/AnyDesk/file_transfer_trace.txt", "/.anydesk/*.trace",
    "/.anydesk/connection_trace.txt", "/log/anydesk.trace", "/ad_svc.trace", "/ad.trace",
)  # fmt: skip
_LEVELS = "info|warning|error|debug|fatal|notice"
LOG = TextLog(
    lazy_regex(rf"\s*(?:{_LEVELS}) \d{{4}}-\d\d-\d\d ".encode()),
    lazy_regex(
        rf"(?s)\s*(?P<level>{_LEVELS}) (?P<time>\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) +(?P<service>\S+) +(?P<pid>\d+) +"
        rf"(?P<thread>\d+)"
        r" +(?:(?P<fiber>[0-9A-Fa-f]+) +)?(?P<component>[\w.]+) +- (?P<message>.*)"
    ),
    lambda text: iso(text, TimeBasis.UTC),
    (
        rule(r"^Logged in from (?P<src_ip>[0-9A-Fa-f.:]+?):(?P<port>\d+) on relay (?P<relay>\w+)", K.NETWORK_CONNECTION),
        rule(r"^Client-ID: (?P<remote_id>\d+)(?: \(FPR: (?P<fingerprint>[0-9a-f]+)\))?", K.LOG_MESSAGE),
        rule(r"^Accept(?:ing| request) from (?P<remote_id>\d+)", K.AUTH_PROBE),
        rule(r"^Incoming session request: (?P<remote_name>.*?) \((?P<remote_id>\d+)\)", K.AUTH_PROBE),
        rule(r"^Authenticated (?:by|with) (?P<method>[^.\n]+)", K.AUTH_SUCCESS, Outcome.SUCCESS),
        rule(r"^(?:Authentication (?:failed|rejected)|Wrong password|Session was rejected|Rejected)", K.AUTH_FAILURE, Outcome.FAILURE),
        rule(r"^Session (?:closed|stopped)", K.SESSION_CLOSE),
        rule(r"^External address: (?P<own_address>[0-9A-Fa-f.:]+?):(?P<own_port>\d+)", K.LOG_MESSAGE),
        rule(r"^New user data\. Client-ID: (?P<own_id>\d+)", K.LOG_MESSAGE),
        rule(r"^Connecting to \"?(?P<remote_id>\d+)", K.USER_ACTIVITY),
        rule(r"^Preparing files in '(?P<file_path>[^']*)'", K.USER_ACTIVITY),
        rule(r"^(?:Download started|Download finished)", K.USER_ACTIVITY),
    ),
    provider="anydesk",
    plain=lazy_regex(rb"\s*(?:\* ){5,}"),
)  # fmt: skip
_METHODS = {"user": "accepted by the user", "passwd": "password", "token": "token"}


def parse(file: File) -> Iterator[Record]:
    name = name_of(file.path)
    if name not in ("connection_trace.txt", "file_transfer_trace.txt"):
        yield from text_records(file, LOG)
        return
    make = _connection if name == "connection_trace.txt" else _transfer
    for line in text_lines(file):
        if isinstance(line, Gap):
            yield line
        elif not line.raw.strip():
            yield Skip(line.offset, line.length, "blank line")
        else:
            made = make(line, file.path)
            yield made or Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, "no line of this list")


def _minute(text: str) -> When:
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d), (\d\d:\d\d)", text)
    return iso(f"{match[1]} {match[2]}:00") if match else NONE


def _connection(line: Line, path: str) -> Event | None:
    """``Incoming  2026-03-02, 11:22  Passwd  alias  number``: columns stand apart by tabs or several spaces."""
    parts = re.split(r"\t+| {2,}", line.text.strip())
    if len(parts) < 4 or not re.match(r"\d{4}-\d\d-\d\d,", parts[1]):
        return None
    when, refused = _minute(parts[1]), parts[2].upper() == "REJECTED"
    said: dict[str, Value] = {
        "provider": "anydesk",
        "direction": parts[0].lower(),
        "method": _METHODS.get(parts[2].lower(), parts[2]),
        "remote_name": parts[3] if len(parts) > 4 else None,
        "remote_id": parts[-1],
        "time_text": parts[1] if when[0] is None else None,
    }
    if parts[0].lower() != "incoming":
        return event(line, when, K.USER_ACTIVITY, None, {**said, "user": user_of(path)})
    kind = K.AUTH_FAILURE if refused else K.AUTH_SUCCESS
    return event(line, when, kind, Outcome.FAILURE if refused else Outcome.SUCCESS, said)


def _transfer(line: Line, path: str) -> Event | None:
    """``Clipboard  2026-03-02, 11:22  start  download  'name' (size)``."""
    when_text = re.search(r"\d{4}-\d\d-\d\d, \d\d:\d\d", line.text)
    name = re.search(r"'([^']*)'", line.text)
    parts = [part.strip() for part in re.split(r"\t+| {2,}", line.text.strip()) if part.strip()]
    if when_text is None or len(parts) < 3:
        return None
    said: dict[str, Value] = {
        "provider": "anydesk",
        "user": user_of(path),
        "transfer": " ".join(parts[2:4]),
        "message": line.text,
    }
    said["file_path"] = name[1] if name else None
    return event(line, _minute(when_text[0]), K.USER_ACTIVITY, None, said)
