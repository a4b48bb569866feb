# SPDX-License-Identifier: Apache-2.0
"""Transactions that ModSecurity judged, from its audit log (web.modsecurity).

Reads:  modsec_audit*.log and .json wherever it lies, and what begins as a transaction does (the concurrent form's own files).
Time:   stated with its offset; in version 3's JSON the server's wall clock, whole seconds.
Format: sections from ``--id-A--`` to ``--id-Z--``, or one JSON object per line (``SecAuditLogFormat JSON``), of 2.9 and of 3;
        one transaction is one record.
Limits: bodies are kept to 8192 characters; what a site's own configuration calls the log is not asked.

Source: https://github.com/owasp-modsecurity/ModSecurity/wiki/ModSecurity-2-Data-Formats
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from headwater.examine.parsers._records import Chunk, chunks, event, json_lines, said
from headwater.examine.parsers._text import Line
from headwater.examine.parsers._when import NONE, asctime, clf
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, Outcome
from headwater.model.records import Event, File, Gap, Record, Value

FEED = "web.modsecurity"
VERSION = 2
READS = ("/modsec_audit*.log*", "/modsec_audit.log*", "/modsec_audit*.json*")
_STARTS = lazy_regex(rb"-{2,3}[0-9A-Za-z]{4,64}-{1,3}A--\s*$")
_SECTION = lazy_regex(r"(?m)^-{2,3}[0-9A-Za-z]{4,64}-{1,3}([A-Z])--\s*$\n?")
_HEAD = lazy_regex(r"\[(?P<time>[^\]]*)\] (?P<id>\S+) (?P<src_ip>\S+) (?P<port>\d+) (?P<dst_ip>\S+) (?P<dst_port>\d+)")
_REQUEST = lazy_regex(r"(?P<method>[A-Z]+) (?P<uri>[^\n]*?)(?: (?P<version>HTTP/[0-9.]+))?\r?(?:\n|$)")
_RULE = lazy_regex(r'\[id "(\d+)"\]')
_JSON = lazy_regex(rb'\s*\{\s*"transaction"\s*:\s*\{')
_STATUS = lazy_regex(r"HTTP/\S+ (\d{3})")


def _sections(text: str) -> dict[str, str]:
    parts = _SECTION.split(text)
    return {letter: body.strip("\n") for letter, body in zip(parts[1::2], parts[2::2])}


def recognise(head: bytes) -> bool:
    if _JSON.match(head):
        return b'"client_ip"' in head or b'"remote_address"' in head
    return _STARTS.match(head.partition(b"\n")[0]) is not None


def parse(file: File) -> Iterator[Record]:
    if _JSON.match(file.pread(0, 256)):
        return json_lines(file, _of_json)
    return _serial(file)


def _text(value: Any) -> str | None:
    return None if value is None or isinstance(value, (dict, list)) else str(value)[:8192]


def _header(headers: Any, name: str) -> str | None:
    """A header whatever the case it was sent in; of several, joined."""
    if not isinstance(headers, Mapping):
        return None
    found = [value for key, value in list(headers.items())[:256] if str(key).lower() == name]
    flat = [str(text) for value in found for text in (value if isinstance(value, list) else [value])]
    return ", ".join(flat)[:8192] or None


def _rules(entry: Mapping[str, Any]) -> tuple[str, str]:
    """What was said of the transaction, and the ids of the rules: version 3 has objects, 2.9 the texts of section H."""
    new, old = said(entry, "transaction.messages"), said(entry, "audit_data.messages")
    texts = [str(text) for text in old[:256]] if isinstance(old, list) else []
    ids = [number for text in texts for number in _RULE.findall(text[:8192])]
    for one in new[:256] if isinstance(new, list) else []:
        if isinstance(one, Mapping):
            texts.append(str(one.get("message") or said(one, "details.match") or ""))
            ids.append(_text(said(one, "details.ruleId")) or "")
    return "\n".join(texts)[:8192], " ".join(dict.fromkeys(filter(None, ids)))


def _of_json(line: Line, entry: dict[str, Any]) -> Event | None:
    if not isinstance(entry.get("transaction"), Mapping):
        return None
    stated = _text(said(entry, "transaction.time_stamp", "transaction.time")) or ""
    when = asctime(stated) if said(entry, "transaction.time_stamp") else clf(stated.strip("[]"))
    request = _REQUEST.match(_text(said(entry, "request.request_line")) or "")
    uri = _text(said(entry, "transaction.request.uri")) or (request["uri"] if request else None)
    headers = said(entry, "transaction.request.headers", "request.headers")
    status = _text(said(entry, "transaction.response.http_code", "response.status"))
    message, rules = _rules(entry)
    body = said(entry, "transaction.request.body", "request.body")
    fields: dict[str, Value] = {
        "time_text": stated if when[0] is None else None, "id": _text(said(entry, "transaction.unique_id", "transaction.transaction_id")),
        "src_ip": _text(said(entry, "transaction.client_ip", "transaction.remote_address")),
        "port": _text(said(entry, "transaction.client_port", "transaction.remote_port")),
        "dst_ip": _text(said(entry, "transaction.host_ip", "transaction.local_address")),
        "dst_port": _text(said(entry, "transaction.host_port", "transaction.local_port")),
        "cs-method": _text(said(entry, "transaction.request.method")) or (request["method"] if request else None),
        "cs-uri": uri, "cs-uri-stem": uri.partition("?")[0] if uri else None, "cs-uri-query": uri.partition("?")[2] if uri else None,
        "cs-user-agent": _header(headers, "user-agent"), "cs-host": _header(headers, "host"),
        "x-forwarded-for": _header(headers, "x-forwarded-for"),
        "sc-status": int(status) if status and status.isascii() and status.isdigit() and len(status) < 6 else None,
        "body": "".join(str(part) for part in body[:64])[:8192] if isinstance(body, list) else _text(body),
        "message": message, "rules": rules, "whole": True,
    }  # fmt: skip
    refused = (
        said(entry, "audit_data.action.intercepted", "transaction.is_interrupted") is True or "Access denied" in message
    )
    return event(line, when, K.WEB_REQUEST, Outcome.FAILURE if refused else None, fields, provider="modsecurity")


def _serial(file: File) -> Iterator[Record]:
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
