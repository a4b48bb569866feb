# SPDX-License-Identifier: Apache-2.0
"""Changes that MySQL and MariaDB wrote into their binary log, by event header (mysql.binlog).

Reads:  */mysql-bin.NNNNNN, binlog.NNNNNN, mariadb-bin.NNNNNN; or content that begins with its magic.
Time:   seconds, UTC, when the statement began on the server that first ran it.
Format: events of version 4: 19 bytes of header, then the body; QUERY, ROWS_QUERY, TABLE_MAP and ROTATE are read further.
Limits: row images are not decoded; encrypted logs are one gap; a replica's log tells its master's times and server ids.

Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication_binlog_event.html
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "mysql.binlog"
VERSION = 1
# six digits; a name such as ls-usr-bin.stdout has letters there
READS = tuple(f"/{name}.{digit}?????" for name in ("*-bin", "binlog") for digit in "012")
_MAGIC, _ENCRYPTED = b"\xfebin", b"\xfdbin"
_HEAD = struct.Struct("<IBIIIH")
_MOST_BODY = 1 << 16  # bytes of a body that are read
_TYPES = {
    1: "START_V3", 2: "QUERY", 3: "STOP", 4: "ROTATE", 5: "INTVAR", 15: "FORMAT_DESCRIPTION", 16: "XID", 19: "TABLE_MAP",
    23: "WRITE_ROWS_V1", 24: "UPDATE_ROWS_V1", 25: "DELETE_ROWS_V1", 26: "INCIDENT", 27: "HEARTBEAT", 29: "ROWS_QUERY",
    30: "WRITE_ROWS", 31: "UPDATE_ROWS", 32: "DELETE_ROWS", 33: "GTID", 34: "ANONYMOUS_GTID", 35: "PREVIOUS_GTIDS",
    160: "ANNOTATE_ROWS", 161: "BINLOG_CHECKPOINT", 162: "MARIADB_GTID", 163: "MARIADB_GTID_LIST",
}  # fmt: skip


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _query(body: bytes) -> dict[str, Value]:
    thread, seconds, schema_size, error, status = struct.unpack_from("<IIBHH", body)
    at = 13 + status
    schema = body[at : at + schema_size]
    return {
        "thread": thread, "seconds": seconds, "error": error, "schema": _text(schema) or None,
        "statement": _text(body[at + schema_size + 1 :]),
    }  # fmt: skip


def _body(kind: int, body: bytes) -> dict[str, Value]:
    if kind == 2 and len(body) >= 13:
        return _query(body)
    if kind == 29 and body:
        return {"statement": _text(body[1:])}
    if kind == 160:
        return {"statement": _text(body)}
    if kind == 4 and len(body) > 8:
        return {"next_log": _text(body[8:])}
    if kind == 19 and len(body) > 9:
        size = body[8]
        table = body[10 + size : 10 + size + 1]
        name = body[11 + size : 11 + size + table[0]] if table else b""
        return {"schema": _text(body[9 : 9 + size]), "table": _text(name)}
    if kind == 15 and len(body) >= 52:
        return {"server_version": _text(body[2:52].rstrip(b"\0"))}
    return {}


def _checksummed(kind: int, body: bytes, known: bool) -> bool:
    """Whether events end in four bytes of CRC-32: what the format description says, until then as before."""
    if kind != 15 or len(body) < 62:
        return known
    version = body[2:52].rstrip(b"\0").split(b"-")[0].split(b".")
    numbers = tuple(int(v) for v in version if v.isdigit() and len(v) < 6)
    return numbers >= (5, 6, 1) and body[-5] == 1


def parse(file: File) -> Iterator[Record]:
    magic = file.pread(0, 4) if file.size else b""
    if magic != _MAGIC:
        reason = GapReason.ENCRYPTED if magic == _ENCRYPTED else GapReason.NOT_THIS_FORMAT
        if file.size:
            yield Gap(0, file.size, reason, "no binary log in clear")
        return
    yield Skip(0, 4, "the magic number of a binary log")
    at, checksum = 4, False
    while at < file.size:
        raw = file.pread(at, min(19, file.size - at))
        size = struct.unpack_from("<I", raw, 9)[0] if len(raw) == 19 else 0
        if not 19 <= size <= file.size - at:
            reason = (
                GapReason.OVERWRITTEN
                if not any(raw)
                else GapReason.TRUNCATED
                if len(raw) < 19 or size >= 19
                else GapReason.NOT_THIS_FORMAT
            )
            yield Gap(at, file.size - at, reason, "no whole event stands here")
            return
        seconds, kind, server, _size, position, flags = _HEAD.unpack(raw)
        whole = size - 19 <= _MOST_BODY
        body = file.pread(at + 19, min(size - 19, _MOST_BODY))
        checksum = _checksummed(kind, body, checksum)
        if checksum and whole:
            body = body[:-4]
        fields: dict[str, Value] = {
            "type": _TYPES.get(kind, str(kind)),
            "server_id": server,
            "next_position": position,
            "flags": flags,
        }
        fields |= {k: v for k, v in _body(kind, body).items() if v is not None}
        if not whole:
            fields["cut"] = True
        yield Event(
            at, size, K.LOG_MESSAGE, t_recorded=seconds * 1_000_000_000 if seconds else None,
            t_basis=TimeBasis.UTC if seconds else TimeBasis.NONE, provider="mysqld", event_code=str(kind), fields=fields,
        )  # fmt: skip
        at += size


def recognise(head: bytes) -> bool:
    return head.startswith(_MAGIC)
