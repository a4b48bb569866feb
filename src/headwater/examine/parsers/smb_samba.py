# SPDX-License-Identifier: Apache-2.0
"""Messages of Samba's servers, logins and refused ones among them (smb.samba).

Reads:  /var/log/samba/log.*.
Time:   the host's wall clock, microseconds since 4.0.
Format: a head ``[time, level, pid=…] place(function)`` and the indented lines of its message; one record together.
Limits: logins are logged from auth_audit:3 or log level 2 on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from headwater.examine.parsers._records import TextLog, rule, text_records
from headwater.examine.parsers._when import iso
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome
from headwater.model.records import Event, File, Record

FEED = "smb.samba"
VERSION = 3
READS = ("/var/log/samba/log.*", "/var/log/samba/*.log*")
_AUDIT = (
    r"Auth: \[[^\]]*\] user \[[^\]]*\]\\\[(?P<user>[^\]]*)\].*?"
    r"status \[%s\].*?remote host \[ipv[46]:(?P<src_ip>[^\]]+?):(?P<port>\d+)\]"
)
_LOGINS = (K.AUTH_SUCCESS, K.AUTH_FAILURE)
LOG = TextLog(
    lazy_regex(rb"\[\d{4}/\d\d/\d\d \d\d:\d\d:\d\d"),
    lazy_regex(
        r"(?s)\[(?P<time>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)?), *(?P<level>\d+)(?:, pid=(?P<pid>\d+))?[^\]\n]*\] *"
        r"(?P<place>[^\n]*)\n? *(?P<message>.*)"
    ),
    iso,
    (
        rule("(?s)" + _AUDIT % "NT_STATUS_OK", K.AUTH_SUCCESS, Outcome.SUCCESS),
        rule("(?s)" + _AUDIT % "(?P<status>NT_STATUS_[A-Z_]+)", K.AUTH_FAILURE, Outcome.FAILURE),
        # what one of several modules found of a login that check_ntlm_password then tells as a whole
        rule(r"^auth_check_ntlm_password: ", K.LOG_MESSAGE),
        rule(
            r"(?i)authentication for user \[(?P<user>[^\]]*)\].*? FAILED with error (?P<status>\S+)",
            K.AUTH_FAILURE,
            Outcome.FAILURE,
        ),
        rule(r"(?i)authentication for user \[(?P<user>[^\]]*)\].*? succeeded", K.AUTH_SUCCESS, Outcome.SUCCESS),
        rule(
            r"\(ipv[46]:(?P<src_ip>[^)]*?):(?P<port>\d+)\) connect to service (?P<service>\S+) initially as user (?P<user>\S+)",
            K.SESSION_OPEN,
        ),
        rule(
            r"\(ipv[46]:(?P<src_ip>[^)]*?):(?P<port>\d+)\) closed connection to service (?P<service>\S+)",
            K.SESSION_CLOSE,
        ),
    ),
    provider="samba",
)


def parse(file: File) -> Iterator[Record]:
    """One login once: check_ntlm_password tells beside the audit's record, before it or behind, what that tells with its peer."""
    held: Record | None = None
    for record in text_records(file, LOG):
        if held is not None:
            if _checks(held) and _audits(record, held):
                held = _beside(held)
            elif _audits(held, record) and _checks(record):
                record = _beside(record)
            yield held
        held = record
    if held is not None:
        yield held


def _checks(record: Record) -> bool:
    return (
        isinstance(record, Event) and record.kind in _LOGINS and str(record.fields["message"]).startswith("check_ntlm")
    )


def _audits(record: Record, other: Record) -> bool:
    """Whether a record is the audit's, of the same account and the same end."""
    return (
        isinstance(record, Event) and isinstance(other, Event) and str(record.fields.get("message", "")).startswith("Auth: ")
        and (record.kind, record.user) == (other.kind, other.user)
    )  # fmt: skip


def _beside(record: Record) -> Record:
    return replace(record, kind=K.LOG_MESSAGE) if isinstance(record, Event) else record
