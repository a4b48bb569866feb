# SPDX-License-Identifier: Apache-2.0
"""Messages of Tomcat, deployments and refused manager logins among them (java.tomcat).

Reads:  catalina.out, and catalina, localhost, manager and host-manager logs by day, wherever Tomcat lies.
Time:   the host's wall clock, milliseconds; whole seconds as Debian's service writes catalina.out.
Format: JULI's one line ``02-Mar-2026 11:22:33.123 LEVEL [thread] source message``, or the two lines of java.util.logging;
        ``[2026-03-02 11:22:33] [info] message`` of Debian's and Ubuntu's service (syslog in between);
        the lines of a stack trace belong to their record.
Limits: what an application prints to catalina.out in a format of its own joins the record above it.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._records import TextLog, rule, text_records
from headwater.examine.parsers._when import any_form
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome
from headwater.model.records import File, Record

FEED = "java.tomcat"
VERSION = 2
READS = (
    "/catalina.out*",
    "/catalina.*.log*",
    "/logs/localhost.*.log*",
    "/logs/manager.*.log*",
    "/logs/host-manager.*.log*",
)
_TIME = (
    r"\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d\.\d{3}|"
    r"[A-Z][a-z]{2} \d\d?, \d{4} \d\d?:\d\d:\d\d [AP]M|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.,]\d{3}"
)
_PLACE = r"\[(?P<file_path>[^\]]+)\]"
_SERVICE = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] \[[a-z]+\] "
LOG = TextLog(
    lazy_regex(rf"(?:{_TIME})[ \n]?|{_SERVICE}".encode()),
    lazy_regex(
        rf"(?s)(?:(?={_SERVICE})\[)?(?P<time>{_TIME}|(?<=\[)\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d)"
        r"(?:\] \[(?P<severity>[a-z]+)\])? (?:(?P<level>[A-Z一-龥]+) +\[(?P<thread>[^\]\n]*)\] (?P<source>\S+) |"
        r"(?P<source_class>[\w.$]+) (?P<source_method>\S+)\n(?P<level_name>[^:\n]{1,20}): )?(?P<message>.*)"
    ),
    any_form,
    (
        rule(r"Deployment of web application (?:archive|directory|deployment descriptor) " + _PLACE + " has finished",
             K.FILE_CREATED, Outcome.SUCCESS),
        rule(r"Deploying web application (?:archive|directory|deployment descriptor) " + _PLACE, K.LOG_MESSAGE),
        rule(r"Undeploying context \[(?P<context>[^\]]*)\]", K.FILE_DELETED),
        rule(r"An attempt was made to authenticate the locked user \[(?P<user>[^\]]*)\]", K.AUTH_FAILURE, Outcome.FAILURE),
        rule(r"(?:Manager|HTMLManager): (?P<action>deploy|undeploy|upload|install|remove|start|stop|reload)\b[^\n]*", K.LOG_MESSAGE),
        rule(r"Server startup in ", K.SERVICE_START, Outcome.SUCCESS),
        rule(r"Stopping service \[(?P<service>[^\]]*)\]", K.SERVICE_STOP),
        rule(r"Exception|Throwable|OutOfMemoryError", K.WEB_ERROR),
    ),
    provider="tomcat",
)  # fmt: skip


def parse(file: File) -> Iterator[Record]:
    return text_records(file, LOG)
