# SPDX-License-Identifier: Apache-2.0
"""The Linux audit trail, and the processes that it saw begin (linux.audit).

Reads:  /var/log/audit/audit.log and its rotations: raw and enriched lines; or content that looks like them.
Time:   seconds and milliseconds since 1970 in the record, UTC, by the host's own clock.
Format: audit.log(5) of the audit project; values in quotes or hexadecimal; names behind 0x1D where enriched.
Limits: a parent's program is known only where this file saw it begin, and a pid may have been used again since; which
        process a line names is the kernel's word, what USER_ records say is the program's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.audit_join import with_processes
from headwater.examine.audit_lines import LINES
from headwater.examine.batch import Batch
from headwater.examine.lines import line_batches
from headwater.model.records import File

FEED = "linux.audit"
VERSION = 1
READS = ("/var/log/audit/audit.log*", "/audit.log", "/audit.log.?", "/audit.log.??")
_BLOCK = 4 << 20  # audit lines have many words: a block is held as columns several times its size
_LINE = re.compile(rb"(?:node=[^ \n]+ )?type=[A-Z][A-Z0-9_\[\]]* msg=audit\([0-9]+\.[0-9]+:[0-9]+\):")


def batches(file: File, block: int = _BLOCK) -> Iterator[Batch]:
    """Every line an event (ordinal 0); process creations joined from several lines follow as ordinal 1."""
    return with_processes(line_batches(LINES, file, block))


def recognise(head: bytes) -> bool:
    lines = [line for line in head.split(b"\n")[:20] if line.strip()]
    return bool(lines) and sum(1 for line in lines if _LINE.match(line)) * 2 > len(lines)
