# SPDX-License-Identifier: Apache-2.0
"""Pages and files that Internet Explorer, the old Edge and programs through WinINet opened, fetched or kept (browser.webcache).

Reads:  /…/Microsoft/Windows/WebCache/WebCacheV01.dat, WebCacheV16.dat, WebCacheV24.dat; an ESE database.
Time:   FILETIME in UTC: last access, made; in the containers of a day or a week the time changed is the wall clock.
Format: tables Container_N, named by table Containers (History, MSHist01…, Content, Cookies, iedownload, …):
        https://github.com/libyal/esedb-kb/blob/main/documentation/MSIE%20WebCache.asciidoc.
Limits: local files opened in Explorer stand here too (file:///…); the rest of a record of iedownload is searched for its texts
        alone; the values of cookies are left out; often not closed in order (formats/ese_file).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from urllib.parse import unquote

from headwater.examine.parsers._browser import literal
from headwater.examine.parsers._ese import Make, filetime, own, rows_of, text, time_text, whole
from headwater.examine.parsers._text import user_of
from headwater.formats.ese_file import Database, Row
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.records import Event, File, Record, Value

FEED = "browser.webcache"
VERSION = 1
READS = ("/WebCacheV*.dat",)
_CONTAINER = lazy_regex(r"Container_(\d+)")
_TIMES = ("AccessedTime", "CreationTime", "ModifiedTime", "ExpiryTime", "SyncTime", "PostCheckTime")
_BLOBS = ("RequestHeaders", "ResponseHeaders", "ExtraData")
_PREFIX = lazy_regex(r"^(?:Visited: |:\d{16}: |iedownload:|Cookie:|ietld:|feedplat:)(?:([^@/\s]+)@)?(.*)$", re.DOTALL)
_WIDE = lazy_regex(rb"(?:[\x20-\x7e\xa0-\xff]\0|[^\0][\x01-\x9f]){4,2000}")
_HEADERS = 4096
_CONTAINERS_MOST = 100_000


def parse(file: File) -> Iterator[Record]:
    yield from rows_of(file, partial(_plan, user_of(file.path)), "WebCache")


def _plan(user: str | None, database: Database) -> Mapping[str, Make]:
    tables = database.tables()
    if "Containers" not in tables:
        return {}
    known: dict[int, tuple[str, str | None]] = {}
    for row in database.rows(tables["Containers"]):
        number = whole(row, "ContainerId") if isinstance(row, Row) else None
        if isinstance(row, Row) and number is not None and len(known) < _CONTAINERS_MOST:
            known[number] = text(row, "Name") or "", text(row, "Directory")
    database.seen.clear()
    makers: dict[str, Make] = {"Containers": partial(_container, user)}
    for name in tables:
        match = _CONTAINER.fullmatch(name)
        if match:
            makers[name] = partial(_entry, user, name, known.get(int(match.group(1)), ("", None)))
    return makers


def _container(user: str | None, row: Row) -> list[Event]:
    """What a program keeps here, and when it last did: a container outlives its entries."""
    fields = own("Containers", row, ("LastAccessTime", "LastScavengeTime", "ExtraData"))
    when = filetime(row.values.get("LastAccessTime"))
    path = text(row, "Directory")
    return [
        Event(
            row.offset, row.length, EventKind.USER_ACTIVITY, *when, "accessed", user=user, file_path=path, provider="browser",
            fields=fields,
        )
    ]  # fmt: skip


def _entry(user: str | None, table: str, container: tuple[str, str | None], row: Row) -> list[Event]:
    """An event at the last access, and one when the entry was made where that is another time."""
    name, folder = container
    fields = own(table, row, (*_TIMES, *_BLOBS)) | {"browser": "WinINet", "container": name}
    for column in _TIMES:
        said = time_text(row.values.get(column))
        if said:
            fields[column] = said
    url, by = _url(text(row, "Url"))
    if by:
        fields["url_user"] = by
    kept = text(row, "Filename")
    path = (folder or "") + kept if kept else None
    if name.lower() == "iedownload":
        url, path, more = _download(row, url, path)
        fields |= more
    else:
        fields |= _headers(row)
    if url:
        fields["url"] = url
        if url.lower().startswith("file:"):
            path = unquote(url[5:].lstrip("/")).replace("/", "\\") or path
    kind = EventKind.BROWSER_DOWNLOAD if name.lower() == "iedownload" else EventKind.BROWSER_VISIT
    accessed, made = filetime(row.values.get("AccessedTime")), filetime(row.values.get("CreationTime"))
    times = [(accessed, "accessed")]
    if made[0] is not None and made != accessed:
        times.insert(0, (made, "created"))
    return [
        Event(
            row.offset, row.length, kind, *when, said, user=user, file_path=path, dst_ip=literal(url), provider="browser",
            fields=fields,
        )
        for when, said in [t for t in times if t[0][0] is not None] or times[:1]
    ]  # fmt: skip


def _url(stated: str | None) -> tuple[str | None, str | None]:
    """The URL behind what its container writes before it, and the user that is named there."""
    match = _PREFIX.match(stated) if stated else None
    return (match.group(2) or None, match.group(1)) if match else (stated, None)


def _headers(row: Row) -> dict[str, Value]:
    """The heads of request and answer as they were kept, cut."""
    said: dict[str, Value] = {}
    for name in ("RequestHeaders", "ResponseHeaders"):
        raw = row.values.get(name)
        if isinstance(raw, bytes) and raw:
            said[name] = raw[:_HEADERS].decode("utf-8", "backslashreplace").rstrip("\0\r\n")
    return said


def _download(row: Row, url: str | None, path: str | None) -> tuple[str | None, str | None, dict[str, Value]]:
    """What a download's record says in its texts: where from, where to. Its other bytes are not documented."""
    raw = row.values.get("ResponseHeaders")
    if not isinstance(raw, bytes):
        return url, path, {}
    texts = [found.group().decode("utf-16-le", "replace") for found in _WIDE.finditer(raw[: 1 << 16])][:20]
    said: dict[str, Value] = {"download_texts": "\n".join(texts)} if texts else {}
    if url:
        said["download_id"] = url
    places = [t for t in texts if re.match(r"[A-Za-z]:\\|\\\\", t)]
    links = [t for t in texts if re.match(r"(?:https?|ftp)://", t)]
    return (links[-1] if links else url), (places[-1] if places else path), said
