# SPDX-License-Identifier: Apache-2.0
"""What does `verify` of a large medium cost beside hashlib's SHA-256 over the same bytes, in the same run? CPU seconds.

The medium is sparse: a small ext4 and then nothing, so that a disk of any size fits in a gigabyte; every byte is read
and digested all the same. The cost of a small medium (start-up, ledger, the report's citations) is taken off.
Target (issue 5): 1.2 times hashlib.
Usage: python benchmarks/verify_medium.py [--gibibytes 24] [--times 1]
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from measuring import HEADWATER, MIB, PYTHON, Cost, arguments, run, say_machine, workplace

_SYSTEM = 64 * MIB
_HASHLIB = """
import hashlib, sys
digest, buffer = hashlib.sha256(), bytearray(1 << 20)
view = memoryview(buffer)
with open(sys.argv[1], "rb", buffering=0) as file:
    while count := file.readinto(buffer):
        digest.update(view[:count])
"""


def medium(path: Path, size: int) -> Path:
    """A disk with one small partition and nothing behind it."""
    with path.open("wb") as file:
        file.truncate(_SYSTEM)
    subprocess.run(["mkfs.ext4", "-q", "-F", path], check=True)
    system = path.read_bytes()
    with path.open("r+b") as file:
        file.truncate(size)
        file.seek(0)
        file.write(bytes(MIB) + system)
    table = f"start=2048,size={_SYSTEM // 512},type=83\n"
    subprocess.run(["sfdisk", "-q", path], input=table, text=True, check=True, capture_output=True)
    return path


def case(folder: Path, image: Path) -> Path:
    """A case with the medium in it; not read again afterwards, and nothing carved out of it twice."""
    made = folder / f"{image.stem}-case"
    done = run([HEADWATER, "investigate", str(image), "--case", str(made), "--no-authority", "measured", "--examiner", "x",
                "--no-reread"], most=7200.0)  # fmt: skip
    assert done.code in (0, 1), done.out
    return made


def verified(made: Path) -> Cost:
    """One verify; it must have read the medium and found it the same."""
    done = run([HEADWATER, "verify", str(made)], most=7200.0)
    assert done.code in (0, 1), done.out
    return done


def main() -> None:
    """Make both media, verify each, and say what the difference costs beside hashlib."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--gibibytes", type=int, default=24, metavar="N")
    options = parser.parse_args()
    say_machine()
    with workplace() as folder:
        small = case(folder, medium(folder / "small.raw", 2 * _SYSTEM))
        image = medium(folder / "large.raw", options.gibibytes << 30)
        large = case(folder, image)
        for _ in range(options.times):
            start, whole = verified(small), verified(large)
            alone = run([PYTHON, "-c", _HASHLIB, str(image)], most=7200.0)
            cost = whole.cpu - start.cpu
            print(f"{options.gibibytes} GiB: verify {whole.cpu:.1f} CPU s ({whole.wall:.0f} s), of a small medium "
                  f"{start.cpu:.1f}; hashlib {alone.cpu:.1f} CPU s ({options.gibibytes / alone.cpu:.2f} GiB/CPU s); "
                  f"ratio {cost / alone.cpu:.2f}, peak {whole.memory / MIB:.0f} MiB", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
