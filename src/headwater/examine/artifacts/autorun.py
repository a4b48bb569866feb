# SPDX-License-Identifier: Apache-2.0
"""What Windows and its users start by themselves, beside services and tasks (windows.autorun).

Reads:  SYSTEM, SOFTWARE, NTUSER.DAT: Run keys, Winlogon, image file execution options, AppInit and AppCert libraries, LSA packages,
        Active Setup, print monitors and providers, netsh helpers, boot execute, logon scripts, screen saver, COM and shell extensions.
Time:   last write of the key, UTC: the newest change of any of its values.
Format: https://learn.microsoft.com/windows/win32/setupapi/run-and-runonce-registry-keys, https://attack.mitre.org/techniques/T1547/
Limits: start-up folders are files and stand in the file system's feed; COM servers are told only where a user's own hide a system one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from headwater.examine.artifacts._telling import current, tell
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive, Key
from headwater.model.kinds import EventKind
from headwater.model.records import Event

FEED = "windows.autorun"
VERSION = 1
HIVES = ("system", "software", "user", "classes")
_CLSID_MOST = 5_000


class Spot(NamedTuple):
    """A key and the values in it that name what is started (none: all); ``each``: so in every subkey of it."""

    path: str
    values: tuple[str, ...]
    technique: str
    each: bool = False


_WINDOWS = "Microsoft\\Windows\\CurrentVersion"
_NT = "Microsoft\\Windows NT\\CurrentVersion"
_RUN = ("Run", "RunOnce", "RunOnceEx", "RunServices", "RunServicesOnce", "Policies\\Explorer\\Run")
_BOTH = (
    *(Spot(f"{_WINDOWS}\\{name}", (), "T1547.001") for name in _RUN),
    Spot(f"{_WINDOWS}\\RunOnceEx", (), "T1547.001", True),
    Spot(
        f"{_NT}\\Winlogon",
        ("Shell", "Userinit", "VmApplet", "Taskman", "System", "AppSetup", "GinaDLL", "MPNotify"),
        "T1547.004",
    ),
    Spot(f"{_NT}\\Windows", ("AppInit_DLLs", "Load", "Run"), "T1546.010"),
    Spot("Microsoft\\Command Processor", ("AutoRun",), "T1546"),
)
_SOFTWARE = (
    *_BOTH,
    *(Spot(f"WOW6432Node\\{spot.path}", *spot[1:]) for spot in _BOTH),
    Spot(f"{_NT}\\Winlogon\\Notify", ("DllName",), "T1547.004", True),
    Spot(f"{_NT}\\Image File Execution Options", ("Debugger", "VerifierDlls"), "T1546.012", True),
    Spot(f"{_NT}\\SilentProcessExit", ("MonitorProcess",), "T1546.012", True),
    Spot(f"WOW6432Node\\{_NT}\\Image File Execution Options", ("Debugger", "VerifierDlls"), "T1546.012", True),
    Spot("Microsoft\\Active Setup\\Installed Components", ("StubPath",), "T1547.014", True),
    Spot("Microsoft\\NetSh", (), "T1546.007"),
    Spot(f"{_WINDOWS}\\Explorer\\ShellServiceObjectDelayLoad", (), "T1547"),
    Spot(f"{_WINDOWS}\\Group Policy\\Scripts\\Startup", ("Script",), "T1037.001", True),
    Spot(f"{_WINDOWS}\\Authentication\\Credential Providers", ("",), "T1556", True),
    Spot("Microsoft\\Office test\\Special\\Perf", ("",), "T1137.002"),
    Spot(f"{_WINDOWS}\\Explorer\\User Shell Folders", ("Common Startup",), "T1547.001"),
)
_USER = (
    *(Spot(f"Software\\{spot.path}", *spot[1:]) for spot in _BOTH),
    Spot("Environment", ("UserInitMprLogonScript", "COR_PROFILER", "COR_PROFILER_PATH"), "T1037.001"),
    Spot("Control Panel\\Desktop", ("SCRNSAVE.EXE",), "T1546.002"),
    Spot(f"Software\\{_WINDOWS}\\Explorer\\User Shell Folders", ("Startup",), "T1547.001"),
    Spot("Software\\Microsoft\\Office test\\Special\\Perf", ("",), "T1137.002"),
)
_SYSTEM = (
    Spot("Control\\Lsa", ("Security Packages", "Authentication Packages", "Notification Packages"), "T1547.005"),
    Spot("Control\\Lsa\\OSConfig", ("Security Packages",), "T1547.005"),
    Spot("Control\\Session Manager", ("BootExecute", "SetupExecute", "Execute", "S0InitialCommand"), "T1547"),
    Spot("Control\\Session Manager\\AppCertDlls", (), "T1546.009"),
    Spot("Control\\Session Manager\\Environment", ("COR_PROFILER", "COR_PROFILER_PATH"), "T1574.012"),
    Spot("Control\\Print\\Monitors", ("Driver",), "T1547.010", True),
    Spot("Control\\Print\\Providers", ("Name",), "T1547", True),
    Spot("Control\\SafeBoot", ("AlternateShell",), "T1547"),
    Spot("Control\\NetworkProvider\\Order", ("ProviderOrder",), "T1556.008"),
    Spot("Services\\W32Time\\TimeProviders", ("DllName",), "T1547.003", True),
    Spot("Control\\SecurityProviders", ("SecurityProviders",), "T1547.005"),
    Spot("Control\\Terminal Server\\Wds\\rdpwd", ("StartupPrograms",), "T1547"),
    Spot("Control\\Terminal Server\\WinStations\\RDP-Tcp", ("InitialProgram",), "T1547"),
)


def read(hive: Hive, place: Place) -> Iterator[Event]:
    """One event per thing that is started."""
    if place.kind == "classes":
        yield from _shadowed(hive, place)
        return
    spots = {"system": _SYSTEM, "software": _SOFTWARE, "user": _USER}[place.kind]
    base = current(hive) if place.kind == "system" else hive.root
    if base is None:
        return
    for spot in spots:
        key = base.key(spot.path)
        if key is not None:
            for inner in key.subkeys() if spot.each else (key,):
                yield from _told(inner, spot, place)
    if place.kind == "user":
        yield from _shadowed(hive, place)


def _told(key: Key, spot: Spot, place: Place) -> Iterator[Event]:
    wanted = {name.lower() for name in spot.values}
    for value in key.values():
        if wanted and value.name.lower() not in wanted:
            continue
        text = value.text if value.text is not None else ("" if value.number is not None else value.shown)
        if not text or text in ("0", '""'):
            continue
        target = key.name if spot.each else None
        yield tell(
            place, value, key, EventKind.STATE_AUTORUN, key.written, command_line=text.replace("\n", " "), technique=spot.technique,
            spot=spot.path, target=target, name=value.name,
        )  # fmt: skip


def _shadowed(hive: Hive, place: Place) -> Iterator[Event]:
    """COM servers of a user's own, which come before the system's of the same number."""
    base = hive.key("CLSID") if place.kind == "classes" else hive.key("Software\\Classes\\CLSID")
    for number, clsid in enumerate(base.subkeys() if base is not None else ()):
        if number >= _CLSID_MOST:
            return
        for name in ("InprocServer32", "LocalServer32", "TreatAs", "ScriptletURL"):
            key = clsid.key(name)
            value = key.value("") if key is not None else None
            if key is not None and value is not None and value.text:
                yield tell(
                    place, value, key, EventKind.STATE_AUTORUN, key.written, command_line=value.text, technique="T1546.015",
                    spot="CLSID", target=clsid.name, name=name,
                )  # fmt: skip
