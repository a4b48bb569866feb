# SPDX-License-Identifier: Apache-2.0
"""A command run as root whenever an interface comes up must reach the detectors, and an address its section."""

from __future__ import annotations

from headwater.examine.parsers import linux_network
from headwater.model.kinds import EventKind
from headwater.model.records import Event, File


def _events(path: str, text: str) -> list[Event]:
    return [r for r in linux_network.parse(File.of(text.encode(), path)) if isinstance(r, Event)]


def test_a_command_of_an_interface_is_a_setting_with_a_command() -> None:
    events = _events("/etc/network/interfaces", "iface eth0 inet dhcp\n  post-up /tmp/.x/up &\n")
    assert [(e.kind, e.command_line) for e in events] == [
        (EventKind.STATE_NETWORK, None),
        (EventKind.STATE_SETTING, "/tmp/.x/up &"),
    ]


def test_an_address_stands_under_the_interface_that_has_it() -> None:
    text = "network:\n  ethernets:\n    ens3:\n      addresses:\n      - 10.0.0.5/24\n    ens4: {dhcp4: true}\n  version: 2\n"
    rows = [
        (e.fields.get("section"), e.fields.get("setting"), e.fields.get("value"))
        for e in _events("/etc/netplan/1.yaml", text)
    ]
    assert rows == [
        (None, "network", None),
        ("network", "ethernets", None),
        ("network.ethernets", "ens3", None),
        ("network.ethernets.ens3", "addresses", None),
        ("network.ethernets.ens3.addresses", None, "10.0.0.5/24"),
        ("network.ethernets", "ens4", "{dhcp4: true}"),
        ("network", "version", "2"),
    ]


def test_three_thousand_levels_of_yaml_keep_a_bounded_place() -> None:
    text = "".join(f"{' ' * min(n, 3000)}k{n}:\n" for n in range(3000))
    assert max(len(str(e.fields.get("section") or "")) for e in _events("/etc/netplan/1.yaml", text)) < 1000


def test_a_line_of_many_quotes_and_dashes_ends() -> None:
    assert len(_events("/etc/netplan/1.yaml", "- " * 30_000 + '"' * 30_000 + "\n")) <= 2
