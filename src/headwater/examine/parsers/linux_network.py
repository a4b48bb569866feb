# SPDX-License-Identifier: Apache-2.0
"""How a system's interfaces are set up: addresses, routes, name servers, and commands run as they come up (linux.network).

Reads:  /etc/netplan/*.yaml, /etc/network/interfaces and interfaces.d, /etc/sysconfig/network and network-scripts/ifcfg-*, route-* and
        rule-*, NetworkManager's *.nmconnection and older keyfiles, systemd's *.network, *.netdev and *.link; ``mechanism`` says which.
Time:   none; the files state no time.
Format: netplan(5), interfaces(5), ifcfg of initscripts and NetworkManager (nm-settings-ifcfg-rh(5)), nm-settings-keyfile(5),
        systemd.network(5).
Limits: what a server got by DHCP is not here; of YAML the path of a line is told by its indentation, its value stands as written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._settings import Joined, joined
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Record, Value

FEED = "linux.network"
VERSION = 1
READS = (
    "/etc/netplan/*.yaml",
    "/lib/netplan/*.yaml",
    "/etc/network/interfaces",
    "/etc/network/interfaces.d/*",
    "/etc/sysconfig/network",
    "/etc/sysconfig/network-scripts/ifcfg-*",
    "/etc/sysconfig/network-scripts/route-*",
    "/etc/sysconfig/network-scripts/route6-*",
    "/etc/sysconfig/network-scripts/rule-*",
    "/etc/NetworkManager/system-connections/*",
    "/etc/systemd/network/*",
)
_DEPTH_MOST = 32
# interfaces(5): each runs its text by /bin/sh as root
_RUNS = frozenset({"up", "pre-up", "post-up", "down", "pre-down", "post-down"})
_YAML = lazy_regex(
    r"""(?P<indent>[ \t]*)(?P<items>(?:-[ \t]+)*)(?:(?P<key>"[^"]*"|'[^']*'|[^\s#:'"\[{-][^#:]*?):(?=\s|$))?(?P<value>.*)""",
    re.DOTALL,
)


def parse(file: File) -> Iterator[Record]:
    path = file_layer(file.path)
    mechanism = _mechanism(path)
    place: list[tuple[int, str]] = []  # indentation and name of what a line stands in
    if "/network-scripts/" in path:
        place = [(-1, path.rpartition("-")[2])]
    for line in joined(
        file, b"#;" if mechanism in ("networkmanager", "networkd") else b"#", join=mechanism == "interfaces"
    ):
        yield _event(line, path, mechanism, place) if isinstance(line, Joined) else line


def _mechanism(path: str) -> str:
    if "/netplan/" in path:
        return "netplan"
    if "/NetworkManager/" in path:
        return "networkmanager"
    if "/systemd/network/" in path:
        return "networkd"
    return "interfaces" if "/etc/network/" in path else "ifcfg"


def _event(line: Joined, path: str, mechanism: str, place: list[tuple[int, str]]) -> Event:
    read = {"netplan": _yaml, "interfaces": _stanza, "ifcfg": _pair}.get(mechanism, _section)
    setting, value = read(line.text, place)
    begins = mechanism == "netplan" and value is None and place and place[-1][1] == setting
    runs = value if mechanism == "interfaces" and setting in _RUNS else None
    own: dict[str, Value] = {
        "mechanism": mechanism,
        "section": ".".join(name for _, name in (place[:-1] if begins else place)) or None,
        "setting": setting,
        "value": value,
    }
    return Event(
        line.offset, line.length, EventKind.STATE_SETTING if runs else EventKind.STATE_NETWORK, command_line=runs, t_kind="state",
        file_path=path, fields={k: v for k, v in own.items() if v},
    )  # fmt: skip


def _yaml(text: str, place: list[tuple[int, str]]) -> tuple[str | None, str | None]:
    """A line of YAML; ``place`` afterwards holds the keys that it stands below."""
    found = _YAML.fullmatch(text)
    assert found is not None  # every part of the pattern may be empty
    depth = len(found["indent"]) + len(found["items"])
    while place and (place[-1][0] > depth or (place[-1][0] == depth and found["key"])):
        place.pop()
    key = found["key"].strip("\"' ") if found["key"] else None
    value = found["value"].strip() or None
    if key is not None and value is None and len(place) < _DEPTH_MOST:
        place.append((depth, key))
    return key, value


def _stanza(text: str, place: list[tuple[int, str]]) -> tuple[str | None, str | None]:
    """A line of interfaces(5); ``iface`` and ``mapping`` begin a part of their own, ``auto`` and its like end it."""
    first, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    if first in {"iface", "mapping"}:
        place[:] = [(0, rest.split(None, 1)[0])] if rest else []
    elif first in {"auto", "source", "source-directory", "rename"} or first.startswith(
        ("allow-", "no-auto-down", "no-scripts")
    ):
        place.clear()
    return first, rest or None


def _pair(text: str, place: list[tuple[int, str]]) -> tuple[str | None, str | None]:
    """NAME=value of a shell; a line of a route file is a value alone."""
    name, equals, value = text.strip().partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        return None, text.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return name, value or None


def _section(text: str, place: list[tuple[int, str]]) -> tuple[str | None, str | None]:
    """A line of a keyfile: a [section], or name=value in it."""
    bare = text.strip()
    if bare.startswith("[") and bare.endswith("]"):
        place[:] = [(0, bare[1:-1])]
        return None, None
    name, equals, value = bare.partition("=")
    return (name.strip(), value.strip() or None) if equals else (None, bare)
