# SPDX-License-Identifier: Apache-2.0
"""One log format put to Headwater, to a bare prototype, and to the peers: rates per CPU second and counts of records.

1. Headwater parses the whole input in a confined child, to Parquet with byte offsets; start-up is in its cost.
2. The prototype, where there is one, reads the same input: one Polars regex to Parquet, without times, meanings or gaps.
   Its rate was the mark when Headwater was planned, so it tells how fast the machine is today.
3. The peers read the first lines of the same input, and a few lines alone: the difference is their cost without start-up.
   ``ratio`` is Headwater's rate, start-up included, over the peer's rate, start-up excluded.
4. Headwater reads the peers' slice too, and all counts of records are printed beside each other.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import peers
from measuring import HERE, PYTHON, Cost, Trials, arguments, run, say, say_input, say_machine, trials, workplace

from headwater.formats import compiled

FEW = 50


@dataclass(frozen=True, slots=True)
class Question:
    """``path``: where the file stands on a server. ``record``: bytes of a record, 0 for lines. ``whole``: a file that cannot
    be cut, so a shorter one is made where only its first records are wanted."""

    name: str
    path: str
    make: Callable[[Path, int], Path]
    count: int
    unit: str
    target: float
    plaso: str
    dissect: str
    regex: str = ""
    record: int = 0
    whole: bool = False

    def first(self, source: Path, into: Path, count: int) -> Path:
        """The first records of the input."""
        if not self.whole:
            return head(source, into, count, self.record)
        into.parent.mkdir(parents=True, exist_ok=True)
        return self.make(into, count)


def head(source: Path, into: Path, count: int, record: int) -> Path:
    """The first records of a file, with its modification time."""
    into.parent.mkdir(parents=True, exist_ok=True)
    with open(source, "rb") as file, open(into, "wb") as out:
        if record:
            out.write(file.read(count * record))
        else:
            out.writelines(itertools.islice(file, count))
    stat = source.stat()
    os.utime(into, ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    return into


def headwater(file: Path, path: str, work: Path, pure: bool = False) -> Cost:
    """One parse by Headwater, parts thrown away; ``pure``: without the compiled scanner."""
    out = work / "parts"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    env = {"HEADWATER_PURE": "1"} if pure else None
    return run([PYTHON, str(HERE / "parse_one.py"), str(file), path, str(out)], env=env)


_PROTOTYPE = """
import sys, polars as pl
lines = pl.read_csv(sys.argv[1], has_header=False, separator="\\x01", quote_char=None, new_columns=["line"], truncate_ragged_lines=True)
size = pl.col("line").str.len_bytes().cast(pl.Int64) + 1
frame = lines.select(offset=size.cum_sum() - size, length=size, own=pl.col("line").str.extract_groups(sys.argv[2]))
frame.unnest("own").write_parquet(sys.argv[3], compression="zstd", compression_level=1)
"""


def ask(question: Question) -> None:
    """Put one question and print the answer."""
    parser = arguments(f"{question.name}: {question.unit} per CPU second")
    parser.add_argument("--count", type=int, default=question.count, metavar="N", help=f"{question.unit} of input")
    parser.add_argument("--slice", type=int, default=5_000, metavar="N", help="of which Plaso gets so many")
    parser.add_argument("--dissect-slice", type=int, default=20_000, metavar="N", help="and Dissect so many")
    parser.add_argument("--peer-times", type=int, default=1, metavar="N", help="runs of each peer; the median counts")
    parser.add_argument("--pure", action="store_true", help="once more without the compiled scanner")
    options = parser.parse_args()
    print(f"# {question.name}: {compiled.which()}")
    say_machine()
    with workplace() as work:
        file = question.make(work / Path(question.path).name, options.count)
        say_input(file, f"{options.count:,} {question.unit}")
        own = trials(options.times, lambda: headwater(file, question.path, work))
        rate = say("Headwater", own, options.count, question.unit, question.target)
        few = question.first(file, work / f"few{question.path}", FEW)
        start = trials(options.times, lambda: headwater(few, question.path, work))
        if own.good and start.good:
            net = options.count / (own.cpu - start.cpu)
            print(f"{'':<22} start-up {start.cpu:.2f} CPU s; without it {net:,.0f} {question.unit}/CPU s")
        print(f"{'':<22} said: {own.last.out.strip()}")
        if options.pure and start.good:
            plain = trials(options.times, lambda: headwater(file, question.path, work, pure=True))
            say("without the scanner", plain, options.count, question.unit)
            if own.good and plain.good:
                ratio = (plain.cpu - start.cpu) / (own.cpu - start.cpu)
                print(f"{'':<22} with it, and less start-up, {ratio:.2f} times as many")
        if question.regex:
            command = [PYTHON, "-c", _PROTOTYPE, str(file), question.regex, str(work / "prototype.parquet")]
            bare = trials(options.times, lambda: run(command))
            mark = say("bare Polars regex", bare, options.count, question.unit)
            if mark and rate:
                print(f"{'':<22} ratio {rate / mark:.2f}")
        _peers(question, options, file, work, rate)


@dataclass(slots=True)
class _Peer:
    """One peer and what it last said."""

    name: str
    venv: str
    question: Question
    work: Path
    records: int = 0

    def once(self, part: Path, root: Path) -> Cost:
        """One run: Plaso takes the file, Dissect the folder that looks like the server's root."""
        if self.name == "Plaso":
            told = peers.plaso(self.venv, part, self.question.plaso, self.work)
        else:
            told = peers.dissect(self.venv, root, self.question.dissect, self.work)
        self.records = told.records
        return told.cost

    def version(self) -> str:
        return peers.version(self.venv, "plaso" if self.name == "Plaso" else "dissect.target")


def _trials(peer: _Peer, source: Path, count: int, times: int) -> Trials:
    root = peer.work / f"{peer.name}-{count}"
    part = peer.question.first(source, root / peer.question.path.lstrip("/"), count)
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/hostname").write_text("web01\n")
    return trials(times, lambda: peer.once(part, root))


def _peers(question: Question, options: argparse.Namespace, file: Path, work: Path, rate: float) -> None:
    for name, venv, count in (
        ("Plaso", options.plaso, options.slice),
        ("Dissect", options.dissect, options.dissect_slice),
    ):
        if not venv:
            print(f"{name:<22} skipped: no environment given (HEADWATER_{name.upper()} or --{name.lower()})")
            continue
        count = min(count, options.count)
        peer = _Peer(name, venv, question, work)
        start = _trials(peer, file, FEW, options.peer_times)
        whole = _trials(peer, file, count, options.peer_times)
        _say_peer(peer, start, whole, count, rate)
        same = headwater(work / f"{name}-{count}/{question.path.lstrip('/')}", question.path, work)
        print(f"{'':<22} Headwater on the same {count:,} {question.unit}: {same.out.strip()}", flush=True)


def _say_peer(peer: _Peer, start: Trials, whole: Trials, count: int, rate: float) -> None:
    unit = peer.question.unit
    say(f"{peer.name} {peer.version()}", whole, count, unit)
    if not whole.good or whole.cpu <= start.cpu:
        return
    net = (count - FEW) / (whole.cpu - start.cpu)
    print(
        f"{'':<22} start-up {start.cpu:.2f} CPU s; without it {net:,.0f} {unit}/CPU s; {peer.records:,} records; "
        f"ratio {rate / net:,.0f}",
        flush=True,
    )
