# SPDX-License-Identifier: Apache-2.0
"""Messages of Oracle WebLogic servers, refused logins and deployments among them (java.weblogic).

Reads:  **/servers/*/logs/*.log (server, domain and diagnostic logs).
Time:   milliseconds since 1970 where the record states them (the tenth field), else its text, taken as a wall clock.
Format: ``####<time> <level> <subsystem> <machine> <server> <thread> <user> <transaction> <context> <ms> … <code> <message>``.
Limits: written after the documentation, tried on no real server; access.log of WebLogic is web.access's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._records import Chunk, chunks, event, meaning, rule
from headwater.examine.parsers._when import NONE, any_form, epoch
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, Outcome
from headwater.model.records import File, Gap, Record, Value

FEED = "java.weblogic"
VERSION = 1
READS = ("/servers/*/logs/*.log*", "/servers/*/logs/*.out*")
_STARTS = lazy_regex(rb"####<")
_FIELD = lazy_regex(r"(?s)<((?:[^<>]|<[^<>]*>)*)> ?")
_NAMES = ("time", "level", "subsystem", "machine", "server", "thread", "user", "transaction", "context", "ms")
_RULES = (
    rule(
        r"(?i)authentication (?:failed|denied).{0,40}?[Uu]ser:? ?(?P<user>[^\s,.:]+)", K.AUTH_FAILURE, Outcome.FAILURE
    ),
    rule(r"(?i)user (?P<user>\S+) .{0,20}locked", K.AUTH_FAILURE, Outcome.FAILURE),
    rule(r"Initiating \S+ operation for (?:application|library)[, ]+(?P<application>[^\s.]+)", K.LOG_MESSAGE),
    rule(r"[Ss]erver state changed to RUNNING", K.SERVICE_START, Outcome.SUCCESS),
    rule(r"[Ss]erver state changed to SHUTTING_DOWN", K.SERVICE_STOP),
)


def parse(file: File) -> Iterator[Record]:
    for chunk in chunks(file, _STARTS):
        if not isinstance(chunk, Chunk):
            yield chunk
            continue
        values = [m.group(1).strip() for _, m in zip(range(20), _FIELD.finditer(chunk.text[4:65_536]))]
        if len(values) < 5:
            yield Gap(chunk.offset, chunk.length, GapReason.NOT_THIS_FORMAT, "too few fields")
            continue
        fields: dict[str, Value] = dict(zip(_NAMES, values[:-1]))
        stated, ms = str(fields.pop("time")), str(fields.pop("ms", ""))
        when = epoch(ms) if len(ms) == 13 else any_form(stated)
        if when == NONE:
            fields["time_text"] = stated
        code = re.fullmatch(r"BEA-\d+", values[-2])
        user = str(fields.pop("user", "") or "").strip("<>")
        fields |= {
            "host": fields.pop("machine", None),
            "message": values[-1],
            "event_code": code.group() if code else None,
        }
        kind, outcome, found = meaning(_RULES, values[-1], K.LOG_MESSAGE)
        fields |= {"user": user or None, **{k: v for k, v in found.items() if v is not None}}
        yield event(chunk, when, kind, outcome, fields, provider="weblogic")
