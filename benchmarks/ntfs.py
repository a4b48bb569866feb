# SPDX-License-Identifier: Apache-2.0
"""What does NTFS cost to read, from its bytes to Parquet events? Targets of issue 7, per CPU second.

200,000-file image to MACB events in 6 CPU s; $MFT 150,000 records; $UsnJrnl 300,000 records. The image is written by mkntfs
and ntfs-3g (which needs FUSE), or given; the journal is written after the documentation of USN_RECORD_V2. Beside Headwater,
in the same run: fls of The Sleuth Kit, and dissect.ntfs and pyfsntfs where their interpreters are named. Only fls writes
anything; the others read every name and time and make no table.
Usage: python benchmarks/ntfs.py [--files 200000] [--image FILE] [--dissect PYTHON] [--fsntfs PYTHON]
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from headwater.examine.macb import macb_batches
from headwater.examine.parsers import windows_logfile, windows_mft, windows_usnjrnl
from headwater.examine.registry import all_parsers
from headwater.formats.ntfs import FILETIME_1970
from headwater.formats.ntfs_tree import NtfsTree
from headwater.formats.opened import open_readonly
from headwater.formats.sources import FileSource
from headwater.model.records import File
from headwater.store.parts import encode_events

NOON = 1_760_000_000 * 10_000_000 + FILETIME_1970
CHANGES = 600_000
DISSECT_MFT = """
import sys, time
from dissect.ntfs import NTFS
start = time.process_time(); count = 0
for record in NTFS(open(sys.argv[1], "rb")).mft.segments():
    count += 1
    try:
        record.full_path()
        for a in [*record.attributes.STANDARD_INFORMATION, *record.attributes.FILE_NAME]:
            a.creation_time, a.last_modification_time, a.last_change_time, a.last_access_time
    except Exception: pass
print(count, time.process_time() - start)
"""
DISSECT_USN = """
import sys, time
from dissect.ntfs.usnjrnl import UsnJrnl
start = time.process_time(); count = 0
for record in UsnJrnl(open(sys.argv[1], "rb")).records():
    count += 1; record.filename; record.timestamp; record.record.Reason
print(count, time.process_time() - start)
"""
FSNTFS = """
import sys, time, pyfsntfs
start = time.process_time(); count = 0
volume = pyfsntfs.volume(); volume.open(sys.argv[1])
for number in range(volume.number_of_file_entries):
    try:
        entry = volume.get_file_entry(number)
        if entry.is_empty(): continue
        count += 1
        for a in entry.attributes:
            if a.attribute_type in (16, 48):
                a.get_creation_time_as_integer(), a.get_modification_time_as_integer()
                a.get_access_time_as_integer(), a.get_entry_modification_time_as_integer()
                if a.attribute_type == 48: a.name, a.parent_file_reference
    except Exception: pass
print(count, time.process_time() - start)
"""


def make_image(image: Path, files: int) -> Path:
    """An NTFS image of so many files in folders of a thousand, a third of them with content."""
    point = image.with_name("mount")
    with image.open("wb") as out:
        out.truncate(max(64, files * 7 // 1000) << 20)
    subprocess.run(["mkfs.ntfs", "-q", "-F", "-f", str(image)], check=True, capture_output=True)
    point.mkdir()
    subprocess.run(["ntfs-3g", "-o", "big_writes,noatime", str(image), str(point)], check=True, capture_output=True)
    try:
        for n in range(files):
            folder = point / f"dir{n // 1000:04d}"
            if n % 1000 == 0:
                folder.mkdir()
            descriptor = os.open(folder / f"file_{n % 1000:05d}.dat", os.O_CREAT | os.O_WRONLY)
            if n % 3 == 0:
                os.write(descriptor, b"x" * (n * 7 % 3000))
            os.close(descriptor)
    finally:
        subprocess.run(["umount", str(point)], check=True)
    return image


def make_journal(path: Path, records: int) -> Path:
    """A change journal of so many records, names of 8 to 36 letters."""
    out = bytearray()
    reasons = (0x100, 0x102, 0x80000102, 0x1000, 0x2000, 0x80002000, 0x80000200)
    for n in range(records):
        raw = f"document number {n % 5000}.docx.locked"[: 8 + n * 7 % 28].encode("utf-16-le")
        length = (60 + len(raw) + 7) & ~7
        if (len(out) & 4095) + length > 4096:
            out += bytes(4096 - (len(out) & 4095))
        head = struct.pack("<IHHQQ", length, 2, 0, 1 << 48 | 100 + n % 5000, 1 << 48 | 64 + n % 50)
        rest = struct.pack("<qqIIIIHH", len(out), NOON + n * 1000, reasons[n % 7], 0, 0, 32, len(raw), 60)
        out += (head + rest + raw).ljust(length, b"\0")
    path.write_bytes(out)
    return path


def say(name: str, count: int, seconds: float, target: float | None = None) -> None:
    rate = count / seconds if seconds else 0.0
    verdict = "" if target is None else f"; target {target:,.0f}: {'met' if rate >= target else 'MISSED'}"
    print(f"{name:<44} {count:>9,} in {seconds:6.2f} CPU s = {rate:>9,.0f} per CPU s{verdict}", flush=True)


def timed(name: str, work: Callable[[], int], target: float | None = None) -> float:
    start = time.process_time()
    count = work()
    seconds = time.process_time() - start
    say(name, count, seconds, target)
    return seconds


def encoded(module: str, file: File) -> int:
    """Every event of a file to Parquet; the number of rows."""
    parser = all_parsers()[module]
    rows = 0
    for batch in parser.batches(file) if parser.batches else ():
        rows += batch.events.height
        encode_events(batch.events, clock="1", feed=parser.feed, source=1, path=file.path)
    return rows


def listed(image: Path) -> int:
    """The whole image to MACB events in Parquet; the number of entries."""
    tree = NtfsTree(FileSource(open_readonly(image)))
    count = 0
    for frame, entries in macb_batches(tree):
        count += len(entries)
        encode_events(frame, clock="1", feed="fs.macb", source=1, path="/")
    return count


def peer(name: str, python: str | None, script: str, path: Path) -> None:
    if not python:
        print(f"{name:<44} skipped: no interpreter given")
        return
    done = subprocess.run([python, "-c", script, str(path)], capture_output=True, text=True)
    if done.returncode:
        print(f"{name:<44} failed: {done.stderr.strip()[-200:]}")
        return
    count, seconds = done.stdout.split()
    say(name, int(count), float(seconds))


def fls(image: Path, out: Path) -> None:
    if not shutil.which("fls"):
        print("fls -r -m                                    skipped: not installed")
        return
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with out.open("wb") as body:
        subprocess.run(["fls", "-r", "-m", "/", str(image)], stdout=body, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    with out.open("rb") as body:
        lines = sum(1 for _ in body)
    say("fls -r -m, a line for each name", lines, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    """Put the questions."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=200_000)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--dissect")
    parser.add_argument("--fsntfs")
    options = parser.parse_args()
    print(f"# NTFS; load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="headwater-ntfs-") as folder:
        work = Path(folder)
        image = options.image or make_image(work / "image", options.files)
        seconds = timed("image to MACB events, Parquet", lambda: listed(image))
        print(f"{'':<44} target 6 CPU s for 200,000 files: {'met' if seconds <= 6 else 'MISSED'}")
        fls(image, work / "body")
        tree = NtfsTree(FileSource(open_readonly(image)))
        mft = tree.mft_source()
        held = File("/$MFT", mft.size, mft.pread)
        start = time.process_time()
        rows = sum(batch.events.height for batch in windows_mft.batches(held))
        say("$MFT to events", mft.size // tree.boot.record, time.process_time() - start, 150_000)
        start = time.process_time()
        encoded("windows.mft", held)
        say(f"$MFT to Parquet, {rows:,} rows", mft.size // tree.boot.record, time.process_time() - start)
        peer("dissect.ntfs, every record's times and path", options.dissect, DISSECT_MFT, image)
        peer("pyfsntfs, every record's times", options.fsntfs, FSNTFS, image)
        journal = make_journal(work / "J", CHANGES)
        data = journal.read_bytes()
        change = File.of(data, "/$Extend/$UsnJrnl:$J")
        timed(
            "$UsnJrnl to events",
            lambda: sum(b.events.height for b in windows_usnjrnl.batches(change)),
            300_000,
        )
        timed("$UsnJrnl to Parquet", lambda: encoded("windows.usnjrnl", change))
        peer("dissect.ntfs, every record's name and time", options.dissect, DISSECT_USN, journal)
        log = tree.open("2")
        timed(
            "$LogFile to events", lambda: sum(1 for _ in windows_logfile.parse(File("/$LogFile", log.size, log.pread)))
        )
    print(f"most memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")


if __name__ == "__main__":
    sys.exit(main())
