# SPDX-License-Identifier: Apache-2.0
"""Catalogs: the digests of files that somebody signed for all of them at once (windows.catalog).

Reads:  /Windows/System32/CatRoot/*/*.cat, and other *.cat files of that form.
Time:   when the list was made, as it says itself; UTC.
Format: PKCS#7 over a certificate trust list whose members state SpcIndirectData; see headwater.formats.authenticode.
Limits: members without such data (names, old forms) are not told; the chain of the signer's certificate is tried as far as
        it is carried; a catalog in CatRoot may never have been registered in catdb.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from headwater.examine.parsers._whole import whole
from headwater.formats.authenticode import Signed, signed
from headwater.model.kinds import EventKind, GapReason, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Value

FEED = "windows.catalog"
VERSION = 2
READS = ("/CatRoot/**/*.cat", "/catroot/**/*.cat", "/Windows/**/*.cat")
_MOST = 1 << 26
_PER_EVENT = 500  # members


def parse(file: File) -> Iterator[Record]:
    read = whole(file, _MOST)
    if read.data:
        try:
            told = signed(read.data)
        except ValueError as error:
            yield Gap(0, len(read.data), GapReason.NOT_THIS_FORMAT, f"no catalog: {error}")
        else:
            yield from _events(told, len(read.data))
    yield from read.gaps


def _events(told: Signed, length: int) -> Iterator[Event]:
    when = None
    try:
        made = datetime.strptime(told.listed or "", "%y%m%d%H%M%SZ").replace(tzinfo=UTC)
        when = int(made.timestamp()) * 1_000_000_000
    except ValueError:
        when = None
    said: dict[str, Value] = {
        "signer": told.subject,
        "issuer": told.issuer,
        "chain": "\n".join(told.chain.names) if told.chain else None,
        "chain_state": told.chain.state if told.chain else None,
        "signature_holds": told.holds,
        "certificate_departures": "; ".join(told.departures) or None,
        "count": len(told.members),
        "time_text": told.listed if when is None else None,
    }
    for start in range(0, max(len(told.members), 1), _PER_EVENT):
        said["members"] = " ".join(digest for _, digest in told.members[start : start + _PER_EVENT]) or None
        yield Event(
            0, length, EventKind.STATE_CATALOG, when, TimeBasis.NONE if when is None else TimeBasis.UTC, "listed",
            fields={k: v for k, v in said.items() if v is not None},
        )  # fmt: skip
