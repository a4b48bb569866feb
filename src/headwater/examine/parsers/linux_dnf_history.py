# SPDX-License-Identifier: Apache-2.0
"""dnf's transactions: when, by which user, with which command, and every package of them (linux.dnf_history).

Reads:  /var/lib/dnf/history.sqlite, and the history.sqlite-wal beside: rows that the database has not, or not so.
Time:   dt_begin of the transaction, seconds, UTC by the host's own clock; a package has the time of its transaction.
Format: SQLite; tables trans, trans_item, rpm, console_output (libdnf, libdnf/transaction/sql).
Limits: rpm used directly is not there; ``uid`` is the login user's number (-1 or 4294967295: none, such as a timer);
        dnf5's and yum's own databases are other formats.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._sqlite import Columns, Make, named, number, of_log, rows_of, text
from headwater.formats.sqlite_file import Database, Fault, Row
from headwater.model.kinds import EventKind, Outcome, TimeBasis
from headwater.model.records import Event, File, Record, Value
from headwater.model.times import SECOND

FEED = "linux.dnf_history"
VERSION = 1
READS = ("/var/lib/dnf/history.sqlite", "/var/lib/dnf/history.sqlite-wal")
beside = of_log
_MOST = 500_000  # rows of a table that are kept to name packages and times
_ACTIONS = (
    "", "install", "downgrade", "downgraded", "obsolete", "obsoleted", "upgrade", "upgraded", "remove", "reinstall",
    "reinstalled", "reason change",
)  # fmt: skip
_KINDS = {
    "install": EventKind.PACKAGE_INSTALL,
    "reinstall": EventKind.PACKAGE_INSTALL,
    "upgrade": EventKind.PACKAGE_UPGRADE,
    "downgrade": EventKind.PACKAGE_UPGRADE,
    "remove": EventKind.PACKAGE_REMOVE,
    "obsoleted": EventKind.PACKAGE_REMOVE,
}


def _table(database: Database, table: str, key: str) -> dict[int, Columns]:
    """A table's rows by a number in them; faults are told by the reading that makes events."""
    found: dict[int, Columns] = {}
    if table in database.tables():
        for item in database.rows(database.tables()[table].root):
            if not isinstance(item, Fault) and len(found) < _MOST:
                columns = named(database, table, item)
                if (value := number(columns.get(key))) is not None:
                    found[value] = columns
    return found


def _begun(columns: Columns) -> tuple[int | None, TimeBasis]:
    seconds = number(columns.get("dt_begin"))
    if seconds is None or not 0 < seconds < 1 << 33:
        return None, TimeBasis.NONE
    return seconds * SECOND, TimeBasis.UTC


def _transaction(row: Row, columns: Columns) -> Event:
    time, basis = _begun(columns)
    state, end = number(columns.get("state")), number(columns.get("dt_end"))
    fields: dict[str, Value] = {
        "transaction": row.rowid,
        "uid": number(columns.get("user_id")),
        "ended": end,
        "release": text(columns.get("releasever")),
        "comment": text(columns.get("comment")),
    }
    return Event(
        row.offset, row.length, EventKind.PACKAGE_STATUS, time, basis,
        outcome={1: Outcome.SUCCESS, 2: Outcome.FAILURE}.get(state or 0), command_line=text(columns.get("cmdline")),
        fields={k: v for k, v in fields.items() if v is not None},
    )  # fmt: skip


def _makers(database: Database) -> dict[str, Make]:
    transactions, packages = _table(database, "trans", "id"), _table(database, "rpm", "item_id")

    def item(row: Row, columns: Columns) -> Event:
        transaction = number(columns.get("trans_id"))
        package = packages.get(number(columns.get("item_id")) or 0, {})
        code = number(columns.get("action")) or 0
        action = _ACTIONS[code] if 0 <= code < len(_ACTIONS) else ""
        time, basis = _begun(transactions.get(transaction or 0, {}))
        version = "-".join(v for k in ("version", "release") if (v := text(package.get(k))))
        fields: dict[str, Value] = {
            "action": action or None,
            "package": text(package.get("name")),
            "version": version or None,
            "arch": text(package.get("arch")),
            "epoch": number(package.get("epoch")),
            "transaction": transaction,
        }
        kind = _KINDS.get(action, EventKind.PACKAGE_STATUS)
        own = {k: v for k, v in fields.items() if v is not None}
        return Event(row.offset, row.length, kind, time, basis, fields=own)

    def printed(row: Row, columns: Columns) -> Event:
        transaction = number(columns.get("trans_id"))
        time, basis = _begun(transactions.get(transaction or 0, {}))
        fields: dict[str, Value] = {"message": text(columns.get("line")) or "", "transaction": transaction}
        return Event(row.offset, row.length, EventKind.LOG_MESSAGE, time, basis, fields=fields)

    return {"trans": _transaction, "trans_item": item, "console_output": printed}


def parse(file: File) -> Iterator[Record]:
    return rows_of(file, _makers)
