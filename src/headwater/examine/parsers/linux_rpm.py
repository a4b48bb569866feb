# SPDX-License-Identifier: Apache-2.0
"""Installed packages and the digests of their files, from the rpm database (linux.rpm).

Reads:  /var/lib/rpm/Packages, Packages.db and rpmdb.sqlite, and the same below /usr/lib/sysimage/rpm; the rpmdb.sqlite-wal of an
        installation that was broken off: packages that the database has not, or not so.
Time:   when each package was installed, seconds, UTC, by the host's own clock.
Format: rpm headers (https://rpm-software-management.github.io/rpm/manual/format_header.html) in SQLite, Berkeley DB or ndb.
Limits: the database lies on the same disk as the files; signatures are not verified;
        ndb was tried on files made after its source alone, none of a real system was at hand.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from typing import Any

from headwater.examine.parsers._sqlite import ParserSource, in_log, is_log, of_log, unread
from headwater.formats import rpm_header as rpm
from headwater.formats.rpm_database import Blob, NotRpmDatabase, blobs
from headwater.formats.sqlite_file import NotSqlite
from headwater.model.kinds import EventKind, GapReason, TimeBasis
from headwater.model.records import Count, Event, File, Gap, Record, Value

FEED = "linux.rpm"
VERSION = 2
READS = tuple(
    f"{folder}/{name}"
    for folder in ("/var/lib/rpm", "/usr/lib/sysimage/rpm")
    for name in ("Packages", "Packages.db", "rpmdb.sqlite", "rpmdb.sqlite-wal")
)
beside = of_log
_SECONDS_MOST = 1 << 32


def _package(blob: Blob, found: dict[int, Any]) -> Iterator[Event]:
    name, when = rpm.text(found, rpm.NAME), rpm.number(found, rpm.INSTALL_TIME)
    known = when is not None and 0 < when < _SECONDS_MOST
    epoch = rpm.number(found, rpm.EPOCH)
    version = "-".join(v for v in (rpm.text(found, rpm.VERSION), rpm.text(found, rpm.RELEASE)) if v)
    own: dict[str, Value] = {
        "package": name, "version": f"{epoch}:{version}" if epoch else version, "arch": rpm.text(found, rpm.ARCH),
        "vendor": rpm.text(found, rpm.VENDOR), "source_package": rpm.text(found, rpm.SOURCE),
    }  # fmt: skip
    yield Event(
        blob.offset, blob.length, EventKind.STATE_PACKAGE, t_recorded=when * 1_000_000_000 if known and when else None,
        t_basis=TimeBasis.UTC if known else TimeBasis.NONE, t_kind="installed" if known else "state", fields=own,
    )  # fmt: skip
    algorithm = rpm.ALGORITHMS.get(rpm.number(found, rpm.DIGEST_ALGORITHM) or 1, "unknown")
    for file in rpm.files(found):
        if not file.digest and not (file.ghost and stat.S_ISREG(file.mode or 0)):
            continue  # folders and links have none; a ghost's content is its program's own affair
        fields: dict[str, Value] = {"package": name}
        if file.digest:
            fields[algorithm] = file.digest.lower()
        fields |= {"conffile": file.config or file.ghost, "mode": file.mode}
        if file.capabilities:
            fields["capabilities"] = file.capabilities
        yield Event(
            blob.offset, blob.length, EventKind.STATE_PACKAGE_FILE, t_kind="state", file_path=file.path, fields=fields
        )


def _blobs(file: File) -> Iterator[Blob]:
    """The headers of a database, or those of its log that it has not so."""
    if not is_log(file.path):
        return blobs(ParserSource(file))
    if not file.beside:
        raise NotSqlite("a write-ahead log without its database")
    return blobs(ParserSource(next(iter(file.beside.values()))), ParserSource(file))


def parse(file: File) -> Iterator[Record]:
    declared = lost = used = 0
    logged = is_log(file.path)
    try:
        for blob in _blobs(file):
            declared += 1
            used += blob.length
            try:
                found = rpm.tags(blob.data) if not blob.why else {}
            except rpm.BadHeader as error:
                lost += 1
                yield Gap(blob.offset, blob.length, GapReason.NOT_THIS_FORMAT, str(error))
                continue
            if blob.why or not rpm.text(found, rpm.NAME):
                lost += 1
                yield Gap(blob.offset, blob.length, GapReason.NOT_THIS_FORMAT, blob.why or "a header without a name")
                continue
            for event in _package(blob, found):
                yield in_log(event) if logged else event
        if logged:
            yield from unread(file)
    except (NotRpmDatabase, NotSqlite) as error:
        if file.size:
            yield Gap(0, file.size, GapReason.NOT_THIS_FORMAT, str(error))
    yield Count(declared, lost, max(0, file.size - used))
