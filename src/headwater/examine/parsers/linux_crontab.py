# SPDX-License-Identifier: Apache-2.0
"""Scheduled commands as they stand (linux.crontab).

Reads:  /etc/crontab, /etc/cron.d/*, /etc/anacrontab, user crontabs, scripts of /etc/cron.{hourly,daily,weekly,monthly},
        outputs of crontab -l of a live collection.
Time:   none; a schedule is not a time of running.
Format: crontab(5), https://man7.org/linux/man-pages/man5/crontab.5.html; anacrontab(5); variables are events too.
Limits: that a command stands here does not say that it ran; see the log of cron for that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._scripts import whole_script
from headwater.examine.parsers._text import Line, lines, name_of
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason
from headwater.model.paths import decode_name, file_layer
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "linux.crontab"
VERSION = 1
_PERIODS = ("hourly", "daily", "weekly", "monthly", "yearly")
READS = (
    "/etc/crontab",
    "/etc/cron.d/*",
    "/etc/anacrontab",
    "/var/spool/cron/*",
    "/var/spool/cron/crontabs/*",
    "/var/spool/cron/tabs/*",
    "/var/cron/tabs/*",
    *(f"/etc/cron.{period}/*" for period in _PERIODS),
    "/etc/periodic/**",
    "/@command/crontab-l.*.stdout",
)
_VARIABLE = lazy_regex(r"\s*(?:\"([^\"]+)\"|'([^']+)'|([A-Za-z_][A-Za-z0-9_]*))\s*=\s*(.*)", re.DOTALL)
_FIELD = r"[0-9A-Za-z*/,?~#LW-]+"
_TIMED = lazy_regex(rf"\s*-?({_FIELD}(?:\s+{_FIELD}){{4}})\s+(\S.*)", re.DOTALL)
_NICKNAMED = lazy_regex(
    r"\s*(@(?:reboot|yearly|annually|monthly|weekly|daily|midnight|hourly|every_\w+|\d+))\s+(\S.*)", re.DOTALL
)
_ANACRON = lazy_regex(r"\s*(\d+|@\w+)\s+(\d+)\s+(\S+)\s+(\S.*)", re.DOTALL)
_USER = lazy_regex(r"(\S+)\s+(\S.*)", re.DOTALL)


def _entry(text: str) -> tuple[str, str] | None:
    """The schedule and what follows it, if the line is an entry; the minute must look like one."""
    found = _NICKNAMED.fullmatch(text) or _TIMED.fullmatch(text)
    if not found or not re.match(r"[@*0-9~]", found.group(1)):
        return None
    return re.sub(r"\s+", " ", found.group(1)), found.group(2)


def _event(line: Line, path: str, owner: str | None, system: bool, anacron: bool) -> Event | None:
    text = line.text
    variable = _VARIABLE.fullmatch(text)
    fields: dict[str, Value]
    user = owner
    command: str | None = None
    if anacron and (job := _ANACRON.fullmatch(text)):
        fields = {"schedule": job.group(1), "delay_minutes": int(job.group(2)[:9]), "job": job.group(3)}
        user, command = "root", job.group(4)
    elif entry := _entry(text):
        fields = {"schedule": entry[0]}
        command = entry[1]
        if system:
            named = _USER.fullmatch(command)
            if not named:
                return None
            user, command = named.group(1), named.group(2)
    elif variable:
        name = variable.group(1) or variable.group(2) or variable.group(3)
        fields = {"variable": name, "value": variable.group(4).strip().strip("\"'")}
    else:
        return None
    return Event(
        line.offset,
        line.length,
        EventKind.STATE_SCHEDULE,
        user=user,
        command_line=command.rstrip() if command else None,
        file_path=path,
        fields=fields,
    )


def parse(file: File) -> Iterator[Record]:
    path = file_layer(file.path)
    period = re.search(r"/etc/(?:cron\.|periodic/)(\w+)/[^/]*$", path)
    if period and period.group(1) != "d":
        yield from whole_script(file, EventKind.STATE_SCHEDULE, {"schedule": period.group(1)})
        return
    printed = "/@command/" in path
    spool = printed or "/var/spool/cron" in path or "/var/cron" in path
    name = name_of(file.path).removesuffix(".stdout").partition(".")[2] if printed else name_of(file.path)
    owner = decode_name(name).decode("utf-8", "surrogateescape") if spool else None
    anacron = name_of(file.path) == "anacrontab"
    for line in lines(file):
        if isinstance(line, Gap):
            yield line
        elif not line.raw.strip():
            yield Skip(line.offset, line.length, "blank line")
        elif line.raw.lstrip().startswith(b"#"):
            yield Skip(line.offset, line.length, "comment")
        else:
            made = _event(line, path, owner, not spool, anacron)
            yield made or Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, "no entry of a crontab")
