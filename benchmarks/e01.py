# SPDX-License-Identifier: Apache-2.0
"""How many megabytes of an E01 image are read per CPU second, beside libewf's tools on the same image?

The image is made by `ewfacquire` from a medium of 512 MiB: a quarter zeros, a quarter noise, half text. `ewfverify` reads and
digests by MD5, `ewfexport` reads, digests and writes a raw image; Headwater is timed at the same work, at reading alone, and at
random reads of 4 KiB.
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from pathlib import Path

from inputs import SEED, access_log
from measuring import HERE, MIB, PYTHON, arguments, run, say, say_input, say_machine, trials, workplace

SIZE = 512 * MIB
READS = 60_000


def medium(path: Path) -> Path:
    """The raw medium."""
    text = access_log(path.with_suffix(".text"), 700_000).read_bytes()
    pick = random.Random(SEED)
    with open(path, "wb") as out:
        for n in range(SIZE // (4 * MIB)):
            if n % 4 == 0:
                out.write(bytes(4 * MIB))
            elif n % 4 == 1:
                out.write(pick.randbytes(4 * MIB))
            else:
                at = pick.randrange(len(text) - 4 * MIB)
                out.write(text[at : at + 4 * MIB])
    return path


def main() -> None:
    """Put the question."""
    options = arguments("E01: MB read per CPU second").parse_args()
    print("# E01")
    say_machine()
    if shutil.which("ewfacquire") is None:
        print("skipped: ewfacquire (ewf-tools) makes the image, and it is not installed")
        return
    with workplace() as work:
        raw = medium(work / "medium.raw")
        subprocess.run(
            ["ewfacquire", "-u", "-q", "-c", "fast", "-t", str(work / "image"), str(raw)],
            check=True,
            capture_output=True,
        )
        image = work / "image.E01"
        say_input(image, f"E01 of {SIZE:,} bytes")
        megabytes = SIZE // 1_000_000
        out = work / "export"
        own = [PYTHON, str(HERE / "read_medium.py"), str(image)]
        read = trials(options.times, lambda: run(own))
        say("Headwater, read", read, megabytes, "MB", target=500)
        scattered = trials(options.times, lambda: run([*own, "--random", str(READS)]))
        say("Headwater, 4 KiB reads", scattered, READS, "reads", target=15_000)
        digested = trials(options.times, lambda: run([*own, "--md5"]))
        rate = say("Headwater, MD5", digested, megabytes, "MB")
        verify = trials(options.times, lambda: run(["ewfverify", "-q", str(image)]))
        if peer := say("ewfverify", verify, megabytes, "MB"):
            print(f"{'':<22} ratio {rate / peer:.1f}")
        exported = trials(options.times, lambda: run([*own, "--md5", "--to", str(out)]))
        rate = say("Headwater, MD5, to raw", exported, megabytes, "MB")
        export = trials(options.times, lambda: run(["ewfexport", "-u", "-q", "-f", "raw", "-t", str(out), str(image)]))
        if peer := say("ewfexport", export, megabytes, "MB"):
            print(f"{'':<22} ratio {rate / peer:.1f}")
        print(f"{'':<22} MD5 by ewfverify and by Headwater: {_md5s(verify.last.out)}, {_md5s(digested.last.out)}")


def _md5s(text: str) -> str:
    return " ".join(sorted(set(re.findall(r"\b[0-9a-f]{32}\b", text)))) or "none said"


if __name__ == "__main__":
    main()
