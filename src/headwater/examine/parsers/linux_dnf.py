# SPDX-License-Identifier: Apache-2.0
"""What dnf was told to do, and the packages that rpm changed for it (linux.dnf).

Reads:  /var/log/dnf.log, dnf.rpm.log, dnf.librepo.log and hawkey.log with rotations.
Time:   ISO with offset, whole seconds; older releases write no offset.
Format: ``2026-03-02T11:22:33+0800 LEVEL text``, as dnf 4 writes it.
Limits: lines of a table or a traceback carry no time and are gaps; rpm used directly writes nothing here.
"""

from __future__ import annotations

from headwater.examine.package_lines import DNF

FEED = "linux.dnf"
VERSION = 1
READS = ("/var/log/dnf.log*", "/var/log/dnf.rpm.log*", "/var/log/dnf.librepo.log*", "/var/log/hawkey.log*")
GRAMMAR = DNF
