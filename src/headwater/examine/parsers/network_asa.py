# SPDX-License-Identifier: Apache-2.0
"""Connections, denials, logins and commands of Cisco ASA firewalls (network.asa).

Reads:  asa.log, asa-*.log, cisco-asa*.log, and other files with ``%ASA-`` or ``%FTD-`` messages in their first lines.
Time:   as the device or the log server wrote it, whole seconds; with a year by the wall clock, without one none is claimed.
Format: Cisco Secure Firewall ASA Series Syslog Messages; head ``%ASA-severity-number: text``.
Limits: the kind is told of the messages in the table below, others are messages; the end of a connection names a foreign
        and a local side, not who began it (its number joins it to the beginning); a message is kept to 4,096 characters;
        addresses are those of the device's first view (before translation); what was never logged is not here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._records import event
from headwater.examine.parsers._text import Line, line_records
from headwater.examine.parsers._when import NONE, When, asctime, iso
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, Outcome, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Value

FEED = "network.asa"
VERSION = 1
READS = ("/asa.log*", "/asa-*.log*", "/cisco-asa*.log*")
_LINE_MOST = 4_096  # a message is far shorter
_HEAD = lazy_regex(
    r"(?:<\d{1,3}>)?:?(?P<before>.{0,200}?)%(?:ASA|FTD|PIX)-(?:[a-z]+-)?(?P<severity>[0-7])-(?P<event_code>\d{6}): ?(?P<message>.*)"
)
_DEVICE_TIME = lazy_regex(r"([A-Z][a-z]{2}) {1,2}(\d\d?) (\d{4}) (\d\d:\d\d:\d\d)")
_ISO = lazy_regex(r"\d{4}-\d\d-\d\dT\S+")
_YEARLESS = lazy_regex(r"[A-Z][a-z]{2} {1,2}\d\d? \d\d:\d\d:\d\d")
_HOST = lazy_regex(r"(?:\d\d:\d\d:\d\d|T\S+)(?: (?:UTC|GMT|[A-Z]{3,4})\b)? (?P<host>(?!(?:UTC|GMT)\b)[\w.:-]+?) ?:? ?$")
_SIDE = r"(?P<{0}_zone>[^:/\s]+)[:/](?P<{1}>[0-9A-Fa-f:.]+)(?:/(?P<{2}>\d+)|\((?P<{2}_in>\d+)\))?"
_FIRST, _SECOND = _SIDE.format("first", "first_ip", "first_port"), _SIDE.format("second", "second_ip", "second_port")
_BUILT = lazy_regex(
    r"(?P<act>Built|Teardown)(?: (?P<direction>inbound|outbound))? (?P<proto>TCP|UDP|SCTP|GRE) connection (?P<connection>\d+) for "
    + _FIRST + r"(?: ?\([^)]*\))* to " + _SECOND + r"(?:.*? duration (?P<duration>[\d:]+) bytes (?P<bytes>\d+)(?P<reason>.*))?"
)  # fmt: skip
_ICMP = lazy_regex(
    r"(?P<act>Built|Teardown)(?: (?P<direction>inbound|outbound))? ICMP connection for faddr (?P<first_ip>[0-9A-Fa-f:.]+)/\d+"
    r".*? laddr (?P<second_ip>[0-9A-Fa-f:.]+)/\d+"
)
_LISTED = lazy_regex(
    r"access-list (?P<list>\S+) (?P<act>permitted|denied|est-allowed) (?P<proto>\S+) "
    + _FIRST + r"(?:\([^)]*\))? -> " + _SECOND
)  # fmt: skip
_DENIED = lazy_regex(
    r"Deny (?:inbound )?(?P<proto>\S+)(?: reverse path check from)? src " + _FIRST + r"(?:\([^)]*\))? dst " + _SECOND
)
_PLAIN = lazy_regex(
    r"(?:Inbound (?P<proto>\w+) connection denied|Deny (?:inbound )?\w+(?: \(no connection\))?|\w+ access denied by ACL) from "
    r"(?P<first_ip>[0-9A-Fa-f:.]+)(?:/(?P<first_port>\d+))? to (?:(?P<second_zone>[\w-]+):)?(?P<second_ip>[0-9A-Fa-f:.]+)"
    r"(?:/(?P<second_port>\d+))?"
)
_USERS: tuple[tuple[re.Pattern[str], K, Outcome | None], ...] = tuple(
    (lazy_regex(pattern), kind, outcome)
    for pattern, kind, outcome in (
        (r"Login denied from (?P<src_ip>[0-9A-Fa-f:.]+)/(?P<port>\d+) to (?P<to>\S+) for user \"(?P<user>[^\"]*)\"",
         K.AUTH_FAILURE, Outcome.FAILURE),
        (r"Login permitted from (?P<src_ip>[0-9A-Fa-f:.]+)/(?P<port>\d+) to (?P<to>\S+) for user \"(?P<user>[^\"]*)\"",
         K.AUTH_SUCCESS, Outcome.SUCCESS),
        (r"User authentication succeeded: (?:IP address: (?P<src_ip>[^,\s]+), )?Uname: (?P<user>\S+)",
         K.AUTH_SUCCESS, Outcome.SUCCESS),
        (r"User authentication failed: (?:IP address: (?P<src_ip>[^,\s]+), )?Uname: (?P<user>\S+)",
         K.AUTH_FAILURE, Outcome.FAILURE),
        (r"AAA user authentication Successful : .*?user = (?P<user>\S+)(?: : user IP = (?P<src_ip>\S+))?",
         K.AUTH_SUCCESS, Outcome.SUCCESS),
        (r"AAA user authentication Rejected : (?:reason = (?P<reason>[^:]+?) : )?.*?user = (?P<user>\S+)(?: : user IP = (?P<src_ip>\S+))?",
         K.AUTH_FAILURE, Outcome.FAILURE),
        (r"Group = (?P<group>[^,]*), Username = (?P<user>[^,]*), IP = (?P<src_ip>[^,]+), Session disconnected\. Session Type: "
         r"(?P<session_type>[^,]+), Duration: (?P<duration>[^,]+), Bytes xmt: (?P<bytes_out>\d+), Bytes rcv: (?P<bytes_in>\d+), "
         r"Reason: (?P<reason>.*)", K.SESSION_CLOSE, None),
        (r"Group <(?P<group>[^>]*)> User <(?P<user>[^>]*)> IP <(?P<src_ip>[^>]+)> .*?(?:session started|assigned to session)",
         K.SESSION_OPEN, Outcome.SUCCESS),
        (r"Group <(?P<group>[^>]*)> User <(?P<user>[^>]*)> IP <(?P<src_ip>[^>]+)> .*?session terminated", K.SESSION_CLOSE, None),
        (r"User '(?P<user>[^']*)', running '(?P<process>[^']*)' from IP (?P<src_ip>[^,]+), executed '(?P<command_line>.*)'",
         K.COMMAND_HISTORY, None),
        (r"User '(?P<user>[^']*)' executed the '(?P<command_line>.*)' command", K.COMMAND_HISTORY, None),
    )
)  # fmt: skip
_WHOLE = ("first_port", "second_port", "port", "bytes", "bytes_in", "bytes_out")


def recognise(head: bytes) -> bool:
    return re.search(rb"%(?:ASA|FTD|PIX)-(?:[a-z]+-)?[0-7]-\d{6}: ", head[:2048]) is not None


def _when(before: str) -> tuple[When, str]:
    """The device's own time where it has a year, else the log server's; and the text of a time that lacks one."""
    device = _DEVICE_TIME.search(before)
    if device:
        utc = re.match(r" (?:UTC|GMT)\b", before[device.end() :])
        ns, basis = asctime(f"{device[1]} {device[2]} {device[4]} {device[3]}")
        return ((ns, TimeBasis.UTC) if utc and ns is not None else (ns, basis)), device[0]
    server = _ISO.search(before)
    if server:
        return iso(server[0]), server[0]
    bare = _YEARLESS.search(before)
    return NONE, bare[0] if bare else ""


def _flow(match: re.Match[str]) -> tuple[K, Outcome | None, dict[str, Value]]:
    """Who spoke to whom: an outbound connection begins at the second address.

    A Teardown names the foreign and the local side and not who began: neither is then called the source.
    """
    said = {k: v for k, v in match.groupdict().items() if v is not None}
    first, second = ("second", "first") if said.get("direction") == "outbound" else ("first", "second")
    begun = said.get("act") != "Teardown" or "direction" in said
    names = ("src", "dst") if begun else ("foreign", "local")
    fields: dict[str, Value] = {f"{names[0]}_ip": said.get(f"{first}_ip"), f"{names[1]}_ip": said.get(f"{second}_ip")}
    for side, name in zip((first, second), names, strict=True):
        port = said.get(f"{side}_port") or said.get(f"{side}_port_in")
        fields |= {f"{name}_port": _number(port), f"{name}_zone": said.get(f"{side}_zone")}
    for name in ("proto", "direction", "connection", "duration", "list", "reason"):
        fields[name] = said.get(name, "").strip() or None
    fields["bytes"] = _number(said.get("bytes"))
    act = said.get("act", "Deny")
    fields["action"] = act
    if act in {"Deny", "denied"}:
        return K.FIREWALL_BLOCK, Outcome.FAILURE, fields
    return K.NETWORK_CONNECTION, Outcome.SUCCESS, fields


def _number(text: str | None) -> int | None:
    return int(text) if text and len(text) < 19 else None


def _event(line: Line, head: re.Match[str]) -> Event:
    message = head["message"]
    when, stated = _when(head["before"])
    host = _HOST.search(head["before"])
    fields: dict[str, Value] = {
        "host": host["host"] if host else None, "event_code": head["event_code"], "severity": int(head["severity"]),
        "message": message,
    }  # fmt: skip
    if when[0] is None:
        fields["time_text"] = stated
    kind, outcome = K.LOG_MESSAGE, None
    for pattern in (_BUILT, _ICMP, _LISTED, _DENIED, _PLAIN):
        match = pattern.match(message)
        if match:
            kind, outcome, found = _flow(match)
            return event(line, when, kind, outcome, fields | found, provider="asa")
    for pattern, kind_of, outcome_of in _USERS:
        match = pattern.match(message)
        if match:
            kind, outcome = kind_of, outcome_of
            fields |= {k: _number(v) if k in _WHOLE else v for k, v in match.groupdict().items()}
            break
    return event(line, when, kind, outcome, fields, provider="asa")


def _record(line: Line) -> Event | Gap:
    head = _HEAD.match(line.text[:_LINE_MOST])
    if head is None:
        return Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, "no message of this firewall")
    return _event(line, head)


def parse(file: File) -> Iterator[Record]:
    return line_records(file, _record)
