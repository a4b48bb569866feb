# SPDX-License-Identifier: Apache-2.0
"""How fast are arrays and opened ciphers read? MiB per CPU second, 64 MiB each, beside a plain copy in the same run.

``python benchmarks/volumes.py``; qemu-img, where it is there, decrypts the same LUKS volume as a peer.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from headwater.formats.keys import Key
from headwater.formats.luks import unlock
from headwater.formats.luks_ciphers import sector_cipher
from headwater.formats.mdraid_geometry import geometry
from headwater.formats.mdraid_source import ArraySource, Leg
from headwater.formats.opened import open_readonly
from headwater.formats.sources import FileSource, MemorySource

_SIZE = 64 << 20
_CHUNK = 64 << 10


def rate(name: str, work: Callable[[], int]) -> None:
    work()
    started = time.process_time()
    done = work()
    print(f"{name:44} {done / (1 << 20) / (time.process_time() - started):8.0f} MiB/CPU s")


def read(source: ArraySource | MemorySource) -> int:
    for at in range(0, source.size, 1 << 20):
        source.pread(at, 1 << 20)
    return source.size


def array(level: int, layout: int, disks: int, gone: int) -> ArraySource:
    share = _SIZE // (disks - {0: 0, 5: 1, 6: 2, 10: disks // 2}[level])
    shape = geometry(level, layout, disks, share, _CHUNK, [share] * disks)
    held = [MemorySource(os.urandom(share)) for _ in range(disks)]
    legs = [None if n < gone else Leg(m, 0, share, 1 << 63, ()) for n, m in enumerate(held)]
    return ArraySource(shape, legs, shape.size)


def luks() -> None:
    tool = shutil.which("qemu-img")
    if tool is None:
        print("qemu-img is not installed: LUKS is not compared")
        return
    with tempfile.TemporaryDirectory() as folder:
        plain, image, back = (Path(folder) / name for name in ("plain", "image", "back"))
        plain.write_bytes(os.urandom(_SIZE))
        secret = ["--object", "secret,id=s,data=phrase"]
        made = [tool, "convert", "-O", "luks", *secret, "-o", "key-secret=s,iter-time=10", str(plain), str(image)]
        subprocess.run(made, check=True)
        opened = unlock(FileSource(open_readonly(image)), [Key("k", b"phrase")]).source
        rate("LUKS 1, AES-XTS, 512-byte sectors", lambda: read(opened))  # type: ignore[arg-type]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        spec = f"driver=luks,key-secret=s,file.filename={image}"
        subprocess.run([tool, "convert", *secret, "--image-opts", "-O", "raw", spec, str(back)], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"{'  qemu-img convert of the same':44} {_SIZE / (1 << 20) / spent:8.0f} MiB/CPU s")
        assert back.read_bytes() == plain.read_bytes()


def main() -> None:
    rate("plain copy in memory", lambda: read(MemorySource(bytes(_SIZE))))
    for name, shape in {
        "RAID 0 of 4": (0, 2, 4, 0), "RAID 5 of 4": (5, 2, 4, 0), "RAID 5 of 4, one member gone": (5, 2, 4, 1),
        "RAID 6 of 6, two members gone": (6, 2, 6, 2), "RAID 10 of 4": (10, 0x102, 4, 0),
    }.items():  # fmt: skip
        made = array(*shape)
        rate(name, lambda made=made: read(made))  # type: ignore[misc]
    data = os.urandom(1 << 20)
    for name, unit in (("aes-xts-plain64", 512), ("aes-xts-plain64", 4096), ("aes-cbc-essiv:sha256", 512)):
        run = sector_cipher(name, bytes(range(64 if "xts" in name else 32)), unit)
        rate(f"{name}, {unit}-byte sectors", lambda run=run: sum(len(run(data, 7)) for _ in range(64)))  # type: ignore[misc]
    luks()


if __name__ == "__main__":
    main()
