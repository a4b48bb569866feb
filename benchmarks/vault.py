# SPDX-License-Identifier: Apache-2.0
"""How fast is the vault: signed entries per second in a group, and a ledger of a million entries verified.

Usage: python benchmarks/vault.py [--entries 1000000] [FOLDER on the disk to measure]
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from headwater.vault.ledger import Ledger


def timed(name: str, amount: float, unit: str, act: Callable[[], object]) -> None:
    """Run once; print wall and CPU seconds and what that makes per second."""
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(
        f"{name:<44} {wall:8.2f} s  {cpu:8.2f} CPU s  {amount / wall:12,.1f} {unit}/s  {amount / cpu:12,.1f} {unit}/CPU s"
    )


def fill(ledger: Ledger, entries: int) -> None:
    """Entries of ordinary size (about 500 bytes), a thousand to a group."""
    for at in range(0, entries, 1000):
        with ledger.group():
            for n in range(at, min(at + 1000, entries)):
                ledger.append(
                    "read",
                    time=f"2026-03-02T00:00:00.{n:09d}Z",
                    actors=["张三", "李四"],
                    tool="headwater 0.1.0",
                    command=["headwater", "events", "case-042", "--where", "src_ip = '203.0.113.7'"],
                    evidence=[1],
                    materials={"evidence-1": "ab" * 32},
                    note={"path": f"/var/log/auth.log.{n}", "offset": str(n)},
                )


def main() -> None:
    """Measure on the disk that holds FOLDER."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path, default=Path.cwd())
    parser.add_argument("--entries", type=int, default=1_000_000)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="vault-", dir=options.folder))
    try:
        with Ledger(folder, create=True) as ledger:
            timed("append, signed, 1,000 to a group", options.entries, "entries", lambda: fill(ledger, options.entries))
            timed("checkpoint", 1, "checkpoints", ledger.checkpoint)
        few = min(options.entries, 200)
        with Ledger(folder) as ledger:
            timed("append, signed, each durable", few, "entries", lambda: [
                ledger.append("act", time="t", actors=[], tool="t") for _ in range(few)])  # fmt: skip
        with Ledger(folder) as ledger:
            count = options.entries + few
            timed("verify: chain, Merkle, checkpoints", count, "entries", lambda: ledger.examined(signatures=False))
            timed("verify: every signature too", count, "entries", ledger.check)
        print(f"ledger {os.path.getsize(folder / 'ledger.db') / options.entries:.0f} bytes per entry")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
