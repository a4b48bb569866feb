# SPDX-License-Identifier: Apache-2.0
"""Rules and profiles of the Windows firewall (windows.firewall_rule).

Reads:  SYSTEM: SharedAccess\\Parameters\\FirewallPolicy; SOFTWARE: Policies\\Microsoft\\WindowsFirewall.
Time:   none of its own for a rule; the key's last write is of the newest change of any rule, in key_written.
Format: https://learn.microsoft.com/openspecs/windows_protocols/ms-fasp/ (rule strings: 2.2.3 and appendix)
Limits: names that are resources (@FirewallAPI.dll,-…) are told as they stand.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.artifacts._telling import current, tell
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive, Key
from headwater.model.kinds import EventKind
from headwater.model.records import Event

FEED = "windows.firewall_rule"
VERSION = 1
HIVES = ("system", "software")
_PROFILES = ("DomainProfile", "StandardProfile", "PublicProfile", "PrivateProfile")
_SETTINGS = (
    "EnableFirewall",
    "DefaultInboundAction",
    "DefaultOutboundAction",
    "DoNotAllowExceptions",
    "DisableNotifications",
)
_PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6"}
_FIELDS = {
    "action": "action", "active": "active", "dir": "direction", "lport": "local_port", "rport": "remote_port", "ra4": "remote_address",
    "app": "program", "svc": "service", "name": "name", "profile": "profile", "edge": "edge",
}  # fmt: skip


def read(hive: Hive, place: Place) -> Iterator[Event]:
    """One event per rule, one per setting of a profile."""
    if place.kind == "system":
        control = current(hive)
        base = control.key("Services\\SharedAccess\\Parameters\\FirewallPolicy") if control is not None else None
    else:
        base = hive.key("Policies\\Microsoft\\WindowsFirewall")
    if base is None:
        return
    rules = base.key("FirewallRules")
    if rules is not None:
        yield from _rules(rules, place)
    for name in _PROFILES:
        profile = base.key(name)
        for setting in _SETTINGS if profile is not None else ():
            assert profile is not None
            value = profile.value(setting)
            if value is not None:
                yield tell(
                    place,
                    value,
                    profile,
                    EventKind.STATE_SETTING,
                    profile.written,
                    setting=f"firewall {name} {setting}",
                    data=value.shown,
                )


def _rules(key: Key, place: Place) -> Iterator[Event]:
    for value in key.values():
        text = value.text
        if not text or "|" not in text:
            continue
        said: dict[str, list[str]] = {}
        for part in text.split("|")[1:]:
            name, _, told = part.partition("=")
            if told:
                said.setdefault(name.lower(), []).append(told)
        fields = {ours: " ".join(said[theirs]) for theirs, ours in _FIELDS.items() if theirs in said}
        number = said.get("protocol", [""])[0]
        if number:
            fields["protocol"] = _PROTOCOLS.get(number, number)
        program = fields.pop("program", None)
        yield tell(
            place,
            value,
            key,
            EventKind.STATE_FIREWALL,
            None,
            file_path=program,
            key_written=key.written,
            rule=text,
            **fields,
        )
