# SPDX-License-Identifier: Apache-2.0
"""What was typed into IPython and Jupyter's Python kernel: sessions, inputs, and outputs where they are kept (linux.ipython).

Reads:  ~/.ipython/profile_*/history.sqlite, and the history.sqlite-wal beside: rows that the database has not, or not so.
Time:   when the session of a row began and ended, the user's wall clock, microseconds; an input has no time of its own.
Format: SQLite; tables sessions, history, output_history (IPython/core/history.py).
Limits: written in batches by a thread, so that a killed process leaves its last inputs out; the owner can edit it; outputs only
        where HistoryManager.db_log_output was set.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._sqlite import Columns, Make, named, number, of_log, rows_of, text
from headwater.examine.parsers._text import user_of
from headwater.examine.parsers._when import NONE, When, iso
from headwater.formats.patterns import lazy_regex
from headwater.formats.sqlite_file import Database, Fault, Row
from headwater.model.kinds import EventKind
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Record, Value

FEED = "linux.ipython"
VERSION = 1
READS = tuple(f"/.ipython/profile_*/history.sqlite{end}" for end in ("", "-wal"))
beside = of_log
_MOST = 200_000  # sessions that are kept for their times
_TEXT = 65_536
_SHELL = lazy_regex(
    r"(?m)^[ \t]{0,80}(?:\w{1,80}[ \t]{0,9}=[ \t]{0,9})?!{1,2}(?P<bang>.+)$"
    r"|\bos\.(?:system|popen)\([ \t]{0,9}(?P<quote>['\"])(?P<call>.*?)(?P=quote)"
    r"|^%%?(?:sx|system|bash|sh|script)[ \t]{1,9}(?P<magic>.+)$"
)


def _sessions(database: Database) -> dict[int, When]:
    found: dict[int, When] = {}
    if "sessions" in database.tables():
        for item in database.rows(database.tables()["sessions"].root):
            if not isinstance(item, Fault) and len(found) < _MOST:
                columns = named(database, "sessions", item)
                session = number(columns.get("session"))
                if session is not None:
                    found[session] = iso(text(columns.get("start")) or "")
    return found


def parse(file: File) -> Iterator[Record]:
    user, path = user_of(file.path), file_layer(file.path)

    def makers(database: Database) -> dict[str, Make]:
        sessions = _sessions(database)

        def event(row: Row, kind: EventKind, when: When, command: str | None, own: dict[str, Value]) -> Event:
            fields = {"shell": "ipython", **own}
            return Event(
                row.offset, row.length, kind, t_recorded=when[0], t_basis=when[1], t_kind="began", user=user,
                command_line=command, file_path=path, fields={k: v for k, v in fields.items() if v is not None},
            )  # fmt: skip

        def session(row: Row, columns: Columns) -> Event:
            start, end = text(columns.get("start")), text(columns.get("end"))
            when = iso(start or "")
            own: dict[str, Value] = {
                "session": number(columns.get("session")), "ended": end, "commands": number(columns.get("num_cmds")),
                "remark": text(columns.get("remark")), "time_text": start if when[0] is None else None,
            }  # fmt: skip
            return event(row, EventKind.SESSION_OPEN, when, None, own)

        def entered(row: Row, columns: Columns) -> Event:
            raw = text(columns.get("source_raw")) or text(columns.get("source")) or ""
            called = [m["bang"] or m["call"] or m["magic"] for m in _SHELL.finditer(raw[:_TEXT])]
            number_of = number(columns.get("session"))
            own: dict[str, Value] = {
                "session": number_of, "index": number(columns.get("line")),
                "shell_commands": "\n".join(c.strip() for c in called)[:_TEXT] or None,
            }  # fmt: skip
            return event(row, EventKind.COMMAND_HISTORY, sessions.get(number_of or 0, NONE), raw[:_TEXT], own)

        def printed(row: Row, columns: Columns) -> Event:
            number_of = number(columns.get("session"))
            own: dict[str, Value] = {
                "session": number_of, "index": number(columns.get("line")),
                "message": (text(columns.get("output")) or "")[:_TEXT],
            }  # fmt: skip
            return event(row, EventKind.LOG_MESSAGE, sessions.get(number_of or 0, NONE), None, own)

        return {"sessions": session, "history": entered, "output_history": printed}

    return rows_of(file, makers)
