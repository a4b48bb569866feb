# SPDX-License-Identifier: Apache-2.0
"""Name several images as one disk set, for arrays and volume groups whose members were imaged apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headwater.formats.disk_sets import SUFFIX, describe
from headwater.formats.segments import segments
from headwater.model.errors import AcquireError, UsageError


def write_set(out: Path, members: Sequence[Path]) -> list[list[Path]]:
    """Write the description of a set beside its images; returns the files of each member.

    Raises:
        UsageError: HW0001 where the name does not end in ``.hwset``, HW0010 where the file is there already.
        AcquireError: HW2001 a member that is not there, HW2009 members in other folders, one twice, or fewer than two.
    """
    if out.suffix != SUFFIX:
        raise UsageError("HW0001", what=f"{out}: *{SUFFIX}")
    if out.exists():
        raise UsageError("HW0010", str(out))
    held = [segments(member) for member in members]
    seen: set[Path] = set()
    for files in held:
        for file in files:
            if file.absolute() in seen:
                raise AcquireError("HW2009", str(file), what="named twice")
            seen.add(file.absolute())
    out.write_bytes(describe(held, out.absolute().parent))
    return held
