# SPDX-License-Identifier: Apache-2.0
"""Lines per CPU second of IIS and VPC flow logs, line by line and by columns, one process, without start-up.

.venv/bin/python benchmarks/spaced_lines.py --count 200000
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator

from headwater.examine.batch import Batch, batches_of
from headwater.examine.parsers import cloud_flow, windows_iis
from headwater.model.records import File

_IIS = (
    "#Software: Microsoft Internet Information Services 10.0\r\n#Version: 1.0\r\n#Date: 2026-03-02 00:00:00\r\n"
    "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) "
    "sc-status sc-substatus sc-win32-status time-taken\r\n"
)
_AGENT = (
    "Mozilla/5.0+(Windows+NT+10.0;+Win64;+x64)+AppleWebKit/537.36+(KHTML,+like+Gecko)+Chrome/126.0.0.0+Safari/537.36"
)
_FLOW = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n"


def iis(count: int) -> bytes:
    chance, lines = random.Random(1), [_IIS]
    for i in range(count):
        second = i * 86_400 // count
        clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
        query = chance.choice(("-", f"id={chance.randrange(99_999)}"))
        peer = f"203.0.{chance.randrange(20)}.{chance.randrange(256)}"
        from_ = chance.choice(("-", f"https://www.example.com/start?x={chance.randrange(500)}"))
        status = chance.choice((200, 200, 200, 304, 404, 500))
        lines.append(
            f"2026-03-02 {clock} 10.0.0.5 {chance.choice(('GET', 'POST'))} /site/page{chance.randrange(3000)}.aspx {query} 443 "
            f"{chance.choice(('-', 'CORP/bob'))} {peer} {_AGENT} {from_} {status} 0 {chance.choice((0, 64, 2148074254))} "
            f"{chance.randrange(4000)}\r\n"
        )
    return "".join(lines).encode()


def flow(count: int) -> bytes:
    chance, lines = random.Random(1), [_FLOW]
    for i in range(count):
        start = 1_772_420_645 + i // 50
        if i % 50 == 0:
            lines.append(f"2 111122223333 eni-0a1b2c3d4e5f60718 - - - - - - - {start} {start + 60} - NODATA\n")
            continue
        ends = (
            f"203.0.{chance.randrange(50)}.{chance.randrange(256)} 10.0.{chance.randrange(4)}.{chance.randrange(256)}"
        )
        ports = f"{chance.randrange(1024, 65_535)} {chance.choice((22, 80, 443, 3389))}"
        amounts = f"{chance.randrange(900)} {chance.randrange(10**7)}"
        action = chance.choice(("ACCEPT", "ACCEPT", "REJECT"))
        lines.append(
            f"2 111122223333 eni-0a1b2c3d4e5f60718 {ends} {ports} 6 {amounts} {start} {start + 60} {action} OK\n"
        )
    return "".join(lines).encode()


def _rate(count: int, read: Callable[[], Iterator[Batch]]) -> float:
    before = time.process_time()
    for _ in read():
        pass
    return count / (time.process_time() - before)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=200_000)
    options.add_argument("--times", type=int, default=3)
    given = options.parse_args()
    for parser, make in ((windows_iis, iis), (cloud_flow, flow)):
        data = make(given.count)
        file = File.of(data)
        for _ in range(given.times):
            slow = _rate(given.count, lambda: batches_of(parser.parse(file), file.size))  # noqa: B023
            quick = _rate(given.count, lambda: parser.batches(file))  # noqa: B023
            size = len(data) // given.count
            print(
                f"{parser.FEED}: {slow:,.0f} line by line, {quick:,.0f} by columns, {quick / slow:.1f}; {size} B a line"
            )


if __name__ == "__main__":
    main()
