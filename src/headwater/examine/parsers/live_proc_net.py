# SPDX-License-Identifier: Apache-2.0
"""The kernel's own tables of sockets (live.proc_net).

Reads:  /proc/net/{tcp,tcp6,udp,udp6,udplite,udplite6,raw,raw6,unix,packet} of a live collection, and the same files as
        read past the C library.
Time:   none; the files state no time.
Format: proc(5), Documentation/networking/proc_net_tcp.rst: addresses are hexadecimal words in the machine's order (little-
        endian is taken: x86, arm64), ports in network order; states as in include/net/tcp_states.h.
Limits: of one network namespace; the owner is a user and an inode, a process's ``fd`` links lead to it. ``dst_ip`` is the
        other end, whoever began.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from headwater.examine.parsers._live import rows, value, whole
from headwater.examine.parsers._records import event
from headwater.examine.parsers._text import Line
from headwater.examine.parsers._when import NONE
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Record, Value

FEED = "live.proc_net"
VERSION = 1
_TABLES = ("tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "unix", "packet")
READS = tuple(f"/proc/net/{name}" for name in _TABLES)
STATES = {
    1: "ESTABLISHED", 2: "SYN_SENT", 3: "SYN_RECV", 4: "FIN_WAIT1", 5: "FIN_WAIT2", 6: "TIME_WAIT", 7: "CLOSE",
    8: "CLOSE_WAIT", 9: "LAST_ACK", 10: "LISTEN", 11: "CLOSING", 12: "NEW_SYN_RECV",
}  # fmt: skip
_INET = lazy_regex(
    r"\s*(?P<slot>\d+): (?P<local>[0-9A-F]{8}|[0-9A-F]{32}):(?P<lport>[0-9A-F]{4}) "
    r"(?P<remote>[0-9A-F]{8}|[0-9A-F]{32}):(?P<rport>[0-9A-F]{4}) (?P<state>[0-9A-F]{2}) "
    r"(?P<send>[0-9A-F]{8}):(?P<receive>[0-9A-F]{8}) [0-9A-F]{2}:[0-9A-F]{8} [0-9A-F]{8}\s+(?P<uid>\d+)\s+\d+\s+(?P<inode>\d+)\b.*"
)
_UNIX = lazy_regex(
    r"(?P<address>[0-9a-f]{8,16}): (?P<references>[0-9A-F]{8}) (?P<protocol>[0-9A-F]{8}) (?P<flags>[0-9A-F]{8}) "
    r"(?P<type>[0-9A-F]{4}) (?P<state>[0-9A-F]{2})\s+(?P<inode>\d+)(?: (?P<path>.*))?"
)
_PACKET = lazy_regex(
    r"[0-9a-f]{8,16}\s+(?P<references>\d+)\s+(?P<type>\d+)\s+(?P<ether>[0-9a-f]{4})\s+(?P<interface>\d+)\s+\d+\s+\d+\s+"
    r"(?P<uid>\d+)\s+(?P<inode>\d+)\s*"
)
_TYPES = {1: "STREAM", 2: "DGRAM", 3: "RAW", 5: "SEQPACKET", 10: "PACKET"}
_UNIX_STATES = {1: "UNCONNECTED", 2: "CONNECTING", 3: "CONNECTED", 4: "DISCONNECTING"}  # include/uapi/linux/net.h


def address_of(text: str) -> str:
    """An address of 8 or 32 hexadecimal digits, in words of four bytes of the machine's order."""
    raw = bytes.fromhex(text)
    words = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    found = ipaddress.ip_address(words)
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def parse(file: File) -> Iterator[Record]:
    name = file_layer(file.path).rpartition("/")[2]

    def make(line: Line, text: str) -> Event | str | None:
        if text.split()[0] in ("sl", "Num", "sk"):
            return "header line"
        fields = _inet(name, text) or _unix(text) or _packet(text)
        return event(line, NONE, EventKind.STATE_SOCKET, None, fields) if fields else None

    yield from rows(file, make)


def _inet(name: str, text: str) -> dict[str, Value] | None:
    match = _INET.fullmatch(text)
    if match is None:
        return None
    remote, port = address_of(match["remote"]), int(match["rport"], 16)
    number = int(match["state"], 16)
    state = STATES.get(number, str(number))
    if name.startswith(("udp", "raw")) and number == 7:
        state = "UNCONN"  # include/net/tcp_states.h TCP_CLOSE, which a socket without a peer has
    return {
        "protocol": name, "state": state, "local_address": address_of(match["local"]),
        "local_port": int(match["lport"], 16), "remote_address": remote, "remote_port": port or None,
        "dst_ip": remote if port else None, "send_queue": int(match["send"], 16),
        "receive_queue": int(match["receive"], 16), "uid": whole(match["uid"]), "inode": whole(match["inode"]),
    }  # fmt: skip


def _unix(text: str) -> dict[str, Value] | None:
    match = _UNIX.fullmatch(text)
    if match is None:
        return None
    kind, state = int(match["type"], 16), int(match["state"], 16)
    listening = int(match["flags"], 16) & 0x10000  # SO_ACCEPTCON
    return {
        "protocol": "unix", "type": _TYPES.get(kind, str(kind)), "inode": whole(match["inode"]),
        "state": "LISTENING" if listening else _UNIX_STATES.get(state, str(state)), "local_path": match["path"] or None,
        "references": int(match["references"], 16),
    }  # fmt: skip


def _packet(text: str) -> dict[str, Value] | None:
    match = _PACKET.fullmatch(text)
    if match is None:
        return None
    kind = int(match["type"][:4])
    return {
        "protocol": "packet", "type": _TYPES.get(kind, str(kind)), "ether_type": match["ether"], "uid": whole(match["uid"]),
        "inode": whole(match["inode"]), "interface_number": value(match["interface"]),
    }  # fmt: skip
