# SPDX-License-Identifier: Apache-2.0
"""Which versions of the libraries that touch evidence are installed here, and on what machine.

The versions are read as the installed metadata state them (https://packaging.python.org/specifications/core-metadata/),
without the standard library's own reader, which loads a mail parser: this is asked before every act.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from headwater.formats.patterns import lazy_regex

ABSENT = "absent"
_HEAD = 65_536  # bytes of a metadata file in which its version is looked for; it stands in the first lines
_VERSION = lazy_regex(rb"^Version:[ \t]*([^\r\n]+?)[ \t]*\r?$", re.MULTILINE)


def versions(names: Iterable[str]) -> dict[str, str]:
    """The version of each distribution, in the order asked; ``absent`` where there is none."""
    places = _places()
    return {name: _stated(places.get(_plain(name))) or _looked_up(name) for name in names}


def system() -> str:
    """As :func:`platform.platform` says it, which starts a program to learn of a processor that it then leaves out."""
    if sys.platform == "linux":
        library = _library()
        if library:
            here = os.uname()
            return f"Linux-{here.release}-{here.machine}-with-{library}"
    return platform.platform()


def _library() -> str:
    """The C library and its version, ``glibc2.36``; '' where it does not say."""
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").replace(" ", "")
    except (ValueError, OSError):
        return ""


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()


def _places() -> dict[str, Path]:
    """The metadata folders by plain name, the first on the path of imports first; twice in one folder is left out."""
    found: dict[str, Path] = {}
    for folder in sys.path:
        here: dict[str, list[str]] = {}
        try:
            for name in os.listdir(folder or "."):
                if name.endswith(".dist-info"):
                    here.setdefault(_plain(name.partition("-")[0]), []).append(name)
        except OSError:
            continue  # an archive, or a folder that is not there
        for plain, each in here.items():
            if len(each) == 1:
                found.setdefault(plain, Path(folder, each[0], "METADATA"))
    return found


def _stated(place: Path | None) -> str:
    if place is None:
        return ""
    try:
        with place.open("rb") as file:
            head = file.read(_HEAD).partition(b"\n\n")[0]
    except OSError:
        return ""
    said = _VERSION.search(head)
    return said.group(1).decode("utf-8", "replace") if said else ""


def _looked_up(name: str) -> str:
    """What the standard library finds where the folder did not say: other forms of installation."""
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ABSENT
