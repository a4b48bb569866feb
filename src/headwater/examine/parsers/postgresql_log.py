# SPDX-License-Identifier: Apache-2.0
"""Connections, refused logins, statements and errors of PostgreSQL servers, as text (postgresql.log).

Reads:  /var/log/postgresql/*.log, /var/lib/pgsql/**/log/*.log, /var/lib/postgresql/**/log/*.log, and pg_log of old.
Time:   log_timezone's clock with its abbreviation; UTC and GMT are taken at their word, CST and the like as a wall clock.
Format: log_line_prefix as it is by default and in Debian: ``%m [%p] `` or ``%m [%p] %q%u@%d ``, and as analysers ask for it:
        ``%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ``; further lines belong to it.
Limits: other prefixes are read only as far as they begin with the time and end before the level.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.batch import Batch
from headwater.examine.parsers._records import TextLog, rule, text_records
from headwater.examine.parsers._text_columns import text_batches
from headwater.examine.parsers._when import iso
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome
from headwater.model.records import File, Record

FEED = "postgresql.log"
VERSION = 2
READS = (
    "/var/log/postgresql/*.log*",
    "/var/lib/pgsql/**/log/*.log",
    "/var/lib/pgsql/**/pg_log/*.log",
    "/var/lib/postgresql/**/log/*.log",
    "/var/lib/postgresql/**/pg_log/*.log",
    "/www/server/pgsql/logs/*.log",
)
_NO = Outcome.FAILURE
RULES = (
    rule(r"^connection received: host=(?P<src_ip>\S+)(?: port=(?P<port>\d+))?", K.NETWORK_CONNECTION),
    rule(r"^connection authorized: user=(?P<user>\S+)(?: database=(?P<database>\S+))?", K.AUTH_SUCCESS, Outcome.SUCCESS),
    rule(r"^(?P<method>\S+) authentication failed for user \"(?P<user>[^\"]*)\"", K.AUTH_FAILURE, _NO),
    rule(
        r"^(?:no pg_hba.conf entry|pg_hba.conf rejects connection) for host \"(?P<src_ip>[^\"]*)\", user \"(?P<user>[^\"]*)\""
        r"(?:, database \"(?P<database>[^\"]*)\")?",
        K.AUTH_FAILURE, _NO,
    ),
    rule(r"^role \"(?P<user>[^\"]*)\" (?:does not exist|is not permitted to log in)", K.AUTH_FAILURE, _NO),
    rule(
        r"^disconnection: session time: (?P<session_time>\S+) user=(?P<user>\S*) database=(?P<database>\S*) host=(?P<src_ip>\S+)",
        K.SESSION_CLOSE,
    ),
    rule(r"(?is)^(?:statement|execute [^:]*): (?P<statement>.*\bPROGRAM\s+'(?P<command_line>[^']*)'.*)", K.COMMAND_HISTORY),
    rule(r"(?s)^(?:duration: (?P<duration>\S+) ms +)?(?:statement|execute [^:]*|parse [^:]*|bind [^:]*): (?P<statement>.*)", K.LOG_MESSAGE),
    rule(r"^database system is ready to accept", K.SERVICE_START, Outcome.SUCCESS),
    rule(r"^database system is shut down", K.SERVICE_STOP, Outcome.SUCCESS),
    rule(r"^loaded library \"(?P<file_path>[^\"]*)\"", K.LOG_MESSAGE),
)  # fmt: skip
_LEVEL = "LOG|ERROR|FATAL|PANIC|WARNING|NOTICE|INFO|DEBUG[1-5]?|DETAIL|HINT|STATEMENT|CONTEXT|QUERY|LOCATION"
LOG = TextLog(
    lazy_regex(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? (?:[A-Z]{2,5}|[+-]\d\d)"),
    lazy_regex(
        r"(?s)(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? (?P<zone_text>[A-Z]{2,5}|[+-]\d\d(?::?\d\d)?)) ?"
        r"(?:\[(?P<pid>\d+)(?:-\d+)?\]:? ?)?(?:\[\d+-\d+\]:? ?)?(?:(?:user=)?(?:\[unknown\]|(?P<user>[^@\s\[\],]*))(?:@|,db=)"
        r"(?:\[unknown\]|(?P<database>[^\s\[\],]*))"
        r"(?:,app=(?:\[unknown\]|(?P<application_name>[^,]{0,100})),(?:client|host)=(?:\[local\]|(?P<src_ip>[^\s\[\],]*)))? ?)?"
        r"(?P<prefix>[^\n]{0,200}?) ?"
        rf"(?P<level>{_LEVEL}): +(?P<message>.*)"
    ),
    iso,
    RULES,
    provider="postgres",
)


def parse(file: File) -> Iterator[Record]:
    return text_records(file, LOG)


def batches(file: File) -> Iterator[Batch]:
    return text_batches(file, LOG)
