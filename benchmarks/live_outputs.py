# SPDX-License-Identifier: Apache-2.0
"""How fast are large outputs of a live collection read, and what do the cross-views say of this very machine while it is busy?

    python benchmarks/live_outputs.py [--rows 300000] [--rounds 3]

The first part makes outputs of find -ls, lsof, /proc/pid/maps and ps from a seed and reads them; "reference" is one regex
over the same lines as a Polars column, in the same run. The second collects this machine with the real collector while
processes and listeners come and go (about 60 and 30 a second, started and ended here), and counts what the cross-views find:
on an ordinary machine nothing.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from headwater.examine import registry
from headwater.examine.batch import batches_of
from headwater.examine.lines import line_batches
from headwater.model.records import Facts, File

BUSY = (
    "while :; do (sleep 0.02; /bin/true) & (timeout 1 python3 -S -c "
    "'import socket,time;s=socket.socket();s.bind((\"\",0));s.listen();time.sleep(.5)' >/dev/null 2>&1 & ); sleep 0.03; done"
)
REFERENCES = {
    "find": r"^\s*(\d+)\s+(\d+)\s+(\S{10})\s+(\d+)\s+(\S+)\s+(\S+)\s+(\d+)\s+(\S+)\s+(\d+)\s+(\S+)\s(.*)$",
    "lsof": r"^(\S+)\s+(\d+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(.*)$",
    "maps": r"^([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) (\S+) (\d+)\s*(.*)$",
    "ps": r"^(\S+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\S+)\s+(\S+) (.*)$",
}


def made(kind: str, rows: int, chance: random.Random) -> Iterator[str]:
    """Lines of one output."""
    heads = {"lsof": "COMMAND PID USER FD TYPE DEVICE SIZE/OFF NODE NAME", "ps": "UID PID PPID C STIME TTY TIME CMD"}
    if kind in heads:
        yield heads[kind]
    for number in range(rows):
        name = f"/usr/lib/{chance.randrange(4000):x}/{number:x}.so"
        if kind == "find":
            when = f"Nov {1 + number % 28:2d} 07:{number % 60:02d}"
            yield f"{number:9d} {chance.randrange(99):6d} -rw-r--r--   1 root     root     {chance.randrange(1 << 20):8d} {when} {name}"
        elif kind == "lsof":
            yield f"nginx   {number % 4000:7d} www-data  mem    REG    8,1 {chance.randrange(1 << 20):9d} {number:8d} {name}"
        elif kind == "maps":
            first = 0x7F0000000000 + number * 4096
            yield f"{first:x}-{first + 4096:x} r-xp 00001000 08:01 {number}                     {name}"
        else:
            yield f"www-data {number + 1:7d} {number // 2:7d}  0 07:26 ?        00:00:00 php-fpm: pool www {number}"


def read(kind: str, data: bytes) -> int:
    """Events of one output, through its parser."""
    path = {
        "find": "/@command/find-x.stdout",
        "lsof": "/@command/lsof-all.stdout",
        "maps": "/proc/7/maps",
        "ps": "/@command/ps-ef.stdout",
    }
    context = {p.replace(".stdout", ".json"): '{"start": "2026-11-22T07:00:00Z"}' for p in path.values()}
    file = File.of(data, path[kind], facts=Facts(context=context))
    (parser,) = registry.by_path(path[kind])
    batches = (
        line_batches(parser.grammar, file) if parser.grammar is not None else batches_of(parser.parse(file), file.size)
    )  # type: ignore[misc]
    return sum(b.events.height for b in batches)


def speeds(rows: int) -> None:
    """Rows per CPU second of each output, and of the reference."""
    print(f"{'output':8}{'rows':>9}{'rows/CPU s':>13}{'reference':>13}{'share':>8}")
    for kind in REFERENCES:
        count = rows // 10 if kind == "ps" else rows
        data = "\n".join(made(kind, count, random.Random(7))).encode() + b"\n"
        best = reference = 1e9
        for _ in range(3):
            at = time.process_time()
            events = read(kind, data)
            best = min(best, time.process_time() - at)
            at = time.process_time()
            pl.Series(data.decode().split("\n")).str.extract_groups(REFERENCES[kind]).struct.unnest()
            reference = min(reference, time.process_time() - at)
        print(f"{kind:8}{events:9d}{events / best:13,.0f}{count / reference:13,.0f}{reference / best:8.2f}")


def rounds(count: int) -> None:
    """Collect this machine while it is busy and say what the cross-views find."""
    tests = Path(__file__).parent.parent / "tests"
    sys.path[:0] = [str(tests / "detect"), str(tests / "acquire")]
    import collecting_here
    import live_system

    from headwater.acquire.catalogue import choose
    from headwater.detect import registry as detectors
    from headwater.model.ports import Settings

    chosen = [
        a for a in choose("full", ["linux"], secrets=True).artifacts if a.volatility <= 3 or a.category == "crossview"
    ]
    order = [a.order() for a in chosen if not any("files" in c or "recover" in c for c in a.collect)]
    for _ in range(count):
        busy = subprocess.Popen(["bash", "-c", BUSY], start_new_session=True, stderr=subprocess.DEVNULL)
        try:
            at = time.monotonic()
            stream = collecting_here.stream_of(order)
            took = time.monotonic() - at
        finally:
            os.killpg(busy.pid, signal.SIGKILL)
        events = live_system.events_of(stream)
        at = time.process_time()
        found = collections.Counter(
            (f.rule.id, str(f.severity), str(f.facts["reason"]))
            for name, detector in detectors.all_detectors().items()
            if name.startswith("hidden-")
            for f in detectors.run(detector, events, Settings())
        )
        cost = time.process_time() - at
        rows = sum(frame.height for frame in events.frames.values())
        print(
            f"collected {len(stream) >> 10} KiB in {took:.1f} s, {rows} rows, cross-views {cost:.2f} CPU s: {dict(found) or 'nothing'}"
        )


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rows", type=int, default=300_000)
    asked.add_argument("--rounds", type=int, default=3)
    given = asked.parse_args()
    speeds(given.rows)
    rounds(given.rounds)


if __name__ == "__main__":
    main()
