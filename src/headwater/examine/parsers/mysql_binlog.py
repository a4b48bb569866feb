# SPDX-License-Identifier: Apache-2.0
"""Changes that MySQL and MariaDB wrote into their binary log, by event header (mysql.binlog).

Reads:  */mysql-bin.NNNNNN, binlog.NNNNNN, mariadb-bin.NNNNNN; or content that begins with its magic.
Time:   seconds, UTC, when the statement began on the server that first ran it.
Format: events of version 4: 19 bytes of header, then the body; QUERY (packed too), ROWS_QUERY, TABLE_MAP, GTID and ROTATE are
        read further; ``checksum_holds`` false: the event's CRC-32 is not that of its bytes.
Limits: row images and MySQL's compressed transactions are not decoded; encrypted logs are one gap; a replica's log tells its
        master's times and server ids; the user stands with statements on accounts and definers alone.

Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication_binlog_event.html
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "mysql.binlog"
VERSION = 2
# six digits; a name such as ls-usr-bin.stdout has letters there
READS = tuple(f"/{name}.{digit}?????" for name in ("*-bin", "binlog") for digit in "012")
_MAGIC, _ENCRYPTED = b"\xfebin", b"\xfdbin"
_HEAD = struct.Struct("<IBIIIH")
_MOST_BODY = 1 << 16  # bytes of a body that are read
# lengths of status variables that have one (MySQL, libbinlogevents/include/statement_events.h; MariaDB, sql/log_event.h)
_FIXED = {0: 4, 1: 8, 3: 4, 4: 6, 7: 2, 8: 2, 9: 8, 10: 4, 13: 3, 128: 3, 129: 8}
_TYPES = {
    1: "START_V3", 2: "QUERY", 3: "STOP", 4: "ROTATE", 5: "INTVAR", 13: "RAND", 14: "USER_VAR",
    15: "FORMAT_DESCRIPTION", 16: "XID", 17: "BEGIN_LOAD_QUERY", 18: "EXECUTE_LOAD_QUERY", 19: "TABLE_MAP",
    23: "WRITE_ROWS_V1", 24: "UPDATE_ROWS_V1", 25: "DELETE_ROWS_V1", 26: "INCIDENT", 27: "HEARTBEAT", 29: "ROWS_QUERY",
    30: "WRITE_ROWS", 31: "UPDATE_ROWS", 32: "DELETE_ROWS", 33: "GTID", 34: "ANONYMOUS_GTID", 35: "PREVIOUS_GTIDS",
    36: "TRANSACTION_CONTEXT", 37: "VIEW_CHANGE", 38: "XA_PREPARE", 39: "PARTIAL_UPDATE_ROWS", 40: "TRANSACTION_PAYLOAD",
    160: "ANNOTATE_ROWS", 161: "BINLOG_CHECKPOINT", 162: "MARIADB_GTID", 163: "MARIADB_GTID_LIST", 164: "START_ENCRYPTION",
    165: "QUERY_COMPRESSED", 166: "WRITE_ROWS_COMPRESSED_V1", 167: "UPDATE_ROWS_COMPRESSED_V1", 168: "DELETE_ROWS_COMPRESSED_V1",
    169: "WRITE_ROWS_COMPRESSED", 170: "UPDATE_ROWS_COMPRESSED", 171: "DELETE_ROWS_COMPRESSED",
}  # fmt: skip


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _query(body: bytes, extra: int = 0, packed: bool = False) -> dict[str, Value]:
    """A statement with its thread; ``extra`` bytes stand behind the fixed part of some kinds."""
    thread, seconds, schema_size, error, status = struct.unpack_from("<IIBHH", body)
    at = 13 + extra + status
    schema, statement = body[at : at + schema_size], body[at + schema_size + 1 :]
    if packed:
        statement = _unpacked(statement)
    return {
        "thread": thread, "seconds": seconds, "error": error, "schema": _text(schema) or None, "statement": _text(statement),
        **_invoker(body[13 + extra : at]),
    }  # fmt: skip


def _unpacked(raw: bytes) -> bytes:
    """What MariaDB packed: a byte (algorithm, bytes of the length), the length, and zlib's stream; at most 64 KiB of it."""
    if not raw or raw[0] >> 4 & 7:
        return b""
    packer = zlib.decompressobj()
    try:
        return packer.decompress(raw[1 + (raw[0] & 7) :], _MOST_BODY)
    except zlib.error:
        return b""


def _invoker(status: bytes) -> dict[str, Value]:
    """Who ran the statement, where its status variables say so: MySQL's and MariaDB's for accounts, grants and definers."""
    at = 0
    while at < len(status):
        code, at = status[at], at + 1
        if code in _FIXED:
            at += _FIXED[code]
        elif code in (2, 6) or code == 5:
            at += 1 + (status[at] if at < len(status) else 0) + (code == 2)
        elif code == 11 and at < len(status):
            user, host = status[at + 1 : at + 1 + status[at]], at + 1 + status[at]
            name = status[host + 1 : host + 1 + status[host]] if host < len(status) else b""
            return {"user": _text(user) or None, "rhost": _text(name) or None}
        else:
            break
    return {}


def _body(kind: int, body: bytes, server: int) -> dict[str, Value]:
    if kind == 2 and len(body) >= 13:
        return _query(body)
    if kind == 165 and len(body) >= 13:
        return _query(body, packed=True)
    if kind == 18 and len(body) >= 26:
        return _query(body, 13)
    if kind == 33 and len(body) >= 25:
        sid = body[1:17].hex()
        words = (sid[:8], sid[8:12], sid[12:16], sid[16:20], sid[20:])
        return {"gtid": f"{'-'.join(words)}:{int.from_bytes(body[17:25], 'little')}"}
    if kind == 162 and len(body) >= 12:
        number, domain = struct.unpack_from("<QI", body)
        return {"gtid": f"{domain}-{server}-{number}"}
    if kind == 17 and len(body) > 4:
        return {"bytes": len(body) - 4}
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


def _checked(head: bytes, body: bytes) -> int:
    """The CRC-32 that an event should end in: of a format description as if the log were closed."""
    if head[4] == 15:
        head = head[:17] + bytes([head[17] & 0xFE]) + head[18:]
    return zlib.crc32(body, zlib.crc32(head))


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
        holds = True
        if checksum and whole:
            holds = len(body) >= 4 and _checked(raw, body[:-4]) == int.from_bytes(body[-4:], "little")
            body = body[:-4]
        fields: dict[str, Value] = {
            "type": _TYPES.get(kind, str(kind)),
            "server_id": server,
            "next_position": position,
            "flags": flags,
        }
        fields |= {k: v for k, v in _body(kind, body, server).items() if v is not None}
        user = fields.pop("user", None)
        if not whole:
            fields["cut"] = True
        if not holds:
            fields["checksum_holds"] = False
        yield Event(
            at, size, K.LOG_MESSAGE, t_recorded=seconds * 1_000_000_000 if seconds else None,
            t_basis=TimeBasis.UTC if seconds else TimeBasis.NONE, provider="mysqld", event_code=str(kind), user=str(user) if user else None,
            fields=fields,
        )  # fmt: skip
        at += size


def recognise(head: bytes) -> bool:
    return head.startswith(_MAGIC)
