# SPDX-License-Identifier: Apache-2.0
"""Logon sessions of Windows, joined from the security log and the terminal services' own logs.

A logon (4624) and what follows it (4672, 4778, 4779, 4647, 4634) share the host and the logon's number, which is given
anew after each start of the system. Terminal services (LocalSessionManager 21 to 25) number sessions in their own way
and are joined by account, address and time; RemoteConnectionManager 1149 likewise. A check of a password by NTLM (4776)
has no number either: it belongs to the logon of the same account on the host within the five seconds behind it.
https://learn.microsoft.com/windows/security/threat-protection/auditing/event-4624
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from headwater.detect.addresses import inside
from headwater.detect.frames import MINUTE, ORDER, SECOND, STAND
from headwater.detect.grouped import collected
from headwater.model.kinds import EventKind
from headwater.model.ports import Events

FEED = "windows.eventlog"
DESKTOP = (10, 12)  # remote interactive, and the same with cached credentials
NETWORK = (3, 8)
AT_HAND = (2, 11, 13)  # at the console, with cached credentials, unlocked with them
_TERMINAL = "Microsoft-Windows-TerminalServices-"
_MANAGER, _CONNECTIONS = f"{_TERMINAL}LocalSessionManager", f"{_TERMINAL}RemoteConnectionManager"
_SHOWN = ("src_ip", "user", "host", "event_code", "provider")
OWN = ("LogonType", "TargetLogonId", "SubjectLogonId", "LogonId", "SessionId", "PrivilegeList", "WorkstationName",
       "Workstation", "EventRecordID")  # fmt: skip
CLAIMS = ("kind", "event_code", "user", "src_ip", "LogonType", "TargetLogonId", "SubjectLogonId", "LogonId", "SessionId",
          "PrivilegeList", "WorkstationName", "Workstation")  # fmt: skip
# Accounts that Windows makes for its own sessions, and the null session, which proves no password.
NOBODY = r"(?i)^(?:dwm-\d+|umfd-\d+|anonymous logon|system|local service|network service)$"
_SPLIT = SECOND  # an administrator's logon is told twice, once for each token
_NEAR = MINUTE
_CHECKED = 5 * SECOND  # from the check of a password to the logon that it was for


@dataclass(slots=True)
class Session:
    """One session; times are UTC ns. ``rows`` are rows of the frame given with it.

    ``logon_type`` is None where terminal services alone tell of it. ``begun`` is False where its begin is not recorded
    and ``begin`` is the first that is. ``ended``: "logoff", "restart" (the host started again, no later), or "".
    """

    source: int
    host: str
    user: str
    src_ip: str | None
    logon_type: int | None
    begin: int
    rows: list[int]
    begun: bool = True
    times: int = 1  # network logons of one account from one address are one entry, this many in all
    asked: bool = False  # only 1149 tells of it, which without network level authentication proves no password
    end: int | None = None
    ended: str = ""
    privileged: bool = False
    reconnects: int = 0
    disconnects: int = 0
    checked: bool = False  # its password was checked by NTLM on this host
    workstation: str | None = None  # what the other side called itself then
    ids: set[str] = field(default_factory=set)

    @property
    def account(self) -> str:
        """The account without its domain, for comparison."""
        return bare(self.user)


def bare(user: str | None) -> str:
    return (user or "").rpartition("\\")[2].partition("@")[0].lower()


def _scan(events: Events, kinds: list[EventKind], codes: tuple[str, ...]) -> Any:
    rows = events.scan(kinds=kinds, feeds=[FEED], columns=OWN)
    return rows.filter(pl.col("event_code").is_in(codes) & pl.col("ts").is_not_null()).with_columns(
        pl.col(c).cast(pl.String) for c in OWN
    )


def _number() -> Any:
    """The number of the logon that an event speaks of, in one spelling."""
    return pl.coalesce("TargetLogonId", "LogonId", "SubjectLogonId").str.to_lowercase().alias("number")


def _logons(events: Events) -> pl.DataFrame:
    """Logons at the console, by remote desktop, and over the network from outside addresses, with ``times``."""
    rows = _scan(events, [EventKind.AUTH_SUCCESS], ("4624",))
    rows = rows.filter(pl.col("user").is_not_null() & ~pl.col("user").str.contains(NOBODY)).with_columns(_number())
    over = pl.col("LogonType").is_in([str(n) for n in NETWORK]) & ~pl.col("user").str.ends_with("$")
    addresses = collected(rows.filter(over).select("src_ip").unique())["src_ip"].drop_nulls().to_list()
    outside = [a for a in addresses if not inside(a)]
    local = rows.filter(pl.col("LogonType").is_in([str(n) for n in (*DESKTOP, *AT_HAND)]))
    once = pl.lit(1, dtype=pl.Int64).alias("times")
    return pl.concat(
        [collected(local.with_columns(once)), _network(events, rows.filter(over & pl.col("src_ip").is_in(outside)))]
    )


def _network(events: Events, rows: Any) -> pl.DataFrame:
    """Of each account, address and type the first, the first privileged and the last logon, and how many there are.

    A server that faces outside has them by the hundred thousand; one is made for each request.
    """
    keys = ["source", "host", "user", "src_ip", "LogonType"]
    groups = rows.group_by(keys).agg(
        pl.col("ts").min().alias("first"),
        pl.col("ts").max().alias("last"),
        pl.struct("ts", "number").n_unique().cast(pl.Int64).alias("times"),
    )
    privileged = (
        _scan(events, [EventKind.PRIVILEGE_USE], ("4672",)).with_columns(_number()).select("source", "host", "number")
    )
    raised = rows.join(privileged, on=["source", "host", "number"], how="semi")
    raised = raised.group_by(keys).agg(pl.col("ts").min().alias("raised"))
    known = groups.join(raised, on=keys, how="left", nulls_equal=True)
    narrow = collected(known)
    kept = rows.join(narrow.lazy(), on=keys, how="inner", nulls_equal=True)
    at = pl.col("ts")
    kept = kept.filter((at == pl.col("first")) | (at == pl.col("last")) | (at == pl.col("raised")).fill_null(False))
    return collected(kept.drop("first", "last", "raised"))


def _account() -> Any:
    """The account without its domain, as :func:`bare` has it."""
    name = pl.col("user").str.to_lowercase().str.split("\\").list.last()
    return name.str.split("@").list.first().alias("account")


def _checks(events: Events, logons: pl.DataFrame) -> pl.DataFrame:
    """Checks of a password on the host itself, each shortly before a logon of its account.

    A domain controller has them by the million for logons elsewhere: those go past unread.
    """
    marks = logons.lazy().select("source", "host", _account(), "ts", pl.col("ts").alias("logon")).sort("ts")
    rows = _scan(events, [EventKind.AUTH_SUCCESS], ("4776",)).with_columns(_account()).sort("ts")
    near = rows.join_asof(
        marks, on="ts", by=["source", "host", "account"], strategy="forward", tolerance=_CHECKED, check_sortedness=False
    )
    return collected(near.filter(pl.col("logon").is_not_null()))


def rows_of(events: Events) -> pl.DataFrame:
    """Every event that a session is joined from, by time; a record that stands in several copies of a log counts once."""
    logons = _logons(events)
    kinds = [EventKind.SESSION_OPEN, EventKind.SESSION_CLOSE, EventKind.PRIVILEGE_USE]
    followed = _scan(events, kinds, ("4634", "4647", "4672", "4778", "4779")).with_columns(_number())
    followed = followed.join(
        logons.lazy().select("source", "host", "number").unique(), on=["source", "host", "number"], how="semi"
    )
    kinds = [EventKind.SESSION_OPEN, EventKind.SESSION_CLOSE]
    desktop = _scan(events, kinds, ("21", "22", "23", "24", "25")).filter(pl.col("provider") == _MANAGER)
    connected = _scan(events, [EventKind.AUTH_SUCCESS], ("1149",)).filter(pl.col("provider") == _CONNECTIONS)
    started = _scan(events, [EventKind.SYSTEM_BOOT], ("4608", "6005", "12"))
    wanted = [*dict.fromkeys([*STAND, "kind", *_SHOWN, *OWN, "number", "times"])]
    parts = [logons.select(wanted)]
    once = pl.lit(1, dtype=pl.Int64).alias("times")
    parts += [collected(followed.with_columns(once).select(wanted))]
    none = pl.lit(None, dtype=pl.String).alias("number")
    parts += [collected(p.with_columns(none, once).select(wanted)) for p in (desktop, connected, started)]
    parts += [_checks(events, logons).with_columns(none, once).select(wanted)]
    every = pl.concat(parts, how="vertical_relaxed").sort(ORDER, nulls_last=True)
    copies = ["source", "host", "provider", "event_code", "EventRecordID", "ts", "number"]
    first = every.filter(
        pl.col("EventRecordID").is_null() | every.select(pl.struct(copies).is_first_distinct()).to_series()
    )
    return first


def sessions(rows: pl.DataFrame) -> list[Session]:
    """The sessions that these events (:func:`rows_of`) tell of, in order of begin."""
    said = rows.select("source", *_SHOWN, "ts", "number", "LogonType", "SessionId", "Workstation", "times").to_dicts()
    made = _of_logons(said)
    boots: dict[tuple[int, str], list[int]] = {}
    for row in said:
        if row["event_code"] in ("4608", "6005", "12"):
            boots.setdefault((row["source"], row["host"] or ""), []).append(row["ts"])
    by_account: dict[tuple[int, str, str], list[Session]] = {}
    for session in made:
        by_account.setdefault((session.source, session.host, session.account), []).append(session)
    _check(said, by_account)
    for desktop in [*_of_terminals(said), *_of_connections(said)]:
        held = by_account.setdefault((desktop.source, desktop.host, desktop.account), [])
        same = next((s for s in held if _same(s, desktop)), None)
        if same is None:
            made.append(desktop)
            held.append(desktop)
        else:
            _take_in(same, desktop)
    for session in made:
        _restarted(session, boots.get((session.source, session.host), []))
    return sorted(made, key=lambda s: (s.begin, s.source, s.rows))


def _of_logons(said: list[dict[str, Any]]) -> list[Session]:
    made: list[Session] = []
    by_number: dict[tuple[int, str, str], list[Session]] = {}
    twins: dict[tuple[Any, ...], Session] = {}
    for at, row in enumerate(said):
        if row["number"] is None:
            continue
        key = (row["source"], row["host"] or "", row["number"])
        if row["event_code"] != "4624":
            _follow(by_number.get(key, []), at, row)
            continue
        kind = int(row["LogonType"])
        mark = (row["source"], row["host"], bare(row["user"]), kind, row["src_ip"])
        twin = twins.get(mark)
        if twin is not None and (kind in NETWORK or row["ts"] - twin.begin <= _SPLIT):
            twin.rows.append(at)
            session = twin
        else:
            session = Session(row["source"], row["host"] or "", row["user"], row["src_ip"], kind, row["ts"], [at])
            session.times = row["times"]
            twins[mark] = session
            made.append(session)
        session.ids.add(row["number"])
        by_number.setdefault(key, []).append(session)
    return made


def _follow(held: list[Session], at: int, row: dict[str, Any]) -> None:
    """What an event adds to the latest session with its number; nothing where that has ended before."""
    if not held:
        return
    session, code = held[-1], row["event_code"]
    if code in ("4634", "4647"):
        if session.end is None or session.logon_type in NETWORK:
            session.end, session.ended = row["ts"], "logoff"
            session.rows.append(at)
        return
    if session.end is not None and code != "4672":
        return
    session.rows.append(at)
    session.privileged |= code == "4672"
    session.reconnects += code == "4778"
    session.disconnects += code == "4779"


def _check(said: list[dict[str, Any]], by_account: dict[tuple[int, str, str], list[Session]]) -> None:
    """Give each check of a password to the logon behind it."""
    for at, row in enumerate(said):
        if row["event_code"] != "4776":
            continue
        held = by_account.get((row["source"], row["host"] or "", bare(row["user"])), [])
        session = next((s for s in held if 0 <= s.begin - row["ts"] <= _CHECKED), None)
        if session is not None:
            session.rows.append(at)
            session.checked, session.workstation = True, session.workstation or row["Workstation"] or None


def _of_terminals(said: list[dict[str, Any]]) -> list[Session]:
    """Sessions as the local session manager tells of them; one whose logon is not recorded begins with what is."""
    made: list[Session] = []
    running: dict[tuple[Any, ...], Session] = {}
    for at, row in enumerate(said):
        if row["provider"] != _MANAGER or row["user"] is None:
            continue
        key, code = (row["source"], row["host"], row["SessionId"], bare(row["user"])), row["event_code"]
        session = running.get(key)
        if code == "21" or session is None or session.end is not None:
            host, address = row["host"] or "", row["src_ip"]
            session = Session(row["source"], host, row["user"], address, None, row["ts"], [], begun=code == "21")
            running[key] = session
            made.append(session)
        session.rows.append(at)
        session.src_ip = session.src_ip or row["src_ip"]
        session.reconnects += code == "25"
        session.disconnects += code == "24"
        if code == "23":
            session.end, session.ended = row["ts"], "logoff"
    return made


def _of_connections(said: list[dict[str, Any]]) -> Iterator[Session]:
    for at, row in enumerate(said):
        if row["provider"] == _CONNECTIONS and row["user"]:
            yield Session(
                row["source"], row["host"] or "", row["user"], row["src_ip"], None, row["ts"], [at], asked=True
            )


def _same(held: Session, other: Session) -> bool:
    """Whether two tellings are of one session: near in begin, or a connection that came back to it."""
    if held.src_ip and other.src_ip and held.src_ip != other.src_ip:
        return False
    if held.logon_type in NETWORK:
        return False
    return abs(held.begin - other.begin) <= _NEAR


def _take_in(held: Session, other: Session) -> None:
    held.rows += other.rows
    held.begin = min(held.begin, other.begin)
    held.src_ip = held.src_ip or other.src_ip
    held.reconnects = max(held.reconnects, other.reconnects)
    held.disconnects = max(held.disconnects, other.disconnects)
    if held.end is None and other.end is not None:
        held.end, held.ended = other.end, other.ended


def _restarted(session: Session, boots: list[int]) -> None:
    """A session without a recorded end is over when the host starts again."""
    if session.times > 1:
        return
    at = bisect.bisect_right(boots, session.begin)
    if at < len(boots) and (session.end is None or session.end > boots[at]):
        session.end, session.ended = boots[at], "restart"
