# SPDX-License-Identifier: Apache-2.0
"""The capture filter: a packet that was wanted and never kept, one that was kept and not wanted, a capture of itself."""

from __future__ import annotations

import ipaddress
import random
import shutil
import struct
import subprocess

import pytest

from headwater.acquire.capture_filter import Host, Port, compiled, parse, without_session, words_of
from headwater.model.errors import UsageError


def run(code: bytes, packet: bytes) -> int:
    """Classic BPF, as Documentation/networking/filter.rst tells it; a load past the end drops the packet."""
    lines = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    a = x = at = 0
    while True:
        operation, jt, jf, k = lines[at]
        at += 1
        if operation == 0x06:
            return k
        if operation == 0x05:
            at += k
        elif operation in (0x20, 0x28, 0x30, 0x48):
            size = {0x20: 4, 0x28: 2, 0x30: 1, 0x48: 2}[operation]
            place = k + (x if operation == 0x48 else 0)
            if place + size > len(packet):
                return 0
            a = int.from_bytes(packet[place : place + size], "big")
        elif operation == 0xB1:
            if k >= len(packet):
                return 0
            x = 4 * (packet[k] & 0xF)
        elif operation == 0x54:
            a &= k
        elif operation in (0x15, 0x45):
            at += jt if (a == k if operation == 0x15 else a & k) else jf
        else:
            raise AssertionError(hex(operation))


def packet(
    src: str, dst: str, protocol: int, sport: int, dport: int, *, fragment: int = 0, ethernet: bool = True
) -> bytes:
    """A frame with ports where the protocol has some."""
    a, b = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    ports = struct.pack(">HH", sport, dport) + bytes(16)
    if a.version == 4:
        head = (
            struct.pack(">BBHHHBBH", 0x46, 0, 24 + len(ports), 1, fragment, 64, protocol, 0)
            + a.packed
            + b.packed
            + bytes(4)
        )
        return (bytes(12) + b"\x08\x00" if ethernet else b"") + head + ports
    head = struct.pack(">IHBB", 6 << 28, len(ports), protocol, 64) + a.packed + b.packed
    return (bytes(12) + b"\x86\xdd" if ethernet else b"") + head + ports


ARP = bytes(12) + b"\x08\x06" + bytes(28)
WEB = packet("10.0.0.5", "203.0.113.7", 6, 40000, 443)
DNS = packet("10.0.0.5", "10.0.0.1", 17, 5353, 53)
SIX = packet("2001:db8::5", "2001:db8:1::7", 6, 40000, 443)
PING = packet("10.0.0.5", "10.0.0.1", 1, 0, 0)
LATER = packet("10.0.0.5", "203.0.113.7", 6, 40000, 443, fragment=0x00B9)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("tcp", {"WEB", "SIX", "LATER"}),
        ("udp", {"DNS"}),
        ("arp", {"ARP"}),
        ("icmp", {"PING"}),
        ("ip6", {"SIX"}),
        ("host 10.0.0.1", {"DNS", "PING"}),
        ("10.0.0.1", {"DNS", "PING"}),
        ("src host 10.0.0.1", set()),
        ("dst net 10.0.0.0/24", {"DNS", "PING"}),
        ("net 2001:db8::/32 and tcp port 443", {"SIX"}),
        ("port 443", {"WEB", "SIX"}),
        ("tcp src port 443", set()),
        ("udp port 443", set()),
        ("not port 443", {"DNS", "ARP", "PING", "LATER"}),
        ("tcp and not host 203.0.113.7", {"SIX"}),
        ("(udp or icmp) and host 10.0.0.5", {"DNS", "PING"}),
        ("not (tcp or udp or arp)", {"PING"}),
    ],
)
def test_filter_keeps_what_its_words_say(words: str, wanted: set[str]) -> None:
    code = compiled(parse(words))
    packets = {"WEB": WEB, "DNS": DNS, "SIX": SIX, "PING": PING, "ARP": ARP, "LATER": LATER}
    assert {name for name, data in packets.items() if run(code, data)} == wanted
    again = compiled(parse(words_of(parse(words))))
    assert {name for name, data in packets.items() if run(again, data)} == wanted


@pytest.mark.parametrize(
    "words",
    ["", "port", "port 0", "port 70000", "host", "host 10.0.0.0/24", "net 10.0.0.1/24", "tcp or", "(tcp", "tcp)", "less 5",
     "host $(reboot)", "tcp udp", "not", "src tcp"],
)  # fmt: skip
def test_filter_that_is_not_understood_is_refused(words: str) -> None:
    with pytest.raises(UsageError, match="HW2181"):
        parse(words)


def test_filter_too_long_for_the_kernel_is_refused_and_never_miscompiled() -> None:
    for each, count in (("host 10.0.0.{}", 250), ("port {}", 40)):
        with pytest.raises(UsageError, match="HW2181"):
            compiled(parse(" or ".join(each.format(n) for n in range(1, count))))


def test_own_session_is_left_out_and_nothing_else_of_the_two_machines() -> None:
    code = compiled(without_session(None, "10.0.0.9", 50000, "10.0.0.5", 22))
    assert not run(code, packet("10.0.0.9", "10.0.0.5", 6, 50000, 22))
    assert not run(code, packet("10.0.0.5", "10.0.0.9", 6, 22, 50000))
    assert run(code, packet("10.0.0.9", "10.0.0.5", 6, 50001, 22))
    assert run(code, packet("10.0.0.9", "10.0.0.5", 17, 50000, 22))
    assert run(code, ARP)
    same = compiled(without_session(parse("tcp"), "127.0.0.1", 50000, "127.0.0.1", 22))
    assert not run(same, packet("127.0.0.1", "127.0.0.1", 6, 22, 50000))
    assert run(same, packet("127.0.0.1", "127.0.0.1", 6, 22, 50002))


def test_interface_without_frames_is_filtered_from_the_first_byte() -> None:
    code = compiled(parse("tcp port 443"), ethernet=False)
    assert run(code, packet("10.0.0.5", "203.0.113.7", 6, 40000, 443, ethernet=False))
    assert run(code, packet("2001:db8::5", "2001:db8::7", 6, 443, 9, ethernet=False))
    assert not run(code, packet("10.0.0.5", "203.0.113.7", 17, 40000, 443, ethernet=False))
    assert not run(compiled(parse("arp"), ethernet=False), packet("10.0.0.5", "203.0.113.7", 6, 1, 2, ethernet=False))


def test_short_and_random_packets_end_the_filter() -> None:
    rng = random.Random(1)
    code = compiled(parse("(tcp port 443 or udp port 53) and not net 10.0.0.0/8"))
    for _ in range(500):
        run(code, rng.randbytes(rng.randrange(80)))


def test_tcpdump_compiles_the_same_words_to_the_same_choice() -> None:
    if shutil.which("tcpdump") is None:
        pytest.skip("tcpdump is absent")
    for words in ("tcp port 443", "not host 10.0.0.1", "net 10.0.0.0/8 and udp", "not (tcp or udp or arp)"):
        said = subprocess.run(["tcpdump", "-y", "EN10MB", "-ddd", words], capture_output=True, text=True, check=False)
        if said.returncode:
            pytest.skip(f"tcpdump compiles nothing here: {said.stderr.strip()}")
        rows = [line.split() for line in said.stdout.splitlines()[1:]]
        theirs = b"".join(struct.pack("=HBBI", *map(int, row)) for row in rows)
        for data in (WEB, DNS, SIX, PING, ARP, LATER):
            assert bool(run(theirs, data)) == bool(run(compiled(parse(words)), data)), words


def test_words_become_the_tree_they_say() -> None:
    assert parse("tcp dst port 80") == Port(80, "dst", "tcp")
    assert parse("src net 10.1.0.0/16") == Host(ipaddress.ip_network("10.1.0.0/16"), "src")
