# SPDX-License-Identifier: Apache-2.0
"""The gate: no act without a recorded authority, or a recorded reason why there is none."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from headwater.model.errors import AuthorityError, UsageError
from headwater.model.nouns import Authority
from headwater.model.times import from_rfc3339


@dataclass(frozen=True, slots=True)
class Claim:
    """What a person states of their authority on the command line; every part may be absent."""

    document: Path | None = None
    number: str | None = None
    issuer: str | None = None
    scope: str | None = None
    valid_from: str | None = None
    valid_until: str | None = None
    waiver: str | None = None


def instant(text: str) -> int:
    """A date (its whole day, UTC) or an RFC 3339 time as UTC nanoseconds; for dates, the last nanosecond.

    Raises:
        ValueError: neither form.
    """
    if len(text) == 10:
        return from_rfc3339(f"{text}T23:59:59.999999999Z")
    return from_rfc3339(text)


def grant(claim: Claim, now: datetime) -> Authority:
    """The authority that a claim amounts to.

    1. A stated reason for having none is an authority of its own kind: it is recorded and stamped.
    2. Else a document, or a number with its issuer, must be given.
    3. The document is read once and its SHA-256 recorded.
    4. An authority that has ended permits nothing.

    Raises:
        AuthorityError: HW1001 nothing stated, HW1002 document unreadable, HW1003 ended. UsageError: HW1005 not a date.
    """
    if claim.waiver is not None:
        if not claim.waiver.strip():
            raise AuthorityError("HW1001", what='--no-authority "reason"')
        return Authority(waiver=claim.waiver.strip())
    if claim.document is None and not (claim.number and claim.issuer):
        missing = [
            flag
            for flag, value in (
                ("--authority", claim.document),
                ("--authority-no", claim.number),
                ("--authority-by", claim.issuer),
                ("--authority-scope", claim.scope),
                ("--authority-until", claim.valid_until),
            )
            if not value
        ]
        raise AuthorityError("HW1001", what=", ".join(missing))
    digest = None
    if claim.document is not None:
        try:
            digest = hashlib.sha256(claim.document.read_bytes()).hexdigest()
        except OSError as error:
            raise AuthorityError("HW1002", str(claim.document), what=error.strerror or error) from error
    for name in ("valid_from", "valid_until"):
        value = getattr(claim, name)
        if value is not None:
            try:
                instant(value)
            except ValueError as error:
                raise UsageError("HW1005", what=value) from error
    if claim.valid_until is not None and now.timestamp() * 1e9 > instant(claim.valid_until):
        raise AuthorityError("HW1003", until=claim.valid_until)
    return Authority(
        number=claim.number,
        issuer=claim.issuer,
        scope=claim.scope,
        valid_from=claim.valid_from,
        valid_until=claim.valid_until,
        document=str(claim.document) if claim.document else None,
        document_sha256=digest,
    )
