# SPDX-License-Identifier: Apache-2.0
"""What does the examination of a whole server image cost beside Plaso + psort and Dissect's queries? CPU seconds, same run.

1. Headwater: `investigate`, which digests the image, lists it, parses every file that a parser knows, digests every file's
   content, judges, and writes the report. Beside it the same up to the last stored event (cut off before the judgement), with
   one worker and with two: that is what the peers do.
2. Plaso: log2timeline with the preset for Linux (file times in it) to its storage, psort to JSON lines.
3. Dissect: one target-query of the functions that answer the same questions, to its record stream.
Targets (issue 6): 50 times less than Plaso + psort, 10 times less than Dissect.
`--busy N` puts the logs of a busier week beside the sample's own (N lines of access log, a third of auth.log, a thirtieth
of wtmp), which is where the records of a server in service are.
Usage: python benchmarks/whole_image.py [--plaso VENV] [--dissect VENV] [--busy N] IMAGE
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import inputs
import peers
from measuring import HEADWATER, MIB, PYTHON, Cost, arguments, run, say_input, say_machine, trials, workplace

PLASO, DISSECT = 50.0, 10.0
# what Headwater's parsers read of a Linux server, in Dissect's words
QUERIES = (
    "users,services,cronjobs,commandhistory,ssh.authorized_keys,ssh.known_hosts,opensshd.config,dpkg.status,packagemanager.logs,"
    "authlog,syslog,journal,audit,wtmp,btmp,lastlog,webserver.logs,walkfs"
)
_MOST = 3600.0  # wall seconds of a peer


_EXAMINE = """
import sys
from headwater.cli import investigate as verb, main
done = verb.run
def stop(*_):
    sys.exit(0)
def run(options):
    from headwater.procedure import investigate
    investigate.judge = stop
    investigate.first_look = lambda corridor: None
    return done(options)
verb.run = run
sys.argv[0] = "headwater"
main.entry()
"""


def investigate(image: Path, work: Path, workers: int, number: list[int], whole: bool = True) -> Cost:
    """One case from the image to the report, or to the last stored event."""
    number[0] += 1
    case = work / f"case{number[0]}"
    program = [HEADWATER] if whole else [PYTHON, "-c", _EXAMINE]
    return run(
        [*program, "investigate", str(image), "--case", str(case), "--examiner", "A", "--examiner", "B", "--no-authority",
         "a measurement", "--no-reread", "--workers", str(workers)],
        most=_MOST,
    )  # fmt: skip


def _events(work: Path) -> dict[str, int]:
    import polars as pl

    parts = sorted(work.glob("case1/events/**/*.parquet"))
    counts: dict[str, int] = {}
    for part in parts:
        feed = part.parent.name.partition("=")[2]
        counts[feed] = counts.get(feed, 0) + int(pl.scan_parquet(part).select(pl.len()).collect().item())
    return counts


def main() -> None:
    """Put the question."""
    parser = arguments("a whole image, CPU seconds")
    parser.add_argument("image", type=Path)
    parser.add_argument("--busy", type=int, metavar="N", help="N lines of access log and more beside the sample's own")
    parser.add_argument("--queries", default=QUERIES, help="functions of Dissect")
    options = parser.parse_args()
    print("# whole image")
    say_machine()
    peers.MOST = _MOST
    with workplace() as work:
        if options.busy:
            options.image = inputs.busy_server(work / "busy.img", options.image, options.busy)
        say_input(options.image, "image")
        number = [0]
        one = trials(options.times, lambda: investigate(options.image, work, 1, number))
        single = trials(options.times, lambda: investigate(options.image, work, 1, number, whole=False))
        two = trials(options.times, lambda: investigate(options.image, work, 2, number, whole=False))
        for name, done in (("to the report", one), ("one worker", single), ("two workers", two)):
            end = "" if done.good else f"  exit code {done.last.code}: {done.last.out[-300:]}"
            print(
                f"Headwater, {name:<14} {done.cpu:8.1f} CPU s ({done.least:.1f}–{done.most:.1f}) {done.wall:8.1f} s wall "
                f"{done.memory / MIB:6.0f} MiB{end}",
                flush=True,
            )
        print(
            f"{'':<22} two workers against one: {two.cpu / single.cpu:.2f} of the CPU, {two.wall / single.wall:.2f} of the wall time"
        )
        counts = _events(work)
        print(f"{'':<22} {sum(counts.values()):,} events: {json.dumps(counts, sort_keys=True)}", flush=True)
        _peers(options, work, one.cpu, single.cpu)


def _peers(options: argparse.Namespace, work: Path, report: float, examination: float) -> None:
    for name, venv, target in (("Plaso", options.plaso, PLASO), ("Dissect", options.dissect, DISSECT)):
        if not venv:
            print(f"{name:<22} skipped: no environment given (HEADWATER_{name.upper()} or --{name.lower()})")
            continue
        if name == "Plaso":
            told = peers.plaso(venv, options.image, "linux,text/apache_access", work)  # the preset reads no access log
        else:
            told = peers.dissect(venv, options.image, options.queries, work)
        cost = told.cost
        if cost.code != 0:
            print(f"{name:<22} ended with {cost.code} after {cost.wall:.0f} s: {cost.out.strip()[-300:]}", flush=True)
            continue
        version = peers.version(venv, "plaso" if name == "Plaso" else "dissect.target")
        ratio = cost.cpu / examination
        print(
            f"{name} {version:<12} {cost.cpu:8.1f} CPU s {cost.wall:8.1f} s wall {cost.memory / MIB:6.0f} MiB; {told.records:,} "
            f"records; {cost.cpu / report:.1f} × to the report, {ratio:.1f} × the examination "
            f"(target {target:.0f}: {'met' if ratio >= target else 'MISSED'})",
            flush=True,
        )


if __name__ == "__main__":
    main()
