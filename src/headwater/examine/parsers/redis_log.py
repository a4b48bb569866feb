# SPDX-License-Identifier: Apache-2.0
"""Starts, replication, modules and saved files of Redis servers (redis.log).

Reads:  /var/log/redis/*.log, /var/log/redis*.log, /www/server/redis/*.log.
Time:   the host's wall clock, milliseconds; releases before 2.8 and the early 3.0 write no year: no time is taken then.
Format: ``pid:role day month year time level message``.
Limits: Redis logs no command and no refused password at its default level; what CONFIG SET changed shows only in its
        consequences (DB saved to an odd place, replication from an odd master, a module loaded).
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.batch import Batch
from headwater.examine.parsers._records import TextLog, rule, text_records
from headwater.examine.parsers._text_columns import text_batches
from headwater.examine.parsers._when import day_first
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome
from headwater.model.records import File, Record

FEED = "redis.log"
VERSION = 1
READS = ("/var/log/redis/*.log*", "/var/log/redis*.log*", "/www/server/redis/*.log")
LOG = TextLog(
    lazy_regex(rb"(?:\d+:[A-Z]|\[\d+\]) \d\d? [A-Z][a-z]{2} "),
    lazy_regex(
        r"(?s)(?:(?P<pid>\d+):(?P<role>[A-Z])|\[(?P<old_pid>\d+)\]) "
        r"(?P<time>\d\d? [A-Z][a-z]{2} (?:\d{4} )?[\d:.]+) (?P<level>[-.*#]) (?P<message>.*)"
    ),
    day_first,
    (
        rule(
            r"(?:REPLICAOF|SLAVE OF) (?P<dst_ip>[^\s:]+):(?P<dst_port>\d+) enabled"
            r"(?: \(user request from '(?P<client>.*?\baddr=(?P<src_ip>[^ ]+?):(?P<port>\d+) .*)'\))?",
            K.NETWORK_CONNECTION,
        ),
        rule(r"Connecting to MASTER (?P<dst_ip>[^\s:]+):(?P<dst_port>\d+)", K.NETWORK_CONNECTION),
        rule(r"Accepted (?P<src_ip>\S+):(?P<port>\d+)$", K.NETWORK_CONNECTION),
        rule(r"Module '(?P<module>[^']*)' loaded from (?P<file_path>.+)", K.LOG_MESSAGE, Outcome.SUCCESS),
        rule(r"Module (?P<file_path>\S+) failed to load", K.LOG_MESSAGE, Outcome.FAILURE),
        rule(r"Possible SECURITY ATTACK detected", K.AUTH_PROBE),
        rule(r"[Rr]eady to accept connections", K.SERVICE_START, Outcome.SUCCESS),
        rule(r"is now ready to exit, bye bye", K.SERVICE_STOP, Outcome.SUCCESS),
        rule(r"crashed by signal: (?P<signal>\d+)", K.SERVICE_FAILURE, Outcome.FAILURE),
        rule(r"(?:Failed opening|Can't save|Error moving temp DB file) .*", K.SERVICE_FAILURE, Outcome.FAILURE),
    ),
    provider="redis",
    plain=lazy_regex(rb"\s+[_.`'|\\-]|\s*$"),  # the picture and the lines beside it that a start draws
)


def parse(file: File) -> Iterator[Record]:
    return text_records(file, LOG)


def batches(file: File) -> Iterator[Batch]:
    return text_batches(file, LOG)
