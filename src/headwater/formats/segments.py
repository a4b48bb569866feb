# SPDX-License-Identifier: Apache-2.0
"""Finds the files of a set, E01, split raw or a virtual disk, from the name of any one of them.

This needs the folder and so is done before anything is handed to a confined child.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from headwater.formats.disk_sets import SUFFIX, set_files
from headwater.formats.ewf_sections import SIGNATURE
from headwater.formats.patterns import lazy_regex
from headwater.model.errors import AcquireError
from headwater.model.paths import encode_name

_E01 = lazy_regex(r"\.[e-z](?:\d\d|[a-z][a-z])\Z", re.IGNORECASE)
_SMART = lazy_regex(r"\.s(?!00)\d\d\Z", re.IGNORECASE)
_NUMBERED = lazy_regex(r"\.(\d{3,5})\Z")
_LETTERED = lazy_regex(r"\.([a-z]{2,4})\Z")
_SPLIT_DEFAULT = lazy_regex(r"\Ax([a-z]{2,4})\Z")  # coreutils split without a prefix: xaa, xab …


def segments(path: str | Path, allow: Sequence[Path] = ()) -> list[Path]:
    """All files of the set that ``path`` belongs to, in order, whichever of them was named; ``[path]`` if it is alone.

    E01: every ``.E01`` … ``.ZZZ`` (SMART: ``.S01`` …) with the same stem, also behind a hole, so that opening can name what
    is missing.
    Split raw: ``.000``/``.001`` or ``.aa`` onwards, and coreutils' ``xaa``. A virtual disk: the image, its extents and
    its parents, from its own folder and from those in ``allow`` (:func:`headwater.formats.virtual_disks.disk_set`). A disk
    set (``.hwset``): its description and all files of its members.

    Raises:
        AcquireError: HW2001 the file is not there; HW2003 its folder cannot be listed; HW2004 a numbered part of
            split raw or a file of a disk set is missing; HW2009 a disk set that is none.
    """
    from headwater.formats.virtual_disks import disk_set  # heavy: whoever only names segments does without

    path = Path(path)
    if not path.exists():
        raise AcquireError("HW2001", os.fspath(path))
    try:
        if path.name.endswith(SUFFIX):
            return set_files(path, {encode_name(os.fsencode(other.name)): other for other in path.parent.iterdir()})
        if (e01_number(path.name) is not None or is_smart([path.name])) and _is_e01(path):
            return _e01_set(path)
        if disk := disk_set(path, allow):
            return disk
        for pattern in (_NUMBERED, _LETTERED, _SPLIT_DEFAULT):
            if match := pattern.search(path.name):
                return _raw_set(path, match.group(1))
    except OSError as error:
        raise AcquireError("HW2003", os.fspath(path), what=error.strerror) from error
    return [path]


def e01_number(name: str, smart: bool = False) -> int | None:
    """The segment number in a file name: E01 to E99, then EAA to EZZ, FAA to ZZZ (specification, "Segment files").

    ``smart``: of a set as SMART names it, S01 to S99, then SAA to ZZZ.
    """
    match = _E01.search(name)
    if not match:
        return None
    text = match.group()[1:].lower()
    base = "s" if smart else "e"
    if text[1:].isdigit():
        return int(text[1:]) or None if text[0] == base else None
    second, third = (ord(letter) - ord("a") for letter in text[1:])
    number = 100 + (ord(text[0]) - ord(base)) * 676 + second * 26 + third
    return number if number >= 100 else None


def e01_suffix(number: int, smart: bool = False) -> str:
    """The inverse of :func:`e01_number`, in capitals: ``E01``, ``EAA``."""
    base = "S" if smart else "E"
    if number < 100:
        return f"{base}{number:02d}"
    high, low = divmod(number - 100, 676)
    return chr(ord(base) + high) + chr(ord("A") + low // 26) + chr(ord("A") + low % 26)


def is_smart(names: Sequence[str]) -> bool:
    """Whether a set is named as SMART names it: by the one of its names that has a number."""
    return any(_SMART.search(name) for name in names)


def _e01_set(path: Path) -> list[Path]:
    stem = path.name[:-4]
    there = [other.name for other in path.parent.iterdir() if other.name[:-4] == stem]
    # from .saa on the names of both kinds meet: the first segment's tells
    smart = is_smart([path.name]) or (is_smart(there) and not any(e01_number(name) == 1 for name in there))
    found: dict[int, Path] = {}
    for other in sorted(path.parent.iterdir()):
        number = e01_number(other.name, smart)
        if number is None or other.name[:-4] != stem or not (other == path or _is_e01(other)):
            continue
        # where the file system tells case apart, the named file wins over its twin
        if other == path or number not in found:
            found[number] = other
    return [found[number] for number in sorted(found)]


def _is_e01(path: Path) -> bool:
    """A lettered extension alone is weak evidence (.exe, .iso), and so is .s01: it counts with the signature behind it."""
    if path.suffix[2:].isdigit() and not is_smart([path.name]):
        return True
    with path.open("rb") as file:
        return file.read(8) == SIGNATURE


def _raw_set(path: Path, mark: str) -> list[Path]:
    stem = path.name[: len(path.name) - len(mark)]
    digits = mark.isdigit()
    pattern = re.compile(re.escape(stem) + f"({'[0-9]' if digits else '[a-z]'}{{{len(mark)}}})")
    found = {m.group(1): p for p in path.parent.iterdir() if (m := pattern.fullmatch(p.name))}
    marks = sorted(found)
    if digits:
        return _numbered(path, stem, found, marks)
    # names that end in letters are many: only an unbroken run from aa that holds the named file is a set
    run = [m for index, m in enumerate(marks) if _number(m) == index]
    return [found[m] for m in run] if mark in run and len(run) > 1 else [path]


def _numbered(path: Path, stem: str, found: dict[str, Path], marks: list[str]) -> list[Path]:
    width = len(marks[0])
    if len(marks) == 1 and int(marks[0]) <= 1:
        return [path]
    expected = range(min(1, int(marks[0])), int(marks[-1]) + 1)
    for number in expected:
        if str(number).zfill(width) not in found:
            raise AcquireError("HW2004", os.fspath(path), what=f"{stem}{number:0{width}d}")
    return [found[mark] for mark in marks]


def _number(mark: str) -> int:
    value = 0
    for letter in mark:
        value = value * 26 + ord(letter) - ord("a")
    return value
