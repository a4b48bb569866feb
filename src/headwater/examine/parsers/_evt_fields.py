# SPDX-License-Identifier: Apache-2.0
"""Columns of event records before Windows Vista, named as windows.evtx names them.

Names of the Security log's strings: https://learn.microsoft.com/previous-versions/windows/it-pro/windows-server-2003/cc787567(v=ws.10)
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from headwater.examine.batch import printable
from headwater.formats.event_log import Entry
from headwater.formats.security_descriptor import sid_text

_PARAMETERS_MOST = 40
_BINARY_MOST = 4096  # bytes shown in hexadecimal
_CHANNELS = {"sysevent": "System", "appevent": "Application", "secevent": "Security"}
_SORTS = {0: "success", 1: "error", 2: "warning", 4: "information", 8: "audit success", 16: "audit failure"}
_LEVELS = {1: 2, 2: 3, 4: 4, 0: 4, 8: 0, 16: 0}
_TARGET = ("TargetUserName", "TargetDomainName")
_SUBJECT = ("SubjectUserName", "SubjectDomainName", "SubjectLogonId")
_PACKAGE = ("LogonType", "LogonProcessName", "AuthenticationPackageName", "WorkstationName")
_ADDRESS = ("ProcessId", "TransmittedServices", "IpAddress", "IpPort")
_LOGON = (*_TARGET, "TargetLogonId", *_PACKAGE, "LogonGuid", *_SUBJECT, *_ADDRESS)
_REFUSED = (*_TARGET, *_PACKAGE, *_SUBJECT, *_ADDRESS)
_MEMBER = ("MemberName", "MemberSid", *_TARGET, "TargetSid", *_SUBJECT)
_ACCOUNT = (*_TARGET, "TargetSid", *_SUBJECT)
_SECURITY: dict[int, tuple[str, ...]] = {
    **dict.fromkeys((528, 540), _LOGON),
    **dict.fromkeys((*range(529, 537), 539), _REFUSED),
    538: (*_TARGET, "TargetLogonId", "LogonType"),
    551: (*_TARGET, "TargetLogonId"),
    576: (*_SUBJECT, "PrivilegeList"),
    592: ("NewProcessId", "NewProcessName", "ParentProcessId", *_SUBJECT),
    593: ("ProcessId", "ProcessName", *_SUBJECT),
    **dict.fromkeys((624, 627, 628, 630), _ACCOUNT),
    **dict.fromkeys((632, 633, 636, 637, 660, 661), _MEMBER),
}


def channel_of(name: str) -> str | None:
    """The log that a file of this name holds; None where the name says nothing."""
    stem = name.rpartition(".")[0]
    return _CHANNELS.get(stem.lower(), stem or None)


def columns(entries: Sequence[Entry], channel: str | None) -> dict[str, pl.Series]:
    """The columns of these records; nulls where a record has no such field."""
    height = len(entries)
    generated = [e.generated * 10**9 or None for e in entries]
    written = [e.written * 10**9 if e.written and e.written != e.generated else None for e in entries]
    made = {
        "t_recorded": pl.Series(generated, dtype=pl.Int64),
        "RecordNumber": pl.Series([e.number for e in entries], dtype=pl.Int64),
        "EventRecordID": pl.Series([e.number for e in entries], dtype=pl.Int64),
        "EventID": pl.Series([e.identifier & 0xFFFF for e in entries], dtype=pl.Int64),
        "EventID_Qualifiers": pl.Series([e.identifier >> 16 for e in entries], dtype=pl.Int64),
        "Level": pl.Series([_LEVELS.get(e.sort) for e in entries], dtype=pl.Int64),
        "Task": pl.Series([e.category for e in entries], dtype=pl.Int64),
        "EventType": _texts([_SORTS.get(e.sort, str(e.sort)) for e in entries]),
        "Provider_Name": _texts([e.source or None for e in entries]),
        "Computer": _texts([e.computer or None for e in entries]),
        "Channel": _texts([channel] * height),
        "Security_UserID": _texts([sid_text(e.sid) for e in entries]),
        "Binary": _texts([_hex(e.data) for e in entries]),
    }
    if any(w is not None for w in written):
        made["t_written"] = pl.Series(written, dtype=pl.Int64)
    if any(e.broken for e in entries):
        made["broken"] = pl.Series([e.broken or None for e in entries], dtype=pl.Boolean)
    return made | _strings(entries)


def _texts(values: Sequence[str | None]) -> pl.Series:
    return pl.Series([None if v is None else printable(v) for v in values], dtype=pl.String)


def _hex(data: bytes) -> str | None:
    if not data:
        return None
    return data[:_BINARY_MOST].hex().upper() + (f"… ({len(data)} bytes)" if len(data) > _BINARY_MOST else "")


def _strings(entries: Sequence[Entry]) -> dict[str, pl.Series]:
    """One column per name or number of a string; those beyond the fortieth stand together in the last."""
    found: dict[str, list[str | None]] = {}
    for row, entry in enumerate(entries):
        names = _SECURITY.get(entry.identifier & 0xFFFF, ()) if entry.source == "Security" else ()
        texts = entry.strings
        if len(texts) > _PARAMETERS_MOST:
            texts = (*texts[: _PARAMETERS_MOST - 1], "\n".join(texts[_PARAMETERS_MOST - 1 :]))
        for index, text in enumerate(texts):
            name = names[index] if index < len(names) else f"param{index + 1}"
            found.setdefault(name, [None] * len(entries))[row] = text
    return {name: _texts(found[name]) for name in sorted(found)}
