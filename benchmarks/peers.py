# SPDX-License-Identifier: Apache-2.0
"""The peers, run as separate programs from environments of their own; a peer whose environment is absent is skipped.

Plaso (Apache-2.0): ``log2timeline`` to its storage and ``psort`` to JSON lines. Dissect (AGPL-3.0): ``target-query`` to its
record stream, on a folder laid out like a server's root. Neither is imported, here or anywhere in Headwater.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from measuring import Cost, run

MOST = 120.0  # wall seconds after which a peer's run is cut off, of each of its commands


@dataclass(frozen=True, slots=True)
class Told:
    """What a peer said of an input: its cost and how many records."""

    cost: Cost
    records: int


def plaso(venv: str, source: Path, parsers: str, work: Path) -> Told:
    """Plaso on one source, from bytes to JSON lines."""
    store, lines = work / "peer.plaso", work / "peer.jsonl"
    for old in (store, lines):
        old.unlink(missing_ok=True)
    quiet = ("-q", "--unattended", "--status_view", "none")
    first = run(
        [f"{venv}/bin/log2timeline", *quiet, "--single_process", "--partitions", "all", "--volumes", "all",
         "--logfile", str(work / "l2t.log.gz"), "--parsers", parsers, "--storage-file", str(store), str(source)],
        most=MOST,
    )  # fmt: skip
    if first.code != 0:
        return Told(first, 0)
    second = run(
        [f"{venv}/bin/psort", *quiet, "--logfile", str(work / "psort.log.gz"), "-o", "json_line", "-w", str(lines), str(store)],
        most=MOST,
    )  # fmt: skip
    both = replace(
        second, cpu=first.cpu + second.cpu, wall=first.wall + second.wall, memory=max(first.memory, second.memory)
    )
    if not lines.exists():  # psort writes none where the store holds no event
        return Told(both, 0)
    with open(lines, "rb") as file:
        return Told(both, sum(1 for _ in file))


_COUNT = "import sys; from flow.record import RecordReader; print(sum(1 for _ in RecordReader(sys.argv[1])))"


def dissect(venv: str, source: Path, function: str, work: Path) -> Told:
    """Dissect on a folder or image, from bytes to records."""
    stream = work / "peer.records"
    command = f'exec "{venv}/bin/target-query" -q -f {function} "{source}" > "{stream}"'
    cost = run(["/bin/sh", "-c", command], most=MOST)
    if cost.code != 0:
        return Told(cost, 0)
    counted = subprocess.run(
        [f"{venv}/bin/python", "-c", _COUNT, str(stream)], capture_output=True, text=True, check=False
    )
    return Told(cost, int(counted.stdout.strip() or 0))


def version(venv: str, package: str) -> str:
    """The version of a peer, as its own environment states it."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    said = subprocess.run([f"{venv}/bin/python", "-c", code], capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown version"
