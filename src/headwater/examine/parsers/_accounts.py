# SPDX-License-Identifier: Apache-2.0
"""Password fields and numbers of the account files, shared by their parsers.

crypt(5) names the schemes: https://manpages.debian.org/bookworm/libcrypt-dev/crypt.5.en.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from headwater.examine.parsers._text import lines
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import GapReason
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Gap, Record, Skip

_SCHEMES = {
    "1": "md5",
    "2": "bcrypt",
    "2a": "bcrypt",
    "2b": "bcrypt",
    "2x": "bcrypt",
    "2y": "bcrypt",
    "3": "nt",
    "5": "sha256",
    "6": "sha512",
    "7": "scrypt",
    "gy": "gost-yescrypt",
    "md5": "sun-md5",
    "sha1": "sha1",
    "y": "yescrypt",
}
_TAGGED = lazy_regex(r"\$([A-Za-z0-9]+)[$,]")


def password(field: str) -> tuple[str, str | None]:
    """State and scheme: ``empty`` (anyone enters), ``hash``, ``locked`` (a hash behind ``!``), ``none`` (no login)."""
    if field == "":
        return "empty", None
    bare = field.lstrip("!*")
    scheme = _scheme(bare)
    if scheme is None:
        return "none", None
    return ("hash" if bare == field else "locked"), scheme


def _scheme(text: str) -> str | None:
    tagged = _TAGGED.match(text)
    if tagged:
        return _SCHEMES.get(tagged.group(1), f"unknown ${tagged.group(1)}$")
    if re.fullmatch(r"[./A-Za-z0-9]{13}", text):
        return "des"
    return "bsdi" if re.fullmatch(r"_[./A-Za-z0-9]{19}", text) else None


def number(text: str) -> int | None:
    """A whole number as these files write it; None where the field is empty or holds something else."""
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else None


def colon_records(
    file: File, counts: tuple[int, ...], event: Callable[[int, int, list[str], bool], Event | None]
) -> Iterator[Record]:
    """The lines of a file whose fields are parted by colons.

    ``event`` is given offset, length, fields and whether the file is the backup ``name-``; where it returns None, or
    the number of fields is none of ``counts``, the line is a gap.
    """
    backup = file_layer(file.path).endswith("-")
    for line in lines(file):
        if isinstance(line, Gap):
            yield line
            continue
        text = line.text
        if not text.strip():
            yield Skip(line.offset, line.length, "blank line")
        elif text.startswith("#"):
            yield Skip(line.offset, line.length, "comment")
        else:
            parts = text.split(":")
            made = event(line.offset, line.length, parts, backup) if len(parts) in counts else None
            if made is None:
                yield Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, "not the fields of this file")
            else:
                yield made
