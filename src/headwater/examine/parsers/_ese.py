# SPDX-License-Identifier: Apache-2.0
"""Records of ESE tables as events, in the counted form: records found and records lost are what the tables hold."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence

from headwater.examine.parsers._sqlite import ParserSource
from headwater.formats.ese_file import Database, Fault, Header, NotEse, Row, open_ese
from headwater.formats.ese_file import Value as Stored
from headwater.formats.evtx_values import guid_text
from headwater.formats.registry_layout import nanoseconds
from headwater.model.kinds import GapReason, TimeBasis
from headwater.model.records import Count, Event, File, Gap, Record, Value
from headwater.model.times import rfc3339

Make = Callable[[Row], Sequence[Event]]
Plan = Callable[[Database], Mapping[str, Make]]
When = tuple[int | None, TimeBasis]
NO_TIME: When = (None, TimeBasis.NONE)
_STATE_AT = 52  # where the header says how the database was closed
_TEXT = 8192
_PLACES = 16
_DAY = 86_400
_EPOCH_DAYS = 25_569  # days from 1899-12-30 to 1970-01-01


def rows_of(file: File, plan: Plan, what: str) -> Iterator[Record]:
    """Events of the tables that ``plan`` names, in order of table and key; faults as gaps; the count at the end.

    A record that its maker has nothing to say of counts as lost and is a gap. Slack is what stands in no record.
    ``what``: of what the file would be a database, for the gap over one that has none of the tables.
    """
    try:
        database = open_ese(ParserSource(file))
    except NotEse as error:
        if file.size:
            yield Gap(0, file.size, GapReason.NOT_THIS_FORMAT, str(error))
        yield Count(0, 0, 0)
        return
    tables = database.tables()
    makers = plan(database)
    if not database.header.clean:
        yield Gap(_STATE_AT, 4, GapReason.NOT_REPLAYED, _not_replayed(database.header))
    for fault in database.faults:
        yield Gap(fault.offset, fault.length, GapReason.NOT_THIS_FORMAT, f"catalog: {fault.why}")
    chosen = [name for name in sorted(makers) if name in tables]
    if not chosen:
        yield Gap(0, file.size, GapReason.NOT_THIS_FORMAT, f"an ESE database without the tables of {what}")
    declared = lost = used = 0
    for name in chosen:
        for item in database.rows(tables[name]):
            if isinstance(item, Fault):
                if item.length:
                    declared, lost = declared + 1, lost + 1
                yield Gap(item.offset, item.length, GapReason.NOT_THIS_FORMAT, f"{name}: {item.why}")
                continue
            declared += 1
            used += item.length
            made = makers[name](item)
            if not made:
                lost += 1
                yield Gap(item.offset, item.length, GapReason.NOT_THIS_FORMAT, f"a record of {name} without sense")
            yield from made
            if item.unread:
                why = f"{name}: columns that could not be read: {', '.join(item.unread)}"
                yield Gap(item.offset, item.length, GapReason.UNSUPPORTED, why)
    yield Count(declared, lost, max(0, file.size - used))


def _not_replayed(header: Header) -> str:
    """How many logs stand out, by the database's own header."""
    rest = "what stands in them alone is not here"
    if not header.logs:
        return f"{header.state_text}: its header names no log files; {rest.replace('them', 'log files')}"
    last = f", with changes up to {header.committed}" if header.committed > header.last_log else ""
    which = (
        f"generation {header.first_log}" if header.logs == 1 else f"generations {header.first_log} to {header.last_log}"
    )
    return f"{header.state_text}: {header.logs} log file{'s' * (header.logs > 1)} not replayed ({which}{last}); {rest}"


def own(table: str, row: Row, leave: Sequence[str] = ()) -> dict[str, Value]:
    """The fields of a record under the names of its columns, and where it stands besides."""
    fields: dict[str, Value] = {"table": table}
    for name, stored in row.values.items():
        if name not in leave:
            fields[name] = value(stored)
    if row.deleted:
        fields["row_deleted"] = True
    if row.apart:
        fields["long_values_at"] = " ".join(f"{at}+{size}" for at, size in row.apart[:_PLACES])
    return fields


def value(stored: Stored) -> Value:
    """A stored value as an event's field; bytes in hexadecimal, many values on lines, long ones cut with their length."""
    if isinstance(stored, tuple):
        stored = "\n".join(str(value(part)) for part in stored)
    if isinstance(stored, bytes):
        return stored[: _TEXT // 2].hex() + (f"… ({len(stored)} bytes)" if len(stored) > _TEXT // 2 else "")
    if isinstance(stored, str) and len(stored) > _TEXT:
        return stored[:_TEXT] + f"… ({len(stored)} characters)"
    return stored


def text(row: Row, name: str) -> str | None:
    """A text that says something; None for what is missing, empty or no text."""
    stored = row.values.get(name)
    return stored if isinstance(stored, str) and stored else None


def whole(row: Row, name: str) -> int | None:
    """A whole number; None for anything else."""
    stored = row.values.get(name)
    return stored if isinstance(stored, int) and not isinstance(stored, bool) else None


def guid(row: Row, name: str) -> str | None:
    """A GUID in braces; None for what is none."""
    stored = row.values.get(name)
    return guid_text(stored) if isinstance(stored, bytes) and len(stored) == 16 else None


def filetime(stored: Stored) -> When:
    """A FILETIME, also one in a column for another kind of date; nothing for 0 and for what means "never"."""
    if isinstance(stored, bytes) and len(stored) == 8:
        stored = int.from_bytes(stored, "little")
    if not isinstance(stored, int) or isinstance(stored, bool) or stored <= 0:
        return NO_TIME
    moment = nanoseconds(stored)
    return NO_TIME if moment is None else (moment, TimeBasis.UTC)


def days(stored: Stored) -> When:
    """An OLE date, days since 1899-12-30 in floating point, to the microsecond that it can tell."""
    if not isinstance(stored, bytes) or len(stored) != 8:
        return NO_TIME
    (count,) = struct.unpack("<d", stored)
    if not math.isfinite(count) or not 0 < count < 2_000_000:
        return NO_TIME
    micro = round((count - _EPOCH_DAYS) * _DAY * 1_000_000)
    return (micro * 1000, TimeBasis.UTC) if abs(micro) < 9_223_372_036_854_775 else NO_TIME


def time_text(stored: Stored) -> str | None:
    """A FILETIME as text for a field."""
    return rfc3339(filetime(stored)[0])
