# SPDX-License-Identifier: Apache-2.0
"""Hosts that wget spoke to over HTTPS, as its HSTS list keeps them (linux.wget_hsts).

Reads:  .wget-hsts of every account.
Time:   UTC seconds: when the host's answer was last taken in.
Format: GNU Wget manual, "HTTPS (SSL/TLS) Options", --hsts-file; lines of host, port, subdomains, created, max-age.
Limits: only hosts whose answer asked for HSTS; an entry is dropped when its time is over or the host says so.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._text import Line, lines, user_of
from headwater.model.kinds import EventKind, GapReason, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "linux.wget_hsts"
VERSION = 1
READS = ("/.wget-hsts",)

_COLUMNS = 5
_LATEST = 1 << 33  # seconds; beyond it no clock of such a host is


def recognise(head: bytes) -> bool:
    """Its first line names it."""
    return head.startswith(b"# HSTS 1.0 Known Hosts database for GNU Wget")


def parse(file: File) -> Iterator[Record]:
    """One event for each host."""
    user = user_of(file.path)
    for line in lines(file):
        if isinstance(line, Gap):
            yield line
        elif not line.raw.strip() or line.raw.startswith(b"#"):
            yield Skip(line.offset, line.length, "comment or blank line")
        else:
            yield _entry(line, user)


def _entry(line: Line, user: str | None) -> Event | Gap:
    words = line.text.split("\t")
    if len(words) != _COLUMNS or not all(w.isascii() and w.isdigit() and len(w) < 12 for w in words[1:]):
        return Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT)
    port, subdomains, created, most = map(int, words[1:])
    when = created * 1_000_000_000 if 0 < created < _LATEST else None
    own: dict[str, Value] = {"dst_host": words[0], "include_subdomains": bool(subdomains), "max_age": most}
    own |= {"dst_port": port} if port else {}
    return Event(
        line.offset, line.length, EventKind.NETWORK_CONNECTION, when, TimeBasis.NONE if when is None else TimeBasis.UTC,
        user=user, process="wget", fields=own,
    )  # fmt: skip
