# SPDX-License-Identifier: Apache-2.0
"""What do the file times (MACB) of a 200,000-file image cost as Parquet events? Targets: 5 CPU seconds (ext4), 10 (XFS).

Peers: `fls -r -m` of The Sleuth Kit on the same image (it lists, in C, and makes no table); Plaso and Dissect on an image of
a tenth of the files, scaled by entries after their start-up, which is their run on an image of 200 files.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import peers
from inputs import ext4_image, tree, xfs_image
from measuring import HERE, MIB, PYTHON, Cost, arguments, run, say, say_input, say_machine, trials, workplace

TARGETS = {"ext4": (6.0, 5.0), "xfs": (10.0,)}  # of the first form, and of the full one
FILES = 200_000


def headwater(image: Path, work: Path) -> Cost:
    """One listing by Headwater, as events."""
    out = work / "parts"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    return run([PYTHON, str(HERE / "parse_one.py"), str(image), "walk", str(out)])


def made(work: Path, files: int, size: str, kind: str = "ext4") -> Path:
    """An image of so many files; its tree is removed."""
    folder = tree(work / f"tree{files}", files)
    if kind == "xfs":
        image = xfs_image(work / f"{files}.xfs", folder, max(300, files // 80))
    else:
        image = ext4_image(work / f"{files}.raw", folder, size, files + 1_000)
    shutil.rmtree(folder)
    return image


def _rows(work: Path) -> int:
    import polars as pl

    return sum(pl.scan_parquet(p).select(pl.len()).collect().item() for p in (work / "parts").glob("events-*.parquet"))


def main() -> None:
    """Put the question."""
    parser = arguments("200,000-file image to MACB events")
    parser.add_argument("--kind", choices=sorted(TARGETS), default="ext4")
    parser.add_argument("--image", type=Path, help="a ready image instead of a new one")
    parser.add_argument("--peer-files", type=int, default=FILES // 10, metavar="N", help="files in the peers' image")
    options = parser.parse_args()
    print("# file system")
    say_machine()
    with workplace() as work:
        image = options.image or made(work, FILES, "1500M", options.kind)
        say_input(image, f"{options.kind} image")
        own = trials(options.times, lambda: headwater(image, work))
        entries = int(own.last.out.partition("'entries': ")[2].partition(",")[0] or 0)
        say("Headwater", own, entries, "entries")
        print(
            f"{'':<22} {entries:,} entries, {_rows(work):,} events; "
            + "; ".join(
                f"target {target} CPU s: {'met' if own.good and own.cpu <= target else 'MISSED'}"
                for target in TARGETS[options.kind]
            )
        )
        if options.kind == "ext4" and shutil.which("fls"):
            listing = work / "body"
            fls = trials(options.times, lambda: run(["/bin/sh", "-c", f'exec fls -r -m / "{image}" > "{listing}"']))
            with open(listing, "rb") as body:
                lines = sum(1 for _ in body)
            say("fls -r -m", fls, lines, "entries")
            print(f"{'':<22} {lines:,} lines; ratio of CPU {own.cpu / fls.cpu:.2f}", flush=True)
        _peers(options.plaso, options.dissect, options.peer_files, entries / own.cpu if own.good else 0.0, work)


def _peers(plaso: str | None, dissect: str | None, files: int, rate: float, work: Path) -> None:
    if not (plaso or dissect):
        print("Plaso, Dissect         skipped: no environment given (HEADWATER_PLASO, HEADWATER_DISSECT)")
        return
    few, some = made(work, 200, "64M"), made(work, files, f"{max(64, files // 100)}M")
    same = headwater(some, work)
    print(
        f"peers' image           {os.path.getsize(some) // MIB} MiB; Headwater: {_rows(work):,} events; {same.out.strip()[:120]}"
    )
    for name, venv in (("Plaso", plaso), ("Dissect", dissect)):
        if not venv:
            print(f"{name:<22} skipped: no environment given")
            continue
        counts: list[int] = []

        def once(image: Path, name: str = name, venv: str = venv, counts: list[int] = counts) -> Cost:
            told = (
                peers.plaso(venv, image, "filestat", work)
                if name == "Plaso"
                else peers.dissect(venv, image, "walkfs", work)
            )
            counts.append(told.records)
            return told.cost

        start, whole = trials(1, lambda: once(few)), trials(1, lambda: once(some))
        say(f"{name} {peers.version(venv, 'plaso' if name == 'Plaso' else 'dissect.target')}", whole, files, "files")
        if start.good and whole.good:
            net = (files - 200) / (whole.cpu - start.cpu)
            print(f"{'':<22} start-up {start.cpu:.2f} CPU s; without it {net:,.0f} files/CPU s; {counts[-1]:,} records; "
                  f"ratio {rate / net:,.0f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
