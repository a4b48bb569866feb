# SPDX-License-Identifier: Apache-2.0
"""What runs on the server to capture packets: a small Python program in memory, or tcpdump where there is no Python.

The program needs Python 3.6, no module beyond the standard library, and writes nothing but its standard output. It opens
an AF_PACKET socket without promiscuous mode (that would be a line in the kernel's log), puts the filter on before the
socket hears anything, and sends framed records: ``I`` what the interface is, ``P`` a packet, ``S`` the counts at the end.
packet(7); the drop count is PACKET_STATISTICS.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from headwater.acquire.ssh_scripts import quoted
from headwater.model.errors import UsageError

SNAP = 262_144
_HEAD = "LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/sbin:/sbin\n"
_INTERFACE = re.compile(r"[0-9A-Za-z_.:@-]{1,15}")
_STALL = 60.0
_RECORD = struct.Struct("<cQIIBI")
_RECORD_MOST = SNAP + 64

# no single quotes in here: it is one word of sh. Times: the kernel's own, on arrival.
PROGRAM = """
import binascii, ctypes, os, select, socket, struct, sys, time
name, seconds, most, snap, code = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
code = binascii.unhexlify(code)
R = struct.Struct("<cQIIBI")
def send(kind, when, one, two, way, data):
    out.extend(R.pack(kind, when, one, two, way, len(data)))
    out.extend(data)
def flush():
    view = memoryview(bytes(out))
    del out[:]
    while view:
        view = view[os.write(1, view):]
out = bytearray()
try:
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    held = ctypes.create_string_buffer(code, len(code))
    s.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HP", len(code) // 8, ctypes.addressof(held)))
    for option in (33, socket.SO_RCVBUF):
        try:
            s.setsockopt(socket.SOL_SOCKET, option, 32 << 20)
            break
        except OSError:
            pass
    s.setsockopt(socket.SOL_SOCKET, 35, 1)
    s.setsockopt(263, 8, 1)
    s.bind((name, 3))
except OSError as e:
    sys.stderr.write("%s: %s\\n" % (name, e.strerror or e))
    sys.exit(4)
kind = s.getsockname()[3]
began = time.time()
end = time.monotonic() + seconds
send(b"I", int(began * 1e9), kind, os.getpid(), 0, b"")
flush()
s.setblocking(False)
waiter = select.poll()
waiter.register(s, select.POLLIN)
total = got = lost = 0
asked = time.monotonic()
why = 0
def count():
    global got, lost
    a, b = struct.unpack("II", s.getsockopt(263, 6, 8))
    got += a
    lost += b
while True:
    now = time.monotonic()
    if now >= end:
        break
    if total >= most:
        why = 1
        break
    if now - asked >= 1:
        count()
        asked = now
        send(b"T", int(time.time() * 1e9), got & 0xffffffff, lost & 0xffffffff, 0, b"")
        flush()
    if not waiter.poll(min(200, max(1, (end - now) * 1000))):
        flush()
        continue
    for _ in range(256):
        try:
            data, extra, flags, where = s.recvmsg(snap, 256)
        except (BlockingIOError, InterruptedError):
            break
        except OSError as e:
            sys.stderr.write("%s\\n" % (e.strerror or e))
            why = 2
            end = 0
            break
        when, length = 0, len(data)
        for level, what, value in extra:
            if level == 1 and what == 35:
                a, b = struct.unpack("ll", value[:struct.calcsize("ll")])
                when = a * 1000000000 + b
            elif level == 263 and what == 8:
                status, length, _, _, _, tag, kindof = struct.unpack("IIIHHHH", value[:20])
                if status & 16 and len(data) >= 12:
                    data = data[:12] + struct.pack(">HH", kindof if status & 64 else 0x8100, tag) + data[12:]
                    length += 4
        send(b"P", when or int(time.time() * 1e9), length, 0, where[2], data)
        total += len(data) + 32
        if total >= most:
            break
    if len(out) > 65536:
        flush()
count()
send(b"S", int(time.time() * 1e9), got & 0xffffffff, lost & 0xffffffff, why, b"")
flush()
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
    words = f"exec {python} -BIS -c '{PROGRAM}' {quoted(name).decode()} {seconds} {most} {SNAP} {code.hex()}"
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


@dataclass(frozen=True, slots=True)
class Record:
    """``kind``: I, P, T or S; ``one``, ``two`` as the program sends them; ``way``: packet type, or why it ended."""

    kind: str
    when: int
    one: int
    two: int
    way: int
    data: bytes = b""


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
    """The program's records, until it has told its counts.

    Raises:
        Framing: they are none.
    """
    while (head := frames.take(_RECORD.size)) is not None:
        kind, when, one, two, way, size = _RECORD.unpack(head)
        if kind not in b"IPTS" or size > _RECORD_MOST or (size and kind != b"P"):
            raise Framing(f"no record: {head[:8].hex()}")
        data = frames.take(size) if size else b""
        if data is None:
            raise Framing("the stream ends in a record")
        yield Record(kind.decode(), when, one, two, way, data)
        if kind == b"S":
            return


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
        yield Record("P", seconds * 1_000_000_000 + fraction * unit, length, 0, 255, data)


_COUNTS = re.compile(r"(\d+) packets? (captured|received by filter|dropped by kernel)")


def tcpdump_counts(errors: str) -> tuple[int | None, int | None]:
    """(received, dropped) as tcpdump says at its end; None where it does not."""
    said = {
        what: int(number)
        for number, what in _COUNTS.findall(os.fsdecode(errors.encode("utf-8", "replace")).replace("%0A", "\n"))
    }
    return said.get("received by filter"), said.get("dropped by kernel")
