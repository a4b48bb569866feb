# SPDX-License-Identifier: Apache-2.0
"""Harms: a time, number or address is misread eight bytes at a time; a line takes a value from its neighbour."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from headwater.examine import line_time, line_words
from headwater.examine.line_views import PADDING, Bytes, Ints
from headwater.examine.lines import LineGrammar, line_batches, one_record
from headwater.examine.parsers import linux_auth, web_access
from headwater.model.records import Facts, File

LONG = bool(os.environ.get("HEADWATER_LONG"))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def _block(texts: Iterable[bytes]) -> tuple[Bytes, Ints, Ints]:
    sizes = [len(t) for t in texts]
    ends = np.cumsum(sizes, dtype=np.int64)
    return np.frombuffer(b"".join(texts) + bytes(PADDING), dtype=np.uint8), ends - sizes, ends


def _bent(chance: random.Random, text: bytes, odd: bytes, share: float = 0.4) -> bytes:
    """Now and then with one byte changed, left out or put in."""
    if chance.random() >= share:
        return text
    at = chance.randrange(len(text) + 1)
    return text[:at] + bytes(chance.choices(odd, k=chance.randrange(2))) + text[at + chance.randrange(2) :]


# --- words -----------------------------------------------------------------------------------------------------------


def test_addresses_are_what_the_regex_says() -> None:
    chance = random.Random(1)
    texts = [b"", b"1.2.3.4", b"255.255.255.255", b"1.2.3.4" * 9]
    for _ in range(6000):
        groups = chance.choice((4, 4, 4, 3, 5))
        text = b".".join(b"%d" % chance.randrange(chance.choice((10, 300, 3000))) for _ in range(groups))
        texts.append(_bent(chance, text, b".0129a:\xff/"))
    data, start, end = _block(texts)
    pattern = re.compile(rb"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
    assert line_words.ipv4(data, start, end).tolist() == [bool(pattern.fullmatch(t)) for t in texts]


def test_numbers_end_where_their_digits_end() -> None:
    chance = random.Random(2)
    texts = [bytes(chance.choices(b"0123456789/:\xff\x80 ", [9] * 10 + [1] * 5, k=8)) for _ in range(6000)]
    data, start, _ = _block(texts)
    count, value = line_words.decimal(line_words.word(data, start))
    digits = [re.match(rb"[0-9]*", t)[0] for t in texts]  # type: ignore[index]
    assert count.tolist() == [len(d) for d in digits]
    assert value.tolist() == [int(d or b"0") for d in digits]
    ok, value = line_words.three_digits(line_words.word(data, start))
    assert ok.tolist() == [len(d) >= 3 for d in digits]
    assert value[ok].tolist() == [int(d[:3]) for d in digits if len(d) >= 3]


def test_clocks_are_what_the_regex_says() -> None:
    chance = random.Random(3)
    texts = []
    for _ in range(6000):
        text = b"%02d:%02d:%02d" % (chance.randrange(26), chance.randrange(62), chance.randrange(62))
        texts.append(_bent(chance, text, b"0:9/\xff\xba ").ljust(8, b"x")[:8])
    data, start, _ = _block(texts)
    ok, seconds = line_words.clock(line_words.word(data, start))
    pattern = re.compile(rb"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]|60)")
    for text, good, second in zip(texts, ok.tolist(), seconds.tolist()):
        match = pattern.fullmatch(text)
        assert good == (match is not None), text
        if match:
            hour, minute, rest = map(int, match.groups())
            assert second == hour * 3600 + minute * 60 + rest


def test_runs_say_which_rows_are_alike() -> None:
    first, run = line_words.runs(np.array([5, 5, 7, 7, 7, 5]), np.array([1, 1, 1, 2, 2, 2]))
    assert (first.tolist(), run.tolist()) == ([0, 2, 3, 5], [0, 0, 1, 2, 2, 3])


# --- times -----------------------------------------------------------------------------------------------------------


def _moment(year: str, month: int, day: str, clock: str, fraction: str | None = None) -> int | None:
    """Nanoseconds, or None where there is no such time."""
    hour, minute, second = map(int, clock.split(":"))
    try:
        moment = datetime(int(year), month, int(day), hour, minute, tzinfo=UTC) + timedelta(seconds=second)
    except ValueError:
        return None
    if second > 60 or not 1680 < int(year) < 2260:
        return None
    nanos = int((fraction or "0").ljust(9, "0")[:9])
    return ((moment - EPOCH) // timedelta(seconds=1)) * 10**9 + nanos


def _ahead(zone: str | None) -> int | None:
    if not zone:
        return None
    if zone in "Zz":
        return 0
    match = re.fullmatch(r"([+-])([01][0-9]|2[0-3])(?::?([0-5][0-9]))?", zone)
    assert match
    return int(match[1] + "1") * (int(match[2]) * 3600 + int(match[3] or 0) * 60)


_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)"
_FRACTION = r"(?:[.,](?P<f>[0-9]{1,9})(?![0-9]))?"
_CLF = re.compile(
    rf"(?P<d>[0-9]{{2}})/(?P<m>{'|'.join(MONTHS)})/(?P<y>[0-9]{{4}}):(?P<c>{_CLOCK}){_FRACTION}"
    r"(?: (?P<z>[Zz]|[+-](?:[01][0-9]|2[0-3])(?::[0-5][0-9]|[0-5][0-9])?))?"
)
_ISO = re.compile(
    rf"(?P<y>[0-9]{{4}})-(?P<m>[0-9]{{2}})-(?P<d>[0-9]{{2}})[T ](?P<c>{_CLOCK}){_FRACTION}"
    r"(?P<z>[Zz]|[+-](?:[01][0-9]|2[0-3])(?::[0-5][0-9]|[0-5][0-9])?)?"
)


@pytest.mark.parametrize("sort", ["clf", "iso"])
def test_times_are_what_the_regex_says(sort: str) -> None:
    chance = random.Random(sort)
    texts = []
    for _ in range(4000):
        now = datetime(2026, 2, 27, tzinfo=UTC) + timedelta(seconds=chance.randrange(9 * 86_400))
        fraction = chance.choice(["", "", "", ".5", ".123456", ",123456789", ".12345678"])
        zone = (
            chance.choice(["", " +0800", " -0330", " +0000"]) if sort == "clf" else chance.choice(["", "Z", "+08:00"])
        )
        day = f"{now:%d/}{MONTHS[now.month - 1]}{now:/%Y:%H:%M:%S}" if sort == "clf" else f"{now:%Y-%m-%dT%H:%M:%S}"
        texts.append(_bent(chance, f"{day}{fraction}{zone}".encode(), b"0139:/ -TZx", 0.3) + b"] x ")
    data, start, _ = _block(texts)
    times = line_time.clf(data, start) if sort == "clf" else line_time.iso(data, start, "-T ")
    read = 0
    for n, text in enumerate(texts):
        match = (_CLF if sort == "clf" else _ISO).match(text.decode())
        if re.search(rb"[.,][0-9]{10}", text):
            continue  # what follows the ninth digit is no part of the time
        if match is None:
            assert not times.ok[n], text
            continue
        month = MONTHS.index(match["m"]) + 1 if sort == "clf" else int(match["m"])
        expected = _moment(match["y"], month, match["d"], match["c"], match["f"])
        assert times.ok[n] == (expected is not None), text
        if expected is not None:
            ahead = _ahead(match["z"])
            assert times.ns[n] == expected - (ahead or 0) * 10**9, text
            assert (times.zoned[n], times.end[n] - start[n]) == (ahead is not None, match.end()), text
            read += 1
    assert read > 2500


def test_heads_without_a_year_are_what_the_regex_says() -> None:
    chance = random.Random(5)
    texts = []
    for _ in range(5000):
        day = chance.choice(["%2d", "%02d"]) % chance.randrange(33)
        clock = f"{chance.randrange(25):02d}:{chance.randrange(61):02d}:{chance.randrange(62):02d}"
        texts.append(
            _bent(chance, f"{chance.choice(MONTHS)} {day} {clock} ".encode(), b" 0139:JanFeb\xff").ljust(17, b"h")
        )
    data, start, _ = _block(texts)
    times = line_time.bsd(data, start)
    pattern = re.compile(rf"({'|'.join(MONTHS)}) ([ 0-3][0-9]) ({_CLOCK}) ")
    longest = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    for n, text in enumerate(texts):
        match = pattern.match(text.decode("latin-1"))
        month = MONTHS.index(match[1]) if match else 0
        assert times.ok[n] == (match is not None and 1 <= int(match[2]) <= longest[month]), text
        if times.ok[n] and match:
            hour, minute, second = map(int, match[3].split(":"))
            assert (times.month[n], times.day[n]) == (month + 1, int(match[2]))
            assert times.second[n] == hour * 3600 + minute * 60 + second


# --- whole lines -----------------------------------------------------------------------------------------------------


def _access_line(chance: random.Random) -> bytes:
    uri = chance.choice(["/", "/a?b=1?2", "/" + "long/" * 9, "/x?y", "*", "/汉"])
    referer = chance.choice(["-", "", "http://e/?q", 'a\\"b', "x" * 70])
    behind = chance.choice(["", "", "", " 0.003", ' "1.2.3.4, 5.6.7.8"'])
    return (
        f"{chance.choice(['1.2.3.4', '::1', 'h.example', '10.20.30.40', '-', '300.1.1'])} - {chance.choice(['-', '-', 'joe'])} "
        f"[{chance.randrange(1, 30):02d}/Mar/2026:11:{chance.randrange(60):02d}:00 {chance.choice(['+0800', '-0500'])}] "
        f'"{chance.choice(["GET", "POST", "PROPFIND"])} {uri} {chance.choice(["HTTP/1.1", "HTTP/2.0", ""])}" '
        f"{chance.choice([200, 404, '-', 500])} {chance.choice(['-', 0, 12, 1234567, 12345678, 123456789012])} "
        f'"{referer}" "{chance.choice(["-", "curl/8", "Mozilla/5.0 (X11) " * 3])}"'
        f"{behind}"
    ).encode()


def _auth_line(chance: random.Random) -> bytes:
    ip, user = chance.choice(["1.2.3.4", "::ffff:9.8.7.6", "h.example", "12"]), chance.choice(["root", "a b", "x", ""])
    text = chance.choice(
        [
            f"sshd[{chance.randrange(99999)}]: Failed password for {user} from {ip} port 22 ssh2",
            f"sshd[1]: error: maximum authentication attempts exceeded for {user} from {ip} port 22 ssh2 [preauth]",
            f"sudo:   {user} : TTY=pts/0 ; PWD=/home/{user} ; USER=root ; COMMAND=/bin/ls {'x' * chance.randrange(60)}",
            f"systemd-logind[612]: New session {chance.randrange(99)} of user {user}.",
            "CRON[12]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
            f"kernel: {'word ' * chance.randrange(30)}",
        ]
    )
    return f"Mar  {chance.randrange(1, 6)} 10:{chance.randrange(60):02d}:01 web01 {text}".encode()


def _rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if v is not None and k != "offset"} for row in frame.to_dicts()]


@pytest.mark.parametrize(
    ("grammar", "make", "keep"), [(web_access.GRAMMAR, _access_line, 0), (linux_auth.GRAMMAR, _auth_line, 16)]
)
def test_a_line_says_the_same_among_others_as_alone(
    grammar: LineGrammar, make: Callable[[random.Random], bytes], keep: int
) -> None:
    chance = random.Random(7)
    lines = []
    for _ in range(400 if LONG else 120):
        line = make(chance)
        lines.append(line[:keep] + _bent(chance, line[keep:], b'" -[]?\\\xff:\t0/', 0.5) + b"\n")
    together: dict[int, list[dict[str, Any]]] = {}
    gaps: list[tuple[int, int]] = []
    for batch in line_batches(grammar, File.of(b"".join(lines), facts=Facts(year=2026))):
        for at, row in zip(batch.events["offset"].to_list(), _rows(batch.events)):
            together.setdefault(at, []).append(row)
        gaps += [(g.offset, g.offset + g.length) for g in batch.gaps]
    at = 0
    for line in lines:
        alone = _rows(one_record(grammar, line, Facts(year=2026)))
        assert together.get(at, []) == alone, line
        assert bool(alone) != any(low <= at < high for low, high in gaps), line
        at += len(line)


_COMBINED = re.compile(
    r'(?P<src_ip>[0-9]{1,3}(?:\.[0-9]{1,3}){3}) - (?P<user>\S+) \[(?P<time>[^\]]{26})\] "(?P<m>[A-Z]+) (?P<uri>/[^ "?]*(?:\?[^ "]*)?) '
    r'(?P<v>HTTP/[0-9.]+)" (?P<status>[0-9]{3}) (?P<size>[0-9]{1,18}) "(?P<r>[^"\\]*)" "(?P<a>[^"\\]*)"\n'
)


def test_plain_access_lines_are_what_one_regex_says() -> None:
    chance = random.Random(8)
    lines = [_bent(chance, _access_line(chance), b'" -[]?0/', 0.2) + b"\n" for _ in range(3000)]
    rows: dict[int, dict[str, Any]] = {}
    for batch in line_batches(web_access.GRAMMAR, File.of(b"".join(lines)), 50_000):
        rows |= {row["offset"]: row for row in batch.events.to_dicts()}
    at = seen = 0
    for line in lines:
        match = _COMBINED.fullmatch(line.decode("utf-8", "surrogateescape"))
        time = _CLF.fullmatch(match["time"]) if match else None
        if match and time and time["z"]:
            seen += 1
            row = rows[at]
            stem, mark, query = match["uri"].partition("?")
            moment = _moment(time["y"], MONTHS.index(time["m"]) + 1, time["d"], time["c"])
            assert moment is not None
            expected = {
                "src_ip": match["src_ip"], "t_recorded": moment - (_ahead(time["z"]) or 0) * 10**9,
                "user": None if match["user"] == "-" else match["user"], "cs-method": match["m"],
                "cs-uri": match["uri"], "cs-uri-stem": stem, "cs-uri-query": query if mark else None,
                "cs-version": match["v"], "sc-status": int(match["status"]), "sc-bytes": int(match["size"]),
                "cs-referer": None if match["r"] in ("", "-") else match["r"],
                "cs-user-agent": None if match["a"] in ("", "-") else match["a"], "length": len(line),
            }  # fmt: skip
            assert {k: row.get(k) for k in expected} == expected, line
        at += len(line)
    assert seen > 120
