# SPDX-License-Identifier: Apache-2.0
"""The kernel's messages and the packet filter's, as syslog recorded them (linux.kern).

Reads:  /var/log/kern.log, ufw.log, iptables.log and firewall logs with rotations.
Time:   BSD heads state neither year nor zone: the year is inferred for the file; ISO and RFC 5424 heads state an offset.
Format: RFC 3164, RFC 5424 and rsyslog's file format; netfilter's LOG target, the prefix being the administrator's.
Limits: only what a rule was told to log is there; a source address of a dropped packet may be forged.
"""

from __future__ import annotations

from headwater.examine.syslog_lines import SYSLOG

FEED = "linux.kern"
VERSION = 3
READS = ("/var/log/kern.log*", "/var/log/ufw.log*", "/var/log/iptables.log*", "/var/log/firewall*")
GRAMMAR = SYSLOG
