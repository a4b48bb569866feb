# SPDX-License-Identifier: Apache-2.0
"""What does it cost to run all public Sigma rules over two million events, and what do twice as many rules cost?

``--rules FOLDER`` is SigmaHQ's rule folder. Events are made from a fixed seed in the shape of Sysmon, Security and PowerShell
logs: values of rules stand in some of them, names, numbers and paths vary, so that most command lines are unique. Half the
rules (every second one) against all of them shows what doubling costs. Each run is a process of its own.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from measuring import MIB, PYTHON, Cost, arguments, run, say_input, say_machine, trials, workplace

SEED, EVENTS, PART = 20261122, 2_000_000, 250_000
CPU, MEMORY, DOUBLING = 20.0, 2048 * MIB, 1.15
_SYSMON, _SECURITY = "Microsoft-Windows-Sysmon/Operational", "Security"
_SHELL = "Microsoft-Windows-PowerShell/Operational"
_DIRS = (
    "Windows\\System32",
    "Windows\\SysWOW64",
    "Program Files\\Vendor",
    "Users\\user{}\\AppData\\Local\\Temp",
    "ProgramData",
)
_NAMES = (
    "svchost",
    "cmd",
    "powershell",
    "rundll32",
    "chrome",
    "msiexec",
    "conhost",
    "explorer",
    "w3wp",
    "tool{}",
    "reg",
    "net",
)
_ARGS = (
    "-k netsvcs -p",
    "/c dir",
    "-NoProfile -File script{}.ps1",
    "--type=renderer --id={}",
    "/quiet /log {}.log",
    "-enc {}",
)


def events(folder: Path, rows: int) -> Path:
    """Parts of one feed, ``PART`` events each."""
    import polars as pl

    pick = random.Random(SEED)
    for part in range(0, rows, PART):
        made = [event(pick, part + i) for i in range(min(PART, rows - part))]
        names = sorted({k for e in made for k in e})
        frame = pl.DataFrame({n: [e.get(n) for e in made] for n in names})
        frame.with_columns(
            pl.lit(1, pl.Int64).alias("source"), pl.lit("windows.evtx").alias("feed"), pl.lit("/a.evtx").alias("path"),
            (pl.int_range(pl.len()) + part).alias("offset"), pl.lit(100, pl.Int64).alias("length"),
            pl.lit(0, pl.Int64).alias("ordinal"), (pl.int_range(pl.len()) + part).alias("ts"),
            *(pl.lit(None, pl.String).alias(c) for c in ("kind", "host", "src_ip", "user", "outcome")),
        ).write_parquet(folder / f"{part:09d}.parquet", compression="zstd")  # fmt: skip
    return folder


def event(pick: random.Random, at: int) -> dict[str, Any]:
    """One event; which, the dice tell."""
    number = int(pick.random() * 1_000_000)
    path = "C:\\" + pick.choice(_DIRS).format(number % 50)
    image = f"{path}\\{pick.choice(_NAMES).format(number % 300)}.exe"
    which = pick.random()
    common = {"Computer": f"HOST{number % 40}", "Channel": _SYSMON, "Provider_Name": "Microsoft-Windows-Sysmon"}
    user = f"CORP\\user{number % 200}"
    if which < 0.35:
        line = f'"{image}" {pick.choice(_ARGS).format(number)} {at}'
        parent = f"C:\\Windows\\System32\\{pick.choice(_NAMES).format(1)}.exe"
        return common | {
            "EventID": 1, "Image": image, "CommandLine": line, "ParentImage": parent, "User": user,
            "ParentCommandLine": f"{parent} {number % 5000}", "OriginalFileName": f"{pick.choice(_NAMES).format(2)}.exe",
            "Hashes": f"SHA256={number:064x}", "IntegrityLevel": pick.choice(("High", "Medium", "System")),
        }  # fmt: skip
    if which < 0.50:
        key = f"HKLM\\SOFTWARE\\Vendor{number % 900}\\Key{number % 7000}\\Value"
        return common | {"EventID": 13, "Image": image, "TargetObject": key, "Details": f"DWORD (0x{number:08x})"}
    if which < 0.65:
        return common | {"EventID": 11, "Image": image, "TargetFilename": f"{path}\\f{number}.tmp"}
    if which < 0.75:
        return common | {"EventID": 7, "Image": image, "ImageLoaded": f"C:\\Windows\\System32\\lib{number % 900}.dll"}
    if which < 0.80:
        return common | {
            "EventID": 3,
            "Image": image,
            "DestinationIp": f"10.0.{number % 250}.7",
            "DestinationPort": number % 65_536,
        }
    if which < 0.85:
        return common | {"EventID": 22, "Image": image, "QueryName": f"h{number % 9000}.example.com"}
    if which < 0.97:
        return common | {
            "Channel": _SECURITY, "Provider_Name": "Microsoft-Windows-Security-Auditing", "TargetUserName": user,
            "EventID": pick.choice((4624, 4625, 4634, 4672, 4663)), "LogonType": number % 12, "IpAddress": f"10.1.{number % 250}.9",
        }  # fmt: skip
    text = (
        f"function Get-Thing{number} {{ param($x) Get-ChildItem C:\\data{number} | Where-Object {{ $_.Length -gt {at} }} }}\n"
        * 4
    )
    return common | {
        "Channel": _SHELL,
        "Provider_Name": "Microsoft-Windows-PowerShell",
        "EventID": 4104,
        "ScriptBlockText": text,
    }


def match(folder: Path, rules: Path) -> None:
    """The measured process: read the compiled rules, match, print what was found."""
    import polars as pl

    from headwater.detect import sigma
    from headwater.detect.sigma_rules import unpacked
    from headwater.model.ports import Settings

    pack = unpacked(rules.read_bytes())
    start = time.process_time()
    findings, report = sigma.run_pack(pack, Stored(pl.scan_parquet(folder / "*.parquet")), Settings())
    count = sum(int(f.facts["matches"] or 0) for f in findings)
    used = time.process_time() - start
    print(
        f"{len(pack.rules)} rules, {len(report.ran)} ran, {len(findings)} matched {count} events; {used:.2f} CPU s without start"
    )


class Stored:
    """A frame as the port Events, as far as rules need it."""

    def __init__(self, scan: Any) -> None:
        self._scan = scan

    def feeds(self) -> Sequence[str]:
        return ("windows.evtx",)

    def columns(self, feed: str) -> Sequence[str]:
        return tuple(self._scan.collect_schema().names())

    def scan(self, *, kinds: Any = None, feeds: Any = None, columns: Sequence[str] = ()) -> Any:
        return self._scan

    def cite(self, rows: Any, claims: Sequence[str], limit: int = 200) -> Any:
        from headwater.model.nouns import Citation, Span

        return tuple(
            Citation(Span(1, r["path"], r["offset"], r["length"]), r["ts"], {})
            for r in rows.head(limit).iter_rows(named=True)
        )


def main() -> None:
    """Put the question."""
    parser = arguments("Sigma rules over many events")
    parser.add_argument("--rules", type=Path, default=Path(__file__).resolve().parents[2] / "shared/data/sigma")
    parser.add_argument("--events", type=int, default=EVENTS)
    options = parser.parse_args()
    print("# sigma")
    say_machine()
    with workplace() as work:
        from headwater.detect.sigma import load
        from headwater.detect.sigma_rules import packed

        os.environ["XDG_CACHE_HOME"] = str(work / "cache")
        before = time.process_time()
        pack = load(options.rules)
        between = time.process_time()
        load(options.rules)
        after = time.process_time()
        rules = {every: work / f"rules-{every}.json" for every in (2, 1)}
        for every, path in rules.items():  # half of the rules is a kept form of its own
            path.write_bytes(packed(replace(pack, rules=pack.rules[::every])))
        print(
            f"compiled {len(pack.rules)} rules in {between - before:.1f} CPU s, taken as kept in "
            f"{after - between:.1f}; kept as {rules[1].stat().st_size:,} bytes",
            flush=True,
        )
        say_input(rules[1], "compiled rules")
        folder = work / "events"
        folder.mkdir()
        events(folder, options.events)
        costs = {}
        for every in (2, 1):

            def once(step: int = every) -> Cost:
                return run([PYTHON, __file__, "--match", str(folder), str(rules[step])])

            done = costs[every] = trials(options.times, once)
            print(
                f"{'all' if every == 1 else 'half'} of the rules: {done.cpu:.1f} CPU s ({done.least:.1f}–{done.most:.1f}), "
                f"{done.memory / MIB:.0f} MiB peak; {done.last.out.strip()[-300:]}",
                flush=True,
            )
        good = costs[1].good and costs[1].cpu <= CPU and costs[1].memory <= MEMORY
        ratio = costs[1].cpu / costs[2].cpu
        print(
            f"target {CPU:.0f} CPU s and {MEMORY // MIB} MiB: {'met' if good else 'MISSED'}; doubling costs {ratio - 1:+.0%}, "
            f"target {DOUBLING - 1:+.0%}: {'met' if ratio <= DOUBLING else 'MISSED'}"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--match"]:
        match(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
