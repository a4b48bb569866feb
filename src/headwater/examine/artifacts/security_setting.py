# SPDX-License-Identifier: Apache-2.0
"""Settings that decide how well a host defends itself: credentials, logging, user account control, Defender (windows.security_setting).

Reads:  SYSTEM: Lsa, WDigest, EventLog; SOFTWARE: Policies\\System, PowerShell, Windows Defender and its exclusions, hidden accounts.
Time:   last write of the key, UTC: the newest change of any of its values.
Format: https://learn.microsoft.com/windows-server/security/credentials-protection-and-management/,
        https://learn.microsoft.com/defender-endpoint/configure-exclusions-microsoft-defender-antivirus
Limits: a setting that is not there has its default, which depends on the version; group policy of the domain stands elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.artifacts._telling import current, tell
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive, Key
from headwater.model.kinds import EventKind
from headwater.model.records import Event

FEED = "windows.security_setting"
VERSION = 1
HIVES = ("system", "software")
_SYSTEM: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Control\\SecurityProviders\\WDigest", ("UseLogonCredential", "Negotiate")),
    ("Control\\Lsa", (
        "RunAsPPL", "LmCompatibilityLevel", "NoLMHash", "DisableRestrictedAdmin", "DisableRestrictedAdminOutboundCreds",
        "LimitBlankPasswordUse", "RestrictAnonymous", "RestrictAnonymousSAM", "EveryoneIncludesAnonymous", "DisableDomainCreds",
        "LsaCfgFlags", "TokenLeakDetectDelaySecs",
    )),
    ("Control\\Lsa\\MSV1_0", ("RestrictReceivingNTLMTraffic", "AuditReceivingNTLMTraffic")),
    ("Services\\EventLog", ("Start",)),
    ("Services\\EventLog\\Security", ("MaxSize", "Retention", "File")),
    ("Services\\WinDefend", ("Start",)),
    ("Services\\Sense", ("Start",)),
    ("Control\\CrashControl", ("CrashDumpEnabled",)),
    ("Control\\Session Manager\\Memory Management", ("ClearPageFileAtShutdown",)),
)  # fmt: skip
_POWERSHELL = "Policies\\Microsoft\\Windows\\PowerShell"
_DEFENDER = "Microsoft\\Windows Defender"
_SWITCHES = (
    "DisableAntiSpyware",
    "DisableAntiVirus",
    "DisableRoutinelyTakingAction",
    "PassiveMode",
    "TamperProtection",
)
_LIVE = (
    "DisableRealtimeMonitoring",
    "DisableBehaviorMonitoring",
    "DisableIOAVProtection",
    "DisableScriptScanning",
    "DisableOnAccessProtection",
)
# channels that are on unless somebody switched them off, or that somebody installed to be on
_CHANNELS = (
    "Microsoft-Windows-PowerShell/Operational", "Microsoft-Windows-Sysmon/Operational", "Microsoft-Windows-Windows Defender/Operational",
    "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational", "Microsoft-Windows-WMI-Activity/Operational",
    "Microsoft-Windows-TerminalServices-RemoteConnectionManager/Operational",
    "Microsoft-Windows-Windows Firewall With Advanced Security/Firewall",
)  # fmt: skip
_SOFTWARE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Microsoft\\Windows\\CurrentVersion\\Policies\\System", (
        "EnableLUA", "ConsentPromptBehaviorAdmin", "LocalAccountTokenFilterPolicy", "FilterAdministratorToken", "EnableVirtualization",
        "PromptOnSecureDesktop", "DisableTaskMgr", "DisableRegistryTools",
    )),
    ("Microsoft\\Windows NT\\CurrentVersion\\Winlogon", ("AutoAdminLogon", "DefaultUserName", "CachedLogonsCount")),
    *((f"Microsoft\\Windows\\CurrentVersion\\WINEVT\\Channels\\{name}", ("Enabled",)) for name in _CHANNELS),
    ("Microsoft\\Windows\\CurrentVersion\\Policies\\System\\Audit", ("ProcessCreationIncludeCmdLine_Enabled",)),
    (f"{_POWERSHELL}\\ScriptBlockLogging", ("EnableScriptBlockLogging",)),
    (f"{_POWERSHELL}\\ModuleLogging", ("EnableModuleLogging",)),
    (f"{_POWERSHELL}\\Transcription", ("EnableTranscripting", "OutputDirectory")),
    ("Microsoft\\PowerShell\\1\\ShellIds\\Microsoft.PowerShell", ("ExecutionPolicy",)),
    ("Microsoft\\Windows Script Host\\Settings", ("Enabled",)),
    (_DEFENDER, _SWITCHES), (f"Policies\\{_DEFENDER}", _SWITCHES), (f"{_DEFENDER}\\Features", ("TamperProtection",)),
    (f"{_DEFENDER}\\Real-Time Protection", _LIVE), (f"Policies\\{_DEFENDER}\\Real-Time Protection", _LIVE),
    (f"{_DEFENDER}\\Spynet", ("SpynetReporting", "SubmitSamplesConsent")),
    ("Microsoft\\Windows NT\\CurrentVersion\\SystemRestore", ("DisableSR", "RPSessionInterval")),
    ("Policies\\Microsoft\\Windows NT\\SystemRestore", ("DisableSR", "DisableConfig")),
)  # fmt: skip
_EXCLUSIONS = ("Paths", "Extensions", "Processes", "TemporaryPaths", "IpAddresses")


def read(hive: Hive, place: Place) -> Iterator[Event]:
    """One event per setting that is there, and per exclusion."""
    if place.kind == "system":
        yield from _told(current(hive), _SYSTEM, place)
        return
    yield from _told(hive.root, _SOFTWARE, place)
    hidden = hive.key("Microsoft\\Windows NT\\CurrentVersion\\Winlogon\\SpecialAccounts\\UserList")
    for value in hidden.values() if hidden is not None else ():
        assert hidden is not None
        yield tell(
            place,
            value,
            hidden,
            EventKind.STATE_SETTING,
            hidden.written,
            setting=f"SpecialAccounts {value.name}",
            data=value.shown,
        )
    for base in (_DEFENDER, f"Policies\\{_DEFENDER}"):
        for sort in _EXCLUSIONS:
            key = hive.key(f"{base}\\Exclusions\\{sort}")
            for value in key.values() if key is not None else ():
                assert key is not None
                yield tell(
                    place,
                    value,
                    key,
                    EventKind.STATE_SETTING,
                    key.written,
                    setting="Defender exclusion",
                    sort=sort.lower(),
                    data=value.name,
                )


def _told(base: Key | None, wanted: tuple[tuple[str, tuple[str, ...]], ...], place: Place) -> Iterator[Event]:
    for path, names in wanted:
        key = base.key(path) if base is not None else None
        for name in names if key is not None else ():
            assert key is not None
            value = key.value(name)
            if value is not None:
                group = path.rpartition("\\")[2]
                yield tell(
                    place, value, key, EventKind.STATE_SETTING, key.written, setting=f"{group} {name}", data=value.shown
                )
