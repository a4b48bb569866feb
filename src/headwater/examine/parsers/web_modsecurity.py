# SPDX-License-Identifier: Apache-2.0
"""Transactions that ModSecurity judged, from its serial audit log (web.modsecurity).

Reads:  modsec_audit.log, modsec_audit*.log wherever it lies.
Time:   stated with its offset, whole seconds (microseconds are kept out of account).
Format: sections from ``--id-A--`` to ``--id-Z--``; one transaction is one record; JSON lines are not read.
Limits: bodies are kept to 8192 characters; the concurrent form keeps its transactions in files of their own.

Source: https://github.com/owasp-modsecurity/ModSecurity/wiki/ModSecurity-2-Data-Formats
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._records import Chunk, chunks, event
from headwater.examine.parsers._when import NONE, clf
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, Outcome
from headwater.model.records import File, Gap, Record, Value

FEED = "web.modsecurity"
VERSION = 1
READS = ("/modsec_audit*.log*", "/modsec_audit.log*")
_STARTS = lazy_regex(rb"-{2,3}[0-9A-Za-z]{4,64}-{1,3}A--\s*$")
_SECTION = lazy_regex(r"(?m)^-{2,3}[0-9A-Za-z]{4,64}-{1,3}([A-Z])--\s*$\n?")
_HEAD = lazy_regex(r"\[(?P<time>[^\]]*)\] (?P<id>\S+) (?P<src_ip>\S+) (?P<port>\d+) (?P<dst_ip>\S+) (?P<dst_port>\d+)")
_REQUEST = lazy_regex(r"(?P<method>[A-Z]+) (?P<uri>[^\n]*?)(?: (?P<version>HTTP/[0-9.]+))?\r?(?:\n|$)")
_RULE = lazy_regex(r'\[id "(\d+)"\]')
_STATUS = lazy_regex(r"HTTP/\S+ (\d{3})")


def _sections(text: str) -> dict[str, str]:
    parts = _SECTION.split(text)
    return {letter: body.strip("\n") for letter, body in zip(parts[1::2], parts[2::2])}


def parse(file: File) -> Iterator[Record]:
    for chunk in chunks(file, _STARTS):
        if not isinstance(chunk, Chunk):
            yield chunk
            continue
        part = _sections(chunk.text)
        head = _HEAD.match(part.get("A", ""))
        if head is None:
            yield Gap(
                chunk.offset, chunk.length, GapReason.NOT_THIS_FORMAT, "the head of the transaction cannot be read"
            )
            continue
        fields: dict[str, Value] = dict(head.groupdict())
        stated = str(fields.pop("time"))
        when = clf(stated) if stated else NONE
        fields["time_text"] = stated if when[0] is None else None
        request, status = _REQUEST.match(part.get("B", "")), _STATUS.match(part.get("F", ""))
        if request:
            stem, _, query = request["uri"].partition("?")
            fields |= {
                "cs-method": request["method"],
                "cs-uri": request["uri"],
                "cs-uri-stem": stem,
                "cs-uri-query": query,
            }
        for name, header in (
            ("cs-user-agent", "User-Agent"),
            ("cs-host", "Host"),
            ("x-forwarded-for", "X-Forwarded-For"),
        ):
            found = re.search(rf"(?mi)^{header}: ([^\r\n]*)", part.get("B", "")[:65_536])
            fields[name] = found.group(1) if found else None
        judged = part.get("H", "")
        fields |= {
            "sc-status": int(status.group(1)) if status else None, "body": part.get("C", "")[:8192], "message": judged[:8192],
            "rules": " ".join(dict.fromkeys(_RULE.findall(judged[:65_536]))), "whole": "Z" in part,
        }  # fmt: skip
        refused = "Action: Intercepted" in judged or "Access denied" in judged
        yield event(chunk, when, K.WEB_REQUEST, Outcome.FAILURE if refused else None, fields, provider="modsecurity")
