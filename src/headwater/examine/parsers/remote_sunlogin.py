# SPDX-License-Identifier: Apache-2.0
"""Connections and requests that the Sunlogin (向日葵) client took, and those that it made (remote.sunlogin).

Reads:  log/sunlogin_service.*.log, log/remote_desktop.*.log, log/history.log* of SunloginClient, its Lite and AweSun relatives.
Time:   milliseconds by the host's own clock and zone.
Format: not published by its maker; lines ``time - level - text`` as public case notes quote them for CNVD-2022-10270,
        https://www.cnvd.org.cn/flaw/show/CNVD-2022-10270.
Limits: a request line says what was asked, not what was answered; the local web service listens on a port of its own and every request
        of a scanner stands here too; who controlled the host through the vendor's cloud is named by the relay's address at best.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote_plus

from headwater.examine.parsers._records import Chunk, chunks, event, meaning, rule
from headwater.examine.parsers._when import iso
from headwater.examine.parsers._wide import text_lines
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason
from headwater.model.records import Event, File, Gap, Record, Value

FEED = "remote.sunlogin"
VERSION = 1
READS = (
    "/sunlogin_service.*.log*",
    "/sunlogin_service.log*",
    "/SunloginClient*/log/*.log",
    "/AweSun*/log/*.log",
    "/Oray/*/log/*.log",
)
_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"
_STARTS = lazy_regex(rf"(?:\xef\xbb\xbf)?{_TIME}\s".encode("latin-1"))
_HEAD = lazy_regex(rf"(?s)\ufeff?(?P<time>{_TIME})\s+- (?P<level>\w+)\s+-\s+(?P<message>.*)")
_RULES = (
    rule(r"^\[Acceptor\]\[HTTP\] new RC HTTP connection (?P<src_ip>[0-9A-Fa-f.:\[\]]+?):(?P<port>\d+), path: (?P<uri>.*?) ?,"
         r" version: (?P<version>HTTP/[\d.]+)",
         K.WEB_REQUEST),
    rule(r"^\[Acceptor\]\[HTTP\] new RC HTTP connection (?P<src_ip>[0-9A-Fa-f.:\[\]]+?):(?P<port>\d+),(?P<handled>/.*), plugin:"
         r"(?P<plugin>[\w-]*), "
         r"session:(?P<session_id>\S*)", K.LOG_MESSAGE),
    rule(r"new acceptor (?P<src_ip>[0-9A-Fa-f.:\[\]]+?):(?P<port>\d+)-->(?P<dst_ip>[0-9A-Fa-f.:\[\]]+?):"
         r"(?P<dst_port>\d+)", K.NETWORK_CONNECTION),
    rule(r"attempt to establish P2P connection via: (?P<relay>[^,\s]+), \(local\)(?P<local>[^|\s]+)\|\(public\)"
         r"(?P<peer>\S+)", K.USER_ACTIVITY),
)  # fmt: skip


def parse(file: File) -> Iterator[Record]:
    for chunk in chunks(file, _STARTS, None, text_lines):
        yield _made(chunk) if isinstance(chunk, Chunk) else chunk


def _made(chunk: Chunk) -> Event | Gap:
    head = _HEAD.match(chunk.text)
    if head is None:
        return Gap(chunk.offset, chunk.length, GapReason.NOT_THIS_FORMAT, "the head of the record cannot be read")
    message = head["message"].rstrip()
    kind, outcome, found = meaning(_RULES, message, K.LOG_MESSAGE)
    said: dict[str, Value] = {"provider": "sunlogin", "level": head["level"], "message": message, **found}
    uri = said.pop("uri", None)
    if isinstance(uri, str):
        stem, mark, query = uri.partition("?")
        said |= {
            "cs-uri": uri,
            "cs-uri-stem": stem,
            "cs-uri-query": query if mark else None,
            "cs-version": said.pop("version", None),
        }
        # the service runs what stands behind cmd=; the decoded text is the command that was asked for
        asked = re.search(r"(?:^|&)cmd=([^&]{1,8000})", query)
        said["command_line"] = unquote_plus(asked[1]) if asked and stem == "/check" else None
    when = iso(head["time"])
    if when[0] is None:
        said["time_text"] = head["time"]
    return event(chunk, when, kind, outcome, said)
