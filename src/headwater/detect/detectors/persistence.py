# SPDX-License-Identifier: Apache-2.0
"""Persistence in cron, systemd, start-up scripts, authorized keys and ld.so.preload.

Needs:      state.schedule, state.service, state.key as they stand; fs.macb for when their files changed.
Technique:  T1053.003 cron; T1053.002 at; T1053.006 timers; T1543.005 static pods; T1546.004 shell start files;
            T1543.002 systemd service; T1037.004 rc scripts; T1098.004 keys; T1574.006 preload.
Says:       what a start-up item runs, where its command is suspicious by itself; and which such files changed within
            a day after an entry that other records show.
False when: an administrator's own job lies in a temporary directory, or set up something on the day of the entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from headwater.detect.command_table import Trait
from headwater.detect.commands import excerpt, quoted, suspicious, told
from headwater.detect.frames import MINUTE, STAND, state, take
from headwater.detect.intrusion import Entries, after_words, cited, entries, entries_before
from headwater.detect.system_view import KEYS, of_same_files, within
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.paths import file_layer
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="persistence",
    version="2",
    author="Headwater",
    title=Text("持久化：启动项、计划任务与公钥", "Persistence: start-up items, scheduled tasks and keys"),
    stage=Stage.PERSIST,
    techniques=("T1053.003", "T1543.002", "T1037.004", "T1098.004", "T1574.006"),
    severity=Severity.HIGH,
)
CLAIMS = ("kind", "user", "command_line", "schedule", "unit", "directive", "script")
KEY_CLAIMS = ("kind", "user", "key_type", "key_fingerprint", "comment", "options")
FILE_CLAIMS = ("kind", "file_path", "size", "uid")
# Weak traits that count in a start-up item; others (a transfer, ssh) are what backup jobs do.
_WEAK_HERE = frozenset({"temp-run", "download-pipe", "download-temp"})
_START_FILES = (
    r"^/etc/(?:crontab|cron\.[a-z]+/[^/]+|anacrontab|rc\.local|rc\.d/rc\.local|ld\.so\.preload|profile|profile\.d/[^/]+"
    r"|init\.d/[^/]+|systemd/system/[^/]+\.(?:service|timer|path|socket)|sudoers|sudoers\.d/[^/]+|pam\.d/[^/]+)$"
    r"|^/var/spool/cron/|^/(?:usr/)?lib/systemd/system/[^/]+\.(?:service|timer)$|/\.ssh/authorized_keys2?$"
    r"|^/(?:root|home/[^/]+)/\.(?:bashrc|profile|bash_profile)$|^/(?:root|home/[^/]+)/\.config/systemd/user/"
)
_ODD_COMMENT = lazy_regex(r"@(?:kali|parrot|blackarch)\b|\bhack|\bpwn", re.IGNORECASE)
_AROUND_PACKAGE = 5 * MINUTE
_TECHNIQUE = (
    (".timer", "T1053.006"),
    ("/atjobs/", "T1053.002"),
    ("/spool/at/", "T1053.002"),
    ("/kubernetes/manifests/", "T1543.005"),
    ("/pod-manifests/", "T1543.005"),
    ("/etc/profile", "T1546.004"),
    ("/.bashrc", "T1546.004"),
    ("/.bash_profile", "T1546.004"),
    ("/.profile", "T1546.004"),
    ("/pam.d/", "T1556.003"),
    ("authorized_keys", "T1098.004"),
    ("ld.so.preload", "T1574.006"),
    ("systemd", "T1543.002"),
    ("cron", "T1053.003"),
    ("rc.local", "T1037.004"),
    ("init.d", "T1037.004"),
    ("sudoers", "T1548.003"),
)


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Commands first, then keys, ld.so.preload, and files that changed after an entry; each by source and path."""
    held = entries(events, settings)
    yield from _commands(events)
    yield from _keys(events)
    yield from _files(events, held)


def technique_of(path: str) -> str:
    """The technique that a start-up file's path means."""
    return next((t for word, t in _TECHNIQUE if word in path), "T1547")


def _rule(path: str) -> Rule:
    first = technique_of(path)
    rest = tuple(t for t in RULE.techniques if t != first)
    return Rule(RULE.id, RULE.version, RULE.author, RULE.title, RULE.stage, (first, *rest), RULE.severity)


def _commands(events: Events) -> Iterator[Finding]:
    rows = take(
        events,
        kinds=[EventKind.STATE_SCHEDULE, EventKind.STATE_SERVICE],
        header=["user", "command_line", "host", "file_path"],
        own=["schedule", "unit", "directive", "script"],
        where=pl.col("command_line").is_not_null() | pl.col("script").is_not_null(),
    )
    parts = rows.sort("source", "path", "offset").partition_by("source", "path", maintain_order=True)
    files = [
        (part, {r: list(_lines(c, s)) for r, c, s in part.select("offset", "command_line", "script").iter_rows()})
        for part in parts
    ]
    every = [n for _, lines in files for ns in lines.values() for n in ns]
    known = suspicious(pl.DataFrame({"line": every}, {"line": pl.String}), "line")
    counted = {n: [t for t in ts if t.strong or t.name in _WEAK_HERE] for n, ts in known.items()}
    for part, lines in files:
        odd = {r: [n for n in ns if counted.get(n)] for r, ns in lines.items()}
        part = part.filter(pl.col("offset").is_in([r for r, ns in odd.items() if ns]))
        if part.height:
            yield _command(events, part, [n for ns in odd.values() for n in ns], counted)


def _lines(command: str | None, script: str | None) -> Iterator[str]:
    """The command and the lines of the script that a start-up item runs, without comments; at most 2,000."""
    if command:
        yield command
    for line in (script or "").split("\n")[:2000]:
        if line.strip() and not line.lstrip().startswith("#"):
            yield line.strip()


def _command(events: Events, part: pl.DataFrame, odd: Sequence[str], counted: Mapping[str, Sequence[Trait]]) -> Finding:
    traits = [t for n in odd for t in counted[n]]
    path = file_layer(part["path"][0])
    shown = list(dict.fromkeys(odd))
    zh = f"{path} 中的启动项或计划任务属于可疑类别“{told(traits, 'zh')}”：{quoted(shown, 'zh')}。"
    en = f"What {path} starts is of a suspicious kind ({told(traits, 'en')}): {quoted(shown, 'en')}."
    strong = any(t.strong for t in traits)
    return state(
        events, _rule(path), part, CLAIMS, Text(zh, en),
        severity=Severity.HIGH if strong else Severity.MEDIUM,
        confidence=Confidence.HIGH if strong else Confidence.MEDIUM,
        facts={"reason": "command", "path": path, "traits": ",".join(sorted({t.name for t in traits}))},
        moments=_moments(events, path, part), more=[(_times(events, path, part), FILE_CLAIMS)],
    )  # fmt: skip


def _times(events: Events, path: str, part: pl.DataFrame) -> pl.DataFrame:
    found = take(
        events,
        kinds=[EventKind.FILE_CREATED, EventKind.FILE_MODIFIED],
        header=["file_path"],
        own=["size", "uid"],
        where=pl.col("file_path") == path,
    )
    return of_same_files(found, part.select("source", "path", pl.lit(path).alias("file_path")))


def _moments(events: Events, path: str, part: pl.DataFrame) -> list[int]:
    """When the file was last written: a start-up item itself has no time."""
    modified = _times(events, path, part).filter(pl.col("kind") == EventKind.FILE_MODIFIED.value)
    times: list[int] = modified["ts"].drop_nulls().to_list()
    return times[-1:]


def _keys(events: Events) -> Iterator[Finding]:
    rows = take(
        events,
        kinds=[EventKind.STATE_KEY],
        header=["user", "host"],
        own=["key_type", "key_fingerprint", "comment", "options"],
    )
    for row in rows.sort("source", "path", "offset").iter_slices(1):
        comment = str(row["comment"][0] or "")
        if not _ODD_COMMENT.search(comment):
            continue
        path = file_layer(row["path"][0])
        mark = row["key_fingerprint"][0] or "?"
        zh = f"{path} 中有一把注释为“{excerpt(comment, 60)}”的公钥（{mark}），该注释指向攻击用系统。"
        en = f"{path} holds a key with the comment {excerpt(comment, 60)!r} ({mark}), which names an attacker's system."
        yield state(
            events, _rule("authorized_keys"), row, KEY_CLAIMS, Text(zh, en),
            severity=Severity.HIGH, confidence=Confidence.MEDIUM, facts={"reason": "key", "path": path},
            moments=_moments(events, path, row), more=[(_times(events, path, row), FILE_CLAIMS)],
        )  # fmt: skip


def _files(events: Events, held: Entries) -> Iterator[Finding]:
    rows = take(
        events,
        kinds=[EventKind.FILE_CREATED, EventKind.FILE_MODIFIED],
        header=["file_path", "host"],
        own=["size", "uid", "allocated"],
        where=pl.col("file_path").str.contains(_START_FILES),
    )
    rows = rows.filter((pl.col("allocated").cast(pl.String) != "false").fill_null(True))
    preload = rows.filter((pl.col("file_path") == "/etc/ld.so.preload") & (pl.col("size").cast(pl.Int64) > 0))
    for loaded in preload.with_columns(within()).partition_by("within", maintain_order=True):
        text = Text(
            "存在非空的 /etc/ld.so.preload，其中所列的库会被装入每个程序。",
            "There is a non-empty /etc/ld.so.preload; the libraries that it lists are loaded into every program.",
        )
        facts = {"reason": "preload", "path": "/etc/ld.so.preload"}
        yield state(
            events, _rule("ld.so.preload"), loaded, FILE_CLAIMS, text,
            severity=Severity.MEDIUM, confidence=Confidence.MEDIUM, facts=facts,
        )  # fmt: skip
    if not held:
        return
    packages = take(events, kinds=[EventKind.PACKAGE_INSTALL, EventKind.PACKAGE_UPGRADE]).select(*STAND)
    parts = rows.with_columns(within()).sort(*KEYS, "ts").partition_by(*KEYS, maintain_order=True)
    for part in parts:
        yield from _changed(events, part, packages, held)


def _changed(events: Events, part: pl.DataFrame, packages: pl.DataFrame, held: Entries) -> Iterator[Finding]:
    path, source = str(part["file_path"][0]), int(part["source"][0])
    near = {int(t): entries_before(held, source, int(t)) for t in part["ts"].drop_nulls().to_list()}
    after = [t for t, found in near.items() if found]
    if not after:
        return
    installed = packages.filter(
        (pl.col("source") == source) & ((pl.col("ts") - pl.lit(after[0])).abs() <= _AROUND_PACKAGE)
    )
    if installed.height:
        return
    came = near[after[0]]
    words = after_words(came)
    zh = f"启动项、计划任务或公钥文件 {path} 被写入{words[0]}。"
    en = f"The start-up, schedule or key file {path} was written{words[1]}."
    yield state(
        events, _rule(path), part.filter(pl.col("ts").is_in(after)), FILE_CLAIMS, Text(zh, en),
        severity=Severity.MEDIUM, confidence=Confidence.MEDIUM, facts={"reason": "changed", "path": path},
        beside=cited(came),
    )  # fmt: skip
