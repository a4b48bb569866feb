# SPDX-License-Identifier: Apache-2.0
"""Flows of virtual networks: AWS VPC flow logs and Alibaba Cloud's (cloud.flow).

Reads:  *vpcflowlogs*.log as delivered to a bucket, *flowlog* text and JSON exports; or content that begins with its header.
Time:   UTC seconds, the beginning of the interval that the flow was seen in.
Format: columns as the header line names them (AWS versions 2 to 5); without one the 14 columns of version 2; JSON lines.
Limits: NODATA and SKIPDATA lines tell of no flow; an interval is up to ten minutes long; written after the documentation.

Source: https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from headwater.examine import line_words
from headwater.examine.batch import Batch
from headwater.examine.line_views import Flags, Ints, constant
from headwater.examine.parsers._records import event, object_of
from headwater.examine.parsers._spaced import Cut, Judged, Values, addresses, spaced_batches
from headwater.examine.parsers._text import Line, lines
from headwater.examine.parsers._when import SECOND, epoch
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, Outcome, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Skip, Value, own_column

FEED = "cloud.flow"
VERSION = 1
READS = ("/*vpcflowlogs*.log", "/*flowlog*.log", "/*flowlog*.txt", "/*flowlog*.json", "/*flow_log*.json")
_DEFAULT = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status".split()  # noqa: SIM905
_ALIBABA = frozenset({"srcaddr", "dstaddr", "start"})
_NUMBERS = frozenset({"srcport", "dstport", "protocol", "packets", "bytes"})
_REFUSED = ("REJECT", "DROP", "DENY")
_SILENT = "an interval without flow data"
_SILENT_WORDS = tuple((len(t), np.uint64(int.from_bytes(t, "little"))) for t in (b"NODATA", b"SKIPDATA"))
_PLAIN = lazy_regex(r"[A-Za-z0-9_-]{1,100}")
_MADE = frozenset({"rhost", "dst_host", "pid_text"})  # as event() names what is no address, or no number
_LAST = (1 << 63) // SECOND  # 64 bits of nanoseconds end here
_VERSION_2 = lazy_regex(r"2 \S+ eni-\S+ ")


def _event(line: Line, row: Mapping[str, Any]) -> Event:
    when = epoch(row.get("start"))
    action = str(row.get("action", "")).upper()
    refused = action in _REFUSED
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


class _Flows:
    """The names of the columns above a line, and the records of lines by them."""

    def __init__(self) -> None:
        self.names: list[str] = _DEFAULT
        self._plan()

    def record(self, line: Line) -> Record:
        text = line.text.strip()
        values = text.split(" ")
        if not text:
            return Skip(line.offset, line.length, "blank line")
        if {"srcaddr", "dstaddr"} <= set(values) and len(values) <= 60:
            self.names = values
            self._plan()
            return Skip(line.offset, line.length, "the names of the columns")
        if text.startswith("{") and (entry := object_of(text)) is not None and entry.keys() >= _ALIBABA:
            return _event(line, entry)
        if len(values) != len(self.names):
            return Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, "another number of columns")
        if "NODATA" in values or "SKIPDATA" in values:
            return Skip(line.offset, line.length, _SILENT)
        return _event(line, dict(zip(self.names, values)))

    def _plan(self) -> None:
        """Whether lines under these names can be read by columns: plain names, each once, and a time among them."""
        fields = {name: k for k, name in enumerate(self.names)}
        plain = all(_PLAIN.fullmatch(name) and own_column(name) == name for name in fields)
        fits = plain and "start" in fields and len(fields) == len(self.names) > 2 and not _MADE & fields.keys()
        self._fields = fields if fits else {}

    def steers(self, cut: Cut) -> Flags:
        found = np.zeros(len(cut.start), dtype=np.bool_)
        found[cut.rows_with(b"srcaddr")] = True
        cut.odd[cut.data[cut.start] == ord("{")] = True
        return found

    def width(self) -> int:
        return len(self._fields)

    def judge(self, values: Values) -> Judged:
        silent = np.zeros(len(values.start[0]), dtype=np.bool_)
        for start, end in zip(values.start, values.end):
            for size, text in _SILENT_WORDS:
                rows = np.flatnonzero(end - start == size)
                silent[rows] |= line_words.masked(line_words.word(values.data, start[rows]), size) == text
        began = self._fields["start"]
        ok, second = values.whole(began)
        width = values.end[began] - values.start[began]
        fits = ok & (width >= 9) & (width <= 11) & (second < _LAST)
        time: Ints = np.where(fits, second, 0) * np.int64(SECOND)
        return Judged(fits, time, silent, _SILENT)

    def columns(self, values: Values, time: Ints) -> dict[str, pl.Series]:
        rows = len(time)
        made = {
            "t_recorded": pl.Series(time),
            "t_basis": constant(TimeBasis.UTC.value, rows),
            "t_kind": constant("began", rows),
            "kind": constant(K.NETWORK_CONNECTION.value, rows),
        }
        for name, k in self._fields.items():
            if name not in ("srcaddr", "dstaddr"):
                made[name] = values.number(k) if name in _NUMBERS else values.text(k)
        for name, header, none in (("srcaddr", "src_ip", "rhost"), ("dstaddr", "dst_ip", "dst_host")):
            if name in self._fields:
                made[header], made[none] = addresses(values.text(self._fields[name]))
        if "action" in self._fields:
            refused = made["action"].str.to_uppercase().is_in(_REFUSED).fill_null(value=False)
            failed, stopped = (constant(text, rows) for text in (Outcome.FAILURE.value, K.FIREWALL_BLOCK.value))
            made["outcome"] = failed.zip_with(refused, constant(Outcome.SUCCESS.value, rows))
            made["kind"] = stopped.zip_with(refused, made["kind"])
        return made


def parse(file: File) -> Iterator[Record]:
    """Line by line: what :func:`batches` says in columns."""
    flows = _Flows()
    for line in lines(file):
        yield line if isinstance(line, Gap) else flows.record(line)


def batches(file: File) -> Iterator[Batch]:
    """The same by columns, where the lines are regular."""
    return spaced_batches(file, _Flows())


def recognise(head: bytes) -> bool:
    first = head.partition(b"\n")[0].decode("utf-8", "replace")
    words = first.split(" ")
    return {"srcaddr", "dstaddr", "action"} <= set(words) or bool(_VERSION_2.match(first) and len(words) == 14)
