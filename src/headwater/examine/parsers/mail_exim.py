# SPDX-License-Identifier: Apache-2.0
"""Messages, refused logins and deliveries of Exim (mail.exim).

Reads:  /var/log/exim4/*log, /var/log/exim/*.log, /var/log/exim_mainlog.
Time:   the host's wall clock, whole seconds; with log_selector +timezone its offset.
Format: ``time [pid] [message-id flag] text``; further lines belong to their record.
Limits: what stands in H= and F= is the peer's word; a queue-time address in brackets is the peer's.
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

FEED = "mail.exim"
VERSION = 2
READS = ("/var/log/exim4/*log*", "/var/log/exim/*log*", "/var/log/exim_*log*")
_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?: [+-]\d{4})?"
_NAMED = r"(?:[^\[\s(]{1,255} )?(?:\((?P<helo>[^)]{0,255})\) )?\[(?P<src_ip>[0-9a-fA-F.:]{2,45})\](?::(?P<port>\d+))?"
_PEER, _FROM = "H=" + _NAMED, r"(?:\bfrom |\bH=)" + _NAMED
LOG = TextLog(
    lazy_regex(rf"{_TIME} ".encode()),
    lazy_regex(
        rf"(?s)(?P<time>{_TIME}) (?:\[(?P<pid>\d+)\] )?"
        rf"(?:(?P<message_id>[0-9A-Za-z]{{6}}-[0-9A-Za-z]{{6,11}}-[0-9A-Za-z]{{2,4}}) )?(?P<message>.*)"
    ),
    iso,
    (
        rule(
            rf"(?P<authenticator>\S{{1,80}}) authenticator failed for {_NAMED}[^\n]*?(?:\(set_id=(?P<user>[^)]*)\))?$",
            K.AUTH_FAILURE, Outcome.FAILURE,
        ),
        rule(rf"^<= (?P<sender>\S+) (?:[A-Z]=\S+ ){{0,2}}?{_PEER}.*? A=(?P<authenticator>[^:\s]+):(?P<user>\S+)",
             K.AUTH_SUCCESS, Outcome.SUCCESS),
        rule(r"^<= (?P<sender>\S+) (?:R=\S+ )?U=(?P<user>\S+) P=local", K.LOG_MESSAGE),
        rule(rf"^<= (?P<sender>\S+)(?: (?:[A-Z]=\S+ ){{0,2}}?{_PEER})?", K.LOG_MESSAGE),
        rule(r"^[=-]> (?P<recipient>\S+)(?: .*?\[(?P<dst_ip>[0-9a-fA-F.:]{2,45})\])?", K.LOG_MESSAGE, Outcome.SUCCESS),
        rule(
            r"^\*\* (?P<recipient>\S+)(?: .*? H=\S{1,255} \[(?P<dst_ip>[0-9a-fA-F.:]{2,45})\])?(?:.*?: (?P<reason>.*))?",
            K.LOG_MESSAGE, Outcome.FAILURE,
        ),
        rule(r"^== (?P<recipient>\S+)(?:.*? defer (?P<reason>.*))?", K.LOG_MESSAGE),
        rule(r"^cwd=(?P<cwd>.*?) \d+ args: (?P<command_line>.*)", K.LOG_MESSAGE),
        rule(r"^(?:removed|cancelled|frozen|unfrozen|forced) by (?P<user>\S+)$", K.LOG_MESSAGE),
        rule(
            rf"^{_PEER} (?:F=<(?P<sender>[^>]*)> )?.*?\b(?:temporarily )?rejected (?P<command>[A-Z]+|after \w+|connection)"
            r"(?: <?(?P<recipient>[^>:\s]*)>?)?(?:: (?P<reason>.*))?$",
            K.LOG_MESSAGE, Outcome.FAILURE,
        ),
        rule(
            rf"^(?:unqualified \w+ )?rejected:?(?: (?P<command>[A-Z]+))?[^\[]{{0,300}}?{_FROM}(?:: (?P<reason>.*))?",
            K.LOG_MESSAGE, Outcome.FAILURE,
        ),
        rule(
            rf"^SMTP (?:syntax|protocol) error in \"(?P<command>.*?)\" {_FROM}(?: I=\S+)?(?: (?P<reason>.*))?",
            K.LOG_MESSAGE, Outcome.FAILURE,
        ),
        rule(rf"^SMTP call {_FROM}.*? dropped: (?P<reason>.*)", K.LOG_MESSAGE, Outcome.FAILURE),
        rule(rf"^SMTP connection {_FROM}.*TCP/IP connection count", K.NETWORK_CONNECTION),
        rule(r"rejected (?:RCPT|MAIL|EHLO|HELO|AUTH|connection).*", K.LOG_MESSAGE, Outcome.FAILURE),
        rule(r"^exim \S+ daemon started", K.SERVICE_START, Outcome.SUCCESS),
        rule(_FROM, K.LOG_MESSAGE),
    ),
    provider="exim",
)  # fmt: skip


def parse(file: File) -> Iterator[Record]:
    return text_records(file, LOG)


def batches(file: File) -> Iterator[Batch]:
    return text_batches(file, LOG)
