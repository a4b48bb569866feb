# SPDX-License-Identifier: Apache-2.0
"""Requests that a pool of PHP-FPM answered (php.fpm_access).

Reads:  content whose lines have the access.format that pools have by default; www.access.log and other *.access.log of pools.
Time:   with its offset, whole seconds, when the request came.
Format: ``%R - %u %t "%m %r%Q%q" %s``, and what may follow it (php-fpm's www.conf, access.format).
Limits: the peer is the web server, over a socket none; the client stands in the web server's own log.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._text import Line, line_records
from headwater.examine.parsers._when import clf
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason, Outcome
from headwater.model.records import Event, File, Gap, Record, Value

FEED = "php.fpm_access"
VERSION = 1
READS = ("/var/log/www.access.log*", "/var/log/php*/*access.log*", "/var/log/php*.access.log*")
_LINE = lazy_regex(
    r"(?P<peer>[0-9a-fA-F.:]+|-) - (?P<user>\S*) (?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}) "
    r'"(?P<method>[A-Z]{1,20}) (?P<uri>[^"]*)" (?P<status>\d{3})(?: (?P<more>.*))?'
)
_HEAD = lazy_regex(rb'(?:[0-9a-fA-F.:]+|-) - \S* \d\d/[A-Z][a-z]{2}/\d{4}:[\d:]{8} [+-]\d{4} "[A-Z]+ [^"\n]*" \d{3}')


def recognise(head: bytes) -> bool:
    """The time stands without brackets, unlike in a web server's log."""
    return bool(_HEAD.match(head))


def parse(file: File) -> Iterator[Record]:
    """One event for each line."""
    return line_records(file, _request)


def _request(line: Line) -> Event | Gap:
    found = _LINE.fullmatch(line.text)
    if found is None:
        return Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT)
    when, basis = clf(found["time"])
    stem, _, query = found["uri"].partition("?")
    own: dict[str, Value] = {
        "cs-method": found["method"], "cs-uri": found["uri"], "cs-uri-stem": stem, "sc-status": int(found["status"]),
    }  # fmt: skip
    own |= {"cs-uri-query": query} if query else {}
    own |= {"more": found["more"]} if found["more"] else {}
    return Event(
        line.offset, line.length, EventKind.WEB_REQUEST, when, basis, process="php-fpm", provider="php-fpm",
        outcome=Outcome.FAILURE if int(found["status"]) >= 400 else Outcome.SUCCESS,
        src_ip=None if found["peer"] == "-" else found["peer"], user=found["user"] if found["user"] not in ("", "-") else None,
        fields=own,
    )  # fmt: skip
