# SPDX-License-Identifier: Apache-2.0
"""What Windows says of itself: name, version, installation, time zone, last shutdown (windows.host).

Reads:  SYSTEM: ComputerName, Tcpip\\Parameters, TimeZoneInformation, Windows\\ShutdownTime; SOFTWARE: Windows NT\\CurrentVersion.
Time:   installation (Unix seconds or FILETIME) and shutdown (FILETIME), UTC; for the others the last write of their key.
Format: https://learn.microsoft.com/windows-server/get-started/windows-server-release-info for the builds.
Limits: the installation's time is that of the last feature update, not of the first installation.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.artifacts._telling import SECOND, control_sets, filetime, tell
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive, Key
from headwater.model.kinds import EventKind
from headwater.model.records import Event

FEED = "windows.host"
VERSION = 1
HIVES = ("system", "software")
_NAMES = (
    ("Control\\ComputerName\\ComputerName", "ComputerName"),
    ("Services\\Tcpip\\Parameters", "Hostname"),
    ("Services\\Tcpip\\Parameters", "NV Hostname"),
    ("Services\\Tcpip\\Parameters", "Domain"),
    ("Control\\ProductOptions", "ProductType"),
    ("Control\\Session Manager\\Environment", "PROCESSOR_ARCHITECTURE"),
    ("Control\\FileSystem", "NtfsDisableLastAccessUpdate"),
    ("Control\\Nls\\CodePage", "ACP"),
)
_ZONE = ("TimeZoneKeyName", "StandardName", "DaylightName", "Bias", "ActiveTimeBias", "DynamicDaylightTimeDisabled")
_VERSION = (
    "ProductName", "EditionID", "InstallationType", "CurrentVersion", "CurrentMajorVersionNumber", "CurrentMinorVersionNumber",
    "CurrentBuildNumber", "CurrentBuild", "UBR", "ReleaseId", "DisplayVersion", "CSDVersion", "BuildLab", "BuildLabEx",
    "RegisteredOwner", "RegisteredOrganization", "SystemRoot", "ProductId",
)  # fmt: skip


def read(hive: Hive, place: Place) -> Iterator[Event]:
    """One event per statement, so that each stands on its own bytes."""
    if place.kind == "system":
        for key, used in control_sets(hive):
            if used:
                yield from _system(key, place)
    else:
        version = hive.key("Microsoft\\Windows NT\\CurrentVersion")
        if version is not None:
            yield from _stated(version, _VERSION, place)
            yield from _installed(version, place)


def _stated(key: Key, names: tuple[str, ...], place: Place) -> Iterator[Event]:
    for name in names:
        value = key.value(name)
        if value is not None:
            told = value.number if value.number is not None else value.text
            signed = told - (1 << 32) if isinstance(told, int) and name.endswith("Bias") and told >> 31 else told
            text = None if signed is None else str(signed)
            host = text if name in ("ComputerName", "Hostname") else None
            yield tell(place, value, key, EventKind.STATE_HOST, key.written, host=host, statement=name, data=text)


def _system(key: Key, place: Place) -> Iterator[Event]:
    for path, name in _NAMES:
        found = key.key(path)
        if found is not None:
            yield from _stated(found, (name,), place)
    zone = key.key("Control\\TimeZoneInformation")
    if zone is not None:
        yield from _stated(zone, _ZONE, place)
    windows = key.key("Control\\Windows")
    stop = windows.value("ShutdownTime") if windows is not None else None
    if windows is not None and stop is not None:
        yield tell(place, stop, windows, EventKind.SYSTEM_SHUTDOWN, filetime(stop.data), t_kind="stopped")


def _installed(key: Key, place: Place) -> Iterator[Event]:
    value = key.value("InstallTime")
    time = filetime(value.data) if value is not None else None
    if value is None or time is None:
        value = key.value("InstallDate")
        seconds = value.number if value is not None else None
        time = seconds * SECOND if seconds else None
    if value is not None and time is not None:
        yield tell(place, value, key, EventKind.STATE_HOST, time, t_kind="installed", statement=value.name)
