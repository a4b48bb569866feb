# SPDX-License-Identifier: Apache-2.0
"""Connections, logins and commands of MongoDB servers (mongodb.log).

Reads:  /var/log/mongodb/*.log, /var/log/mongo/*.log, /www/server/mongodb/log/*.
Time:   stated with its offset, milliseconds.
Format: one JSON object per line since 4.4 (t, s, c, id, ctx, msg, attr), before that ``time severity component [context] text``.
Limits: commands are logged only when slow or at a raised verbosity; without authorization there are no logins.

Source: https://www.mongodb.com/docs/manual/reference/log-messages/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from headwater.examine.batch import Batch, batches_of
from headwater.examine.parsers._json_columns import Form, Head, Lists, object_batch, quick_objects
from headwater.examine.parsers._record_windows import Window, windows
from headwater.examine.parsers._records import Chunk, TextLog, chunks, event, flatten, made, object_of, rule, said
from headwater.examine.parsers._text import Line
from headwater.examine.parsers._text_columns import text_window
from headwater.examine.parsers._when import iso
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, Outcome
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "mongodb.log"
VERSION = 1
READS = ("/var/log/mongodb/*.log*", "/var/log/mongo/*.log*", "/www/server/mongodb/log/*")
_SMALL = 1 << 16  # bytes; a smaller file is read sooner one by one
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


def _remote(entry: dict[str, Any]) -> tuple[str, str, str]:
    return str(said(entry, "attr.remote", "attr.client") or "").rpartition(":")


def _head(entry: dict[str, Any]) -> Head:
    kind, outcome = _MESSAGES.get(str(entry.get("msg", "")), (K.LOG_MESSAGE, None))
    user, peer = said(entry, "attr.principalName", "attr.user"), _remote(entry)[0].strip("[]") or None
    code = str(entry.get("id", "")) or None
    return Head(str(said(entry, "t.$date") or ""), kind, outcome, user, peer, "mongod", code)


def _attributes(entry: dict[str, Any]) -> dict[str, Any]:
    attributes = entry.get("attr")
    return attributes if isinstance(attributes, dict) else {}


def _own(entry: dict[str, Any]) -> dict[str, Value]:
    peer, _, port = _remote(entry)
    database = said(entry, "attr.authenticationDatabase", "attr.db")
    return {
        "port": port if peer else None, "message": str(entry.get("msg", "")), "level": str(entry.get("s", "")),
        "component": str(entry.get("c", "")), "ctx": str(entry.get("ctx", "")), "database": None if database is None else str(database),
    }  # fmt: skip


def _fields(columns: Lists, objects: Sequence[dict[str, Any]]) -> Lists:
    own = [_own(entry) for entry in objects]
    return {name: [one[name] for one in own] for name in own[0]} | columns


def _event(chunk: Chunk | Line, entry: dict[str, Any]) -> Event:
    head = _head(entry)
    when = iso(head.stated or "")
    own: dict[str, Value] = {"src_ip": head.src_ip, "user": None if head.user is None else str(head.user)} | _own(entry)
    own["time_text"] = head.stated if when[0] is None else None
    own |= flatten(_attributes(entry), "attr.")
    return event(chunk, when, head.kind, head.outcome, own, provider="mongod", event_code=head.event_code)


def _record(chunk: Chunk) -> Event | Gap:
    if not chunk.text.startswith("{"):
        return made(chunk, _TEXT)
    entry = object_of(chunk.text)
    if entry is not None:
        return _event(chunk, entry)
    return Gap(chunk.offset, chunk.length, GapReason.NOT_THIS_FORMAT, "no JSON object")


def _each(parts: Iterable[Chunk | Gap | Skip]) -> Iterator[Event | Gap | Skip]:
    return (_record(part) if isinstance(part, Chunk) else part for part in parts)


def parse(file: File) -> Iterator[Record]:
    return _each(chunks(file, _TEXT.starts))


_FORM = Form(
    _head, iso, _event, fields=_fields, flat=_attributes, prefix="attr.",
    one=lambda line: (_record(Chunk(line.offset, line.length, line.text)),),
)  # fmt: skip


def batches(file: File) -> Iterator[Batch]:
    """The same in columns: windows of objects, or of the older text."""
    if file.size < _SMALL:
        yield from batches_of(parse(file), file.size)
        return
    for part in windows(file, _TEXT.starts, None, _each):
        if not isinstance(part, Window):
            yield part
        elif b"{" not in {part.raw[at : at + 1] for at in part.low.tolist()}:
            yield text_window(part, _TEXT)
        else:
            low, high = part.low.tolist(), part.high.tolist()
            pieces = [part.raw[a : b - 1] for a, b in zip(low, high)]
            places = [(part.offset + a, b - a, piece) for a, b, piece in zip(low, high, pieces)]
            yield object_batch(part.offset, part.offset + len(part.raw), places, quick_objects(pieces), _FORM)
