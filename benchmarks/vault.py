# SPDX-License-Identifier: Apache-2.0
"""How fast is the vault: signed entries per second in a group, and a ledger of a million entries verified.

Usage: python benchmarks/vault.py [--entries 1000000] [--kept LEDGER] [FOLDER on the disk to measure]

A million entries take minutes to sign: ``--kept LEDGER`` leaves that folder in place and takes up what is in it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyrage

from headwater.vault.ledger import Ledger
from headwater.vault.sealed import Container, seal


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


def containers(folder: Path, mebibytes: int) -> None:
    """A sealed container of random bytes written and read, beside hashlib alone over the same file."""
    people = [pyrage.x25519.Identity.generate() for _ in range(2)]
    plain, sealed = folder / "plain", folder / "sealed"
    block = os.urandom(1 << 20)
    with open(plain, "wb") as target:
        for _ in range(mebibytes):
            target.write(block)

    def read() -> None:
        with open(plain, "rb") as source:
            hashlib.file_digest(source, "sha256")

    def close() -> None:
        with open(plain, "rb") as source, open(sealed, "wb") as target:
            seal(source, target, [str(p.to_public()) for p in people])

    def reopen(check: bool) -> None:
        with open(sealed, "rb") as source:
            container = Container(source, str(people[1]))
            if check:
                for _ in container.blocks():
                    pass
            else:
                for at in range(0, container.held.size, 1 << 20):
                    container.read_at(at, 1 << 20)

    timed("hashlib SHA-256 alone", mebibytes, "MiB", read)
    timed("seal: SHA-256, leaf per chunk, AES-256-GCM", mebibytes, "MiB", close)
    timed("read sealed, each chunk authenticated", mebibytes, "MiB", lambda: reopen(False))
    timed("read sealed, SHA-256 over the whole too", mebibytes, "MiB", lambda: reopen(True))


def filled(folder: Path, entries: int) -> None:
    """A ledger of that many entries in the folder, unless one is there already."""
    if (folder / "ledger.db").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with Ledger(folder, create=True) as ledger:
        timed("append, signed, 1,000 to a group", entries, "entries", lambda: fill(ledger, entries))
        timed("checkpoint", 1, "checkpoints", ledger.checkpoint)


def yardstick(mebibytes: int = 128) -> None:
    """hashlib alone over memory: what this machine makes just now."""
    block = os.urandom(1 << 20)
    whole = hashlib.sha256()
    timed(
        "hashlib SHA-256 alone, from memory", mebibytes, "MiB", lambda: [whole.update(block) for _ in range(mebibytes)]
    )


def main() -> None:
    """Measure on the disk that holds FOLDER."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path, default=Path.cwd())
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--mebibytes", type=int, default=1024)
    parser.add_argument("--kept", type=Path, help="the ledger's folder: made if it is not there, and left")
    parser.add_argument("--times", type=int, default=1, help="how often the quick check is made")
    parser.add_argument("--no-signatures", action="store_true", help="leave the slow check out")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="vault-", dir=options.folder))
    place = options.kept or folder
    try:
        filled(place, options.entries)
        if not options.kept:
            few = min(options.entries, 200)
            with Ledger(folder) as ledger:
                timed("append, signed, each durable", few, "entries", lambda: [
                    ledger.append("act", time="t", actors=[], tool="t") for _ in range(few)])  # fmt: skip
        with Ledger(place) as ledger:
            count = sum(1 for _ in ledger.rows())
            for _ in range(options.times):
                yardstick()
                timed("verify: chain, Merkle, checkpoints", count, "entries", lambda: ledger.examined(signatures=False))
            if not options.no_signatures:
                timed("verify: every signature too", count, "entries", ledger.check)
        containers(folder, options.mebibytes)
        print(f"ledger {os.path.getsize(place / 'ledger.db') / count:.0f} bytes per entry")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
