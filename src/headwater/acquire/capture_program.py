# SPDX-License-Identifier: Apache-2.0
"""What runs on the server to capture packets: a small Python program in memory, or tcpdump where there is no Python.

The program needs Python 3.6, no module beyond the standard library, and writes nothing but its standard output. It opens
an AF_PACKET socket without promiscuous mode (that would be a line in the kernel's log), puts the filter on before the
socket hears anything, and sends framed records: ``I`` what the interface is, ``B`` a block of packets, ``T`` and ``S`` the counts
so far and at the end. packet(7), Documentation/networking/packet_mmap.rst; the drop count is PACKET_STATISTICS.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from headwater.acquire.ssh_scripts import quoted
from headwater.formats.patterns import lazy_regex
from headwater.model.errors import UsageError

SNAP = 262_144
_HEAD = "LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/sbin:/sbin\n"
_INTERFACE = lazy_regex(r"[0-9A-Za-z_.:@-]{1,15}")
_STALL = 60.0
_RECORD = struct.Struct("<cQIIBI")
_RECORD_MOST = SNAP + 64
_BLOCK_MOST = 1 << 20
# linux/if_packet.h: tpacket_block_desc with tpacket_hdr_v1, tpacket3_hdr; sockaddr_ll follows the latter
_BLOCK_HEAD, _PACKET_HEAD, _PACKET_TYPE = "IIIIIIQ4I", "6I2H2I2H8x", 58
_VLAN_VALID, _VLAN_TPID_VALID = 16, 64

# no single quotes in here: it is one word of sh. The kernel fills a ring of blocks (TPACKET_V3, 32 MiB); whole blocks are sent
# as they are and taken apart here, so that the server spends next to nothing. Times: the kernel's own, on arrival.
PROGRAM = """
import binascii, ctypes, mmap, os, select, socket, struct, sys, time
name, seconds, most, code = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), binascii.unhexlify(sys.argv[4])
BLOCK, BLOCKS = 1 << 20, 32
R = struct.Struct("<cQIIBI")
def send(kind, when, one, two, way, data=b""):
    view = memoryview(R.pack(kind, when, one, two, way, len(data)) + data)
    while view:
        view = view[os.write(1, view):]
def attach(code):
    held = ctypes.create_string_buffer(code, len(code))
    s.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HP", len(code) // 8, ctypes.addressof(held)))
def now():
    return int(time.time() * 1e9)
try:
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    attach(code)
    if name == "lo":
        try:
            s.setsockopt(263, 23, 1)
        except OSError:
            pass
    s.setsockopt(263, 10, 2)
    s.setsockopt(263, 5, struct.pack("7I", BLOCK, BLOCKS, 1 << 16, BLOCK * BLOCKS >> 16, 100, 0, 0))
    ring = mmap.mmap(s.fileno(), BLOCK * BLOCKS, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    s.bind((name, 3))
except (OSError, ValueError) as e:
    sys.stderr.write("%s: %s\\n" % (name, getattr(e, "strerror", None) or e))
    sys.exit(4)
end = time.monotonic() + seconds
send(b"I", now(), s.getsockname()[3], os.getpid(), 1 if sys.byteorder == "little" else 0)
waiter = select.poll()
waiter.register(s, select.POLLIN | select.POLLERR)
total = got = lost = at = why = 0
asked = time.monotonic()
def count():
    global got, lost
    a, b, c = struct.unpack("3I", s.getsockopt(263, 6, 12))
    got += a
    lost += b
def take():
    global at, total
    base = at * BLOCK
    status, = struct.unpack_from("I", ring, base + 8)
    if not status & 1:
        return False
    size, = struct.unpack_from("I", ring, base + 20)
    send(b"B", 0, 0, 0, 0, ring[base:base + min(size, BLOCK)])
    struct.pack_into("I", ring, base + 8, 0)
    total += size
    at = (at + 1) % BLOCKS
    return True
while True:
    t = time.monotonic()
    if t >= end or total >= most:
        why = 0 if t >= end else 1
        break
    if t - asked >= 1:
        count()
        asked = t
        send(b"T", now(), got & 0xffffffff, lost & 0xffffffff, 0)
    if not take() and any(e & ~select.POLLIN for _, e in waiter.poll(min(200, max(1, (end - t) * 1000)))):
        error = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            sys.stderr.write("%s: %s\\n" % (name, os.strerror(error)))
            why = 2
            break
done = now()
attach(struct.pack("=HBBI", 6, 0, 0, 0))
if why != 1:
    time.sleep(0.3)
    for _ in range(BLOCKS):
        if not take():
            break
count()
send(b"S", done, got & 0xffffffff, lost & 0xffffffff, why)
"""


def interface(name: str) -> str:
    """The name itself, if it is one of an interface.

    Raises:
        UsageError: HW0001.
    """
    if not _INTERFACE.fullmatch(name) or name.startswith("-"):
        raise UsageError("HW0001", what=f"--interface {name}")
    return name


def kind_script(name: str) -> bytes:
    """Prints the hardware type and the address family's state of an interface: ``type=``, ``there=``."""
    where = quoted(f"/sys/class/net/{name}")
    return (
        _HEAD.encode() + b"d=" + where + b"; t=; if [ -d \"$d\" ]; then printf 'there=yes\\n'; fi\n"
        b"{ IFS= read -r t < \"$d/type\"; } 2>/dev/null; printf 'type=%s\\n' \"$t\"\n"
    )  # fmt: skip


def python_script(python: str, name: str, seconds: int, most: int, code: bytes) -> bytes:
    """Runs the program: nothing is imported from the site's own modules and no byte code is written."""
    assert "'" not in PROGRAM
    words = f"exec {python} -BIS -c '{PROGRAM}' {quoted(name).decode()} {seconds} {most} {code.hex()}"
    return f"{_HEAD}{words} </dev/null\n".encode()


def tcpdump_script(name: str, seconds: int, words: str) -> bytes:
    """Runs tcpdump, unbuffered and without promiscuous mode, and ends it after its time, so that it tells its counts."""
    line = f"tcpdump -n -p -U -s {SNAP} -w - -i {quoted(name).decode()} {quoted(words).decode() if words else ''}"
    return (
        f"{_HEAD}{line} </dev/null &\np=$!\n( trap 'exit 0' TERM; sleep {seconds}; kill -INT $p ) </dev/null >/dev/null 2>&1 &\n"
        "k=$!\nwait $p; r=$?\nkill $k 2>/dev/null\nexit $r\n"
    ).encode()


# ------------------------------------------------------------------ what comes back


class Reader(Protocol):
    """Bytes from the server, in order; see :class:`headwater.acquire.ssh_stream.Stream`."""

    def read_into(self, buffer: memoryview, seconds: float) -> int: ...


# time (ns since 1970), bytes, length on the wire, sll_pkttype (255: not known)
Packet = tuple[int, bytes, int, int]


@dataclass(frozen=True, slots=True)
class Record:
    """``kind``: I, B, T or S; ``one``, ``two``, ``way`` as the program sends them; ``packets`` of a block."""

    kind: str
    when: int
    one: int
    two: int
    way: int
    packets: Sequence[Packet] = ()


class Framing(ValueError):
    """The stream is not what the program sends."""


class Frames:
    """Cuts a stream into exact reads."""

    def __init__(self, reader: Reader, stall: float = _STALL) -> None:
        self._reader, self._stall = reader, stall
        self._held = bytearray()
        self._piece = memoryview(bytearray(256 << 10))

    def take(self, count: int) -> bytes | None:
        """Exactly ``count`` bytes; None where the stream ends before the first of them.

        Raises:
            Framing: it ends in the middle.
        """
        while len(self._held) < count:
            got = self._reader.read_into(self._piece, self._stall)
            if not got:
                if self._held:
                    raise Framing(f"the stream ends {count - len(self._held)} bytes early")
                return None
            self._held += self._piece[:got]
        found = bytes(memoryview(self._held)[:count])
        del self._held[:count]
        return found


def records(frames: Frames) -> Iterator[Record]:
    """The program's records, until it has told its counts; its blocks as the packets that are in them.

    Raises:
        Framing: they are none.
    """
    order = "<"
    while (head := frames.take(_RECORD.size)) is not None:
        kind, when, one, two, way, size = _RECORD.unpack(head)
        if kind not in b"IBTS" or size > _BLOCK_MOST or (size and kind != b"B"):
            raise Framing(f"no record: {head[:8].hex()}")
        data = frames.take(size) if size else b""
        if data is None:
            raise Framing("the stream ends in a record")
        if kind == b"B":
            yield Record("B", 0, 0, 0, 0, list(block_packets(data, order)))
            continue
        if kind == b"I":
            order = "<" if way else ">"
        yield Record(kind.decode(), when, one, two, way)
        if kind == b"S":
            return


def block_packets(block: bytes, order: str) -> Iterator[Packet]:
    """The packets of one block of the ring, in order; a VLAN tag that the kernel took off is put back.

    Raises:
        Framing: a place or length in it leads out of it, or nowhere.
    """
    head, packet = struct.Struct(order + _BLOCK_HEAD), struct.Struct(order + _PACKET_HEAD)
    if len(block) < head.size:
        raise Framing("a block without its head")
    _, _, _, count, at, *_ = head.unpack_from(block)
    for number in range(count):
        if at + packet.size + 12 > len(block):
            raise Framing("a packet beyond its block")
        step, seconds, fraction, size, length, status, mac, _, _, tag, kind, _ = packet.unpack_from(block, at)
        start = at + mac
        if start + size > len(block) or (not step and number + 1 < count):
            raise Framing("a packet beyond its block")
        data = block[start : start + size]
        if status & _VLAN_VALID and size >= 12:
            data = data[:12] + struct.pack(">HH", kind if status & _VLAN_TPID_VALID else 0x8100, tag) + data[12:]
            length += 4
        yield seconds * 1_000_000_000 + fraction, data, length, block[at + _PACKET_TYPE]
        at += step


_PCAP = {b"\xa1\xb2\xc3\xd4": (">", 1000), b"\xd4\xc3\xb2\xa1": ("<", 1000),
         b"\xa1\xb2\x3c\x4d": (">", 1), b"\x4d\x3c\xb2\xa1": ("<", 1)}  # fmt: skip


def pcap_records(frames: Frames) -> Iterator[Record]:
    """tcpdump's own stream (libpcap's file format) as the same records; ``one`` of the first is the link type.

    Raises:
        Framing: it is none. https://www.tcpdump.org/manpages/pcap-savefile.5.txt
    """
    head = frames.take(24)
    if head is None:
        return
    if head[:4] not in _PCAP:
        raise Framing(f"no pcap: {head[:4].hex()}")
    order, unit = _PCAP[head[:4]]
    yield Record("I", 0, struct.unpack(order + "I", head[20:])[0] & 0xFFFF, 0, 0)
    while (raw := frames.take(16)) is not None:
        seconds, fraction, size, length = struct.unpack(order + "4I", raw)
        if size > _RECORD_MOST:
            raise Framing(f"a packet of {size} bytes")
        data = frames.take(size) if size else b""
        if data is None:
            raise Framing("the stream ends in a packet")
        yield Record("B", 0, 0, 0, 0, [(seconds * 1_000_000_000 + fraction * unit, data, length, 255)])


_COUNTS = lazy_regex(r"(\d+) packets? (captured|received by filter|dropped by kernel)")


def tcpdump_counts(errors: str) -> tuple[int | None, int | None]:
    """(received, dropped) as tcpdump says at its end; None where it does not."""
    said = {
        what: int(number)
        for number, what in _COUNTS.findall(os.fsdecode(errors.encode("utf-8", "replace")).replace("%0A", "\n"))
    }
    return said.get("received by filter"), said.get("dropped by kernel")
