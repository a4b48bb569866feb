# SPDX-License-Identifier: Apache-2.0
"""The indicator lists of a case: read from the files that were given, kept in the case, matched when it is judged.

The case keeps what the lists hold (``indicator-lists.json``) with the digest of each file, so that what they found can be
derived again when the files are gone; its own digest is entered in the ledger with the findings.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater.formats.indicator_lists import LIST_MOST, BadList, IndicatorList, read_list
from headwater.model.errors import DetectError
from headwater.model.paths import encode_name
from headwater.procedure.kept_files import KeptFile

if TYPE_CHECKING:  # the automaton is loaded where lists are
    from headwater.detect.indicators import Wanted
    from headwater.model.nouns import Finding
    from headwater.store.events import EventStore

FILE = KeptFile("indicator-lists.json", "lists", "HW6012")
Json = dict[str, Any]


def read(given: Sequence[Path]) -> list[tuple[IndicatorList, str]]:
    """The lists in these files, each with the file's SHA-256.

    Raises:
        DetectError: HW6012, a file that is not there, too large, or no list.
    """
    found = []
    for path in given:
        try:
            if path.stat().st_size > LIST_MOST:
                raise BadList(f"more than {LIST_MOST >> 20} MiB")
            data = path.read_bytes()
            found.append((read_list(encode_name(os.fsencode(path.name)), data), hashlib.sha256(data).hexdigest()))
        except OSError as error:
            raise DetectError("HW6012", str(path), what=error.strerror) from error
        except BadList as error:
            raise DetectError("HW6012", str(path), what=str(error)) from error
    return found


def keep(case: Path, lists: Sequence[tuple[IndicatorList, str]]) -> None:
    """Write the lists into the case; without any, what the case holds stands."""
    if not lists:
        return
    held = [
        {
            "name": one.name, "form": one.form, "sha256": sha, "unused": dict(sorted(one.unused.items())),
            "indicators": [[i.kind, i.value, i.place, i.about] for i in one.indicators],
        }
        for one, sha in lists
    ]  # fmt: skip
    FILE.write(case, held)


def told(case: Path) -> list[Json]:
    """What the report says of the lists: name, form, digest, how many indicators, what could not be used."""
    return [
        {"name": one["name"], "form": one["form"], "sha256": one["sha256"], "indicators": len(one["indicators"]),
         "unused": one["unused"]}
        for one in FILE.read(case)
    ]  # fmt: skip


def findings(case: Path, store: EventStore) -> Iterator[Finding]:
    """The findings of all lists that the case keeps, each with its id."""
    held = FILE.read(case)
    if not held:
        return
    from headwater.detect.indicators import Wanted, match
    from headwater.formats.canonical import identify

    wanted: list[Wanted] = [
        Wanted(str(kind), str(value), str(place), str(about), str(one["name"]), str(one["sha256"]))
        for one in held
        for kind, value, place, about in one["indicators"]
    ]
    for finding in match(store, wanted):
        yield identify("F", finding)
