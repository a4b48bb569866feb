# SPDX-License-Identifier: Apache-2.0
"""Events in the forms of other programs: CSV, Timesketch, Elastic Common Schema, OCSF, the body file.

Pure functions over rows of the contract (:func:`headwater.store.sql.contract`, times in UTC nanoseconds) that have
their ``id``. Sources: Timesketch's "Import" guide (message, datetime, timestamp in microseconds, timestamp_desc);
Elastic Common Schema 8, https://www.elastic.co/guide/en/ecs/8.17/ ; Open Cybersecurity Schema Framework 1.3,
https://schema.ocsf.io/1.3.0/ ; The Sleuth Kit's body file, https://wiki.sleuthkit.org/index.php?title=Body_file .
"""

from __future__ import annotations

import csv
import io
import json
import stat
from collections.abc import Mapping
from typing import Any

from headwater.model.kinds import EventKind, Outcome
from headwater.model.records import HEADER
from headwater.model.times import SECOND, rfc3339

Row = Mapping[str, Any]
_COMMANDS = ("=", "+", "-", "@", "\t", "\r")  # OWASP, "CSV Injection": what a spreadsheet takes for a formula
_COLUMNS = ("id", "ts", *(name for name, _ in HEADER if name not in ("t_recorded",)), "t_recorded", "fields")


def _json(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=str)


def message(row: Row) -> str:
    """What the record says, in one line: its command, its message, its request, or its file."""
    fields = row["fields"]
    for text in (row["command_line"], fields.get("message"), fields.get("MESSAGE")):
        if text:
            return str(text)
    if fields.get("cs-uri"):
        return f"{fields.get('cs-method') or ''} {fields['cs-uri']}".strip()
    words = (row["file_path"], row["process"], row["user"], row["src_ip"])
    return next((str(word) for word in words if word), str(row["kind"]))


def csv_head() -> str:
    """The first line of the CSV form."""
    return ",".join(_COLUMNS) + "\r\n"


def csv_line(row: Row) -> str:
    """One event as CSV (RFC 4180); a cell that a spreadsheet could take for a formula begins with an apostrophe."""
    held = {**row, "ts": rfc3339(row["ts"]), "t_recorded": rfc3339(row["t_recorded"]), "fields": _json(row["fields"])}
    out = io.StringIO()
    csv.writer(out).writerow([_cell(held[name]) for name in _COLUMNS])
    return out.getvalue()


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    if not isinstance(value, int) and text.startswith(_COMMANDS):
        return "'" + text
    return text


def timesketch_line(row: Row) -> str | None:
    """One event as Timesketch's JSON lines; None where it has no time, which Timesketch cannot hold."""
    if row["ts"] is None:
        return None
    given = {
        "message": message(row),
        "datetime": rfc3339(row["ts"]),
        "timestamp": row["ts"] // 1000,
        "timestamp_desc": row["kind"],
        "headwater_id": row["id"],
    }
    header = {name: row[name] for name, _ in HEADER if row[name] is not None and name not in ("t_recorded",)}
    return _json({**row["fields"], **header, **given})


# category and type of Elastic's event.* fields, by our kind's family
_ECS: dict[str, tuple[list[str], list[str]]] = {
    "auth": (["authentication"], ["start"]),
    "session": (["session"], ["info"]),
    "privilege": (["iam"], ["info"]),
    "account": (["iam"], ["user", "change"]),
    "group": (["iam"], ["group", "change"]),
    "process": (["process"], ["start"]),
    "service": (["process"], ["info"]),
    "schedule": (["process"], ["info"]),
    "package": (["package"], ["change"]),
    "web": (["web"], ["access"]),
    "file": (["file"], ["info"]),
    "network": (["network"], ["connection"]),
    "firewall": (["network"], ["denied"]),
    "registry": (["registry"], ["info"]),
    "system": (["host"], ["info"]),
    "state": (["configuration"], ["info"]),
}
_ECS_TYPES = {
    EventKind.ACCOUNT_CREATE: ["user", "creation"],
    EventKind.ACCOUNT_DELETE: ["user", "deletion"],
    EventKind.FILE_CREATED: ["creation"],
    EventKind.FILE_MODIFIED: ["change"],
    EventKind.FILE_ACCESSED: ["access"],
    EventKind.FILE_DELETED: ["deletion"],
    EventKind.PROCESS_EXIT: ["end"],
    EventKind.SESSION_OPEN: ["start"],
    EventKind.SESSION_CLOSE: ["end"],
    EventKind.PACKAGE_INSTALL: ["installation"],
    EventKind.PACKAGE_REMOVE: ["deletion"],
}


def ecs_line(row: Row) -> str:
    """One event by the Elastic Common Schema; without a time it has no ``@timestamp``."""
    category, types = _ECS.get(str(row["kind"]).partition(".")[0], ([], ["info"]))
    found: dict[str, Any] = {
        "@timestamp": rfc3339(row["ts"]),
        "ecs": {"version": "8.17.0"},
        "message": message(row),
        "event": {
            "kind": "state" if str(row["kind"]).startswith("state.") else "event",
            "category": category,
            "type": _ECS_TYPES.get(row["kind"], types),
            "action": row["kind"],
            "outcome": row["outcome"],
            "code": row["event_code"],
            "provider": row["provider"],
            "id": row["id"],
            "dataset": row["feed"],
        },
        "host": {"name": row["host"]},
        "user": {"name": row["user"]},
        "source": {"ip": row["src_ip"]},
        "destination": {"ip": row["dst_ip"]},
        "process": {"pid": row["pid"], "name": row["process"], "command_line": row["command_line"]},
        "file": {"path": row["file_path"]},
        "log": {"file": {"path": row["path"]}, "offset": row["offset"]},
        "headwater": {
            "source": row["source"],
            "length": row["length"],
            "t_basis": row["t_basis"],
            "fields": row["fields"],
        },
    }
    return _json(_pruned(found))


def _pruned(value: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is null and without objects that hold nothing else."""
    found = {}
    for name, held in value.items():
        if isinstance(held, Mapping) and name != "fields":
            held = _pruned(held)
            if not held:
                continue
        if held is not None:
            found[name] = held
    return found


# class and activity of OCSF 1.3 for the kinds that have one; all others are Base Events
_OCSF: dict[str, tuple[int, int]] = {
    EventKind.AUTH_SUCCESS: (3002, 1),
    EventKind.AUTH_FAILURE: (3002, 1),
    EventKind.SESSION_OPEN: (3002, 1),
    EventKind.SESSION_CLOSE: (3002, 2),
    EventKind.ACCOUNT_CREATE: (3001, 1),
    EventKind.ACCOUNT_DELETE: (3001, 6),
    EventKind.ACCOUNT_CHANGE: (3001, 99),
    EventKind.PROCESS_CREATE: (1007, 1),
    EventKind.PROCESS_EXIT: (1007, 2),
    EventKind.SCHEDULE_RUN: (1006, 6),
    EventKind.SCHEDULE_CHANGE: (1006, 2),
    EventKind.FILE_CREATED: (1001, 1),
    EventKind.FILE_ACCESSED: (1001, 2),
    EventKind.FILE_MODIFIED: (1001, 3),
    EventKind.FILE_CHANGED: (1001, 6),
    EventKind.FILE_DELETED: (1001, 4),
    EventKind.NETWORK_CONNECTION: (4001, 1),
    EventKind.FIREWALL_BLOCK: (4001, 5),
    EventKind.WEB_REQUEST: (4002, 99),
}
_METHODS = {"CONNECT": 1, "DELETE": 2, "GET": 3, "HEAD": 4, "OPTIONS": 5, "POST": 6, "PUT": 7, "TRACE": 8}
_STATUS = {Outcome.SUCCESS: 1, Outcome.FAILURE: 2}


def ocsf_line(row: Row, version: str) -> str | None:
    """One event by OCSF 1.3 (``version``: of this program); None without a time, which OCSF requires."""
    if row["ts"] is None:
        return None
    fields = row["fields"]
    uid, activity = _OCSF.get(row["kind"], (0, 99))
    if uid == 4002:
        activity = _METHODS.get(str(fields.get("cs-method") or "").upper(), 99)
    found: dict[str, Any] = {
        "class_uid": uid,
        "category_uid": uid // 1000,
        "activity_id": activity,
        "type_uid": uid * 100 + activity,
        "activity_name": row["kind"],
        "time": row["ts"] // 1_000_000,
        "severity_id": 1,
        "status_id": _STATUS.get(row["outcome"]),
        "message": message(row),
        "metadata": {
            "version": "1.3.0",
            "product": {"name": "Headwater", "vendor_name": "Headwater", "version": version},
            "uid": row["id"],
            "log_name": row["feed"],
            "log_provider": row["provider"],
            "event_code": row["event_code"],
            "original_time": rfc3339(row["t_recorded"]),
        },
        "device": {"hostname": row["host"]},
        "user": {"name": row["user"]},
        "src_endpoint": {"ip": row["src_ip"]},
        "dst_endpoint": {"ip": row["dst_ip"]},
        "process": {"pid": row["pid"], "name": row["process"], "cmd_line": row["command_line"]},
        "file": {"path": row["file_path"]},
        "unmapped": {"fields": {**fields, "source": row["source"], "path": row["path"], "offset": row["offset"]}},
    }
    if uid == 4002:
        request = {"http_method": fields.get("cs-method"), "user_agent": fields.get("cs-user-agent")}
        uri = fields.get("cs-uri") or fields.get("cs-uri-stem")
        found["http_request"] = {**request, "url": {"path": uri}}
        found["http_response"] = {"code": fields.get("sc-status")}
    return _json(_pruned(found))


def body_line(row: Row) -> str:
    """One file as a line of the body file: MD5|name|inode|mode|UID|GID|size|atime|mtime|ctime|crtime, whole seconds.

    A ``|`` or a line's end in a name is percent-encoded, for it would shift every column behind it. A name that is not in
    use has `` (deleted)`` behind it, as The Sleuth Kit's own body files do.
    """
    name = str(row["file_path"] or "").replace("%", "%25") if _splits(row["file_path"]) else str(row["file_path"] or "")
    for char in ("|", "\n", "\r"):
        name = name.replace(char, f"%{ord(char):02X}")
    if row.get("allocated") is False:
        name += " (deleted)"
    mode = row["mode"]
    shown = stat.filemode(mode) if isinstance(mode, int) else "-"
    times = [0 if row[t] is None else row[t] // SECOND for t in ("accessed", "modified", "changed", "created")]
    numbers = ["0" if row[n] is None else str(row[n]) for n in ("uid", "gid", "size")]
    inode = "0" if row["inode"] is None else str(row["inode"])
    return "|".join(["0", name, inode, shown, *numbers, *map(str, times)]) + "\n"


def _splits(name: object) -> bool:
    return any(char in str(name) for char in "|\n\r")
