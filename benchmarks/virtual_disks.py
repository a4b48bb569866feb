# SPDX-License-Identifier: Apache-2.0
"""How many megabytes of virtual disks are read per CPU second, beside `qemu-img convert` into nothing on the same file?

The images are made by `qemu-img` from the medium of the E01 benchmark (a quarter zeros, a quarter noise, half text). QEMU reads
them into its null driver, so both sides are timed at reading alone; Headwater's digest is compared with that of the medium.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from e01 import SIZE, medium
from measuring import HERE, PYTHON, arguments, run, say, say_input, say_machine, trials, workplace

FORMS = (
    ("qcow2", "qcow2", ()),
    ("qcow2 deflate", "qcow2", ("-c",)),
    ("qcow2 zstd", "qcow2", ("-c", "-o", "compression_type=zstd")),
    ("vmdk sparse", "vmdk", ()),
    ("vmdk stream", "vmdk", ("-o", "subformat=streamOptimized")),
    ("vhd dynamic", "vpc", ("-o", "force_size=on")),
    ("vhdx", "vhdx", ()),
    ("vdi", "vdi", ()),
)


def main() -> None:
    """Put the question."""
    options = arguments("Virtual disks: MB read per CPU second").parse_args()
    print("# virtual disks")
    say_machine()
    if shutil.which("qemu-img") is None:
        print("skipped: qemu-img (qemu-utils) makes the images, and it is not installed")
        return
    with workplace() as work:
        raw = medium(work / "medium.raw")
        with raw.open("rb") as file:
            truth = hashlib.file_digest(file, "md5").hexdigest()
        for name, form, words in FORMS:
            image = work / f"image.{'vhd' if form == 'vpc' else form}"
            _one(name, form, words, raw, image, truth, options.times)
            image.unlink()


def _one(name: str, form: str, words: tuple[str, ...], raw: Path, image: Path, truth: str, times: int) -> None:
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", form, *words, str(raw), str(image)], check=True)
    say_input(image, f"{name} of {SIZE:,} bytes")
    megabytes = SIZE // 1_000_000
    own = [PYTHON, str(HERE / "read_medium.py"), str(image)]
    rate = say(f"Headwater, {name}", trials(times, lambda: run(own)), megabytes, "MB")
    null = f"driver=null-co,size={SIZE}"
    peer = ["qemu-img", "convert", "-n", "-f", form, "--target-image-opts", str(image), null]
    if other := say(f"qemu-img, {name}", trials(times, lambda: run(peer)), megabytes, "MB"):
        print(f"{'':<22} ratio {rate / other:.2f}")
    digested = run([*own, "--md5"])
    print(f"{'':<22} MD5 {'as the medium' if truth in digested.out else 'DIFFERS'}", flush=True)


if __name__ == "__main__":
    main()
