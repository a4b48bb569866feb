# SPDX-License-Identifier: Apache-2.0
"""Connections, logins and commands of MongoDB servers (mongodb.log).

Reads:  /var/log/mongodb/*.log, /var/log/mongo/*.log, /www/server/mongodb/log/*.
Time:   stated with its offset, milliseconds.
Format: one JSON object per line since 4.4 (t, s, c, id, ctx, msg, attr), before that ``time severity component [context] text``.
Limits: commands are logged only when slow or at a raised verbosity; without authorization there are no logins.

Source: https://www.mongodb.com/docs/manual/reference/log-messages/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headwater.examine.parsers._records import Chunk, TextLog, chunks, event, flatten, made, object_of, rule, said
from headwater.examine.parsers._when import iso
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, Outcome
from headwater.model.records import Event, File, Gap, Record, Value

FEED = "mongodb.log"
VERSION = 1
READS = ("/var/log/mongodb/*.log*", "/var/log/mongo/*.log*", "/www/server/mongodb/log/*")
_MESSAGES: dict[str, tuple[K, Outcome | None]] = {
    "Authentication succeeded": (K.AUTH_SUCCESS, Outcome.SUCCESS),
    "Successfully authenticated": (K.AUTH_SUCCESS, Outcome.SUCCESS),
    "Authentication failed": (K.AUTH_FAILURE, Outcome.FAILURE),
    "Failed to authenticate": (K.AUTH_FAILURE, Outcome.FAILURE),
    "Connection accepted": (K.NETWORK_CONNECTION, None),
    "Connection ended": (K.SESSION_CLOSE, None),
    "MongoDB starting": (K.SERVICE_START, None),
    "Waiting for connections": (K.SERVICE_START, Outcome.SUCCESS),
    "Now exiting": (K.SERVICE_STOP, None),
}
_PEER = r"(?P<src_ip>[^\s]+?):(?P<port>\d+)"
_TEXT = TextLog(
    lazy_regex(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T|\{\"t\":"),
    lazy_regex(r"(?s)(?P<time>\S+) (?P<level>[A-Z]\d?) +(?P<component>\S+) +\[(?P<ctx>[^\]]*)\] (?P<message>.*)"),
    iso,
    (
        rule(
            r"^Successfully authenticated as principal (?P<user>.*) on (?P<database>\S+)(?: from client "
            + _PEER
            + ")?",
            K.AUTH_SUCCESS,
            Outcome.SUCCESS,
        ),
        rule(
            r"authentication failed for (?P<user>.*) on (?P<database>\S+) from client " + _PEER,
            K.AUTH_FAILURE,
            Outcome.FAILURE,
        ),
        rule(r"^connection accepted from " + _PEER, K.NETWORK_CONNECTION),
        rule(r"^end connection " + _PEER, K.SESSION_CLOSE),
        rule(r"^waiting for connections", K.SERVICE_START, Outcome.SUCCESS),
        rule(r"^dropDatabase (?P<database>\S+)", K.LOG_MESSAGE),
    ),
    provider="mongod",
)


def _event(chunk: Chunk, entry: dict[str, Any]) -> Event:
    message = str(entry.get("msg", ""))
    kind, outcome = _MESSAGES.get(message, (K.LOG_MESSAGE, None))
    stated = str(said(entry, "t.$date") or "")
    when = iso(stated)
    remote = str(said(entry, "attr.remote", "attr.client") or "")
    peer, _, port = remote.rpartition(":")
    attributes = entry.get("attr") if isinstance(entry.get("attr"), dict) else {}
    own: dict[str, Value] = {
        "src_ip": peer.strip("[]") or None, "port": port if peer else None, "time_text": stated if when[0] is None else None,
        "user": said(entry, "attr.principalName", "attr.user"), "message": message, "level": str(entry.get("s", "")),
        "component": str(entry.get("c", "")), "ctx": str(entry.get("ctx", "")),
        "database": said(entry, "attr.authenticationDatabase", "attr.db"),
    }  # fmt: skip
    own = {k: None if v is None else str(v) for k, v in own.items()}
    own |= flatten(attributes or {}, "attr.")
    return event(chunk, when, kind, outcome, own, provider="mongod", event_code=str(entry.get("id", "")) or None)


def parse(file: File) -> Iterator[Record]:
    for chunk in chunks(file, _TEXT.starts):
        if not isinstance(chunk, Chunk):
            yield chunk
        elif not chunk.text.startswith("{"):
            yield made(chunk, _TEXT)
        elif (entry := object_of(chunk.text)) is not None:
            yield _event(chunk, entry)
        else:
            yield Gap(chunk.offset, chunk.length, GapReason.NOT_THIS_FORMAT, "no JSON object")
