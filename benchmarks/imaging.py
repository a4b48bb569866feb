# SPDX-License-Identifier: Apache-2.0
"""What does imaging cost, beside ewfacquire, dc3dd, dcfldd and openssl on the same source?

The source: a quarter zeros, the rest program text, program binaries and noise. Each round runs every program once, in
turn, so that the load of the machine falls on all alike; the median counts. Headwater is the whole command, start-up
and ledger included. ``--no-read-back --no-reread`` is the work that the others do; the full run is listed beside.
"""

from __future__ import annotations

import glob
import os
import random
import shutil
import statistics
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from inputs import SEED
from measuring import HEADWATER, MIB, PYTHON, Cost, arguments, run, say_input, say_machine, workplace

_PIECE = 4 * MIB
_START = "start-up: E01 of 1 MiB"
_RAW, _OPENSSL = "raw, SHA-256", "openssl dgst -sha256"
_THREE = "sha256,md5,sha1"
_FLOOR = """
import hashlib, sys, threading
def work(name):
    digest = hashlib.new(name)
    with open(sys.argv[1], "rb", buffering=0) as file:
        buffer = bytearray(262144)
        view = memoryview(buffer)
        while count := file.readinto(buffer):
            digest.update(view[:count])
threads = [threading.Thread(target=work, args=(name,)) for name in sys.argv[2].split(",")]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def source(path: Path, pieces: int) -> Path:
    """The disk: of every four pieces one is zeros, one text, one binaries, one binaries or noise."""
    text = b"".join(Path(p).read_bytes() for p in sorted(glob.glob("/usr/lib/python3*/**/*.py", recursive=True))[:4000])
    binaries = b"".join(Path(p).read_bytes() for p in sorted(glob.glob("/usr/bin/*")) if os.path.isfile(p))[: 200 * MIB]
    pick = random.Random(SEED)
    with path.open("wb") as out:
        for number in range(pieces):
            kind = number % 4
            if kind == 0:
                out.write(bytes(_PIECE))
            elif kind == 3 and number % 8 == 3:
                out.write(pick.randbytes(_PIECE))
            else:
                data = text if kind == 1 else binaries
                at = pick.randrange(len(data) - _PIECE)
                out.write(data[at : at + _PIECE])
    return path


class Bench:
    """The runs, by name."""

    def __init__(self, work: Path, disk: Path) -> None:
        self.work, self.disk = work, disk
        self.costs: dict[str, list[Cost]] = {}
        self.sizes: dict[str, int] = {}

    def _clear(self) -> None:
        for path in self.work.iterdir():
            if path != self.disk and not path.name.startswith("kept"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def once(self, name: str, command: Sequence[str], made: str = "") -> None:
        """One run in an emptied folder; ``made`` is a pattern of what it makes."""
        self._clear()
        subprocess.run(["sync"], check=True)
        cost = run(command)
        self.costs.setdefault(name, []).append(cost)
        if cost.code:
            print(f"{name}: exit code {cost.code}: {cost.out.strip()[-300:]}")
        if made:
            self.sizes[name] = sum(p.stat().st_size for p in self.work.glob(made))

    def own(self, *options: str) -> list[str]:
        """Our command."""
        return [HEADWATER, "image", str(self.disk), "--case", str(self.work / "case"), "--out", str(self.work / "own"),
                "--no-authority", "a benchmark", *options]  # fmt: skip

    def cpu(self, name: str) -> float:
        """Median CPU seconds."""
        return statistics.median(c.cpu for c in self.costs[name])

    def wall(self, name: str) -> float:
        """Median wall seconds."""
        return statistics.median(c.wall for c in self.costs[name])

    def table(self) -> None:
        """One line per program."""
        print(f"{'':<34} {'CPU s':>8} {'wall s':>8} {'MiB':>6} {'image':>14}")
        for name, costs in self.costs.items():
            least, most = min(c.cpu for c in costs), max(c.cpu for c in costs)
            memory = max(c.memory for c in costs) // MIB
            print(
                f"{name:<34} {self.cpu(name):8.2f} {self.wall(name):8.2f} {memory:6} {self.sizes.get(name, 0):14,}"
                f"   ({least:.2f}–{most:.2f})"
            )

    def ratio(self, what: str, one: str, other: str, of: Callable[[str], float], most: float) -> None:
        """One mark: how much of the other's time it took, and whether that is little enough."""
        if one in self.costs and other in self.costs:
            found = of(one) / of(other)
            less = ""
            # what it would be of a source so large that starting no longer counts
            if _START in self.costs and of != self.size and not one.startswith("verify"):
                less = f"; {(of(one) - of(_START)) / of(other):.3f} without start-up"
            print(f"{what:<44} {found:6.3f}{less}  mark {most:.2f}: {'met' if found <= most else 'MISSED'}", flush=True)

    def size(self, name: str) -> float:
        """Bytes of the image."""
        return float(self.sizes[name])


@contextmanager
def as_device(disk: Path, wanted: bool) -> Iterator[Path]:
    """The disk, or a read-only loop device over it, which is what is imaged in earnest; it needs root."""
    if not wanted:
        yield disk
        return
    found = subprocess.run(["losetup", "-r", "--show", "-f", str(disk)], capture_output=True, text=True, check=True)
    device = found.stdout.strip()
    try:
        yield Path(device)
    finally:
        subprocess.run(["losetup", "-d", device], check=True)


def digest_rounds(bench: Bench, times: int) -> None:
    """A raw image with one digest, and the digest alone, in turn."""
    for _ in range(times):
        bench.once(_OPENSSL, ["openssl", "dgst", "-sha256", str(bench.disk)])
        bench.once(_RAW, bench.own("--format", "raw", "--hash", "sha256", "--no-read-back", "--no-reread"), "own.dd")


def say_digest(bench: Bench) -> None:
    """How the two stand to each other."""
    bench.ratio("raw, SHA-256: CPU of openssl dgst", _RAW, _OPENSSL, bench.cpu, 1.3)
    bench.ratio("raw, SHA-256: wall of openssl dgst", _RAW, _OPENSSL, bench.wall, 1.3)


def rounds(bench: Bench, times: int) -> None:
    """All programs in turn."""
    quick = ("--no-read-back", "--no-reread")
    disk, work = str(bench.disk), str(bench.work)
    small = bench.work / "kept-small.raw"
    small.write_bytes(bytes(MIB))
    for number in range(times):
        print(f"round {number + 1}", flush=True)
        tiny = [str(small) if word == disk else word for word in bench.own(*quick)]
        bench.once(_START, tiny)
        bench.once("E01, three digests", bench.own(*quick), "own.E*")
        if shutil.which("ewfacquire"):
            command = ["ewfacquire", "-u", "-q", "-c", "fast", "-d", "sha1,sha256", "-t", f"{work}/ewf", disk]
            bench.once("ewfacquire fast, three digests", command, "ewf.E*")
        bench.once("raw, three digests", bench.own("--format", "raw", *quick), "own.dd")
        if shutil.which("dc3dd"):
            command = [
                "dc3dd",
                f"if={disk}",
                f"of={work}/d.raw",
                "hash=sha256",
                "hash=md5",
                "hash=sha1",
                f"log={work}/log",
            ]
            bench.once("dc3dd, three digests", command, "d.raw")
        if shutil.which("dcfldd"):
            command = ["dcfldd", f"if={disk}", f"of={work}/f.raw", "hash=sha256,md5,sha1", "bs=1M"]
            bench.once("dcfldd, three digests", command, "f.raw")
        bench.once("floor: three digests alone", [PYTHON, "-c", _FLOOR, disk, _THREE])
        digest_rounds(bench, 1)
        bench.once("E01, all verdicts", bench.own(), "own.E*")
        for path in [*bench.work.glob("own.E*"), bench.work / "own.json"]:
            path.replace(path.with_name(path.name.replace("own", "kept")))
        bench.once("verify-image, with its sidecar", [HEADWATER, "verify-image", f"{work}/kept.E01"])
        (bench.work / "kept.json").unlink()
        if shutil.which("ewfverify"):
            bench.once("ewfverify, MD5", ["ewfverify", "-q", f"{work}/kept.E01"])
            bench.once("ewfverify, three digests", ["ewfverify", "-q", "-d", "sha1,sha256", f"{work}/kept.E01"])
        bench.once("verify-image, no sidecar", [HEADWATER, "verify-image", f"{work}/kept.E01"])


def main() -> None:
    """Put the question."""
    parser = arguments("imaging: CPU and wall beside ewfacquire, dc3dd, dcfldd, openssl")
    parser.add_argument("--mebibytes", type=int, default=1024, metavar="N", help="size of the source")
    parser.add_argument("--device", action="store_true", help="the source as a read-only loop device (root)")
    parser.add_argument("--digest", action="store_true", help="only a raw image with SHA-256 beside openssl")
    options = parser.parse_args()
    print("# imaging")
    say_machine()
    with workplace() as work, ExitStack() as stack:
        disk = source(work / "disk.raw", options.mebibytes // 4)
        say_input(disk, "the disk")
        bench = Bench(work, stack.enter_context(as_device(disk, options.device)))
        if options.digest:
            digest_rounds(bench, options.times)
            bench.table()
            say_digest(bench)
            return
        rounds(bench, options.times)
        bench.table()
        own, peer = "E01, three digests", "ewfacquire fast, three digests"
        bench.ratio("E01: CPU of ewfacquire fast", own, peer, bench.cpu, 0.45)
        bench.ratio("E01: wall of ewfacquire fast", own, peer, bench.wall, 0.5)
        if peer in bench.sizes:
            bench.ratio("E01: size of ewfacquire's image", own, peer, bench.size, 1.01)
        bench.ratio("raw: CPU of dc3dd", "raw, three digests", "dc3dd, three digests", bench.cpu, 0.6)
        floor = "floor: three digests alone"
        bench.ratio("raw: CPU of the digests alone", "raw, three digests", floor, bench.cpu, 1.35)
        bench.ratio("raw: wall of the digests alone", "raw, three digests", floor, bench.wall, 1.35)
        say_digest(bench)
        verify = "verify-image, no sidecar"
        bench.ratio("verify E01: CPU of ewfverify (MD5)", verify, "ewfverify, MD5", bench.cpu, 1.0)
        bench.ratio("verify E01: wall of ewfverify (MD5)", verify, "ewfverify, MD5", bench.wall, 1.0)
        bench.ratio("verify E01: CPU of ewfverify (three)", verify, "ewfverify, three digests", bench.cpu, 1.0)
        most = max(c.memory for name in bench.costs if name.startswith(("E01", "raw")) for c in bench.costs[name]) / MIB
        print(f"{'memory of headwater image, MiB':<58} {most:6.0f}  mark 200: {'met' if most <= 200 else 'MISSED'}")


if __name__ == "__main__":
    main()
