# SPDX-License-Identifier: Apache-2.0
"""Messages of PHP's process manager and its slow requests with their stacks (php.fpm).

Reads:  /var/log/php*fpm*, /var/log/php-fpm/*, /www/server/php/*/var/log/*: error and slow logs; PHP's own error_log.
Time:   the host's wall clock; PHP's own error_log states its zone by name, UTC as such and others as a wall clock.
Format: ``[02-Mar-2026 11:22:33] LEVEL: message``; a slow request's script and stack belong to its record.
Limits: a slow log holds only requests over request_slowlog_timeout.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.batch import Batch
from headwater.examine.parsers._records import TextLog, rule, text_records
from headwater.examine.parsers._text_columns import text_batches
from headwater.examine.parsers._when import clf
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome
from headwater.model.records import File, Record

FEED = "php.fpm"
VERSION = 1
READS = (
    "/var/log/php*fpm*", "/var/log/php-fpm/*", "/var/log/php/*", "/www/server/php/*/var/log/*.log*", "/php_errors.log", "/php_error.log",
)  # fmt: skip
LOG = TextLog(
    lazy_regex(rb"\[\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d"),
    lazy_regex(
        r"(?s)\[(?P<time>\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d(?:\.\d+)?(?: UTC)?)(?: (?P<zone_text>[A-Za-z_/+-]+))?\] +"
        r"(?:(?P<level>NOTICE|WARNING|ERROR|ALERT|DEBUG): )?(?P<message>.*)"
    ),
    clf,
    (
        rule(r"(?s)^\[pool (?P<pool>[^\]]*)\] pid (?P<pid>\d+)\nscript_filename = (?P<file_path>[^\n]*)", K.WEB_ERROR),
        rule(r"^PHP (?P<severity>[A-Za-z ]+):  .* in (?P<file_path>/[^\n]*?)(?: on line |:)(?P<line>\d+)", K.WEB_ERROR),
        rule(r"\[pool (?P<pool>[^\]]*)\] child (?P<pid>\d+) said into std(?:err|out): (?P<said>.*)", K.WEB_ERROR),
        rule(
            r"\[pool (?P<pool>[^\]]*)\] child (?P<pid>\d+) exited on signal (?P<signal>\d+)",
            K.SERVICE_FAILURE,
            Outcome.FAILURE,
        ),
        rule(r"^ready to handle connections", K.SERVICE_START, Outcome.SUCCESS),
        rule(r"^exiting, bye-bye", K.SERVICE_STOP, Outcome.SUCCESS),
    ),
    provider="php-fpm",
)


def parse(file: File) -> Iterator[Record]:
    return text_records(file, LOG)


def batches(file: File) -> Iterator[Batch]:
    return text_batches(file, LOG)
