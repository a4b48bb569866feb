# SPDX-License-Identifier: Apache-2.0
"""headwater capture: packets without their time or length, a capture without end, drops that nobody tells of."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "scene"))

from server_in_netns import HERE, THERE, Net, net

from headwater.acquire.capture_program import Frames, Framing, pcap_records, records, tcpdump_counts
from headwater.case.authority import Claim
from headwater.model.errors import AcquireError, UsageError
from headwater.procedure.capturing import Captured, CaptureOrder, capture
from headwater.procedure.corridor import open_case
from headwater.procedure.reaching import Reach
from headwater.procedure.scene import ACTED
from headwater.procedure.scene_errand import Errand

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="listening to an interface asks for root")


def blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """(type, body) of the blocks of a pcapng file, lengths checked at both ends."""
    data, at = path.read_bytes(), 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        assert size % 4 == 0
        assert struct.unpack_from("<I", data, at + size - 4)[0] == size
        yield kind, data[at + 8 : at + size - 4]
        at += size


def packets(path: Path) -> list[tuple[int, int, bytes]]:
    """(time in ns, length, bytes)."""
    found = []
    for kind, body in blocks(path):
        if kind == 6:
            _, high, low, size, length = struct.unpack_from("<IIIII", body)
            found.append((high << 32 | low, length, body[20 : 20 + size]))
    return found


def _order(address: str, tmp_path: Path, words: str, **more: object) -> CaptureOrder:
    remote = {"server_location": "here", "remote_method": "ssh", "screen_recording": "none: a test"}
    claim = Claim(None, None, None, None, None, None, "a test")
    errand = Errand(address, tmp_path / "case", claim, ("甲", "乙"), remote=remote)
    return replace(CaptureOrder(errand, tmp_path / "net01", "lo", 1, 10 << 20, words), **more)  # type: ignore[arg-type]


class _Sender(threading.Thread):
    """Datagrams to an address, one every few milliseconds, until it is told to stop."""

    def __init__(self, address: str, port: int, size: int = 100) -> None:
        super().__init__(daemon=True)
        self.address, self.port, self.size, self.done, self.sent = address, port, size, threading.Event(), 0

    def run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while not self.done.wait(0.004):
                out.sendto(b"%8d" % self.sent + bytes(self.size - 8), (self.address, self.port))
                self.sent += 1


def _captured(order: CaptureOrder, sender: _Sender) -> Captured:
    sender.start()
    try:
        return capture(order)
    finally:
        sender.done.set()
        sender.join()


@ROOT
def test_packets_come_with_their_times_lengths_and_counts(tmp_path: Path) -> None:
    before = time.time_ns()
    done = _captured(_order("local:", tmp_path, "udp dst port 4711"), _Sender("127.0.0.1", 4711))
    path = tmp_path / "net01.pcapng"
    found = packets(path)
    assert done.ended == "time"
    assert done.whole
    assert done.packets == len(found) > 20
    assert done.dropped == 0
    assert done.received is not None
    assert done.received >= len(found)
    for when, length, data in found:
        assert before <= when <= time.time_ns()
        assert length == len(data) == 142
        assert data[12:14] == b"\x08\x00"
        assert struct.unpack(">H", data[36:38])[0] == 4711
    numbers = [int(data[42:50]) for _, _, data in found]
    assert numbers == list(range(min(numbers), max(numbers) + 1))  # none is missing in between, none is there twice
    assert [k for k, _ in blocks(path)][-1] == 5
    assert hashlib.sha256(path.read_bytes()).hexdigest() == done.digests["sha256"]
    corridor = open_case(tmp_path / "case")
    with corridor.ledger:
        (act,) = [s.entry for s in corridor.ledger.entries() if s.entry.action == ACTED]
    assert act.note["dropped"] == 0
    assert act.note["filter"] == "udp dst port 4711"


@ROOT
def test_capture_ends_at_its_bytes_and_says_so(tmp_path: Path) -> None:
    order = _order("local:", tmp_path, "udp dst port 4712", most=20_000, seconds=30)
    began = time.monotonic()
    done = _captured(order, _Sender("127.0.0.1", 4712, 1000))
    assert done.ended == "bytes"
    assert time.monotonic() - began < 25
    assert 20_000 <= (tmp_path / "net01.pcapng").stat().st_size < 22_000


@ROOT
def test_interface_that_is_not_there_leaves_no_file_and_no_evidence(tmp_path: Path) -> None:
    with pytest.raises(AcquireError, match="HW2182"):
        capture(_order("local:", tmp_path, "", interface="absent0"))
    assert not (tmp_path / "net01.pcapng").exists()


def test_bounds_and_names_that_cannot_be_are_refused_before_anything_is_done(tmp_path: Path) -> None:
    for wrong in (
        {"seconds": 0},
        {"most": 0},
        {"interface": "eth0; reboot"},
        {"interface": "-w"},
        {"filter": "less 5"},
    ):
        with pytest.raises(UsageError):
            capture(_order("local:", tmp_path, "", **wrong))
    assert not (tmp_path / "case").exists()


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    with net(tmp_path_factory.mktemp("netns") / "sshd") as made:
        yield made


@ROOT
@pytest.mark.parametrize("way", ["python", "tcpdump"])
def test_over_ssh_the_session_that_carries_the_capture_is_not_in_it(
    there: Net, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "tcpdump":
        if shutil.which("tcpdump") is None:
            pytest.skip("tcpdump is absent")
        monkeypatch.setattr("headwater.procedure.scene_visit.Visit.python", "")
    device = there.inside("sh", "-c", f"ip -o addr show | awk '/{THERE}/ {{print $2}}'").strip()
    order = _order(there.server.url_of_server(), tmp_path, "", interface=device, seconds=1 if way == "python" else 3)
    reach = Reach(known_hosts=there.server.known_hosts, key_file=there.server.key)
    order = replace(order, errand=replace(order.errand, reach=reach))
    done = _captured(order, _Sender(THERE, 4713))
    found = packets(tmp_path / "net01.pcapng")
    ours = [d for _, _, d in found if d[23:24] == b"\x11" and d[36:38] == struct.pack(">H", 4713)]
    assert len(ours) > 20
    assert not [d for _, _, d in found if d[23:24] == b"\x06" and struct.pack(">H", there.server.port) in d[34:38]]
    assert done.dropped == 0
    assert socket.inet_aton(HERE) in ours[0]


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def read_into(self, buffer: memoryview, seconds: float) -> int:
        got = self.data[: min(len(buffer), 7)]
        buffer[: len(got)] = got
        self.data = self.data[len(got) :]
        return len(got)


def test_stream_that_lies_about_its_lengths_is_no_capture() -> None:
    head = struct.pack("<cQIIBI", b"B", 1, 1, 0, 0, 0xFFFF_FFFF)
    short = struct.pack("<cQIIBI", b"B", 1, 1, 0, 0, 10) + b"abc"
    for lie in (head, b"\xff" * 64, head[:5], short, _block(9, 0), _block(2, 1 << 31)):
        with pytest.raises(Framing):
            list(records(Frames(_Bytes(lie))))
    pcap = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for lie in (b"\0" * 24, pcap + struct.pack("<IIII", 1, 1, 1 << 31, 60), pcap + bytes(9)):
        with pytest.raises(Framing):
            list(pcap_records(Frames(_Bytes(lie))))
    whole = pcap + struct.pack("<IIII", 7, 5, 3, 60) + b"abc"
    first, second = pcap_records(Frames(_Bytes(whole)))
    assert (first.kind, first.one) == ("I", 1)
    assert second.packets == [(7_000_005_000, b"abc", 60, 255)]


def _block(count: int, step: int) -> bytes:
    """A framed block of the ring with one packet in it, that states how many there are and where the next one is."""
    block = struct.pack("<IIIIIIQ4I", 1, 48, 1, count, 48, 160, 0, 0, 0, 0, 0)
    block += struct.pack("<6I2H2I2H8x", step, 7, 5, 16, 20, 16, 76, 90, 0, 42, 0, 0) + bytes(10) + b"\x04" + bytes(17)
    block += b"abcdefghijklmnop"
    return struct.pack("<cQIIBI", b"B", 0, 0, 0, 0, len(block)) + block


def test_tag_that_the_kernel_took_off_is_put_back() -> None:
    (found,) = records(Frames(_Bytes(_block(1, 0))))
    assert found.packets == [(7_000_000_005, b"abcdefghijkl" + b"\x81\x00\x00\x2a" + b"mnop", 24, 4)]


def test_counts_of_tcpdump_are_none_where_it_did_not_tell_them() -> None:
    said = "tcpdump: listening%0A12 packets captured%0A13 packets received by filter%0A0 packets dropped by kernel%0A"
    assert tcpdump_counts(said) == (13, 0)
    assert tcpdump_counts("killed") == (None, None)
