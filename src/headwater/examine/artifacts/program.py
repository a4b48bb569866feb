# SPDX-License-Identifier: Apache-2.0
"""Installed programs as the list of programs to uninstall has them (windows.program).

Reads:  SOFTWARE and NTUSER.DAT: Uninstall, and its 32-bit view.
Time:   last write of the key, UTC; the stated day of installation in install_date, as written.
Format: https://learn.microsoft.com/windows/win32/msi/uninstall-registry-key
Limits: programs that were only copied stand nowhere here.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.artifacts._telling import tell, under
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive
from headwater.model.kinds import EventKind
from headwater.model.records import Event

FEED = "windows.program"
VERSION = 1
HIVES = ("software", "user")
_TAIL = "Microsoft\\Windows\\CurrentVersion\\Uninstall"


def read(hive: Hive, place: Place) -> Iterator[Event]:
    """One event per program with a name."""
    bases = (_TAIL, f"WOW6432Node\\{_TAIL}") if place.kind == "software" else (f"Software\\{_TAIL}",)
    for base in bases:
        for key in under(hive.root, base):
            name = key.text("DisplayName")
            if name:
                yield tell(
                    place, key, key, EventKind.PACKAGE_STATUS, key.written, package=name, version=key.text("DisplayVersion"),
                    publisher=key.text("Publisher"), install_date=key.text("InstallDate"), file_path=key.text("InstallLocation") or None,
                    uninstall=key.text("UninstallString"), source_=key.text("InstallSource"),
                )  # fmt: skip
