# SPDX-License-Identifier: Apache-2.0
"""The Linux audit trail, and the processes that it saw begin (linux.audit).

Reads:  /var/log/audit/audit.log and its rotations: raw and enriched lines; or content that looks like them.
Time:   seconds and milliseconds since 1970 in the record, UTC, by the host's own clock.
Format: audit.log(5) of the audit project; values in quotes or hexadecimal; names behind 0x1D where enriched.
Limits: a parent's program is known only where this file saw it begin, and a pid may have been used again since; which
        process a line names is the kernel's word, what USER_ records say is the program's.
"""

from __future__ import annotations

import polars as pl

from headwater.examine.audit_join import joined_rows
from headwater.examine.audit_lines import OWN
from headwater.examine.audit_plain import plain_rows
from headwater.examine.audit_programs import programs_of
from headwater.examine.audit_quick import quick_rows
from headwater.examine.line_blocks import Lines
from headwater.examine.lines import Context, Cut, LineGrammar
from headwater.formats import compiled
from headwater.formats.patterns import lazy_regex
from headwater.model.records import own_column

FEED = "linux.audit"
VERSION = 2
READS = ("/var/log/audit/audit.log*",)
_LINE = lazy_regex(rb"(?:node=[^ \n]+ )?type=[A-Z][A-Z0-9_\[\]]* msg=audit\([0-9]+\.[0-9]+:[0-9]+\):")
_DERIVED = {
    **dict.fromkeys(("records", "Image", "CommandLine", "CurrentDirectory", own_column("User")), pl.String),
    **dict.fromkeys(("ProcessId", "ParentProcessId"), pl.Int64),
    **dict.fromkeys(("ParentImage", "ParentCommandLine", "parent_record"), pl.String),
}


def _events(lines: Lines, context: Context) -> Cut:
    """Every line an event (ordinal 0); a process that was created is joined from several lines and follows as ordinal 1."""
    if context.near is None:
        return Cut.none(lines)
    library = compiled.library()
    if library is None:
        made = plain_rows(context.near, context.memory)
        return made if made is not None else joined_rows(context.near, programs_of(context.memory))
    return quick_rows(library, context.near, context.memory)


GRAMMAR = LineGrammar(shapes=(_events,), own={**OWN, **_DERIVED}, near=True)


def recognise(head: bytes) -> bool:
    lines = [line for line in head.split(b"\n")[:20] if line.strip()]
    return bool(lines) and sum(1 for line in lines if _LINE.match(line)) * 2 > len(lines)
