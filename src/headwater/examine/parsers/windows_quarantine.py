# SPDX-License-Identifier: Apache-2.0
"""What Windows Defender put into quarantine, why and when, and the contents that it keeps (windows.quarantine).

Reads:  /ProgramData/Microsoft/Windows Defender/Quarantine/Entries/*, Quarantine/ResourceData/*/*.
Time:   FILETIME of the quarantine, UTC, 100 ns; a kept content has none of its own.
Format: see headwater.formats.defender_quarantine (RC4 under one published key).
Limits: the checksums of an entry are not tried; contents over 32 MiB are stated, not decrypted; the content is named by the
        entry of the same number; what was deleted and not put away is missing here and stands in the event log alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from headwater.examine.parsers._whole import whole
from headwater.formats.defender_quarantine import DATA_STREAM, Entry, decrypted, entry, streams
from headwater.formats.patterns import lazy_regex
from headwater.formats.registry_layout import nanoseconds
from headwater.model.kinds import EventKind, GapReason, Outcome, TimeBasis
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Gap, Record, Value
from headwater.model.times import rfc3339

FEED = "windows.quarantine"
VERSION = 1
READS = ("/Windows Defender/Quarantine/Entries/*", "/Windows Defender/Quarantine/ResourceData/*/*")
_MOST = 1 << 25
_STORED = lazy_regex(r"/ResourceData/[^/]+/([^/]+)\Z")


def parse(file: File) -> Iterator[Record]:
    read = whole(file, _MOST)
    stored = _STORED.search(file_layer(file.path))
    if read.data and stored and read.gaps:
        yield Gap(0, len(read.data), GapReason.LIMIT, "a kept content that is not there as a whole")
    elif read.data and stored:
        yield from _content(read.data, stored[1])
    elif read.data:
        try:
            found = entry(read.data)
        except ValueError as error:
            yield Gap(0, len(read.data), GapReason.NOT_THIS_FORMAT, str(error))
        else:
            yield from _events(found)
            if found.lost > 0:
                yield Gap(found.length, 0, GapReason.NOT_THIS_FORMAT, f"{found.lost} resources that do not hold")
            if found.length < len(read.data):
                yield Gap(
                    found.length, len(read.data) - found.length, GapReason.NOT_THIS_FORMAT, "bytes behind the entry"
                )
    yield from read.gaps


def _moment(filetime: int | None) -> str | None:
    when = nanoseconds(filetime) if filetime is not None else None
    return rfc3339(when) if when is not None else None


def _events(found: Entry) -> Iterator[Event]:
    when = nanoseconds(found.time)
    for one in found.resources or (None,):
        said: dict[str, Value] = {
            "threat": found.threat,
            "threat_id": found.threat_id if found.threat_id < 1 << 63 else None,
            "action": "quarantine",
            "quarantine_id": found.number,
            "scan_id": found.scan,
            "resource_kind": one.kind if one else None,
            "resource": one.path if one else None,
            "stored_as": one.stored_as if one else None,
            "created": _moment(one.created) if one else None,
            "modified": _moment(one.written) if one else None,
            "accessed": _moment(one.accessed) if one else None,
            "time_text": str(found.time) if when is None else None,
        }
        yield Event(
            0, found.length, EventKind.MALWARE_DETECTED, when, TimeBasis.NONE if when is None else TimeBasis.UTC, "quarantined",
            Outcome.SUCCESS, file_path=one.path if one and one.kind == "file" else None, provider="windows-defender",
            fields={k: v for k, v in said.items() if v is not None},
        )  # fmt: skip


def _content(data: bytes, number: str) -> Iterator[Record]:
    """One event per stream that is content: the file's own, and the named ones."""
    plain = decrypted(data)
    found = list(streams(plain))
    told = [(kind, name, body) for kind, name, body in found if kind in (DATA_STREAM, 4)]
    if not told:
        yield Gap(0, len(data), GapReason.NOT_THIS_FORMAT, "no backup streams under the key of the quarantine")
        return
    for _kind, name, body in told:
        said: dict[str, Value] = {
            "stored_as": number,
            "stream": name.strip("\0") or None,
            "size": len(body),
            "md5": hashlib.md5(body, usedforsecurity=False).hexdigest(),
            "sha1": hashlib.sha1(body, usedforsecurity=False).hexdigest(),
            "begins": body[:16].hex(),
        }
        yield Event(
            0, len(data), EventKind.STATE_FILE, None, TimeBasis.NONE, "state", hash=hashlib.sha256(body).hexdigest(),
            provider="windows-defender",
            fields={k: v for k, v in said.items() if v is not None},
        )  # fmt: skip
