# SPDX-License-Identifier: Apache-2.0
"""What a program costs: CPU seconds of its whole process tree, wall time, and its peak memory.

CPU is user + system as ``wait4`` gives it for the program and every descendant that was waited for. Memory is PSS
(proportional set size, proc(5) ``smaps_rollup``) summed over the tree every 50 ms, so pages that processes share count
once, and the content of their anonymous files (memfd) is added, which no process need have mapped. A peak between two
looks is missed. The looking is done by this process and costs the measured program nothing but the kernel's locks.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

LOOK = 0.05  # seconds between two looks at the memory
PYTHON = sys.executable
HEADWATER = str(Path(PYTHON).parent / "headwater")
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
KIB, MIB = 1 << 10, 1 << 20


@dataclass(frozen=True, slots=True)
class Cost:
    """One run. ``cpu`` and ``wall`` in seconds, ``memory`` in bytes; ``code`` 0 is a good end, None a run cut off."""

    cpu: float
    wall: float
    memory: int
    code: int | None
    out: str


def _tree(root: int) -> list[int]:
    """A process and its descendants now."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                stat = Path("/proc", name, "stat").read_bytes().rpartition(b")")[2].split()
                children.setdefault(int(stat[1]), []).append(int(name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def _pss(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_bytes().splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * KIB
    return 0


def _anonymous_files(pid: int, seen: set[int]) -> int:
    total = 0
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                path = f"/proc/{pid}/fd/{name}"
                if os.readlink(path).startswith("/memfd:"):
                    stat = os.stat(path)
                    total += 0 if stat.st_ino in seen else stat.st_blocks * 512
                    seen.add(stat.st_ino)
    return total


def _held(root: int) -> int:
    seen: set[int] = set()
    return sum(_pss(pid) + _anonymous_files(pid, seen) for pid in _tree(root))


# as a user's machine has it: modules are compiled once and kept, ours and the peers'
_AMBIENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run(command: Sequence[str], *, env: Mapping[str, str] | None = None, most: float = 1800.0) -> Cost:
    """Run a command and say what it cost; after ``most`` wall seconds its whole session is killed and ``code`` None."""
    with tempfile.TemporaryFile() as out:
        before = time.monotonic()
        process = subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            env={**_AMBIENT, **(env or {})}, start_new_session=True,
        )  # fmt: skip
        peak = cut = 0
        over = threading.Event()

        def look() -> None:
            nonlocal peak, cut
            while not over.wait(LOOK):
                peak = max(peak, _held(process.pid))
                if time.monotonic() - before > most and not cut:
                    cut = 1
                    os.killpg(process.pid, signal.SIGKILL)

        watcher = threading.Thread(target=look)
        watcher.start()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - before
        over.set()
        watcher.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode("utf-8", "replace")
    return Cost(used.ru_utime + used.ru_stime, wall, peak, None if cut else process.returncode, text)


@dataclass(frozen=True, slots=True)
class Trials:
    """Several runs of one thing: the median CPU time with its range, the median wall time, the highest memory."""

    cpu: float
    least: float
    most: float
    wall: float
    memory: int
    last: Cost

    @property
    def good(self) -> bool:
        return self.last.code == 0


def trials(times: int, once: Callable[[], Cost]) -> Trials:
    """Run ``once`` so many times; stops at the first run that ends badly, which is then the last."""
    costs: list[Cost] = []
    for _ in range(times):
        costs.append(once())
        if costs[-1].code != 0:
            break
    cpu = [c.cpu for c in costs]
    return Trials(
        statistics.median(cpu), min(cpu), max(cpu), statistics.median(c.wall for c in costs),
        max(c.memory for c in costs), costs[-1],
    )  # fmt: skip


def sha256(path: Path) -> str:
    """The digest of a file, as hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def say_machine() -> None:
    """The machine and the versions that the figures hang on."""
    model = "unknown CPU"
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    names = ("headwater", "polars", "numpy", "isal", "duckdb")
    versions = " ".join(f"{name} {metadata.version(name)}" for name in names)
    load = os.getloadavg()[0]
    print(f"machine  {os.cpu_count()} cores, {model}; Linux {platform.release()}; load {load:.1f} at the start")
    print(f"versions Python {platform.python_version()} {versions}")
    print(
        f"yardstick SHA-256 at {_yardstick():.2f} GiB per CPU second (1.6 on this kind of machine when it is idle)",
        flush=True,
    )


def _yardstick() -> float:
    block = bytes(MIB)
    before = time.process_time()
    for _ in range(512):
        hashlib.sha256(block)
    return 0.5 / (time.process_time() - before)


def say_input(path: Path, what: str) -> None:
    """An input's digest, size and nature."""
    print(f"input    {what}: {path.stat().st_size:,} bytes, sha256 {sha256(path)}", flush=True)


def say(name: str, done: Trials, count: int, unit: str, target: float | None = None) -> float:
    """One line of figures; gives back the rate per CPU second."""
    if not done.good:
        why = "cut off" if done.last.code is None else f"exit code {done.last.code}"
        print(f"{name:<22} {why} after {done.wall:.1f} s: {done.last.out.strip()[-400:]}", flush=True)
        return 0.0
    rate = count / done.cpu
    verdict = "" if target is None else f"  target {target:,.0f}: {'met' if rate >= target else 'MISSED'}"
    print(
        f"{name:<22} {done.cpu:8.2f} CPU s ({done.least:.2f}–{done.most:.2f})  {done.wall:7.2f} s wall  "
        f"{done.memory / MIB:7.0f} MiB peak  {rate:12,.0f} {unit}/CPU s{verdict}",
        flush=True,
    )
    return rate


def arguments(summary: str) -> argparse.ArgumentParser:
    """What every benchmark takes."""
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("--times", type=int, default=3, metavar="N", help="runs of each; the median counts")
    parser.add_argument("--plaso", default=os.environ.get("HEADWATER_PLASO"), metavar="VENV", help="peer: Plaso")
    parser.add_argument("--dissect", default=os.environ.get("HEADWATER_DISSECT"), metavar="VENV", help="peer: Dissect")
    return parser


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A temporary folder with a plain name (under ``TMPDIR``), removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="headwater-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
