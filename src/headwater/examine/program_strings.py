# SPDX-License-Identifier: Apache-2.0
"""Telling strings of programs, scripts and libraries; feed ``file.strings``, kind ``state.string``, one row for each.

A string is a run of at least :data:`SHORTEST` printable letters, in ASCII or in UTF-16LE as Windows programs hold them.
Told are those that say where a program reaches out to or what it touches (``class``): url, address, onion, mail, key,
wallet, place (a path that intruders use), command; each different one once, at its first place. ``strings`` of the row on
the whole file (ordinal :data:`STRING`, no class) counts all runs. Ordinals count from :data:`STRING` in each file.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headwater.examine.batch import HEAD_SCHEMA, printable
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.ports import ByteSource

FEED = "file.strings"
VERSION = 1
STRING = 1 << 33
SHORTEST = 6
LONGEST = 1024  # letters of a string that are told
FILE_MOST = 16 << 20  # bytes of a file that are looked at
TOLD_MOST = 300  # strings of one file

_LETTERS = np.zeros(256, np.bool_)
_LETTERS[0x20:0x7F] = True
_CLASSES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, lazy_regex(pattern))
    for name, pattern in (
        ("onion", r"\b[a-z2-7]{16}(?:[a-z2-7]{40})?\.onion\b"),
        ("url", r"(?i)\b(?:https?|ftp|wss?|tcp|udp|stratum\+(?:tcp|ssl)|ldap|rmi)://[\w.\[\]%-]{3,}[^\s\"'<>]*"),
        ("key", r"-----BEGIN [A-Z ]*PRIVATE KEY|\bssh-(?:rsa|ed25519) AAAA|\bAKIA[0-9A-Z]{16}\b|\bLTAI[0-9A-Za-z]{12,}\b"),
        ("wallet", r"\b(?:bc1[a-z0-9]{25,60}|4[0-9AB][1-9A-HJ-NP-Za-km-z]{93}|0x[0-9a-fA-F]{40})\b"),
        ("mail", r"\b[\w.+-]{2,40}@(?:[\w-]+\.)+[a-z]{2,12}\b"),
        ("address", r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])(?::\d{2,5})?"),
        ("command", r"(?i)/dev/tcp/"
                    r"|\b(?:nc|ncat)\s+-|\bcurl\s+-|\bwget\s+-?|\bchmod\s+[0-7+]|\bcmd(?:\.exe)?\s+/c|powershell|\bbash\s+-[ic]"
                    r"|\bcrontab\b|\biptables\b|\bsystemctl\b|vssadmin|schtasks|\breg\s+add\b|\bnet\s+user\b"),
        ("place", r"(?:/tmp/|/var/tmp/|/dev/shm/|/etc/(?:passwd|shadow|cron|ld\.so\.preload|ssh)|/root/|/\.ssh/|authorized_keys|/var/log/"
                  r"|\\Temp\\|\\Users\\|CurrentVersion\\Run|\\System32\\)"),
    )
)  # fmt: skip
# one look at each string before the table: whatever a class finds holds one of these
_SIEVE = lazy_regex(
    r"://|\.onion|@|PRIVATE KEY|ssh-(?:rsa|ed)|AKIA|LTAI|bc1|4[0-9AB]\w{93}|0x[0-9a-fA-F]{40}|\d\.\d{1,3}\.\d|/dev/|/tmp/|/etc/|/root/"
    r"|/\.ssh|authorized_|/var/log|\\|[Cc][Mm][Dd]|\b[Nn]c(?:at)?\s|[Cc]url|[Ww]get|[Cc]hmod|[Bb]ash|[Rr]eg\s|[Nn]et\s|(?i:powershell|vssadmin"
    r"|schtasks|currentversion)|crontab|iptables|systemctl|System32"
)
_MARKUP = (
    "http://www.w3.org/",
    "http://schemas.",
    "https://schemas.",
    "http://www.apache.org/licenses",
    "http://gcc.gnu.org",
)

Row = dict[str, Any]


class Found(NamedTuple):
    """A run of letters: where it stands, its bytes' length, and the text."""

    offset: int
    length: int
    text: str
    wide: bool


def runs(data: bytes) -> Iterator[Found]:
    """Every string of the data: those in ASCII in order, then those in UTF-16LE at even and at odd offsets."""
    octets = np.frombuffer(data, np.uint8)
    letters = _LETTERS[octets]
    for first, last in _stretches(letters):
        yield Found(first, last - first, data[first:last].decode("ascii"), False)
    for odd in (0, 1):
        pairs = (len(octets) - odd) // 2
        at = octets[odd : odd + 2 * pairs]
        both = letters[odd : odd + 2 * pairs : 2] & (at[1::2] == 0)
        for first, last in _stretches(both):
            start, end = odd + 2 * first, odd + 2 * last
            yield Found(start, end - start, data[start:end:2].decode("ascii"), True)


def _stretches(flags: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Where flags are set for at least :data:`SHORTEST` in a row: first, and the one behind the last."""
    edges = np.flatnonzero(np.diff(flags, prepend=False, append=False))
    firsts, lasts = edges[::2], edges[1::2]
    long = lasts - firsts >= SHORTEST
    yield from zip(firsts[long].tolist(), lasts[long].tolist(), strict=True)


def classed(text: str) -> tuple[str, str] | None:
    """The class of a string and the part of it that has it; None where it tells nothing."""
    for name, pattern in _CLASSES:
        for match in pattern.finditer(text):
            part = match.group()
            if name == "address" and not _routable(part.partition(":")[0]):
                continue
            if name == "url" and part.startswith(_MARKUP):
                continue
            return name, part
    return None


def _routable(text: str) -> bool:
    """An address and not a version: no leading zeros, and one that a host can have."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    first = int(text.partition(".")[0])
    return first >= 5 and not (
        address.is_loopback or address.is_unspecified or address.is_multicast or address.is_reserved
    )


def describe(source: ByteSource) -> list[Row]:
    """The rows of one file: first the one that counts, then the telling strings as :func:`runs` gives them."""
    data = source.pread(0, min(source.size, FILE_MOST))
    count = 0
    rows: list[Row] = []
    seen: set[tuple[str, str]] = set()
    for run in runs(data):
        count += 1
        if len(rows) >= TOLD_MOST or not _SIEVE.search(run.text):
            continue
        found = classed(run.text[:LONGEST])
        if found is None or found in seen:
            continue
        seen.add(found)
        rows.append(
            {"offset": run.offset, "length": run.length, "class": found[0], "part": found[1][:LONGEST],
             "text": run.text[:LONGEST], "wide": run.wide}
        )  # fmt: skip
    whole: Row = {"offset": 0, "length": len(data), "strings": count, "told": len(rows)}
    return [row | {"ordinal": STRING + n} for n, row in enumerate([whole, *rows])]


OWN: dict[str, Any] = {
    "class": pl.String, "part": pl.String, "text": pl.String, "wide": pl.Boolean, "strings": pl.Int64, "told": pl.Int64,
}  # fmt: skip


def frame(rows: Sequence[Row], paths: Sequence[str]) -> pl.DataFrame:
    """Rows of :func:`describe`, each with ``file_path`` and ``hash``, as events; ``paths`` with their layers."""
    fixed = {"t_basis": str(TimeBasis.NONE), "t_kind": "state", "kind": str(EventKind.STATE_STRING)}
    columns: dict[str, pl.Series] = {}
    for name, dtype in {**HEAD_SCHEMA, **OWN}.items():
        columns[name] = pl.Series(name, [fixed.get(name, row.get(name)) for row in rows], dtype=dtype)
    columns["file_path"] = pl.Series("file_path", [printable(str(r["file_path"])) for r in rows], dtype=pl.String)
    return pl.DataFrame(columns).with_columns(pl.Series("path", paths, dtype=pl.String))
