# SPDX-License-Identifier: Apache-2.0
"""Does the memory of a whole investigation stay below 1 GiB, whatever the size of the input?

`headwater investigate` runs on access logs and auth logs of growing size, on two long logs at once,
and on a 200,000-file image; the figure is the highest PSS summed over its process tree. ``--only NAME`` runs one input.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from file_system import FILES, made
from inputs import access_log, auth_log
from measuring import HEADWATER, MIB, Cost, Trials, arguments, run, say_input, say_machine, trials, workplace

TARGET = 1024 * MIB


def both(folder: Path) -> Path:
    """Two long logs in one folder: two children are at work at once."""
    (folder / "var/log/nginx").mkdir(parents=True)
    access_log(folder / "var/log/nginx/access.log", 1_575_000)
    auth_log(folder / "var/log/auth.log", 2_730_000)
    return folder


INPUTS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "access-100MB": ("access.log", lambda path: access_log(path, 525_000)),
    "access-1GB": ("access.log", lambda path: access_log(path, 5_250_000)),
    "auth-100MB": ("auth.log", lambda path: auth_log(path, 910_000)),
    "auth-500MB": ("auth.log", lambda path: auth_log(path, 4_550_000)),
    "two-logs-600MB": ("www", both),
    "image-200k": ("image.raw", lambda path: made(path.parent, FILES, "1500M")),
}


def investigation(source: Path, work: Path, times: int) -> Trials:
    """A whole investigation of one source in a new case."""
    case = work / "case"

    def once() -> Cost:
        shutil.rmtree(case, ignore_errors=True)
        return run([HEADWATER, "investigate", str(source), "--case", str(case), "--no-authority", "benchmark",
                    "--examiner", "A", "--examiner", "B", "--zone", "Asia/Shanghai"])  # fmt: skip

    return trials(times, once)


def main() -> None:
    """Put the question."""
    parser = arguments("peak memory of `headwater investigate`")
    parser.add_argument("--only", action="append", choices=sorted(INPUTS), help="may be repeated")
    parser.add_argument("--image", type=Path, help="a ready image instead of a new one")
    options = parser.parse_args()
    print("# memory")
    say_machine()
    for name in options.only or INPUTS:
        with workplace() as work:
            file, make = INPUTS[name]
            source = options.image if options.image and name == "image-200k" else make(work / file)
            for path in sorted(p for p in source.rglob("*") if p.is_file()) if source.is_dir() else (source,):
                say_input(path, name)
            done = investigation(source, work, options.times)
            verdict = "met" if done.good and done.memory <= TARGET else "MISSED"
            print(
                f"{name:<22} {done.memory / MIB:6.0f} MiB peak  {done.cpu:.1f} CPU s ({done.least:.1f}–{done.most:.1f})  "
                f"{done.wall:.0f} s wall  target {TARGET // MIB} MiB: {verdict}",
                flush=True,
            )
            if not done.good:
                print(done.last.out[-1500:])


if __name__ == "__main__":
    main()
