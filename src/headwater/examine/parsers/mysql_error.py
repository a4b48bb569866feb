# SPDX-License-Identifier: Apache-2.0
"""Errors, starts, stops and refused logins of MySQL and MariaDB servers (mysql.error).

Reads:  /var/log/mysql/*error*, /var/log/mysqld.log*, /var/log/mariadb/*, /var/lib/mysql/*.err, /www/server/data/*.err.
Time:   MySQL 5.7 and later write UTC (``Z``) unless log_timestamps=SYSTEM, whatever the host's zone; MariaDB and older
        MySQL write the host's wall clock.
Format: ``time thread [level] [code] [subsystem] message``; ``yymmdd h:mm:ss [level]`` of old; backtraces are one record.
Limits: a refused login is noted from log_error_verbosity (log_warnings) 3 (2) on, and for unknown hosts always.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.batch import Batch
from headwater.examine.parsers._records import TextLog, rule, text_records
from headwater.examine.parsers._text_columns import text_batches
from headwater.examine.parsers._when import When, iso, old_mysql
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome
from headwater.model.records import File, Record

FEED = "mysql.error"
VERSION = 2
READS = (
    "/var/log/mysql/*error*",
    "/var/log/mysqld.log*",
    "/var/log/mysql.err*",
    "/var/log/mysql.log*",
    "/var/log/mariadb/*.log*",
    "/var/lib/mysql/*.err",
    "/www/server/data/*.err",
)
_TIME = r"\d{4}-\d\d-\d\d[T ] ?\d?\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?|\d{6} {1,2}\d?\d:\d\d:\d\d"
_DENIED = (
    r"Access denied for user '(?P<user>[^']*)'@'(?P<src_ip>[^']*)'(?: \(using password: (?P<using_password>\w+)\)|$)"
)


def when(text: str) -> When:
    found = iso(text)
    return found if found[0] is not None else old_mysql(text)


LOG = TextLog(
    lazy_regex(rf"(?:{_TIME})[ \t]".encode()),
    lazy_regex(
        rf"(?s)(?P<time>{_TIME})[ \t]+(?:(?P<thread>\d+) )?(?:(?P<starter>mysqld\S*) )?(?:\[(?P<level>[A-Za-z]+)\] )?"
        r"(?:\[(?P<event_code>MY-\d+)\] )?(?:\[(?P<subsystem>\w+)\] )?(?P<message>.*)"
    ),
    when,
    (
        rule(_DENIED, K.AUTH_FAILURE, Outcome.FAILURE),
        rule(r"Host '(?P<src_ip>[^']*)' is (?:not allowed to connect|blocked)", K.AUTH_FAILURE, Outcome.FAILURE),
        rule(
            r"Aborted connection (?P<connection>\d+) to db: '(?P<database>[^']*)' user: '(?P<user>[^']*)' host: '(?P<src_ip>[^']*)'",
            K.SESSION_CLOSE,
        ),
        rule(r"ready for connections", K.SERVICE_START, Outcome.SUCCESS),
        rule(r"(?i)shutdown complete|mysqld from pid file \S+ ended", K.SERVICE_STOP, Outcome.SUCCESS),
        rule(r"Can't open shared library '(?P<file_path>[^']*)'", K.SERVICE_FAILURE, Outcome.FAILURE),
        rule(r"mysqld got signal (?P<signal>\d+)|got exception", K.SERVICE_FAILURE, Outcome.FAILURE),
    ),
    provider="mysqld",
)


def parse(file: File) -> Iterator[Record]:
    return text_records(file, LOG)


def batches(file: File) -> Iterator[Batch]:
    return text_batches(file, LOG)
