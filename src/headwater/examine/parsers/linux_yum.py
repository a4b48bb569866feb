# SPDX-License-Identifier: Apache-2.0
"""Packages that yum installed, updated and erased (linux.yum).

Reads:  /var/log/yum.log and its rotations.
Time:   wall clock without year and zone: the year is inferred for the file.
Format: ``Mmm dd HH:MM:SS Installed: [epoch:]name-version-release.arch``, as yum 3 writes it.
Limits: says which package, not who asked for it; rpm used directly writes nothing here.
"""

from __future__ import annotations

from headwater.examine.package_lines import YUM

FEED = "linux.yum"
VERSION = 1
READS = ("/var/log/yum.log*", "/yum.log")
GRAMMAR = YUM
