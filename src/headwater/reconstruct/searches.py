# SPDX-License-Identifier: Apache-2.0
"""The standing questions put to every case, with what each covered: what "not found" rests on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from headwater.formats.canonical import identify
from headwater.model.kinds import EventKind
from headwater.model.nouns import Search, Text
from headwater.model.ports import Events, Settings

_AUTH = ("linux.auth", "linux.journal", "linux.wtmp", "linux.btmp", "linux.secure", "linux.syslog")
_STARTS = ("linux.crontab", "linux.systemd_unit", "linux.rc", "linux.authorized_keys")


@dataclass(frozen=True, slots=True)
class Question:
    """``query`` is the question as a condition that a person can repeat with ``headwater events --where``."""

    zh: str
    en: str
    query: str
    feeds: tuple[str, ...]
    kinds: tuple[str, ...]
    own: tuple[str, ...]
    where: Callable[[], Any]


def _text(name: str) -> Any:
    return pl.col(name).cast(pl.String)


QUESTIONS: tuple[Question, ...] = (
    Question(
        "是否有以口令方式成功登录的记录？", "Were there logins by password?",
        "kind = 'auth.success' AND method = 'password'", _AUTH, (EventKind.AUTH_SUCCESS,), ("method",),
        lambda: _text("method") == "password",
    ),
    Question(
        "是否有以公钥方式成功登录的记录？", "Were there logins by key?",
        "kind = 'auth.success' AND method = 'publickey'", _AUTH, (EventKind.AUTH_SUCCESS,), ("method",),
        lambda: _text("method") == "publickey",
    ),
    Question(
        "是否有以 root 身份的远程登录？", "Did root log in from afar?",
        "kind = 'auth.success' AND user = 'root' AND src_ip IS NOT NULL", _AUTH, (EventKind.AUTH_SUCCESS,), (),
        lambda: (pl.col("user") == "root") & pl.col("src_ip").is_not_null(),
    ),
    Question(
        "网站脚本中是否有把请求参数交给 shell 或解释器执行的代码？",
        "Do web scripts pass request values to a shell or interpreter?",
        "kind = 'state.content' AND trait IN ('exec-of-request','eval-of-request','callback-of-request')",
        ("web.script",), (EventKind.STATE_CONTENT,), ("trait",),
        lambda: _text("trait").is_in(["exec-of-request", "eval-of-request", "callback-of-request"]),
    ),
    Question(
        "是否有 UID 为 0 而名称不是 root 的账户？", "Is there an account with UID 0 that is not root?",
        "kind = 'state.account' AND uid = 0 AND user <> 'root'", ("linux.passwd",), (EventKind.STATE_ACCOUNT,),
        ("uid",),
        lambda: (_text("uid") == "0") & (pl.col("user") != "root"),
    ),
    Question(
        "是否有空口令账户？", "Is there an account with an empty password?",
        "kind = 'state.account' AND password_state = 'empty'", ("linux.shadow", "linux.passwd"),
        (EventKind.STATE_ACCOUNT,), ("password_state",), lambda: _text("password_state") == "empty",
    ),
    Question(
        "是否新建过账户？", "Were accounts made?",
        "kind = 'account.create'", _AUTH, (EventKind.ACCOUNT_CREATE,), (), lambda: pl.lit(True),
    ),
    Question(
        "现存哪些公钥可登录？", "Which keys may log in?",
        "kind = 'state.key'", ("linux.authorized_keys",), (EventKind.STATE_KEY,), (), lambda: pl.lit(True),
    ),
    Question(
        "是否写有 /etc/ld.so.preload?", "Is there an /etc/ld.so.preload?",
        "file_path = '/etc/ld.so.preload'", ("fs.macb", "fs.container"), (), (), lambda: pl.col("file_path") == "/etc/ld.so.preload",
    ),
    Question(
        "临时目录或隐藏目录中是否有内核模块？", "Are there kernel modules in temporary or hidden places?",
        "file_path ~ '^/(tmp|var/tmp|dev/shm|root|home)/.*\\.ko(\\.xz|\\.zst)?$'", ("fs.macb", "fs.container"), (), (),
        lambda: pl.col("file_path").str.contains(r"^/(?:tmp|var/tmp|dev/shm|root|home)/.*\.ko(?:\.xz|\.zst)?$"),
    ),
    Question(
        "启动项与计划任务中是否引用临时目录或隐藏路径？",
        "Do start-up items or scheduled tasks name temporary or hidden paths?",
        "command_line ~ '/(tmp|var/tmp|dev/shm)/|/\\.[A-Za-z]'", _STARTS,
        (EventKind.STATE_SCHEDULE, EventKind.STATE_SERVICE), (),
        lambda: pl.col("command_line").str.contains(r"/(?:tmp|var/tmp|dev/shm)/|/\.[A-Za-z]"),
    ),
    Question(
        "登录记录中是否有被清零的记录？", "Are there login records overwritten with zeros?",
        "gaps: reason = 'overwritten'", ("linux.wtmp", "linux.btmp", "linux.utmp", "linux.lastlog"), ("gaps",), (),
        lambda: pl.col("reason") == "overwritten",
    ),
    Question(
        "网页请求是否得到过 5xx 应答？", "Did web requests get 5xx answers?",
        "kind = 'web.request' AND \"sc-status\" >= 500", ("web.access",), (EventKind.WEB_REQUEST,), ("sc-status",),
        lambda: pl.col("sc-status").cast(pl.Int64, strict=False) >= 500,
    ),
    Question(
        "内核是否报告过模块签名或污染？", "Did the kernel speak of unsigned modules or taint?",
        "message ~ 'module verification failed|tainting kernel|out-of-tree module'",
        ("linux.kern", "linux.syslog", "linux.journal"), (), ("message",),
        lambda: _text("message").str.contains(r"module verification failed|tainting kernel|loading out-of-tree module"),
    ),
)  # fmt: skip


def _covered(accounts: Sequence[Mapping[str, Any]], feeds: Sequence[str]) -> tuple[int, int, int, int]:
    """Files, bytes, records and gap bytes of the files that these feeds were read from."""
    files = size = records = gaps = 0
    for account in accounts:
        if account.get("feed") not in feeds:
            continue
        tally = account.get("tally") or {}
        files += 1
        size += int(tally.get("parsed", 0)) + int(tally.get("skipped", 0))
        records += int(tally.get("records", 0))
        gaps += int(tally.get("gap", 0))
    return files, size, records, gaps


def _hits(events: Events, question: Question) -> int:
    if question.kinds == ("gaps",):
        gaps = events.gaps().filter(pl.col("feed").is_in(list(question.feeds)) & question.where())
        return int(gaps.select(pl.len()).collect().item())
    frame = events.scan(
        kinds=[str(k) for k in question.kinds] or None, feeds=list(question.feeds), columns=question.own
    )
    return int(frame.filter(question.where()).select(pl.len()).collect().item())


def _records(events: Events, feeds: Sequence[str]) -> int:
    return int(events.scan(feeds=list(feeds)).select(pl.len()).collect().item())


def standing_searches(events: Events, settings: Settings, accounts: Sequence[Mapping[str, Any]]) -> list[Search]:
    """The standing questions with their hits and coverage, in their fixed order.

    ``accounts``: one mapping per file that was read, with ``feed`` and ``tally`` (records, parsed, gap, skipped in
    bytes). A feed that is read from no file (the file system's own times) is covered by its records alone.
    """
    present = set(events.feeds())
    found = []
    for question in QUESTIONS:
        files, size, records, gaps = _covered(accounts, question.feeds)
        feeds = tuple(f for f in question.feeds if f in present)
        search = Search(
            question=Text(question.zh, question.en),
            query=re.sub(r"\s+", " ", question.query),
            covered_files=files,
            covered_bytes=size,
            covered_records=max(records, _records(events, feeds) if feeds else 0),
            gap_bytes=gaps,
            hits=_hits(events, question) if feeds or question.kinds == ("gaps",) else 0,
            feeds=feeds,
        )
        found.append(identify("Q", search))
    return found
