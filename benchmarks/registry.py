# SPDX-License-Identifier: Apache-2.0
"""What does a registry hive cost to read, from its bytes to Parquet events? Target: 100 MB in 20 CPU s (issue 7).

The input is a SOFTWARE hive written after the specification (components and COM classes, four values to a key), or any file
given. Beside Headwater, in the same run, where their interpreters are named: libregf (``pyregf``) and ``dissect.regf``, each
walking every key and reading every value's data, without writing anything.
Usage: python benchmarks/registry.py [--mb 25] [--pyregf PYTHON] [--dissect PYTHON] [FILE]
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "formats"))

import hive_writing as writing  # noqa: E402

from headwater.examine.parsers import windows_registry  # noqa: E402
from headwater.model.records import File  # noqa: E402
from headwater.store.parts import encode_events  # noqa: E402

_PER_KEY = 750  # bytes of a key with its values, about
PYREGF = """
import sys, time, pyregf
start = time.process_time()
file = pyregf.file(); file.open(sys.argv[1])
keys = values = 0
stack = [file.get_root_key()]
while stack:
    key = stack.pop(); keys += 1; key.name; key.get_last_written_time_as_integer()
    for value in key.values:
        values += 1; value.name; value.type; value.data
    stack.extend(key.sub_keys)
print(keys, values, time.process_time() - start)
"""
DISSECT = """
import sys, time
from dissect.regf import RegistryHive
start = time.process_time()
keys = values = 0
stack = [RegistryHive(open(sys.argv[1], "rb")).root()]
while stack:
    key = stack.pop(); keys += 1; key.name; key.timestamp
    for value in key.values():
        values += 1; value.name; value.type; value.value
    stack.extend(key.subkeys())
print(keys, values, time.process_time() - start)
"""


def make(path: Path, size: int) -> None:
    """A hive of about so many bytes."""
    pick = random.Random(5)
    root = writing.Node()
    parts = root.at("Microsoft\\Windows\\Components"), root.at("Classes\\CLSID")
    for n in range(size // _PER_KEY):
        name = (
            f"{{{pick.randrange(1 << 32):08X}-{n:06d}}}" if n % 2 else f"Component_{n:07d}_{pick.randrange(1 << 40):x}"
        )
        key = parts[n % 2].at(f"{name}\\InprocServer32", writing.T0 + n * 1000)
        key.values = {
            "": f"C:\\Windows\\System32\\{pick.randrange(1_000_000)}.dll", "ThreadingModel": "Both", "Version": pick.randrange(1 << 31),
            "Blob": pick.randbytes(pick.choice((16, 40, 120))),
        }  # fmt: skip
    path.write_bytes(writing.write(root, "emRoot\\System32\\Config\\SOFTWARE"))


def _headwater(path: Path) -> tuple[int, int, float]:
    start = time.process_time()
    data, keys, values = path.read_bytes(), 0, 0
    for batch in windows_registry.batches(File.of(data, f"/Windows/System32/config/{path.name}")):
        if batch.events.height:
            feed = batch.feed or windows_registry.FEED
            encode_events(batch.events, clock="1", feed=feed, source=1, path="/hive")
        if batch.feed is None:
            named = int((batch.events["kind"] == "registry.key").sum())
            keys, values = keys + named, values + batch.events.height - named
    return keys, values, time.process_time() - start


def _peer(python: str, script: str, path: Path) -> tuple[int, int, float]:
    done = subprocess.run([python, "-c", script, str(path)], check=True, capture_output=True, text=True)
    keys, values, spent = done.stdout.split()
    return int(keys), int(values), float(spent)


def _told(name: str, size: int, found: tuple[int, int, float]) -> None:
    keys, values, spent = found
    print(
        f"{name:<24} {keys:>9,} keys {values:>9,} values {spent:7.2f} CPU s {spent / size * 100e6:7.2f} CPU s per 100 MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU seconds per 100 MB of registry hive")
    parser.add_argument("--mb", type=int, default=25)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--pyregf", help="the interpreter that has pyregf")
    parser.add_argument("--dissect", help="the interpreter that has dissect.regf")
    parser.add_argument("file", nargs="?", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.file or Path(folder) / "SOFTWARE"
        if options.file is None:
            make(path, options.mb * 1_000_000)
        size = path.stat().st_size
        print(f"{path.name}: {size:,} bytes")
        for _ in range(options.times):
            _told("Headwater, to Parquet", size, _headwater(path))
            if options.pyregf:
                _told("pyregf, read", size, _peer(options.pyregf, PYREGF, path))
            if options.dissect:
                _told("dissect.regf, read", size, _peer(options.dissect, DISSECT, path))
        print(f"peak memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


if __name__ == "__main__":
    main()
