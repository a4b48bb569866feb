# SPDX-License-Identifier: Apache-2.0
"""The compiled YARA rules that a confined child holds, and what they match in bytes.

Where the parent made a sieve, most contents that no rule matches are told by it (:mod:`headwater.examine.yara_sieve`); what
matches is always said by all rules over all the bytes.

A child is given them before it locks itself down, because they are mapped as machine code, which a locked child may not
do. They are made by the parent in the same run and are never read from a file that somebody else may have written.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import yara_x

from headwater.model.errors import ExamineError

if TYPE_CHECKING:
    from headwater.examine.yara_sieve import Sieve, Worth

NOTHING, OPEN = 0, 1  # what a sieve says
PER_PATTERN = 1_000  # places that the scanner looks for at most, of each pattern
SECONDS, PER_SECOND = 20, 8 << 20  # a scan may take so long, and a second more for each 8 MiB


class _Held:
    whole: yara_x.Scanner | None = None
    quick: yara_x.Scanner | None = None
    by_name = False
    sieve: Sieve | None = None
    worth: Worth | None = None
    open: yara_x.Scanner | None = None
    seconds: ClassVar[dict[int, int]] = {}  # what each scanner was last told, by id


def hold(args: Mapping[str, Any], fds: Sequence[int]) -> None:
    """Take the rules of this process.

    ``fds``: the parts named in ``parts`` of ``args``: all rules, those without the slow ones, the plan of the sieve and the
    rules of which that cannot tell; all but the first only where there are any. ``by_name``: some rule asks for the
    file's name.
    """
    found: dict[str, yara_x.Scanner] = {}
    _Held.sieve = _Held.worth = None
    for part, fd in zip(args.get("parts", ("whole", "quick")), fds, strict=False):
        data = os.pread(fd, os.fstat(fd).st_size, 0)
        if part == "sieve":
            from headwater.examine.yara_sieve import Sieve, Worth  # numpy is loaded where there is one

            _Held.sieve, _Held.worth = Sieve(data), Worth()
            continue
        found[part] = yara_x.Scanner(yara_x.Rules.deserialize_from(io.BytesIO(data)))
        found[part].max_matches_per_pattern(PER_PATTERN)
    _Held.whole, _Held.quick, _Held.open = found["whole"], found.get("quick"), found.get("open")
    _Held.by_name = bool(args["by_name"])
    _Held.seconds = {}


def results(data: bytes, name: str) -> tuple[Sequence[yara_x.Rule] | None, bool]:
    """What matches, and whether the slow rules had to be left out; None where even the others took too long.

    ``name``: the path, for rules that ask for it.

    Raises:
        ExamineError: HW4003, this process was given no rules.
    """
    if _Held.whole is None:
        raise ExamineError("HW4003", name, what="no YARA rules were given to this process")
    if _nothing(data, name):
        return (), False
    for scanner in (_Held.whole, _Held.quick):
        if scanner is None:
            continue
        try:
            began = time.thread_time()
            found = _scan(scanner, data, name).matching_rules
            if _Held.worth is not None:
                _Held.worth.looked(len(data), time.thread_time() - began)
            return found, scanner is _Held.quick
        except yara_x.TimeoutError:
            continue
    return None, True


def _scan(scanner: yara_x.Scanner, data: bytes, name: str) -> yara_x.ScanResults:
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
    return scanner.scan(data)


def _nothing(data: bytes, name: str) -> bool:
    """Whether the sieve says that no rule matches, with the engine's word for the rules of which it cannot tell."""
    sieve = _Held.sieve
    if sieve is None or _Held.worth is None or not _Held.worth(len(data)):
        return False
    began = time.thread_time()
    may = sieve.ask(data)
    nothing = may == NOTHING
    if may == OPEN and _Held.open is not None:
        try:
            nothing = not _scan(_Held.open, data, name).matching_rules
        except yara_x.TimeoutError:
            nothing = False
    _Held.worth.asked(len(data), nothing, time.thread_time() - began)
    return nothing
