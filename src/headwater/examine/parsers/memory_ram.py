# SPDX-License-Identifier: Apache-2.0
"""Telling strings in the memory of a running system (memory.ram).

Reads:  the ranges of a memory image, /memory/FIRST-LAST, as :mod:`headwater.formats.lime_tree` shows them.
Time:   none; memory keeps no time of its strings.
Format: raw bytes; runs of printable ASCII, by what they say (``class``): log, environment, url, onion, key, wallet, command,
        place, address, domain. ``physical`` is the address of the match, ``text`` the run around it.
Limits: each different one is told once, at its first place, 2,000 of a class in a range. Of the addresses 1.0.0.0 to
        4.255.255.255 only those with a port are told, for version numbers look like them. A page may be free, cached or another
        process's: that a string is in memory does not say who put it there. UTF-16 and what lies across two pages that are
        no neighbours in physical memory is not seen.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections import Counter
from collections.abc import Iterator

from headwater.examine.byte_search import Hit, Pattern, hits, patterns
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason
from headwater.model.records import Count, Event, File, Gap, Record

FEED = "memory.ram"
VERSION = 2
READS = ("/memory/????????????????-????????????????",)
MOST = 2_000  # different strings of one class in one range
_RANGE = lazy_regex(r"/memory/([0-9a-f]{16})-[0-9a-f]{16}$")
_ENDS = (
    "com|net|org|info|biz|cn|ru|io|top|xyz|cc|club|site|online|shop|vip|icu|pw|tk|ml|ga|cf|gq|su|hk|tw|jp|kr|de|uk|fr|nl|eu|us|br"
    "|cloud|link|live|pro|work|space|store|tech|win|stream|download|bid|loan|trade"
)
_CLASSES: tuple[tuple[str, str], ...] = (
    ("log", r"(?:Accepted|Failed) (?:password|publickey|keyboard-interactive/pam) for (?:invalid user )?[!-~]{1,64} from"
            r" [0-9a-f.:]{2,45} port [0-9]{1,5}"),
    ("log", r"[a-z_][a-z0-9_.-]{0,31} : (?:TTY=[!-~]{1,40} ; )?PWD=[^;\x00-\x1f\x7f-\xff]{1,200} ; USER=[!-~]{1,32} ;"
            r" COMMAND=[ -~]{1,300}"),
    ("environment", r"(?:LD_PRELOAD|SSH_CONNECTION|SSH_CLIENT|SUDO_COMMAND|HISTFILE)=[!-~][ -~]{0,200}"),
    ("url", r"(?:https?|ftp|wss?|tcp|udp|stratum\+(?:tcp|ssl)|ldaps?|rmi)://[A-Za-z0-9._\[\]%:-]{3,}[!#-&(-;=?-~]{0,400}"),
    ("onion", r"\b[a-z2-7]{16}(?:[a-z2-7]{40})?\.onion\b"),
    ("key", r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bLTAI[0-9A-Za-z]{12,30}\b"),
    ("wallet", r"\b(?:bc1q[a-z0-9]{38,58}|4[0-9AB][1-9A-HJ-NP-Za-km-z]{93})\b"),
    ("command", r"/dev/(?:tcp|udp)/[0-9A-Za-z.-]{3,}/[0-9]{1,5}|\b(?:nc|ncat|socat) -[ -~]{2,200}|\bbash -i\b[ -~]{0,200}"
                r"|\b(?:curl|wget) -?[ -~]{0,60}(?:https?://|[0-9]{1,3}\.[0-9]{1,3}\.)[ -~]{3,200}"
                r"|\bchmod (?:[0-7]{3,4}|[ugoa]*\+[xs]) [ -~]{2,200}"
                r"|\bbase64 -(?:d|-decode)\b[ -~]{0,100}|\bpython[23]? -c [ -~]{3,200}"),
    ("place", r"/(?:tmp|var/tmp|dev/shm)/[!#-&(-:=?-~]{2,200}"),
    ("address", r"\b[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?::[0-9]{2,5})?\b"),
    ("domain", rf"\b(?:[a-z0-9][a-z0-9-]{{0,62}}\.){{1,4}}(?:{_ENDS})\b"),
)  # fmt: skip
_MARKUP = ("http://www.w3.org/", "http://schemas.", "https://schemas.", "http://www.apache.org/licenses")


@functools.cache
def _compiled() -> tuple[Pattern, tuple[tuple[str, re.Pattern[bytes]], ...]]:
    whole = "|".join(f"(?:{expression})" for _, expression in _CLASSES)
    (pattern,) = patterns(whole, regex=True, ignore_case=False)
    return pattern, tuple((name, re.compile(expression.encode("latin-1"))) for name, expression in _CLASSES)


def parse(file: File) -> Iterator[Record]:
    found = _RANGE.search(file.path)
    base = int(found[1], 16) if found else None
    pattern, classes = _compiled()
    seen: set[tuple[str, bytes]] = set()
    told: Counter[str] = Counter()
    covered = 0
    for hit in hits(file, [pattern]):
        part = hit.context[hit.before : hit.before + hit.length]
        name = next((n for n, one in classes if one.match(part)), "")
        if not name or (name, part) in seen or not _worth(name, part):
            continue
        if told[name] >= MOST:
            if told[name] == MOST:
                why = f"more than {MOST} different strings of the class {name} are not told"
                yield Gap(hit.offset, hit.length, GapReason.LIMIT, why)
            told[name] += 1
            continue
        told[name] += 1
        seen.add((name, part))
        covered += hit.length
        fields = {"class": name, "part": _text(part), "text": _text(_around(hit))}
        place = {} if base is None else {"physical": f"0x{base + hit.offset:x}"}
        yield Event(hit.offset, hit.length, EventKind.STATE_MEMORY, fields=fields | place, t_kind="state")
    yield Count(sum(min(n, MOST) for n in told.values()), 0, max(0, file.size - covered))


def _worth(name: str, part: bytes) -> bool:
    """Whether it can be what it looks like: an address that a host can have, a link that is no name of markup."""
    if name == "url":
        return not part.startswith(tuple(m.encode() for m in _MARKUP))
    if name != "address":
        return True
    try:
        address = ipaddress.IPv4Address(part.partition(b":")[0].decode())
    except ValueError:
        return False
    # 1.2.3.4 is far more often the number of a version than a host; with a port it is a host
    return (address.packed[0] >= 5 or b":" in part) and not (
        address.is_loopback or address.is_unspecified or address.is_multicast or address.is_reserved
    )


def _around(hit: Hit) -> bytes:
    """The printable run in which it stands, as far as it is at hand."""
    before = re.search(rb"[ -~]*\Z", hit.context[: hit.before])
    after = re.match(rb"[ -~]*", hit.context[hit.before + hit.length :])
    start = hit.before - (len(before[0]) if before else 0)
    return hit.context[start : hit.before + hit.length + (len(after[0]) if after else 0)]


def _text(data: bytes) -> str:
    return data.decode("ascii", "backslashreplace")[:1024]
