# SPDX-License-Identifier: Apache-2.0
"""Addresses that fail2ban found failing, banned and let go again (linux.fail2ban).

Reads:  /var/log/fail2ban.log with rotations.
Time:   wall clock without a zone, milliseconds.
Format: ``time module [pid]: LEVEL [jail] text``; before release 0.9 without the pid.
Limits: ``Found`` repeats what the watched log says; a ban shows that a rule was set, not that packets came; lines of a
        Python traceback are gaps.
"""

from __future__ import annotations

import re

import numpy as np
import polars as pl

from headwater.examine.filled import filled
from headwater.examine.line_blocks import Lines
from headwater.examine.line_time import iso
from headwater.examine.lines import Context, Cut, LineGrammar, groups
from headwater.model.kinds import EventKind, TimeBasis

FEED = "linux.fail2ban"
VERSION = 1
READS = ("/var/log/fail2ban.log*", "/var/log/fail2ban/*.log*")
_LINE = (
    r"^(?P<module>[a-z0-9_.]+)\s*(?:\[(?P<pid>[0-9]{1,9})\])?\s*: (?P<level>[A-Z]+)\s+"
    r"(?P<message>(?:\[(?P<jail>[^\]]{1,80})\] )?.*)$"
)
_ACTION = r"^\[[^\]]*\] (?:(?P<action>(?:Restore )?Ban|Unban|Found|Ignore) )?(?P<src_ip>[0-9a-fA-F.:]{2,45})(?: .*)?$"
_ADDRESS = r"^(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F.]*)$"


def recognise(head: bytes) -> bool:
    return bool(re.match(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} fail2ban\.[a-z]+", head))


def shape(lines: Lines, context: Context) -> Cut:
    times = iso(lines.data, lines.start, "- ")
    fits, got = groups(lines, times.end + 1, times.ok & (lines.data[times.end] == 32), _LINE)
    if not fits.any():
        return Cut.none(lines)
    said = got["message"].str.extract_groups(_ACTION).struct.unnest()
    real = said["src_ip"].str.contains(_ADDRESS).fill_null(False)
    banned = (said["action"].is_in(["Ban", "Restore Ban"]) & real).fill_null(False)
    kinds = pl.Series([EventKind.LOG_MESSAGE.value, EventKind.FIREWALL_BLOCK.value], dtype=pl.String)
    columns = {
        "t_recorded": pl.Series(times.ns[fits]),
        "t_basis": filled(str(TimeBasis.ZONE_ASSUMED), int(fits.sum())),
        "kind": kinds.gather(banned.cast(pl.UInt32)),
        "pid": got["pid"].str.to_integer(strict=False),
        "src_ip": said["src_ip"].set(~real, None),
        "process": filled("fail2ban", int(np.count_nonzero(fits))),
        "action": said["action"].str.to_lowercase(),
    }
    return Cut(fits, columns | {k: got[k] for k in ("module", "level", "jail", "message")})


OWN = dict.fromkeys(("module", "level", "jail", "action", "message"), pl.String)
GRAMMAR = LineGrammar(shapes=(shape,), own=OWN)
