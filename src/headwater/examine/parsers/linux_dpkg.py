# SPDX-License-Identifier: Apache-2.0
"""Packages that dpkg installed, upgraded, configured and removed (linux.dpkg).

Reads:  /var/log/dpkg.log and its rotations.
Time:   wall clock without a zone, whole seconds.
Format: dpkg(1) "--log", https://man7.org/linux/man-pages/man1/dpkg.1.html.
Limits: says which package, not who asked for it (that is in apt's history); files put in place by hand are not here.
"""

from __future__ import annotations

from headwater.examine.package_lines import DPKG
from headwater.formats.patterns import lazy_regex

FEED = "linux.dpkg"
VERSION = 1
READS = ("/var/log/dpkg.log*", "/dpkg.log")
GRAMMAR = DPKG
_LINE = lazy_regex(
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8} (?:startup|status|install|upgrade|configure|trigproc|remove|conffile) "
)


def recognise(head: bytes) -> bool:
    return bool(_LINE.match(head))
