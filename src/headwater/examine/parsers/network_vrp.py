# SPDX-License-Identifier: Apache-2.0
"""Sessions, denials, logins and commands of Huawei (VRP) and H3C (Comware) firewalls and routers (network.vrp).

Reads:  files with messages of the information center in their first lines: ``%%01MODULE/severity/NAME`` (Huawei),
        ``%%10MODULE/severity/NAME`` or ``%@…%`` (H3C).
Time:   as written, with milliseconds in H3C's own files; a year is needed. An offset (``+08:00``, ``DST``) where one stands;
        BeginTime and EndTime of a session are seconds since 1970 as the device states them, kept beside it.
Format: Huawei USG6000 Administrator Guide, Log; H3C Comware 7 System Log Messages Reference. Values are ``Name=value``
        (Huawei) or ``Name(number)=value;`` (H3C).
Limits: the kind is told of sessions, policies, filters, logins and commands, others are messages; binary session logs
        and messages of models before these families are not read. Text in GBK is kept byte by byte where it is no UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._records import event
from headwater.examine.parsers._text import Line, lines
from headwater.examine.parsers._when import NONE, When, asctime, iso
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, Outcome
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "network.vrp"
VERSION = 1
READS = ("/huawei-*.log*", "/usg*.log*", "/h3c*.log*", "/comware*.log*")
_LINE_MOST = 8_192
_PAIRS_MOST = 80
_HEAD = lazy_regex(
    r"(?:<\d{1,3}>)? ?(?P<before>.{0,160}?)(?:%%(?P<vendor>\d\d)|(?<=[\w.-]) )(?P<module>[A-Z][A-Z0-9_]{1,30})/(?P<severity>[0-7])/"
    r"(?P<event_code>[A-Za-z0-9_]{2,80})(?:\((?P<form>[a-z])\))?(?:\[\d+\])?: ?(?P<message>.*)"
)
_RECOGNISED = lazy_regex(
    rb"(?m)^[^\n]{0,160}(?:%%\d\d|%@\d+%[^\n]{0,60} )[A-Z][A-Z0-9_]{1,30}/[0-7]/[A-Za-z0-9_]{2,80}"
)
_YEAR_LAST = lazy_regex(r"([A-Z][a-z]{2}) {1,2}(\d\d?) (\d\d:\d\d:\d\d)(?::(\d{3}))? (\d{4})")
_YEAR_THIRD = lazy_regex(r"([A-Z][a-z]{2}) {1,2}(\d\d?) (\d{4}) (\d\d:\d\d:\d\d)")
_ISO = lazy_regex(r"\d{4}-\d\d?-\d\d?[T ]\d\d:\d\d:\d\d(?:[.]\d+)?(?: ?[+-]\d\d:\d\d)?")
_PAIR = lazy_regex(r"(?P<name>[A-Za-z][A-Za-z0-9_ -]{0,40}?)(?:\(\d{1,5}\))?=(?P<value>[^,;]{0,2000})")
_MTN = lazy_regex(
    r"(?P<act>Built|Teardown|Destroyed?) an? (?P<proto>\w+) session, (?P<src>[0-9A-Fa-f:.]+?):(?P<src_port>\d+) \((?P<src_zone>[^)]*)\) "
    r"to (?P<dst>[0-9A-Fa-f:.]+?):(?P<dst_port>\d+) \((?P<dst_zone>[^)]*)\)"
)
_SRC = ("sourceip", "srcipaddr", "source-ip", "srcip", "ip", "ipaddress", "useripaddress", "ipaddr", "src_ip")
_DST = ("destinationip", "dstipaddr", "destination-ip", "dstip")
_PORTS = {
    "src_port": ("sourceport", "srcport", "source-port"),
    "dst_port": ("destinationport", "dstport", "destination-port"),
}
_USER = ("user", "username", "user-name", "usr")
_PERMITTED = frozenset({"permit", "permitted", "pass", "allow", "allowed", "accept"})
_VENDORS = {"01": "vrp", "10": "comware", None: "comware"}  # the form without a number is that of H3C's own files
_COMMAND = ("command", "cmdrecord", "cmd")
_IN_TEXT = lazy_regex(r"(?:from|\(IP:|IP address:?|IP=) ?(?P<ip>\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f:]+)")
_NAMED = lazy_regex(
    r"(?:[Uu]ser(?:name)? |User=)(?P<user>[\w.@\\-]{1,64})(?= (?:login|logged|failed|succeeded|from|\()|,)"
    r"|^(?P<who>[\w.@-]{1,64}) logged in"
)
_COMMAND_TEXT = lazy_regex(r"[Cc]ommand(?: is |=\"|=)(?P<command>.*?)(?:\"\)|$)")
_COMWARE_COMMAND = lazy_regex(r"-Line=(?P<line>\S{1,32}?)-IPAddr=(?P<src_ip>\S{1,64}?)-User=(?P<user>[^;]{0,64});")


def recognise(head: bytes) -> bool:
    return _RECOGNISED.search(head) is not None


def _when(before: str) -> tuple[When, str]:
    last = _YEAR_LAST.search(before)
    if last:
        part = f".{last[4]}" if last[4] else ""
        return asctime(f"{last[1]} {last[2]} {last[3]}{part} {last[5]}"), last[0]
    third = _YEAR_THIRD.search(before)
    if third:
        return asctime(f"{third[1]} {third[2]} {third[4]} {third[3]}"), third[0]
    stated = _ISO.search(before)
    return (iso(stated[0]), stated[0]) if stated else (NONE, "")


def _values(message: str) -> dict[str, str]:
    """``Name=value`` pairs of a message, names in small letters; the first of a name counts."""
    found: dict[str, str] = {}
    for at, match in enumerate(_PAIR.finditer(message)):
        if at >= _PAIRS_MOST:
            break
        found.setdefault(
            match["name"].strip().lower().replace(" ", "-"), match["value"].strip().rstrip(".)").strip('"')
        )
    return found


def _first(said: dict[str, str], names: tuple[str, ...]) -> str | None:
    return next((said[n] for n in names if said.get(n) and said[n] not in {"-", "--"}), None)


def _kind(module: str, name: str, message: str, action: str) -> tuple[K, Outcome | None]:
    """What a message is by its module and mnemonic."""
    upper, low = name.upper(), message[:400].lower()
    denied = action in {"deny", "denied", "drop", "block", "discard"} or "DENY" in upper or "DROP" in upper
    if module in {"SECLOG", "SESSION", "NAT", "POLICY", "FILTER", "ASPF", "SEC", "FW-LOG", "APR"}:
        if denied:
            return K.FIREWALL_BLOCK, Outcome.FAILURE
        if action in _PERMITTED or "PERMIT" in upper or upper.startswith("SESSION_"):
            return K.NETWORK_CONNECTION, Outcome.SUCCESS
        return K.LOG_MESSAGE, None  # an attack that was noticed, a limit: nothing says that it came through
    if "CMD" in upper or "COMMAND" in upper:
        return K.COMMAND_HISTORY, None
    if "LOGOUT" in upper or "LOGOFF" in upper or "DISCONNECT" in upper:
        return K.SESSION_CLOSE, None
    if "LOGIN" in upper or "AUTH" in upper or module in {"AAA", "LOGIN"} or ("FAIL" in upper and "login" in low):
        if "FAIL" in upper or "failed" in low or "reject" in low:
            return K.AUTH_FAILURE, Outcome.FAILURE
        if "LOGIN" in upper or "SUCC" in upper or "PASS" in upper or "succe" in low:
            return K.AUTH_SUCCESS, Outcome.SUCCESS
    return K.LOG_MESSAGE, None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def _event(line: Line, head: re.Match[str]) -> Event:
    message, before = head["message"], head["before"]
    when, stated = _when(before)
    host = re.search(r"([\w.-]{1,64}) ?$", re.sub(re.escape(stated) + r"(?: DST)?", " ", before) if stated else before)
    said = _values(message)
    action = (_first(said, ("action", "policyaction", "matchaction", "act")) or "").lower()
    kind, outcome = _kind(head["module"], head["event_code"], message, action)
    fields: dict[str, Value] = {
        "host": host[1] if host and not host[1].isdigit() else None, "event_code": head["event_code"],
        "module": head["module"], "severity": int(head["severity"]), "message": message,
        "src_ip": _first(said, _SRC), "dst_ip": _first(said, _DST), "user": _first(said, _USER),
        "proto": _first(said, ("protocol", "protocoltype", "proto")),
        "action": action or None,
        **{name: _number(_first(said, names)) for name, names in _PORTS.items()},
    }  # fmt: skip
    if when[0] is None:
        fields["time_text"] = stated
    flow = _MTN.match(message)
    if flow:
        fields |= {"src_ip": flow["src"], "dst_ip": flow["dst"], "proto": flow["proto"], "action": flow["act"].lower()}
        fields |= {name: _number(flow[name]) for name in _PORTS} | {n: flow[n] for n in ("src_zone", "dst_zone")}
    if not fields["src_ip"] and kind is not K.NETWORK_CONNECTION:
        place = _IN_TEXT.search(message[:1024])
        fields["src_ip"] = place["ip"] if place else None
    if not fields["user"]:
        named = _NAMED.search(message[:1024])
        fields["user"] = (named["user"] or named["who"]) if named else None
    if kind is K.COMMAND_HISTORY:
        typed, whose = _COMMAND_TEXT.search(message), _COMWARE_COMMAND.match(message)
        fields["command_line"] = typed["command"] if typed else _first(said, _COMMAND)
        fields |= whose.groupdict() if whose else {}
    return event(line, when, kind, outcome, fields, provider=_VENDORS.get(head["vendor"]))


def parse(file: File) -> Iterator[Record]:
    for line in lines(file):
        if isinstance(line, Gap):
            yield line
        elif not line.raw.strip():
            yield Skip(line.offset, line.length, "blank line")
        else:
            head = _HEAD.match(line.text[:_LINE_MOST])
            yield (
                _event(line, head)
                if head
                else Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, "no message of an information center")
            )
