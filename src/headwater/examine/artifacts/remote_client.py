# SPDX-License-Identifier: Apache-2.0
"""Hosts that other remote clients of a user know: PuTTY, WinSCP, and drives mapped by name (windows.remote_client).

Reads:  NTUSER.DAT: SimonTatham\\PuTTY (Sessions, SshHostKeys), Martin Prikryl\\WinSCP 2\\Sessions, Network.
Time:   last write of the key, UTC; host keys have none of their own.
Format: https://the.earth.li/~sgtatham/putty/0.81/htmldoc/Chapter4.html, https://winscp.net/eng/docs/config
Limits: WinSCP's stored passwords are named as there, never read.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from headwater.examine.artifacts._telling import tell, under
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive
from headwater.model.kinds import EventKind
from headwater.model.records import Event

FEED = "windows.remote_client"
VERSION = 1
HIVES = ("user",)
_PUTTY = "Software\\SimonTatham\\PuTTY"


def read(hive: Hive, place: Place) -> Iterator[Event]:
    """One event per stored session, host key and drive."""
    kind = EventKind.USER_ACTIVITY
    for key in under(hive.root, f"{_PUTTY}\\Sessions"):
        yield tell(
            place, key, key, kind, key.written, activity="PuTTY session", target=key.text("HostName"),
            remote_user=key.text("UserName") or None, port=key.number("PortNumber"), session=unquote(key.name),
            forwarding=key.text("PortForwardings") or None,
        )  # fmt: skip
    hosts = hive.key(f"{_PUTTY}\\SshHostKeys")
    for value in hosts.values() if hosts is not None else ():
        assert hosts is not None
        sort, _, where = value.name.partition("@")
        port, _, host = where.partition(":")
        yield tell(
            place,
            value,
            hosts,
            kind,
            None,
            activity="SSH host key",
            target=host or where,
            port_text=port or None,
            key_type=sort,
        )
    for key in under(hive.root, "Software\\Martin Prikryl\\WinSCP 2\\Sessions"):
        if key.text("HostName"):
            yield tell(
                place, key, key, kind, key.written, activity="WinSCP session", target=key.text("HostName"),
                remote_user=key.text("UserName"), session=unquote(key.name), password_stored=key.value("Password") is not None,
            )  # fmt: skip
    for key in under(hive.root, "Network"):
        yield tell(
            place, key, key, kind, key.written, activity="network drive", target=key.text("RemotePath"), drive=key.name,
            remote_user=key.text("UserName") or None,
        )  # fmt: skip
