# SPDX-License-Identifier: Apache-2.0
"""Makes tests/formats/fixtures/unfinished-xfs.tar.xz: an XFS volume that went down amid changes of several transactions.

Six hands write files in many pieces, share them, rewrite parts of what is shared, cut and delete; then the kernel is told to
stop writing at once (XFS_IOC_GOINGDOWN). What its own next mount makes of a copy stands beside the image: KERNEL.json has
the digest of every file, and the free blocks as xfs_db lists them. None of the program's code is used. Root, xfsprogs and
loop mounts; usage: unfinished.py OUTPUT_DIR. The moment is chance: it is done over until the log holds each kind wanted.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import random
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path

FICLONE, GOING_DOWN, NO_LOG = 0x40049409, 0x8004587D, 2
SMALL = {
    **os.environ,
    "TEST_DIR": "x",
    "TEST_DEV": "x",
    "QA_CHECK_FS": "1",
}  # mkfs.xfs makes small volumes for its own tests alone


def run(*command: object) -> str:
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True, env=SMALL).stdout


def pieces(path: Path, count: int, byte: bytes) -> None:
    """A file with a hole behind every block of it."""
    with path.open("wb") as file:
        for index in range(count):
            file.seek(index * 8192)
            file.write(byte * 4096)
            if index % 40 == 39:
                os.fsync(file.fileno())


def share(one: Path, other: Path, chance: random.Random) -> None:
    """Another name for the same blocks, some of which are then written anew."""
    with one.open("rb") as source, other.open("wb") as target:
        fcntl.ioctl(target, FICLONE, source.fileno())
    with other.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        for _ in range(chance.randrange(3, 60)):
            file.seek(chance.randrange(max(1, size // 4096)) * 4096)
            file.write(b"z" * 4096)
        if chance.random() < 0.6:
            os.fsync(file.fileno())


def hand(point: Path, chance: random.Random, name: str, stop: threading.Event) -> None:
    for turn in range(1 << 30):
        if stop.is_set():
            return
        one, other = point / f"{name}{turn % 4}", point / f"copy-{name}{turn % 5}"
        with contextlib.suppress(OSError):
            if chance.random() < 0.5 or not one.exists():
                pieces(one, chance.randrange(20, 160), name.encode())
            share(one, other, chance)
            what = chance.random()
            if what < 0.3:
                one.unlink()
            elif what < 0.5:
                os.truncate(one, chance.randrange(50_000))
            elif what < 0.7:
                os.truncate(other, 4096)
            elif what < 0.9:
                other.unlink()


def broken_off(image: Path, point: Path, seed: int) -> None:
    with image.open("wb") as file:
        file.truncate(48 << 20)
    run("mkfs.xfs", "-q", "-f", "-m", "reflink=1,rmapbt=1", image)
    run("mount", "-o", "loop", image, point)
    try:
        stop = threading.Event()
        hands = [
            threading.Thread(target=hand, args=(point, random.Random(seed * 9 + n), "abcdef"[n], stop))
            for n in range(6)
        ]
        for one in hands:
            one.start()
        time.sleep(0.7)
        handle = os.open(point, os.O_RDONLY)
        fcntl.ioctl(handle, GOING_DOWN, struct.pack("I", NO_LOG))
        os.close(handle)
        stop.set()
        for one in hands:
            one.join()
    finally:
        run("umount", point)


def recovered(image: Path, point: Path) -> dict[str, object]:
    """What the kernel makes of a copy."""
    copy = image.with_suffix(".kernel")
    run("cp", "--sparse=always", image, copy)
    run("mount", "-o", "loop,noatime,nouuid", copy, point)
    try:
        files = {f"/{p.name}": hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(point.iterdir())}
    finally:
        run("umount", point)
    listed = run("xfs_db", "-r", "-c", "freesp -d", copy).splitlines()
    free = [[int(word) for word in line.split()[:3]] for line in listed if line.split() and line.split()[0].isdigit()]
    return {"files": files, "free": [row for row in free if len(row) == 3]}


def wanted(image: Path) -> bool:
    """Whether intents of every kind stand at the log's end: by what xfs_logprint counts of each and its end."""
    said = subprocess.run(["xfs_logprint", "-t", str(image)], capture_output=True, text=True, errors="replace").stdout
    ids = {kind: {line.split("id:")[1].split()[0] for line in said.splitlines() if f"{kind}:" in line and "id:" in line}
           for kind in ("EFI", "EFD", "CUI", "CUD", "BUI", "BUD")}  # fmt: skip
    return all(ids[begun] - ids[ended] for begun, ended in (("EFI", "EFD"), ("CUI", "CUD"), ("BUI", "BUD")))


def main() -> None:
    out = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        image, point = Path(folder) / "image", Path(folder) / "mount"
        point.mkdir()
        for seed in range(40):
            broken_off(image, point, seed)
            if wanted(image):
                break
        said = json.dumps(recovered(image, point), indent=0).encode()
        with tarfile.open(out / "unfinished-xfs.tar.xz", "w:xz", preset=9) as archive:
            for name, data in (("image", image.read_bytes()), ("KERNEL.json", said)):
                member = tarfile.TarInfo(f"unfinished-xfs/{name}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


if __name__ == "__main__":
    main()
