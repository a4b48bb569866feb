# SPDX-License-Identifier: Apache-2.0
"""Messages of Jenkins: builds, logins, plug-ins and scripts that ran (ci.jenkins).

Reads:  /var/log/jenkins/jenkins.log, JENKINS_HOME/logs/*.log (audit-trail plug-in too).
Time:   with the offset that the line states, else the host's wall clock.
Format: java.util.logging as Jenkins sets it: ``2026-03-02 11:22:33.123+0800 [id=42]<tab>INFO<tab>class#method: text``; two-line
        form of older versions; the lines of a stack trace belong to their record.
Limits: Jenkins logs no failed login by default; console outputs of builds are files of their own and not read here.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._records import TextLog, rule, text_records
from headwater.examine.parsers._when import any_form
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome
from headwater.model.records import File, Record

FEED = "ci.jenkins"
VERSION = 1
READS = ("/var/log/jenkins/*.log*", "/jenkins/logs/*.log*", "/.jenkins/logs/*.log*", "/jenkins_home/logs/*.log*")
_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.,]\d{3}(?:[+-]\d{4})?|[A-Z][a-z]{2} \d\d?, \d{4} \d\d?:\d\d:\d\d(?:[,.]\d{3})? ?[AP]M"
LOG = TextLog(
    lazy_regex(rf"(?:{_TIME})[ \t]".encode()),
    lazy_regex(
        rf"(?s)(?P<time>{_TIME})[ \t]+(?:\[id=(?P<thread>\d+)\][ \t]+(?P<level>[A-Z]+)[ \t]+(?P<source>[^\s:]+)(?::[ \n]?|\n)|"
        r"(?P<source_class>[\w.$]+) (?P<source_method>\S+)\n(?P<level_name>[A-Z]{4,8}): )?(?P<message>.*)"
    ),
    any_form,
    (
        rule(r"(?:Login attempt failed|Failed to authenticate|authentication failed).*?(?:for user |user )'?(?P<user>[^\s',]+)",
             K.AUTH_FAILURE, Outcome.FAILURE),
        rule(r"(?P<job>\S.*?) #(?P<build>\d+) (?:main build action )?completed: (?P<result>[A-Z_]+)", K.LOG_MESSAGE),
        rule(r"(?P<file_path>/\S*/(?:script|scriptText)) by (?P<user>\S+)(?: from (?P<src_ip>[0-9a-fA-F.:]+))?", K.PRIVILEGE_USE,
             Outcome.SUCCESS),
        rule(r"(?P<file_path>/\S*/(?:configSubmit|doDelete|createItem|build\S*|installNecessaryPlugins|uploadPlugin)\S*) by (?P<user>\S+)"
             r"(?: from (?P<src_ip>[0-9a-fA-F.:]+))?", K.LOG_MESSAGE),
        rule(r"Jenkins is fully up and running", K.SERVICE_START, Outcome.SUCCESS),
        rule(r"(?:Jenkins stopped|Stopping Jenkins)", K.SERVICE_STOP),
        rule(r"Accepted (?P<protocol>\S+) connection #\d+ from /?(?P<src_ip>[0-9a-fA-F.:]+):(?P<port>\d+)", K.NETWORK_CONNECTION,
             Outcome.SUCCESS),
    ),
    provider="jenkins",
)  # fmt: skip


def parse(file: File) -> Iterator[Record]:
    return text_records(file, LOG)
