# SPDX-License-Identifier: Apache-2.0
"""Pages that Chrome, Edge and their kin opened, what they downloaded, what was searched for (browser.chromium).

Reads:  /…/User Data/PROFILE/History and "Archived History" of Chrome, Edge, Brave, Chromium, Opera, 360 and QQ browsers; the same
        below .config on Linux; the History-wal beside it: rows of it that the database has not, or not so.
Time:   microseconds since 1601, UTC: a visit, a download's start and end; seconds since 1970 for downloads of old versions.
Format: SQLite; https://source.chromium.org/chromium/chromium/src/+/main:components/history/core/browser/ (urls, visits, downloads,
        downloads_url_chains, keyword_search_terms); transitions: ui/base/page_transition_types.h.
Limits: kept for 90 days, what the user clears is gone; a page whose visits are gone is told once with its last visit; pages of
        before in a History-journal beside are not seen; the user is the one whose profile it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from headwater.examine.parsers._browser import ROWS_MOST, When, literal, rows_by, unix_micro, webkit
from headwater.examine.parsers._sqlite import LOG, Columns, Make, number, of_log, rows_of, text, value
from headwater.examine.parsers._text import user_of
from headwater.formats.sqlite_file import Database, Row
from headwater.formats.sqlite_file import Value as Stored
from headwater.model.kinds import EventKind, Outcome
from headwater.model.records import Event, File, Record, Value

FEED = "browser.chromium"
VERSION = 1
_DATABASES = (
    "/User Data/*/History", "/User Data/History", "/User Data/*/Archived History", "/.config/**/History", "/Opera Software/**/History",
    "/.cache/chromium/**/History", "/360se6/**/History", "/Default/History",
)  # fmt: skip
READS = (*_DATABASES, *(name + LOG for name in _DATABASES))
beside = of_log
_BROWSERS = (
    ("/edge/", "Edge"), ("/chrome/", "Chrome"), ("google-chrome", "Chrome"), ("brave", "Brave"), ("opera", "Opera"),
    ("360", "360"), ("qqbrowser", "QQ"), ("chromium", "Chromium"), ("microsoft-edge", "Edge"),
)  # fmt: skip
_TRANSITIONS = (
    "link", "typed", "bookmark", "frame", "frame by the user", "generated", "start page", "form", "reload", "keyword",
    "keyword generated",
)  # fmt: skip
_QUALIFIERS = (
    (0x0080_0000, "blocked"), (0x0100_0000, "back or forward"), (0x0200_0000, "address bar"), (0x0400_0000, "home page"),
    (0x0800_0000, "by another program"), (0x4000_0000, "client redirect"), (0x8000_0000, "server redirect"),
)  # fmt: skip
_STATES = {0: "in progress", 1: "complete", 2: "cancelled", 3: "interrupted", 4: "interrupted"}
# components/download/public/common/download_danger_type.h
_DANGERS = {
    0: "not dangerous", 1: "dangerous file", 2: "dangerous URL", 3: "dangerous content", 4: "maybe dangerous",
    5: "uncommon", 6: "user validated", 7: "dangerous host", 8: "potentially unwanted",
}  # fmt: skip
_OLD_MOST = 1 << 34  # seconds since 1970: older downloads


def parse(file: File) -> Iterator[Record]:
    yield from rows_of(file, partial(_plan, _of(file.path), user_of(file.path)))


def _of(path: str) -> str:
    lower = path.lower()
    return next((name for mark, name in _BROWSERS if mark in lower), "Chromium")


def _plan(browser: str, user: str | None, database: Database) -> Mapping[str, Make]:
    pages: dict[int, Columns] = {}
    visited: set[int] = set()
    came: dict[int, int] = {}  # the page of a visit
    terms: dict[int, str] = {}
    chains: dict[int, list[str]] = {}
    for row, columns in rows_by(database, "urls"):
        pages[row.rowid] = columns
    for row, columns in rows_by(database, "visits"):
        page = number(columns.get("url"))
        if page is not None:
            visited.add(page)
            came[row.rowid] = page
    for _, columns in rows_by(database, "keyword_search_terms"):
        page, term = number(columns.get("url_id")), text(columns.get("term"))
        if page is not None and term:
            terms[page] = term
    for _, columns in rows_by(database, "downloads_url_chains"):
        download, url = number(columns.get("id")), text(columns.get("url"))
        if download is not None and url and len(chains) < ROWS_MOST:
            chains.setdefault(download, []).append(url)
    head: dict[str, Value] = {"browser": browser}
    return {
        "visits": partial(_visit, head, user, pages, came, terms),
        "urls": partial(_page, head, user, visited, terms),
        "downloads": partial(_download, head, user, chains),
    }


def _told(columns: Columns, *names: str) -> dict[str, Value]:
    """Columns under their own names, those that hold nothing left out."""
    return {name: value(columns[name]) for name in names if columns.get(name) not in (None, "")}


def _visit(
    head: Mapping[str, Value],
    user: str | None,
    pages: Mapping[int, Columns],
    came: Mapping[int, int],
    terms: Mapping[int, str],
    row: Row,
    columns: Columns,
) -> Event | None:
    page, when = number(columns.get("url")), webkit(columns.get("visit_time"))
    if page is None:
        return None
    target = pages.get(page, {})
    url = text(target.get("url"))
    fields = dict(head) | _told(target, "url", "title", "visit_count", "typed_count", "hidden")
    fields |= _told(columns, "visit_duration", "from_visit", "originator_cache_guid")
    fields["url_id"] = page
    before = came.get(number(columns.get("from_visit")) or 0)
    origin = (
        text(pages.get(before, {}).get("url")) if before is not None else text(columns.get("external_referrer_url"))
    )
    if origin:
        fields["from_url"] = value(origin)
    if page in terms:
        fields["search_term"] = value(terms[page])
    fields |= _transition(number(columns.get("transition")))
    return Event(
        row.offset, row.length, EventKind.BROWSER_VISIT, *when, "visited", user=user, dst_ip=literal(url), provider="browser",
        fields=fields,
    )  # fmt: skip


def _transition(stated: int | None) -> dict[str, Value]:
    if stated is None:
        return {}
    core = stated & 0xFF
    said: dict[str, Value] = {"transition": _TRANSITIONS[core] if core < len(_TRANSITIONS) else str(core)}
    more = [name for bit, name in _QUALIFIERS if stated & bit]
    return said | ({"transition_by": ", ".join(more)} if more else {})


def _page(
    head: Mapping[str, Value], user: str | None, visited: set[int], terms: Mapping[int, str], row: Row, columns: Columns
) -> Event | list[Event]:
    """A page whose visits are not there any more."""
    if row.rowid in visited:
        return []
    fields = dict(head) | _told(columns, "url", "title", "visit_count", "typed_count", "hidden") | {"url_id": row.rowid}
    if row.rowid in terms:
        fields["search_term"] = value(terms[row.rowid])
    fields["visits_gone"] = True
    return Event(
        row.offset, row.length, EventKind.BROWSER_VISIT, *webkit(columns.get("last_visit_time")), "last", user=user,
        dst_ip=literal(text(columns.get("url"))), provider="browser", fields=fields,
    )  # fmt: skip


def _download(
    head: Mapping[str, Value], user: str | None, chains: Mapping[int, list[str]], row: Row, columns: Columns
) -> list[Event]:
    """The start of a download, and its end where it is stated."""
    chain = chains.get(row.rowid, [])
    url = text(columns.get("url")) or (chain[-1] if chain else None) or text(columns.get("tab_url"))
    path = text(columns.get("target_path")) or text(columns.get("full_path")) or text(columns.get("current_path"))
    fields = dict(head) | _told(
        columns, "guid", "received_bytes", "total_bytes", "interrupt_reason", "opened", "referrer", "site_url", "tab_url",
        "tab_referrer_url", "mime_type", "by_ext_id", "by_ext_name", "http_method", "current_path",
    )  # fmt: skip
    if url:
        fields["url"] = value(url)
    if len(chain) > 1:
        fields["url_chain"] = value("\n".join(chain[:100]))
    state, danger = number(columns.get("state")), number(columns.get("danger_type"))
    if state is not None:
        fields["state"] = _STATES.get(state, str(state))
    if danger is not None:
        fields["danger"] = _DANGERS.get(danger, str(danger))
    digest = columns.get("hash")
    outcome = Outcome.SUCCESS if state == 1 else Outcome.FAILURE if state in (2, 3, 4) else None
    times = [(_moment(columns.get("start_time")), "started"), (_moment(columns.get("end_time")), "ended")]
    return [
        Event(
            row.offset, row.length, EventKind.BROWSER_DOWNLOAD, *when, said, outcome=outcome, user=user, file_path=path,
            dst_ip=literal(url), provider="browser", fields=fields,
            hash=digest.hex() if isinstance(digest, bytes) and len(digest) == 32 else None,
        )
        for when, said in [t for t in times if t[0][0] is not None] or times[:1]
    ]  # fmt: skip


def _moment(stored: Stored) -> When:
    """A download's time: seconds since 1970 in old versions, microseconds since 1601 now."""
    moment = number(stored)
    return unix_micro(moment * 1_000_000) if moment and 0 < moment < _OLD_MOST else webkit(stored)
