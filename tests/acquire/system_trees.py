# SPDX-License-Identifier: Apache-2.0
"""Sets up the /sys, /proc, /dev and /etc of a described system as folders, from one text file.

A line ``PATH -> TARGET`` is a link, ``PATH = TEXT`` a file (backslash escapes as in Python bytes, a final line break
added), ``PATH/`` an empty folder; ``#`` starts a comment, the first of which is the SOURCE line.
"""

from __future__ import annotations

from pathlib import Path

SYSTEMS = Path(__file__).parent / "systems"


def plant(name: str, root: Path) -> dict[str, str]:
    """Make the folders of a system under ``root``; returns them as arguments of ``environment_of``."""
    for line in (SYSTEMS / f"{name}.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        path, arrow, target = line.partition(" -> ")
        if arrow:
            place = root / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(target)
            continue
        path, equals, text = line.partition(" = ")
        if not equals:
            (root / line.strip("/")).mkdir(parents=True, exist_ok=True)
            continue
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode().decode("unicode_escape").encode("latin-1") + b"\n")
    for folder in ("sys", "proc", "dev", "etc"):
        (root / folder).mkdir(exist_ok=True)
    return {f"{n}_root": str(root / n) for n in ("sys", "proc", "dev", "etc")}
