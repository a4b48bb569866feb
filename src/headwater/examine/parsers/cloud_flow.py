# SPDX-License-Identifier: Apache-2.0
"""Flows of virtual networks: AWS VPC flow logs and Alibaba Cloud's (cloud.flow).

Reads:  *vpcflowlogs*.log as delivered to a bucket, *flowlog* text and JSON exports; or content that begins with its header.
Time:   UTC seconds, the beginning of the interval that the flow was seen in.
Format: columns as the header line names them (AWS versions 2 to 5); without one the 14 columns of version 2; JSON lines.
Limits: NODATA and SKIPDATA lines tell of no flow; an interval is up to ten minutes long; written after the documentation.

Source: https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from headwater.examine.parsers._records import event, object_of
from headwater.examine.parsers._text import Line, lines
from headwater.examine.parsers._when import epoch
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, Outcome
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "cloud.flow"
VERSION = 1
READS = ("/*vpcflowlogs*.log", "/*flowlog*.log", "/*flowlog*.txt", "/*flowlog*.json", "/*flow_log*.json")
_DEFAULT = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status".split()  # noqa: SIM905
_ALIBABA = frozenset({"srcaddr", "dstaddr", "start"})
_NUMBERS = frozenset({"srcport", "dstport", "protocol", "packets", "bytes"})
_VERSION_2 = re.compile(r"2 \S+ eni-\S+ ")


def _event(line: Line, row: Mapping[str, Any]) -> Event:
    when = epoch(row.get("start"))
    action = str(row.get("action", "")).upper()
    refused = action in ("REJECT", "DROP", "DENY")
    fields: dict[str, Value] = {}
    for name, value in row.items():
        text = str(value)
        fields[name] = (
            int(text)
            if name in _NUMBERS and text.isascii() and text.isdigit() and len(text) < 19
            else text
            if text != "-"
            else None
        )
    fields["src_ip"], fields["dst_ip"] = fields.pop("srcaddr", None), fields.pop("dstaddr", None)
    outcome = (Outcome.FAILURE if refused else Outcome.SUCCESS) if action else None
    return event(line, when, K.FIREWALL_BLOCK if refused else K.NETWORK_CONNECTION, outcome, fields, t_kind="began")


def parse(file: File) -> Iterator[Record]:
    names: list[str] = _DEFAULT
    for line in lines(file):
        if isinstance(line, Gap):
            yield line
            continue
        text = line.text.strip()
        values = text.split(" ")
        if not text:
            yield Skip(line.offset, line.length, "blank line")
        elif {"srcaddr", "dstaddr"} <= set(values) and len(values) <= 60:
            names = values
            yield Skip(line.offset, line.length, "the names of the columns")
        elif text.startswith("{") and (entry := object_of(text)) is not None and entry.keys() >= _ALIBABA:
            yield _event(line, entry)
        elif len(values) != len(names):
            yield Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, "another number of columns")
        elif "NODATA" in values or "SKIPDATA" in values:
            yield Skip(line.offset, line.length, "an interval without flow data")
        else:
            yield _event(line, dict(zip(names, values)))


def recognise(head: bytes) -> bool:
    first = head.partition(b"\n")[0].decode("utf-8", "replace")
    words = first.split(" ")
    return {"srcaddr", "dstaddr", "action"} <= set(words) or bool(_VERSION_2.match(first) and len(words) == 14)
