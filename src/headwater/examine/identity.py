# SPDX-License-Identifier: Apache-2.0
"""What the system on a tree says of itself while it is listed: its names, zone and release, only what is there.

``trim`` says by what it hands freed blocks back to the device, so that deleted contents are gone: the mount option
``discard`` (fstab) or the timer of fstrim(8).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from headwater.examine import windows_facts
from headwater.formats.trees import Entry, Tree

SMALL_TEXT = 64 * 1024
_TEXT_MOST = 200  # characters
# what a machine is told by: hostname(5), machine-id(5), and cloud-init's link to the instance it last ran as
NAMES = frozenset({"hostname", "machine_id", "instance_id"})
_SAYS = {
    "/etc/hostname": "hostname", "/etc/timezone": "timezone", "/etc/machine-id": "machine_id",
    "/etc/os-release": "os_release", "/usr/lib/os-release": "os_release",
    "/var/lib/cloud/data/instance-id": "instance_id", "/etc/fstab": "trim",
}  # fmt: skip
_EVERYTHING = NAMES | {"timezone", "windows_zone", "os_release", "localtime", "trim"}
# of a collected folder: what it says of the system that it was taken from, not of the device that it lies on now
COLLECTED = _EVERYTHING - {"trim"}
_TRIM_TIMER = "/etc/systemd/system/timers.target.wants/fstrim.timer"


def identify(
    tree: Tree,
    entries: Iterable[Entry],
    said: dict[str, str],
    wanted: Collection[str] = _EVERYTHING,
    hives: bool = True,
) -> None:
    """Add what these entries say to ``said``; the first file that says a thing counts.

    ``hives``: registry hives are parsed for what they say; whoever is no confined child leaves them out.
    """
    for entry in entries:
        zone = entry.target or ""
        if entry.path == "/etc/localtime" and entry.kind == "link" and "zoneinfo/" in zone and "localtime" in wanted:
            said["localtime"] = zone.rpartition("zoneinfo/")[2]
        if hives and entry.kind == "file" and entry.path.lower() in windows_facts.HIVES:
            found = windows_facts.facts(entry.path.lower(), tree.open(entry.key).pread)
            said.update({k: v for k, v in found.items() if k in wanted and k not in said})
        if entry.path == _TRIM_TIMER and "trim" in wanted:
            said["trim"] = "fstrim.timer"
        name = _SAYS.get(entry.path)
        if name is None or name not in wanted or name in said or entry.kind != "file":
            continue
        if not 0 < entry.size <= SMALL_TEXT:
            continue
        text = tree.open(entry.key).pread(0, entry.size).decode("utf-8", "backslashreplace").strip()
        if name == "os_release":
            pairs = dict(line.partition("=")[::2] for line in text.splitlines())
            text = pairs.get("PRETTY_NAME", "").strip('"')
        if name == "trim":
            rows = [line.split() for line in text.splitlines() if not line.lstrip().startswith("#")]
            text = "discard" if any(len(r) > 3 and "discard" in r[3].split(",") for r in rows) else ""
        if text:
            said[name] = text.splitlines()[0][:_TEXT_MOST]
