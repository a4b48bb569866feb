# SPDX-License-Identifier: Apache-2.0
"""The compiled YARA rules that a confined child holds, and what they match in bytes.

A child is given them before it locks itself down, because they are mapped as machine code, which a locked child may not
do. They are made by the parent in the same run and are never read from a file that somebody else may have written.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import yara_x

from headwater.model.errors import ExamineError

PER_PATTERN = 1_000  # places that the scanner looks for at most, of each pattern
SECONDS, PER_SECOND = 20, 8 << 20  # a scan may take so long, and a second more for each 8 MiB


class _Held:
    whole: yara_x.Scanner | None = None
    quick: yara_x.Scanner | None = None
    by_name = False
    seconds: ClassVar[dict[int, int]] = {}  # what each scanner was last told, by id


def hold(args: Mapping[str, Any], fds: Sequence[int]) -> None:
    """Take the rules of this process.

    ``fds``: the serialised rules, then those without the slow ones where there are any. ``args``: ``by_name``, some rule
    asks for the file's name.
    """
    found = []
    for fd in fds:
        data = os.pread(fd, os.fstat(fd).st_size, 0)
        scanner = yara_x.Scanner(yara_x.Rules.deserialize_from(io.BytesIO(data)))
        scanner.max_matches_per_pattern(PER_PATTERN)
        found.append(scanner)
    _Held.whole = found[0]
    _Held.quick = found[1] if len(found) > 1 else None
    _Held.by_name = bool(args["by_name"])
    _Held.seconds = {}


def results(data: bytes, name: str) -> tuple[yara_x.ScanResults | None, bool]:
    """What matches, and whether the slow rules had to be left out; None where even the others took too long.

    ``name``: the path, for rules that ask for it.

    Raises:
        ExamineError: HW4003, this process was given no rules.
    """
    if _Held.whole is None:
        raise ExamineError("HW4003", name, what="no YARA rules were given to this process")
    for scanner in (_Held.whole, _Held.quick):
        if scanner is None:
            continue
        if _Held.by_name:
            bare = name.rpartition("/")[2]
            dot = bare.rfind(".")
            given = {"filename": bare, "filepath": name, "extension": bare[dot:] if dot > 0 else ""}
            for external, value in given.items():
                scanner.set_global(external, value)
        seconds = SECONDS + len(data) // PER_SECOND
        if _Held.seconds.get(id(scanner)) != seconds:
            scanner.set_timeout(seconds)
            _Held.seconds[id(scanner)] = seconds
        try:
            return scanner.scan(data), scanner is _Held.quick
        except yara_x.TimeoutError:
            continue
    return None, True
