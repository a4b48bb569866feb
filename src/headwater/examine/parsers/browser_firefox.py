# SPDX-License-Identifier: Apache-2.0
"""Pages that Firefox opened and files that it downloaded (browser.firefox).

Reads:  /…/Firefox/Profiles/PROFILE/places.sqlite, ~/.mozilla/firefox/PROFILE/places.sqlite, and the places.sqlite-wal of a browser
        that was not closed: rows of it that the database has not, or not so.
Time:   microseconds since 1970, UTC: a visit; milliseconds for the end of a download.
Format: SQLite; tables moz_places, moz_historyvisits, moz_annos: toolkit/components/places/nsPlacesTables.h and
        nsINavHistoryService.idl (visit types) of https://searchfox.org/mozilla-central/.
Limits: rows that the log takes away are told still by the database; a page whose visits are gone is told once with its last visit;
        bookmarks that were never opened are not told; the user is the one whose profile it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from urllib.parse import unquote, urlsplit

from headwater.examine.parsers._browser import ROWS_MOST, literal, rows_by, unix_micro
from headwater.examine.parsers._sqlite import Columns, Make, number, of_log, rows_of, text, value
from headwater.examine.parsers._text import user_of
from headwater.formats.sqlite_file import Database, Row
from headwater.model.kinds import EventKind, Outcome, TimeBasis
from headwater.model.records import Event, File, Record, Value

FEED = "browser.firefox"
VERSION = 1
READS = ("/places.sqlite", "/places.sqlite-wal")
beside = of_log
_TYPES = {
    1: "link", 2: "typed", 3: "bookmark", 4: "embedded", 5: "permanent redirect", 6: "temporary redirect", 7: "download",
    8: "framed link", 9: "reload",
}  # fmt: skip
_DOWNLOAD = 7
_DESTINATION, _META = "downloads/destinationFileURI", "downloads/metaData"
_DONE = {1: Outcome.SUCCESS, 2: Outcome.FAILURE, 3: Outcome.FAILURE, 6: Outcome.FAILURE, 8: Outcome.FAILURE}
_META_MOST = 65_536
Notes = Mapping[int, Mapping[str, str]]  # a page's annotations by name


def parse(file: File) -> Iterator[Record]:
    yield from rows_of(file, partial(_plan, user_of(file.path)))


def _plan(user: str | None, database: Database) -> Mapping[str, Make]:
    pages: dict[int, Columns] = {row.rowid: columns for row, columns in rows_by(database, "moz_places")}
    came: dict[int, int] = {}
    for row, columns in rows_by(database, "moz_historyvisits"):
        page = number(columns.get("place_id"))
        if page is not None:
            came[row.rowid] = page
    names = {row.rowid: text(columns.get("name")) for row, columns in rows_by(database, "moz_anno_attributes")}
    notes: dict[int, dict[str, str]] = {}
    for _, columns in rows_by(database, "moz_annos"):
        page, name = number(columns.get("place_id")), names.get(number(columns.get("anno_attribute_id")) or 0)
        content = text(columns.get("content"))
        if page is not None and name and content and len(notes) < ROWS_MOST:
            notes.setdefault(page, {})[name] = content
    return {
        "moz_historyvisits": partial(_visit, user, pages, came, notes),
        "moz_places": partial(_page, user, set(came.values())),
    }


def _told(columns: Columns) -> dict[str, Value]:
    names = ("url", "title", "visit_count", "typed", "hidden", "description")
    return {"browser": "Firefox"} | {n: value(columns[n]) for n in names if columns.get(n) not in (None, "")}


def _visit(
    user: str | None, pages: Mapping[int, Columns], came: Mapping[int, int], notes: Notes, row: Row, columns: Columns
) -> Event | None:
    page = number(columns.get("place_id"))
    if page is None:
        return None
    target = pages.get(page, {})
    url, kind = text(target.get("url")), number(columns.get("visit_type"))
    fields = _told(target) | {"place_id": page}
    origin = text(pages.get(came.get(number(columns.get("from_visit")) or 0, 0), {}).get("url"))
    if origin:
        fields["from_url"] = value(origin)
    if kind is not None:
        fields["transition"] = _TYPES.get(kind, str(kind))
    when = unix_micro(columns.get("visit_date"))
    if kind != _DOWNLOAD:
        return Event(
            row.offset, row.length, EventKind.BROWSER_VISIT, *when, "visited", user=user, dst_ip=literal(url),
            provider="browser", fields=fields,
        )  # fmt: skip
    path, outcome, more = _downloaded(notes.get(page, {}))
    return Event(
        row.offset, row.length, EventKind.BROWSER_DOWNLOAD, *when, "started", outcome=outcome, user=user, file_path=path,
        dst_ip=literal(url), provider="browser", fields=fields | more,
    )  # fmt: skip


def _downloaded(notes: Mapping[str, str]) -> tuple[str | None, Outcome | None, dict[str, Value]]:
    """Where a download went, whether it ended well, and its size, end and state, by the page's annotations."""
    said: dict[str, Value] = {}
    path = None
    stated = notes.get(_DESTINATION)
    if stated:
        said["destination"] = value(stated)
        path = _local(stated)
    meta: object = None
    try:
        meta = json.loads(notes.get(_META, "null")[:_META_MOST])
    except (ValueError, RecursionError):
        said["meta_text"] = value(notes[_META])
    outcome = None
    if isinstance(meta, dict):
        state, size, end = (meta.get(name) for name in ("state", "fileSize", "endTime"))
        for name, found in (("state", state), ("total_bytes", size), ("end_time_ms", end)):
            if isinstance(found, int) and not isinstance(found, bool) and abs(found) < 1 << 63:
                said[name] = found
        outcome = _DONE.get(state) if isinstance(state, int) else None
    return path, outcome, said


def _local(uri: str) -> str | None:
    """The path of a ``file:`` URI: ``/C:/x`` as ``C:\\x``, as Windows writes it."""
    try:
        path = unquote(urlsplit(uri).path)
    except ValueError:
        return None
    return path[1:].replace("/", "\\") if path[2:3] == ":" else path or None


def _page(user: str | None, visited: set[int], row: Row, columns: Columns) -> Event | list[Event]:
    """A page with a last visit and without visits: they were cleared or have expired."""
    when = unix_micro(columns.get("last_visit_date"))
    if row.rowid in visited or (when[1] is TimeBasis.NONE and not number(columns.get("visit_count"))):
        return []
    url = text(columns.get("url"))
    fields = _told(columns) | {"place_id": row.rowid, "visits_gone": True}
    return Event(
        row.offset, row.length, EventKind.BROWSER_VISIT, *when, "last", user=user, dst_ip=literal(url), provider="browser",
        fields=fields,
    )  # fmt: skip
