# SPDX-License-Identifier: Apache-2.0
"""An event of a binary log that was edited after it was written says so; hostile packed statements cost little."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from headwater.examine.parsers import mysql_binlog
from headwater.model.records import Event, File

GOLDEN = Path(__file__).parents[1] / "golden" / "mysql_binlog"


def _events(data: bytes) -> list[Event]:
    file = File("/var/lib/mysql/mysql-bin.000002", len(data), lambda offset, length: data[offset : offset + length])
    return [record for record in mysql_binlog.parse(file) if isinstance(record, Event)]


def test_an_edited_statement_is_told_and_an_untouched_log_is_not() -> None:
    data = (GOLDEN / "real-statements.000002").read_bytes()
    assert not [e for e in _events(data) if "checksum_holds" in e.fields]
    edited = data.replace(b"delete from t where a=1", b"delete from t where a=2")
    (told,) = [e for e in _events(edited) if e.fields.get("checksum_holds") is False]
    assert told.fields["statement"] == "delete from t where a=2"


def test_who_changed_accounts_is_named() -> None:
    data = (GOLDEN / "real-statements.000002").read_bytes()
    (grant,) = [e for e in _events(data) if str(e.fields.get("statement", "")).startswith("grant all")]
    assert (grant.user, grant.fields["rhost"]) == ("root", "localhost")


def test_a_packed_statement_is_unpacked_within_bounds() -> None:
    def packed(statement: bytes) -> bytes:
        body = (
            struct.pack("<IIBHH", 1, 0, 0, 0, 0)
            + b"\0"
            + b"\x84"
            + len(statement).to_bytes(4, "big")
            + zlib.compress(statement)
        )
        return b"\xfebin" + struct.pack("<IBIIIH", 1, 165, 1, 19 + len(body), 0, 0) + body

    (event,) = _events(packed(b"DROP TABLE users"))
    assert event.fields["statement"] == "DROP TABLE users"
    (bomb,) = _events(packed(b"a" * (8 << 20)))
    assert len(str(bomb.fields["statement"])) == 1 << 16
    (broken,) = _events(packed(b"x").replace(zlib.compress(b"x"), b"\xff" * len(zlib.compress(b"x"))))
    assert not broken.fields["statement"]
