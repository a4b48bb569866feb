# SPDX-License-Identifier: Apache-2.0
"""What does it cost to run all public Sigma rules over event logs and over 50,000 events as JSON lines, from start to end?

1. ``headwater investigate --rules`` over a folder of event logs: reading, the store, every detector, all rules, the report.
2. The same without rules: what rules add.
3. 50,000 events as JSON lines (made as ``sigma_rules.py`` makes them) read by Polars and matched with all rules in one
   process, start and reading of the rules included. Headwater has no reader of its own for such files; this is the engine.

Rules are kept compiled after their first use, so each is measured ready and, once, with an empty cache.
``--zircolite "PYTHON ZIRCOLITE.PY"`` with ``--ruleset FILE.json`` (its own form of the same rules) runs Zircolite over the
same inputs as a separate program and prints the ratio; without it the peer is left out and no ratio is claimed.
``sqlite_rules.py`` beside this is a peer that goes the same way with public packages, and is called the same way.
"""

from __future__ import annotations

import json
import random
import shlex
import sys
import time
from pathlib import Path

from measuring import HEADWATER, MIB, PYTHON, Cost, Trials, arguments, run, say_input, say_machine, trials, workplace
from sigma_rules import SEED, Stored, event

SHARED = Path(__file__).resolve().parents[2] / "shared/data"
EVENTS, OF_LOGS, OF_JSON = 50_000, 8.0, 10.0
_HEAD = {"source": 1, "feed": "windows.evtx", "path": "/events.json", "length": 1, "ordinal": 0}


def write_events(path: Path) -> None:
    """Events as JSON lines."""
    pick = random.Random(SEED)
    with open(path, "w", encoding="utf-8") as file:
        for at in range(EVENTS):
            file.write(json.dumps(event(pick, at)) + "\n")


def match(path: Path, rules: Path) -> None:
    """The measured process: read the events, match all rules, print what was found."""
    import polars as pl

    from headwater.detect import sigma
    from headwater.model.ports import Settings

    frame = pl.read_ndjson(path, infer_schema_length=None).with_row_index("offset")
    nulls = [pl.lit(None, pl.String).alias(c) for c in ("kind", "host", "src_ip", "user", "outcome")]
    frame = frame.with_columns(
        pl.col("offset").cast(pl.Int64), pl.col("offset").cast(pl.Int64).alias("ts"), *nulls,
        *(pl.lit(v).alias(c) for c, v in _HEAD.items()),
    )  # fmt: skip
    findings, report = sigma.run_pack(sigma.load(rules), Stored(frame.lazy()), Settings())
    count = sum(int(f.facts["matches"] or 0) for f in findings)
    print(f"{frame.height} events, {len(report.ran)} rules ran, {len(findings)} matched {count} events")


def _told(name: str, done: Trials) -> float:
    state = "" if done.good else f" exit code {done.last.code}: {done.last.out.strip()[-300:]}"
    last = done.last.out.strip().splitlines()[-1][:100] if done.good and done.last.out.strip() else ""
    print(
        f"{name:<34} {done.cpu:7.2f} CPU s ({done.least:.2f}–{done.most:.2f})  {done.wall:6.1f} s wall "
        f"{done.memory / MIB:6.0f} MiB peak{state}  {last}",
        flush=True,
    )
    return done.cpu


def main() -> None:
    """Put the question."""
    parser = arguments("Sigma rules over event logs and JSON events")
    parser.add_argument("--rules", type=Path, default=SHARED / "sigma")
    parser.add_argument("--logs", type=Path, default=SHARED / "evtx-attack-samples", help="a folder of event logs")
    parser.add_argument("--only", choices=("logs", "json"))
    parser.add_argument("--zircolite", metavar="COMMAND", help="how Zircolite is called, a separate program")
    parser.add_argument("--ruleset", type=Path, help="the rules in Zircolite's own form")
    options = parser.parse_args()
    if options.zircolite and options.ruleset is None:
        parser.error("--zircolite needs --ruleset: the same rules in its own form")
    print("# sigma over event logs and JSON events")
    say_machine()
    with workplace() as work:
        cache = {"XDG_CACHE_HOME": str(work / "cache")}

        def investigation(*more: str) -> Cost:
            case = work / f"case-{time.monotonic_ns()}"
            return run([HEADWATER, "investigate", str(options.logs), "--case", str(case), "--no-authority", "benchmark",
                        "--examiner", "A", "--examiner", "B", *more], env=cache)  # fmt: skip

        def peer(*more: str) -> Cost:
            return run([*shlex.split(options.zircolite), *more, "--ruleset", str(options.ruleset),
                        "--outfile", str(work / "peer.json")])  # fmt: skip

        def compared(own: float, target: float, *more: str) -> None:
            if not options.zircolite:
                print(f"Zircolite: not run here (no --zircolite), ratio not measured, target {target:.0f}")
            else:
                ratio = _told("Zircolite", trials(options.times, lambda: peer(*more))) / own
                print(f"ratio {ratio:.1f}, target {target:.0f}: {'met' if ratio >= target else 'MISSED'}")

        events = work / "events.json"
        write_events(events)
        say_input(events, f"{EVENTS:,} JSON events")
        command = [PYTHON, __file__, "--match", str(events), str(options.rules)]
        if options.only != "logs":
            _told("JSON events, rules not yet compiled", trials(1, lambda: run(command, env=cache)))
            own = _told("JSON events, all rules", trials(options.times, lambda: run(command, env=cache)))
            compared(own, OF_JSON, "--events", str(events), "--json-input")
        if options.only != "json":
            _told("event logs, no rules", trials(1, investigation))
            own = _told(
                "event logs, all rules", trials(options.times, lambda: investigation("--rules", str(options.rules)))
            )
            compared(own, OF_LOGS, "--events", str(options.logs))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--match"]:
        match(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
