# SPDX-License-Identifier: Apache-2.0
"""Operations, logins, sites, tasks and firewall rules of the 宝塔 server panel (panel.baota).

Reads:  /www/server/panel/data/default.db, and its db/*.db of newer releases; the -wal beside each: rows not so in the database.
Time:   text in the server's own zone, whole seconds; a user's last login as seconds.
Format: SQLite; tables logs, users, sites, databases, crontab, firewall, ftps as the panel's installer creates them.
Limits: the panel can clear its logs; passwords are left out of the events, their digests and salts too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from headwater.examine.batch import printable
from headwater.examine.parsers._sqlite import Columns, Make, of_log, rows_of, text, value
from headwater.examine.parsers.linux_wtmpdb import address
from headwater.formats.patterns import lazy_regex
from headwater.formats.sqlite_file import Row
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome, TimeBasis
from headwater.model.records import Event, File, Record, Value

FEED = "panel.baota"
VERSION = 1
READS = (
    "/www/server/panel/data/default.db", "/www/server/panel/data/db/*.db",
    "/www/server/panel/data/default.db-wal", "/www/server/panel/data/db/*.db-wal",
)  # fmt: skip
beside = of_log
_SECRET = lazy_regex(r"pass|salt|secret|token|key", re.IGNORECASE)
_TIME = lazy_regex(r"^(\d{4})[-/](\d\d?)[-/](\d\d?)[ T](\d\d?):(\d\d):(\d\d)$")
_IP = lazy_regex(r"(?:登录\s*IP|IP|ip)[:：\s]*((?:\d{1,3}\.){3}\d{1,3}|[0-9a-fA-F:]{3,39})")
_SUCCESS, _FAILURE = (
    lazy_regex(r"登录成功|login success", re.IGNORECASE),
    lazy_regex(r"登录失败|密码错误|login fail", re.IGNORECASE),
)
_USER = lazy_regex(r"(?:帐号|账号|用户|用户名)[:：\s]*\[?([^\s,，\]]{1,64})")


def _when(stated: object) -> tuple[int | None, TimeBasis]:
    match = _TIME.match(stated.strip()) if isinstance(stated, str) else None
    if match is None:
        return None, TimeBasis.NONE
    try:
        year, month, day, hour, minute, second = (int(g) for g in match.groups())
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None, TimeBasis.NONE
    return int(moment.timestamp()) * 1_000_000_000, TimeBasis.ZONE_ASSUMED


def _log(row: Row, columns: Columns) -> Event:
    said, when = text(columns.get("log")) or "", _when(columns.get("addtime"))
    kind, outcome = K.LOG_MESSAGE, None
    if _SUCCESS.search(said):
        kind, outcome = K.AUTH_SUCCESS, Outcome.SUCCESS
    elif _FAILURE.search(said):
        kind, outcome = K.AUTH_FAILURE, Outcome.FAILURE
    elif "清空" in said and "日志" in said:
        kind = K.LOG_CLEARED
    ip, user = _IP.search(said), _USER.search(said)
    return Event(
        row.offset, row.length, kind, t_recorded=when[0], t_basis=when[1], outcome=outcome, provider="baota",
        user=user.group(1) if user else text(columns.get("username")), src_ip=address(ip.group(1)) if ip else None,
        fields={"table": "logs", "type": value(columns.get("type")), "message": value(said)},
    )  # fmt: skip


def _state(table: str, kind: K) -> Make:
    def make(row: Row, columns: Columns) -> Event:
        when = _when(columns.get("addtime"))
        own: dict[str, Value] = {"table": table}
        own |= {
            printable(name): value(stored)
            for name, stored in columns.items()
            if not _SECRET.search(name) and stored is not None
        }
        command = text(columns.get("sBody")) if table == "crontab" else None
        return Event(
            row.offset, row.length, kind, t_recorded=when[0], t_basis=when[1], t_kind="created", provider="baota",
            user=text(columns.get("username")), command_line=command or None, file_path=text(columns.get("path")),
            src_ip=address(text(columns.get("login_ip"))), fields=own,
        )  # fmt: skip

    return make


_TABLES: dict[str, Make] = {
    "logs": _log,
    "users": _state("users", K.STATE_ACCOUNT),
    "sites": _state("sites", K.STATE_SERVICE),
    "databases": _state("databases", K.STATE_SERVICE),
    "ftps": _state("ftps", K.STATE_ACCOUNT),
    "crontab": _state("crontab", K.STATE_SCHEDULE),
    "firewall": _state("firewall", K.STATE_SERVICE),
}


def parse(file: File) -> Iterator[Record]:
    return rows_of(file, _TABLES)
