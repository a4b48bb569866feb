# SPDX-License-Identifier: Apache-2.0
"""What the agents of cloud providers did on a machine: commands sent, sessions, updates, alarms (cloud.agent).

Reads:  Alibaba 云助手 /usr/local/share/aliyun-assist/**/log/*.log and /var/log/aliyun-assist/*.log, 云安全中心 (安骑士)
        /usr/local/aegis/**/data/data*; Tencent TAT /var/log/tat_agent/*, /usr/local/qcloud/**/*.log; AWS SSM
        /var/log/amazon/ssm/*.log; Huawei /var/log/hostguard*/*.log; ``agent`` says which.
Time:   as each line states it: an offset where there is one, else the wall clock.
Format: a dated line, ``time … level … text`` or logrus' ``time="…" level=… msg="…"``; lines without a date go on the
        record before them.
Limits: the forms are those of common log libraries, as the agents are known to use them; no sample of a real machine was at
        hand for Alibaba, Tencent and Huawei; what a command printed mostly stands only in the provider's console.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._stamped import Stamped, level_of, moment, stamped
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Record, Value

FEED = "cloud.agent"
VERSION = 1
READS = (
    "/usr/local/share/aliyun-assist/**/log/*.log*",
    "/usr/local/share/assist-daemon/log/*.log*",
    "/var/log/aliyun-assist/*.log*",
    "/usr/local/aegis/**/data/data*",
    "/usr/local/aegis/**/*.log*",
    "/var/log/tat_agent/*",
    "/usr/local/qcloud/**/*.log*",
    "/var/log/amazon/ssm/*.log*",
    "/var/log/amazon/ssm/audits/*",
    "/var/log/hostguard/*.log*",
    "/usr/local/hostguard/log/*.log*",
)
_AGENTS = (
    ("aliyun-assist", "aliyun-assist"),
    ("assist-daemon", "aliyun-assist"),
    ("aegis", "aegis"),
    ("tat_agent", "tencent-tat"),
    ("qcloud", "tencent-qcloud"),
    ("amazon/ssm", "amazon-ssm"),
    ("hostguard", "huawei-hostguard"),
)
_TIME = r"\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|[+-]\d\d:?\d\d))?"
_HEAD = lazy_regex(rf'(?:time="(?P<logfmt>{_TIME})" |(?:\[?[A-Z]{{3,8}}\]? ?|[\[<|(])?(?P<time>{_TIME})[\]>|)]?[ :|]?)')
_PAIR = lazy_regex(r'([A-Za-z_][A-Za-z0-9_.-]{0,40})=(?:"((?:[^"\\]|\\.)*)"|(\S*))')
_TASK = lazy_regex(
    r"\b(?:task[_ ]?id|invocation[_ ]?(?:task[_ ]?)?id|command[_ -]?id)\W{1,4}([A-Za-z0-9-]{6,64})", re.I
)


def parse(file: File) -> Iterator[Record]:
    where = file_layer(file.path)
    agent = next((name for word, name in _AGENTS if word in where), None)
    for record in stamped(file, _HEAD):
        yield _event(record, agent) if isinstance(record, Stamped) else record


def _event(record: Stamped, agent: str | None) -> Event:
    said = record.head["logfmt"] or record.head["time"]
    time, basis = moment(said)
    text = record.message.strip(" \t")
    pairs = {m[1]: m[2] if m[2] is not None else m[3] for m in _PAIR.finditer(text[:8192])}
    logfmt = record.head["logfmt"] is not None
    task = _TASK.search(text[:8192])
    fields: dict[str, Value] = {
        "message": re.sub(r"\\(.)", r"\1", pairs.get("msg", text)) if logfmt else text,
        "level": pairs.get("level") if logfmt else level_of(record.head[0] + text),
        "agent": agent,
        "task": task[1] if task else None,
        "time_text": said if time is None else None,
        "cut": record.cut,
    }
    if logfmt:
        fields["pairs"] = " ".join(f"{k}={v}" for k, v in pairs.items() if k not in ("msg", "level")) or None
    own = {k: v for k, v in fields.items() if v is not None}
    return Event(record.offset, record.length, EventKind.LOG_MESSAGE, time, basis, process=agent, fields=own)
