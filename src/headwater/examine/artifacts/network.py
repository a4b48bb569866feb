# SPDX-License-Identifier: Apache-2.0
"""Network interfaces, their addresses, and the networks that the host was in (windows.network).

Reads:  SYSTEM: Tcpip\\Parameters\\Interfaces; SOFTWARE: NetworkList\\Profiles and Signatures.
Time:   interfaces: lease obtained (Unix seconds) or the key's last write, UTC; networks: first and last connection, wall clock.
Format: https://learn.microsoft.com/troubleshoot/windows-client/networking/tcpip-and-nbt-configuration-parameters
Limits: an address is the last one configured or leased, not all that were ever used.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.artifacts._telling import SECOND, current, systemtime, tell, under
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive, Key
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.records import Event

FEED = "windows.network"
VERSION = 1
HIVES = ("system", "software")
_NAMES = ("IPAddress", "SubnetMask", "DefaultGateway", "NameServer", "Domain")


def read(hive: Hive, place: Place) -> Iterator[Event]:
    """One event per interface with an address; two per network, for its first and last connection."""
    if place.kind == "system":
        for key in under(current(hive), "Services\\Tcpip\\Parameters\\Interfaces"):
            yield from _interface(key, place)
        return
    base = hive.key("Microsoft\\Windows NT\\CurrentVersion\\NetworkList")
    gateways = {}
    for sort in ("Managed", "Unmanaged"):
        for key in under(base, f"Signatures\\{sort}"):
            mac = key.value("DefaultGatewayMac")
            gateways[(key.text("ProfileGuid") or "").lower()] = mac.data.hex(":") if mac is not None else None
    for key in under(base, "Profiles"):
        yield from _profile(key, place, gateways.get(key.name.lower()))


def _interface(key: Key, place: Place) -> Iterator[Event]:
    said = {}
    for name in _NAMES:
        fixed, leased = key.text(name), key.text(f"Dhcp{name}")
        said[name] = (fixed or "").strip() or leased or None
    address = said["IPAddress"]
    if not address or address == "0.0.0.0":  # noqa: S104  (a text in the evidence)
        address = key.text("DhcpIPAddress")
    if not address and not said["NameServer"]:
        return
    lease = key.number("LeaseObtainedTime")
    time, kind = (lease * SECOND, "leased") if lease else (key.written, "modified")
    fields = {name.lower(): value.replace("\n", " ") for name, value in said.items() if value}
    fields["ipaddress"] = address or ""
    yield tell(
        place, key, key, EventKind.STATE_NETWORK, time, t_kind=kind, interface=key.name, dhcp=key.number("EnableDHCP"),
        dhcp_server=key.text("DhcpServer"), **fields,
    )  # fmt: skip


def _profile(key: Key, place: Place, gateway: str | None) -> Iterator[Event]:
    for name, kind in (("DateCreated", "created"), ("DateLastConnected", "connected")):
        value = key.value(name)
        if value is not None:
            yield tell(
                place, value, key, EventKind.STATE_NETWORK, systemtime(value.data), t_basis=TimeBasis.ZONE_ASSUMED, t_kind=kind,
                network=key.text("ProfileName"), description=key.text("Description"), category=key.number("Category"),
                gateway_mac=gateway,
            )  # fmt: skip
