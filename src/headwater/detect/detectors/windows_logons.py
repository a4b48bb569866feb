# SPDX-License-Identifier: Apache-2.0
"""Logon sessions of a Windows host, and guessing that states no address but a workstation.

Needs:      auth.success, session.open, session.close and privilege.use of windows.eventlog (Security, terminal services).
Technique:  T1078 valid accounts; T1021.001 remote desktop; T1110.001 password guessing.
Says:       of each session the account, address, logon type, begin, end, privileges, disconnections and reconnections
            (beyond 200 sessions the lighter ones together); failures from one workstation, and a logon from it after them.
            Guessing from an address is told by ssh-guessing, whatever log states it.
False when: an administrator connects from outside; a gateway on the host itself makes remote desktop come from loopback;
            a workstation's name is what the other side says of itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl

from headwater.detect.addresses import inside
from headwater.detect.frames import DAY, SECOND, listed, names, state, take
from headwater.detect.windows_sessions import (
    CLAIMS,
    DESKTOP,
    FEED,
    NETWORK,
    NOBODY,
    Session,
    rows_of,
    sessions,
)  # fmt: skip
from headwater.model.kinds import SEVERITY_ORDER, Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings
from headwater.model.records import Value

RULE = Rule(
    id="windows-logons",
    version="1",
    author="Headwater",
    title=Text("Windows 登录会话", "Logon sessions of Windows"),
    stage=Stage.LOGIN,
    techniques=("T1078", "T1021.001"),
    severity=Severity.INFO,
)
GUESSING = Rule(
    id="windows-guessing",
    version="1",
    author="Headwater",
    title=Text("来自某工作站的口令猜解", "Password guessing from a workstation"),
    stage=Stage.LOGIN,
    techniques=("T1110.001",),
    severity=Severity.LOW,
)
SUCCESS = replace(
    GUESSING,
    id="windows-guessing-success",
    title=Text("工作站口令猜解后登录成功", "A logon after guessing from a workstation"),
    techniques=("T1110.001", "T1078"),
    severity=Severity.HIGH,
)
ENTERS = True  # a high finding of this detector is an entry into the host
TOLD = 200
# As in ssh_guessing: fewer are what people do who mistype; a login counts after this many without one in between.
GUESSES, RUN_BEFORE_SUCCESS = 5, 10
_TYPES = {
    2: ("本地交互", "at the console"),
    3: ("网络", "over the network"),
    8: ("网络明文", "over the network in plain text"),
    10: ("远程桌面", "by remote desktop"),
    11: ("缓存凭据交互", "with cached credentials"),
    12: ("缓存凭据远程桌面", "by remote desktop with cached credentials"),
    13: ("缓存凭据解锁", "unlocked with cached credentials"),
}
_DESKTOP = ("远程桌面服务", "to the terminal services")
FAILED = ("kind", "event_code", "user", "WorkstationName", "Workstation", "LogonType", "Status", "SubStatus")


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Sessions by begin, the weightiest 200 one by one; then guessing by workstation."""
    if FEED not in events.feeds():
        return
    rows = rows_of(events)
    held = [(s, _severity(s)) for s in sessions(rows)]
    weighty = sorted(range(len(held)), key=lambda n: (-SEVERITY_ORDER[held[n][1]], n))
    shown = set(weighty[:TOLD])
    for n in sorted(shown):
        yield _session(events, rows, *held[n], ZoneInfo(settings.zone))
    rest = [held[n] for n in sorted(weighty[TOLD:])]
    if rest:
        yield _rest(events, rows, rest)
    yield from _guessing(events)


def _loopback(address: str | None) -> bool:
    return bool(address) and str(address).startswith(("127.", "::1", "::%16777216"))


def _severity(session: Session) -> Severity:
    """Outside addresses weigh more, remote desktop most; so does remote desktop from the host itself, as tunnels make it."""
    desktop = session.logon_type is None or session.logon_type in DESKTOP
    if desktop and _loopback(session.src_ip):
        return Severity.MEDIUM
    if session.src_ip is None or inside(session.src_ip):
        return Severity.INFO
    return Severity.MEDIUM if desktop or session.privileged else Severity.LOW


def _clock(ns: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(ns // SECOND, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def _session(events: Events, rows: pl.DataFrame, session: Session, severity: Severity, zone: ZoneInfo) -> Finding:
    zh_type, en_type = _DESKTOP if session.logon_type is None else _TYPES[session.logon_type]
    begin, end = _clock(session.begin, zone), _clock(session.end, zone) if session.end is not None else ""
    zh = (
        f"账户 {session.user} 于 {begin} {'登录' if session.begun else '（登录时刻无记录）已在会话中'}，方式：{zh_type}"
    )
    en = f"{session.user} {'logged on' if session.begun else 'was in a session (its begin is not recorded)'} {en_type} at {begin}"
    if session.asked:
        zh = f"账户 {session.user} 于 {begin} 连接远程桌面（仅有 1149 事件，未启用网络级身份验证时不能证明口令已通过）"
        en = f"{session.user} connected to remote desktop at {begin} (1149 alone, which proves no password without NLA)"
    if session.src_ip:
        zh, en = f"{zh}，来源地址 {session.src_ip}", f"{en} from {session.src_ip}"
    if session.privileged:
        zh, en = f"{zh}，带管理特权", f"{en} with an administrator's privileges"
    if session.checked:
        name = session.workstation
        zh += "，口令由本机按 NTLM 核验" + (f"，对方自称工作站 {name}" if name else "")
        en += ", the password checked here by NTLM" + (f" for a workstation that calls itself {name}" if name else "")
    if session.times > 1:
        zh, en = (
            f"{zh}，同一账户、地址和方式共 {session.times} 次登录",
            f"{en}, the first of {session.times} such logons",
        )
    if session.disconnects or session.reconnects:
        zh += f"，断开 {session.disconnects} 次、重连 {session.reconnects} 次"
        en += f"; disconnected {session.disconnects} and reconnected {session.reconnects} times"
    ends = {
        "logoff": (f"，于 {end} 注销", f"; logged off at {end}"),
        "restart": (
            f"，未见注销，至迟于 {end} 系统重新启动时结束",
            f"; no logoff is recorded, the host started again at {end}",
        ),
        "": ("，未见会话结束的记录", "; no end is recorded"),
    }[session.ended]
    if session.asked:
        ends = ("", "")  # a connection has no end of its own
    zh, en = zh + ends[0], en + ends[1]
    if _loopback(session.src_ip) and severity is Severity.MEDIUM:
        zh += "；远程桌面来自本机回环地址，符合端口转发或隧道的特征"
        en += "; remote desktop from the host itself, as a tunnel or a forwarded port makes it"
    facts: dict[str, Value] = {
        "logon_type": session.logon_type, "login_ts": session.begin, "ended": session.ended or "unknown",
        "times": session.times, "privileged": session.privileged, "reconnects": session.reconnects, "disconnects": session.disconnects,
        "logon_id": ",".join(sorted(session.ids)) or None, "workstation": session.workstation,
    }  # fmt: skip
    technique = "T1078" if session.logon_type in NETWORK or severity is Severity.INFO else "T1021.001"
    rule = replace(RULE, techniques=(technique, *(t for t in RULE.techniques if t != technique)))
    moments = [session.begin, *([session.end] if session.end is not None else [])]
    return state(
        events, rule, rows[sorted(session.rows)], CLAIMS, Text(zh + "。", en + "."),
        severity=severity, confidence=Confidence.HIGH if severity is Severity.INFO else Confidence.MEDIUM, facts=facts,
        limit=40, moments=moments, host=session.host or None, src_ip=session.src_ip, user=session.user,
    )  # fmt: skip


def _rest(events: Events, rows: pl.DataFrame, rest: list[tuple[Session, Severity]]) -> Finding:
    severity = max((s for _, s in rest), key=lambda s: SEVERITY_ORDER[s])
    outside = sum(s.src_ip is not None and not inside(s.src_ip) for s, _ in rest)
    zh = f"另有 {len(rest)} 个登录会话（其中 {outside} 个来自外部地址）未逐一列出。"
    en = f"{len(rest)} more logon sessions, {outside} of them from outside addresses, are not told one by one."
    part = rows[sorted(s.rows[0] for s, _ in rest)]
    return state(
        events, RULE, part, CLAIMS, Text(zh, en), severity=severity, confidence=Confidence.MEDIUM,
        facts={"sessions": len(rest), "outside": outside}, limit=40, src_ip=None, user=None,
    )  # fmt: skip


def _attempts(events: Events) -> pl.DataFrame:
    """Failures and logons over the network that state a workstation and no address, each told once.

    Where a host logs both its own check of the password (4776) and the logon (4624, 4625), only the latter count.
    """
    own = ["LogonType", "WorkstationName", "Workstation", "Status", "SubStatus"]
    rows = take(
        events, kinds=[EventKind.AUTH_FAILURE, EventKind.AUTH_SUCCESS], feeds=[FEED],
        header=["user", "src_ip", "host", "event_code"], own=own,
        where=pl.col("src_ip").is_null() & pl.col("event_code").is_in(["4624", "4625", "4776"]) & pl.col("ts").is_not_null(),
    )  # fmt: skip
    over = pl.col("LogonType").cast(pl.String).is_in(["3", "8", "10"]) | (pl.col("event_code") == "4776")
    named = pl.coalesce(pl.col(c).cast(pl.String) for c in ("WorkstationName", "Workstation"))
    rows = rows.with_columns(named.str.strip_prefix("\\\\").str.to_uppercase().alias("workstation")).filter(
        over & pl.col("user").is_not_null() & ~pl.col("user").str.contains(NOBODY) & ~pl.col("user").str.ends_with("$")
    )
    rows = rows.filter(pl.col("workstation").is_not_null() & ~pl.col("workstation").is_in(["", "-"]))
    # what is typed at the host itself is no guessing over the network
    rows = rows.filter(
        pl.col("workstation") != pl.col("host").fill_null("").str.split(".").list.first().str.to_uppercase()
    )
    failed = rows.filter(pl.col("event_code") == "4625").select("source", "host", "workstation").unique()
    both = rows.join(failed, on=["source", "host", "workstation"], how="semi", nulls_equal=True)
    alone = rows.join(failed, on=["source", "host", "workstation"], how="anti", nulls_equal=True)
    return pl.concat([both.filter(pl.col("event_code") != "4776"), alone])


def _guessing(events: Events) -> Iterator[Finding]:
    rows = _attempts(events).sort("source", "host", "workstation", "ts", nulls_last=True)
    parts = rows.partition_by("source", "host", "workstation", maintain_order=True)
    failed = EventKind.AUTH_FAILURE.value
    parts = [p for p in parts if p.filter(pl.col("kind") == failed).height >= GUESSES]
    for part in sorted(parts, key=lambda p: -p.height)[:TOLD]:
        bad, name = part.filter(pl.col("kind") == failed), part["workstation"][0]
        shown, total = listed(bad, "user")
        zh = f"工作站 {name} 有 {bad.height} 次网络登录失败（未记来源地址），所试账户：{names(shown, total, 'zh')}。"
        en = f"{bad.height} network logons from workstation {name} failed (no address recorded); "
        en += f"accounts tried: {names(shown, total, 'en')}."
        yield state(
            events, GUESSING, bad, FAILED, Text(zh, en), severity=Severity.LOW, confidence=Confidence.HIGH,
            facts={"failures": bad.height, "accounts": total, "workstation": name}, limit=40,
        )  # fmt: skip
        yield from _successes(events, part, name)


def _successes(events: Events, part: pl.DataFrame, name: str) -> Iterator[Finding]:
    """Each logon that follows a run of failures within a day, without a logon in between."""
    run: list[int] = []
    for at, (kind, when) in enumerate(part.select("kind", "ts").iter_rows()):
        if kind == EventKind.AUTH_FAILURE.value:
            run.append(at)
            continue
        times = part["ts"]
        run = [n for n in run if times[n] >= when - DAY]
        if len(run) >= RUN_BEFORE_SUCCESS:
            user = part["user"][at]
            tried = user.lower() in {str(u).lower() for u in part["user"][run].to_list()}
            zh = f"工作站 {name} 在 {len(run)} 次登录失败之后成功登录账户 {user}，"
            zh += "此前曾猜解该账户。" if tried else "此前未见对该账户的猜解。"
            en = f"After {len(run)} failures workstation {name} logged on as {user}; "
            en += "that account had been guessed at." if tried else "that account had not been guessed at."
            yield state(
                events, SUCCESS, part[[*run[-40:], at]], FAILED, Text(zh, en),
                severity=Severity.HIGH if tried else Severity.MEDIUM,
                confidence=Confidence.HIGH if tried else Confidence.MEDIUM, moments=[when], user=user,
                facts={"failures": len(run), "account_guessed": tried, "login_ts": when, "workstation": name},
            )  # fmt: skip
        run = []
