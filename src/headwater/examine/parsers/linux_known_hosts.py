# SPDX-License-Identifier: Apache-2.0
"""Hosts whose keys a user or the machine has accepted (linux.known_hosts).

Reads:  ~/.ssh/known_hosts and its old copies, /etc/ssh/ssh_known_hosts.
Time:   none; an entry states no time.
Format: sshd(8) SSH_KNOWN_HOSTS FILE FORMAT, https://man.openbsd.org/sshd.8; hashed names stay hashed.
Limits: an entry says that a key was accepted once, by hand or by a program, not when and not that a login followed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from headwater.examine.parsers._keys import KEY_TYPE, fingerprint
from headwater.examine.parsers._text import Line, lines, user_of
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "linux.known_hosts"
VERSION = 1
READS = ("/.ssh/known_hosts*", "/etc/ssh/ssh_known_hosts*")
_PORT = lazy_regex(r"\[([^\]]+)\]:(\d{1,5})")


def _address(hosts: str) -> tuple[str | None, int | None]:
    """The first address and the port among the names of an entry."""
    port: int | None = None
    for name in hosts.split(","):
        bracket = _PORT.fullmatch(name)
        if bracket:
            name, port = bracket.group(1), int(bracket.group(2))
        try:
            return str(ipaddress.ip_address(name)), port
        except ValueError:
            continue
    return None, port


def _event(line: Line, file: File) -> Event | None:
    parts = line.text.split()
    marker = parts.pop(0) if parts[0].startswith("@") else None
    if len(parts) < 3 or not KEY_TYPE.fullmatch(parts[1]):
        return None
    digest = fingerprint(parts[1], parts[2])
    if digest is None:
        return None
    hashed = parts[0].startswith("|1|")
    address, port = (None, None) if hashed else _address(parts[0])
    fields: dict[str, Value] = {
        "hosts": parts[0],
        "hashed": hashed,
        "port": port,
        "key_type": parts[1],
        "key_fingerprint": digest,
        "marker": marker,
        "comment": " ".join(parts[3:]) or None,
    }
    return Event(
        line.offset,
        line.length,
        EventKind.STATE_HOST_KEY,
        user=user_of(file.path),
        dst_ip=address,
        file_path=file_layer(file.path),
        fields=fields,
    )


def parse(file: File) -> Iterator[Record]:
    for line in lines(file):
        if isinstance(line, Gap):
            yield line
        elif not line.raw.strip():
            yield Skip(line.offset, line.length, "blank line")
        elif line.raw.lstrip().startswith(b"#"):
            yield Skip(line.offset, line.length, "comment")
        else:
            yield _event(line, file) or Gap(
                line.offset, line.length, GapReason.NOT_THIS_FORMAT, "no entry of known_hosts"
            )
