# SPDX-License-Identifier: Apache-2.0
"""Connections that ToDesk took and made, and how much was done over them (remote.todesk).

Reads:  ToDesk/Logs/*.log of the program folder and of users, ToDesk_Lite/Logs; /var/log/todesk of Linux.
Time:   milliseconds by the host's own clock and zone.
Format: not published by its maker; lines ``date time,milliseconds … text`` of service_DATE.log, client_DATE.log and
        sessionNAME_DATE.log as users of versions 4.7 to 4.9 describe and quote them in public notes of 2025 and 2026;
        the word before "recv connect request" says which side this host was.
Limits: a request stands here before any password; numbers are the vendor's, no line that is known names an address; counters
        of input are what the lines call them; the .xlog files beside are packed in a form of their own and are not read.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._records import TextLog, rule, text_records
from headwater.examine.parsers._when import iso
from headwater.examine.parsers._wide import text_lines
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, Outcome
from headwater.model.records import File, Gap, Record

FEED = "remote.todesk"
VERSION = 1
READS = (
    "/ToDesk*/Logs/*.log*",
    "/ToDesk*/Logs/*.xlog",
    "/todesk/Logs/*.log*",
    "/todesk/Logs/*.xlog",
    "/var/log/todesk/*.log*",
    "/var/log/todesk/*.xlog",
)
_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:[.,]\d{1,6})?"
_NUMBER = r"[A-Za-z0-9_-]{1,64}"
LOG = TextLog(
    lazy_regex(rf"(?:\xef\xbb\xbf)?\[?{_TIME}".encode("latin-1")),
    lazy_regex(rf"(?s)\ufeff?\[?(?P<time>{_TIME})\]?[ ,:|-]*(?P<message>.*)"),
    iso,
    (
        rule(rf"\bhost +recv connect request, *myid=(?P<own_id>{_NUMBER})?,? *destid=(?P<remote_id>{_NUMBER})?",
             K.AUTH_PROBE, direction="in"),
        rule(rf"\bclient +recv connect request, *myid=(?P<own_id>{_NUMBER})?,? *destid=(?P<remote_id>{_NUMBER})?",
             K.USER_ACTIVITY, direction="out"),
        rule(r"\bhost Authentication success\b", K.AUTH_SUCCESS, Outcome.SUCCESS, direction="in"),
        rule(r"\bhost Authentication (?:fail|error)|\bMSG_HOST_CONN_AUTHERR\b", K.AUTH_FAILURE, Outcome.FAILURE, direction="in"),
        rule(r"\bLaunchSession (?P<session_kind>\w+)", K.SESSION_OPEN, direction="in"),
        rule(r"\bprocessSessionCloseEvent: Received close event\b", K.SESSION_CLOSE),
        rule(r"\bsession send (?P<frames_sent>-?\d+) frame, recv (?P<received>-?\d+) mouse (?P<mouse>-?\d+) key (?P<keys>-?\d+)"
             r" text (?P<texts>-?\d+)", K.USER_ACTIVITY, direction="in"),
        rule(r"\bstart session pid *= *(?P<session_pid>\d+)", K.LOG_MESSAGE),
        rule(r"\bCurrent session ID: (?P<windows_session>\d+)", K.LOG_MESSAGE),
    ),
    provider="todesk",
    read=text_lines,
)  # fmt: skip


def parse(file: File) -> Iterator[Record]:
    if file.path.lower().endswith(".xlog"):
        if file.size:
            yield Gap(0, file.size, GapReason.UNSUPPORTED, "a packed log of ToDesk (.xlog)")
        return
    yield from text_records(file, LOG)
