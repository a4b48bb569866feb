# SPDX-License-Identifier: Apache-2.0
"""Which hive this is, where Windows mounts it, and whose it is: told by its own keys first, by its name after that."""

from __future__ import annotations

import re
from dataclasses import dataclass

from headwater.formats.patterns import lazy_regex
from headwater.formats.registry_hive import Hive
from headwater.model.paths import file_layer

# Kinds of hive: a key that only it has at its root, and where it is mounted.
_MARKS = (
    ("system", ("select", "controlset001"), "HKLM\\SYSTEM"),
    ("system", ("select", "controlset002"), "HKLM\\SYSTEM"),
    ("sam", ("sam",), "HKLM\\SAM"),
    ("security", ("policy", "rxact"), "HKLM\\SECURITY"),
    ("software", ("microsoft", "classes"), "HKLM\\SOFTWARE"),
    ("software", ("microsoft", "clients"), "HKLM\\SOFTWARE"),
    ("amcache", ("root",), "Amcache"),
    ("user", ("software", "control panel"), "HKCU"),
    ("user", ("software", "environment"), "HKCU"),
    ("classes", ("local settings",), "HKCU\\Software\\Classes"),
)
_NAMES = {
    "system": ("system", "HKLM\\SYSTEM"), "software": ("software", "HKLM\\SOFTWARE"), "sam": ("sam", "HKLM\\SAM"),
    "security": ("security", "HKLM\\SECURITY"), "default": ("user", "HKU\\.DEFAULT"), "ntuser.dat": ("user", "HKCU"),
    "usrclass.dat": ("classes", "HKCU\\Software\\Classes"), "amcache.hve": ("amcache", "Amcache"),
    "components": ("other", "HKLM\\COMPONENTS"), "drivers": ("other", "HKLM\\DRIVERS"), "bcd": ("other", "HKLM\\BCD00000000"),
    "elam": ("other", "HKLM\\ELAM"),
}  # fmt: skip
# the base block keeps only the end of a path: "nts and Settings\\joe\\ntuser.dat"
_USER = lazy_regex(r"(?:Users|s and Settings|ServiceProfiles)[/\\]([^/\\]+)[/\\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """``kind``: one of system, software, sam, security, user, classes, amcache, other. ``user``: of a user's hive."""

    kind: str
    mount: str
    user: str | None

    def path(self, below: str) -> str:
        """A key's path from where the hive is mounted."""
        return f"{self.mount}\\{below}" if below else self.mount


def place_of(hive: Hive, path: str) -> Place:
    """What is known of a hive at ``path`` (in the grammar of paths)."""
    layer = file_layer(path)
    names = {re.split(r"[/\\]", text)[-1].lower() for text in (layer, hive.base.name)}
    root = hive.root
    there = {key.name.lower() for key in root.subkeys()} if root is not None else set()
    found = next(((kind, mount) for kind, marks, mount in _MARKS if there.issuperset(marks)), None)
    named = next((_NAMES[name] for name in sorted(names) if name in _NAMES), None)
    if found is None or (found[0] == "amcache" and not _is_amcache(hive)):
        found = named or ("other", root.name if root is not None and root.name else "?")
    elif named is not None and named[0] == found[0]:
        found = named
    user = None
    if found[0] in ("user", "classes") and found[1] != "HKU\\.DEFAULT":
        match = _USER.search(layer) or _USER.search(hive.base.name)
        user = match.group(1) if match else None
    return Place(*found, user)


def _is_amcache(hive: Hive) -> bool:
    under = hive.key("Root")
    names = {key.name.lower() for key in under.subkeys()} if under is not None else set()
    return bool(names & {"file", "programs", "inventoryapplication", "inventoryapplicationfile"})
