# SPDX-License-Identifier: Apache-2.0
"""How many records of a Windows event log become Parquet events per CPU second? Target 60,000 (issue 7).

The input is a Security log written after the specification (logons, failed logons, privileges, processes, log-offs), or
any file given. Beside Headwater, in the same run: the ``evtx`` wheel to JSON text, and by way of JSON to a Parquet table;
dissect.eventlog to its records where its interpreter is named, on the first chunks alone (``--dissect-chunks``).
Usage: python benchmarks/event_log.py [--chunks 800] [--dissect PYTHON] [FILE]
"""

from __future__ import annotations

import argparse
import io
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import evtx
import polars as pl

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "formats"))

import evtx_writing as writing  # noqa: E402

from headwater.examine.parsers import windows_evtx  # noqa: E402
from headwater.model.records import File  # noqa: E402
from headwater.store.parts import encode_events  # noqa: E402

_PROGRAMS = ("cmd.exe", "powershell.exe", "svchost.exe", "conhost.exe", "w3wp.exe", "taskhostw.exe")


def _event(pick: random.Random, seconds: float) -> writing.Happening:
    """One event of a busy file server."""
    user, which = f"user{pick.randrange(300)}", pick.random()
    subject = [
        ("SubjectUserSid", writing.sid(21, 1, 2, 3, pick.randrange(500, 900))),
        ("SubjectUserName", writing.text(user)),
        ("SubjectDomainName", writing.text("CORP")),
        ("SubjectLogonId", writing.number(pick.randrange(1 << 28), 0x15)),
    ]
    if which < 0.25:
        program = f"C:\\Windows\\System32\\{pick.choice(_PROGRAMS)}"
        subject += [
            ("NewProcessId", writing.number(pick.randrange(60_000), 0x15)),
            ("NewProcessName", writing.text(program)),
            ("TokenElevationType", writing.text("%%1936")),
            ("ProcessId", writing.number(pick.randrange(60_000), 0x15)),
            ("CommandLine", writing.text(f'"{program}" /c task {pick.randrange(10_000)}')),
            ("ParentProcessName", writing.text("C:\\Windows\\explorer.exe")),
        ]
        return writing.Happening(writing.SECURITY, 4688, "Security", subject, seconds=seconds)
    if which < 0.4:
        subject.append(("PrivilegeList", writing.text("SeSecurityPrivilege\r\n\t\t\tSeBackupPrivilege")))
        return writing.Happening(writing.SECURITY, 4672, "Security", subject, seconds=seconds)
    code = 4625 if which < 0.6 else 4624 if which < 0.85 else 4634
    subject += [
        ("TargetUserName", writing.text(user)),
        ("TargetDomainName", writing.text("CORP")),
        ("TargetLogonId", writing.number(pick.randrange(1 << 28), 0x15)),
        ("LogonType", writing.number(3)),
    ]
    if code != 4634:
        subject += [
            ("LogonProcessName", writing.text("NtLmSsp ")),
            ("AuthenticationPackageName", writing.text("NTLM")),
            ("WorkstationName", writing.text(f"WS{pick.randrange(200)}")),
            ("ProcessId", writing.number(0, 0x15)),
            ("ProcessName", writing.text("-")),
            ("IpAddress", writing.text(f"10.0.{pick.randrange(4)}.{pick.randrange(256)}")),
            ("IpPort", writing.text(str(pick.randrange(1024, 65_535)))),
        ]
    return writing.Happening(writing.SECURITY, code, "Security", subject, seconds=seconds)


def make(path: Path, chunks: int) -> None:
    """A log of so many chunks; sixteen different ones in turn, so that writing it does not take longer than reading."""
    pick = random.Random(7)
    made = []
    for _ in range(min(16, chunks)):
        writer, count = writing.ChunkWriter(), 0
        while len(writer.data) < writing.CHUNK - 3_000:
            count += 1
            writer.record(count, _event(pick, pick.random() * 1e6))
        made.append(writer.done(1, count))
    path.write_bytes(writing.log_file([made[i % len(made)] for i in range(chunks)], 1, counted=min(chunks, 65_535)))


DISSECT = """
import sys, time
from dissect.eventlog.evtx import Evtx
start = time.process_time()
count = sum(1 for record in Evtx(open(sys.argv[1], "rb")) if dict(record) is not None)
print(count, time.process_time() - start)
"""


def _dissect(python: str, path: Path, chunks: int) -> None:
    """dissect.eventlog over the first chunks of the log, each record to a dictionary."""
    part = path.with_name("part.evtx")
    part.write_bytes(path.read_bytes()[: 4096 + chunks * writing.CHUNK])
    said = subprocess.run([python, "-c", DISSECT, str(part)], check=True, capture_output=True, text=True).stdout.split()
    count, spent = int(said[0]), float(said[1])
    name = f"dissect.eventlog, {chunks} chunks"
    print(f"{name:<34} {count:>9,} records {spent:7.2f} CPU s {count / spent:>10,.0f} records/CPU s")


def _timed(name: str, act: Callable[[], int]) -> float:
    start = time.process_time()
    count = act()
    spent = time.process_time() - start
    print(f"{name:<34} {count:>9,} records {spent:7.2f} CPU s {count / spent:>10,.0f} records/CPU s")
    return count / spent


def _headwater(path: Path) -> int:
    data, count = path.read_bytes(), 0
    for batch in windows_evtx.batches(File.of(data)):
        encode_events(batch.events, clock="c", feed=windows_evtx.FEED, source=1, path="/Security.evtx")
        count += batch.events.height
    return count


def _flat(node: dict[str, Any], into: dict[str, str]) -> dict[str, str]:
    """A JSON object's leaves under their last name, as text."""
    for key, value in node.items():
        if isinstance(value, dict):
            _flat(value, into)
        elif value is not None:
            into[key] = str(value)
    return into


def _wheel(path: Path) -> int:
    count, rows = 0, []

    def write() -> None:
        pl.from_dicts(rows, infer_schema_length=None).write_parquet(
            io.BytesIO(), compression="zstd", compression_level=1
        )

    for record in evtx.PyEvtxParser(str(path)).records_json():
        rows.append(_flat(json.loads(record["data"]), {}))
        count += 1
        if len(rows) == 20_000:
            write()
            rows = []
    if rows:
        write()
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description="EVTX records per CPU second")
    parser.add_argument("--chunks", type=int, default=800)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--dissect", help="the interpreter that has dissect.eventlog")
    parser.add_argument("--dissect-chunks", type=int, default=40)
    parser.add_argument("file", nargs="?", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.file or Path(folder) / "Security.evtx"
        if options.file is None:
            make(path, options.chunks)
        print(f"{path.name}: {path.stat().st_size:,} bytes")
        for _ in range(options.times):
            own = _timed("Headwater, to Parquet", lambda: _headwater(path))
            text = _timed(
                "evtx wheel, to JSON text", lambda: sum(1 for _ in evtx.PyEvtxParser(str(path)).records_json())
            )
            whole = _timed("evtx wheel, by JSON to Parquet", lambda: _wheel(path))
            if options.dissect:
                _dissect(options.dissect, path, options.dissect_chunks)
            print(f"ratio {own / text:.2f} to JSON text, {own / whole:.2f} to Parquet")


if __name__ == "__main__":
    main()
