# SPDX-License-Identifier: Apache-2.0
"""What looking for YARA rules costs: bytes per CPU second at 1, 30 and 300 rules, beside SHA-256 and beside YARA-X alone.

Usage: benchmarks/yara.py [--megabytes N] [--rules FILE…] FOLDER…   (default: /usr/bin /usr/lib /usr/share)
Reads files of the machine, up to so many MB, into memory first; rules are made from a fixed seed: six texts of 8 to 30
letters each, every third with a hexadecimal pattern with gaps, as public rules mostly are. ``case``: 300 of them beside our
own, as a case has them.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import yara_x

from headwater.examine import yara_held
from headwater.examine.yara_matches import scan
from headwater.examine.yara_own import OWN_RULES
from headwater.examine.yara_rules import Compiled, RuleFile, compile_rules
from headwater.formats.sources import MemorySource


def rules(count: int) -> str:
    """Rules of six texts each."""
    dice = random.Random(1)
    made = []
    for n in range(count):
        texts = []
        for t in range(6):
            word = "".join(dice.choice("abcdefghijklmnopqrstuvwxyzABCXYZ0123_/.") for _ in range(dice.randint(8, 30)))
            texts.append(f'$t{t} = "{word}"')
        if n % 3 == 0:
            body = " ".join(f"{dice.randrange(256):02x}" for _ in range(8))
            texts.append(f"$h = {{ {body} [2-6] {body[:11]} }}")
        made.append(f"rule r{n} {{ strings: {' '.join(texts)} condition: 3 of them }}")
    return "\n".join(made)


def corpus(folders: list[str], most: int) -> list[bytes]:
    """Files of the machine, in order of name, until there are so many bytes."""
    found: list[bytes] = []
    for folder in folders:
        share = most // len(folders)
        for path in sorted(p for p in Path(folder).rglob("*") if p.is_file() and not p.is_symlink()):
            if share <= 0:
                break
            if os.access(path, os.R_OK):
                found.append(path.read_bytes()[:share])
                share -= len(found[-1])
    return found


def _spent(act: Callable[[], int], times: int) -> tuple[float, int]:
    """The least CPU seconds of so many runs, and what the last gave."""
    least, given = float("inf"), 0
    for _ in range(times):
        began = time.process_time()
        given = act()
        least = min(least, time.process_time() - began)
    return least, given


def _measure(name: str, compiled: Compiled, files: list[bytes], size: int, times: int) -> None:
    engine = yara_x.Scanner(yara_x.Rules.deserialize_from(io.BytesIO(compiled.whole)))
    floor, hits = _spent(lambda: sum(len(engine.scan(f).matching_rules) for f in files), times)
    fds = []
    for _, data in compiled.parts:
        fds.append(os.memfd_create("rules"))
        os.write(fds[-1], data)
    yara_held.hold({"by_name": compiled.by_name, "parts": [n for n, _ in compiled.parts]}, fds)
    for fd in fds:
        os.close(fd)
    spent, rows = _spent(
        lambda: sum(1 for f in files for r in scan(MemorySource(f), "/f", 0, len(f)).rows if not r.get("pattern")),
        times,
    )
    hashed, _ = _spent(lambda: sum(len(hashlib.sha256(f).digest()) for f in files), times)
    print(
        f"{name:<6} {sum(compiled.count.values()):>5} rules  {size / spent / 1e6:6.0f} MB/CPU s, of the engine alone "
        f"{floor / spent:.2f} ({size / floor / 1e6:.0f}), of SHA-256 {hashed / spent:.2f} ({size / hashed / 1e6:.0f}); "
        f"{rows} matches, engine {hits}{'' if rows == hits else ': DIFFERENT'}",
        flush=True,
    )


def main() -> None:
    """Print one line for each set of rules."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", default=["/usr/bin", "/usr/lib", "/usr/share"])
    parser.add_argument("--megabytes", type=int, default=240)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--rules", nargs="*", help="files of rules to measure as well")
    options = parser.parse_args()
    files = corpus(options.folders, options.megabytes * 1_000_000)
    size = sum(map(len, files))
    print(f"{len(files)} files, {size / 1e6:.0f} MB; the least of {options.times} runs")
    _measure("own", compile_rules([RuleFile("headwater", OWN_RULES)]), files, size, options.times)
    for count in (1, 30, 300):
        _measure("made", compile_rules([RuleFile("made", rules(count))]), files, size, options.times)
    case = [RuleFile("headwater", OWN_RULES), RuleFile("made", rules(300))]
    _measure("case", compile_rules(case), files, size, options.times)
    if options.rules:
        given = [RuleFile(Path(p).name, Path(p).read_text("utf-8", "replace")) for p in options.rules]
        _measure("given", compile_rules(given), files, size, options.times)


if __name__ == "__main__":
    main()
