# SPDX-License-Identifier: Apache-2.0
"""What cron ran, and whose crontab was changed, as syslog recorded it (linux.cron).

Reads:  /var/log/cron and /var/log/cron.log with rotations.
Time:   BSD heads state neither year nor zone: the year is inferred for the file; ISO and RFC 5424 heads state an offset.
Format: RFC 3164, RFC 5424 and rsyslog's file format; cron's texts ``(user) CMD (command)``, crontab's ``(user) REPLACE``.
Limits: a job that cron started is not known to have ended, or ended well; output went to mail, not here.
"""

from __future__ import annotations

from headwater.examine.syslog_lines import SYSLOG

FEED = "linux.cron"
VERSION = 2
READS = ("/var/log/cron", "/var/log/cron.?", "/var/log/cron-????????", "/var/log/cron.log*")
GRAMMAR = SYSLOG
