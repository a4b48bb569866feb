# SPDX-License-Identifier: Apache-2.0
"""The Windows source against a kernel32 made after Microsoft's pages: it only reads, aligned, and says what it cannot.

Not a run on Windows: what these tests show is that our side keeps the documented calls.
"""

from __future__ import annotations

import ast
import ctypes
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from headwater.acquire import windows_device
from headwater.acquire.ports import UnreadableError
from headwater.acquire.windows_device import WindowsSource, is_windows_device
from headwater.model.errors import AcquireError

MIB = 1 << 20
DRIVE = r"\\.\PhysicalDrive1"


class Kernel32:
    """One disk. Refuses what a raw device refuses: other access than reading, unaligned offsets and lengths."""

    def __init__(self, data: bytes, *, sector: int = 512, bad: tuple[int, ...] = (), error: int = 23) -> None:
        self.data, self.sector, self.bad, self.error = data, sector, bad, error
        self.at = self.last = 0
        self.opened: list[tuple[Any, ...]] = []
        self.closed = 0
        self.refuse_open = 0
        self.refused: set[int] = set()
        self.model: bytes = b"Samsung SSD 870\x1b[2J"
        self.protected = True

    def fail(self, code: int) -> int:
        self.last = code
        return 0

    def CreateFileW(self, *arguments: Any) -> int:
        self.opened.append(arguments)
        if self.refuse_open:
            self.fail(self.refuse_open)
            return -1
        return 77

    def CloseHandle(self, handle: int) -> int:
        self.closed += 1
        return 1

    def SetFilePointerEx(self, handle: int, at: int, new: Any, how: int) -> int:
        assert (handle, how) == (77, 0)
        if at % self.sector:
            return self.fail(87)
        self.at = at
        return 1

    def ReadFile(self, handle: int, into: Any, length: int, count: Any, overlapped: Any) -> int:
        assert ctypes.sizeof(into) >= length
        if length % self.sector:
            return self.fail(87)
        if any(self.at <= place < self.at + length for place in self.bad):
            return self.fail(self.error)
        piece = self.data[self.at : self.at + length]
        ctypes.memmove(into, piece, len(piece))
        count[0] = len(piece)
        return 1

    def DeviceIoControl(
        self, handle: int, code: int, asked: Any, length: int, answer: Any, room: int, count: Any, overlapped: Any
    ) -> int:
        if code in self.refused:
            return self.fail(1)
        if code == 0x00070024:
            return self.fail(19) if self.protected else 1
        if code == 0x0007405C:
            data = struct.pack("<q", len(self.data))
        elif code == 0x000700A0:
            data = struct.pack("<qIIIIq", 10, 12, 255, 63, self.sector, len(self.data)) + bytes(8)
        else:
            assert code == 0x002D1400
            number, kind = struct.unpack_from("<II", asked.raw)
            assert kind == 0
            data = self._device() if number == 0 else struct.pack("<7I", 28, 28, 0, 0, self.sector, 4096, 0)
        ctypes.memmove(answer, data, min(room, len(data)))
        count[0] = min(room, len(data))
        return 1

    def _device(self) -> bytes:
        texts = [b"ATA", self.model, b"SVT02B6Q", b"S6PNNX0R000001"]
        head, tail = 40, b""
        places = []
        for text in texts:
            places.append(head + len(tail))
            tail += text + b"  \0"
        return struct.pack("<IIBBBB5I", 40, head + len(tail), 0, 0, 1, 1, *places, 11) + bytes(8) + tail


def _source(kernel: Kernel32, name: str = DRIVE, **more: Any) -> WindowsSource:
    return WindowsSource(name, kernel32=kernel, last_error=lambda: kernel.last, **more)


def test_it_is_opened_for_reading_alone_and_shared() -> None:
    kernel = Kernel32(bytes(MIB))
    source = _source(kernel)
    assert kernel.opened == [(DRIVE, 0x80000000, 3, None, 3, 0, None)]
    source.close()
    source.close()
    assert kernel.closed == 1


def test_it_is_described() -> None:
    source = _source(Kernel32(bytes(MIB), sector=4096))
    assert (source.size, source.sector_size, source.live) == (MIB, 4096, True)
    facts = source.facts
    assert (facts["vendor"], facts["firmware"], facts["serial"]) == ("ATA", "SVT02B6Q", "S6PNNX0R000001")
    assert facts["model"] == "Samsung SSD 870%1B[2J"
    assert (facts["transport"], facts["removable"], facts["read_only"]) == ("ata", "yes", "yes")
    assert (facts["logical_sector"], facts["physical_sector"]) == ("4096", "4096")


def test_what_the_driver_refuses_is_not_recorded() -> None:
    kernel = Kernel32(bytes(MIB))
    kernel.refused = {0x002D1400, 0x0007405C, 0x00070024}
    source = _source(kernel)
    assert (source.size, source.sector_size) == (MIB, 512)
    assert source.facts["model"].startswith("not recorded: ")
    assert source.facts["read_only"].startswith("not recorded: ")


@pytest.mark.parametrize("sector", [512, 4096])
def test_every_byte_aligned_or_not_is_the_disks(sector: int) -> None:
    data = random.Random(5).randbytes(MIB + 3 * sector)
    source = _source(Kernel32(data, sector=sector))
    for offset, length in ((0, MIB), (sector, 3 * sector), (MIB, MIB), (sector - 1, 2), (100, sector * 2), (MIB, 5)):
        buffer = memoryview(bytearray(length))
        count = source.read_into(offset, buffer)
        assert bytes(buffer[:count]) == data[offset : offset + length]
    assert source.read_into(len(data), memoryview(bytearray(sector))) == 0


def test_disk_whose_size_is_no_multiple_of_a_sector_is_read_to_its_end() -> None:
    data = random.Random(6).randbytes(MIB + 100)
    kernel = Kernel32(data)
    buffer = memoryview(bytearray(2 * MIB))
    assert _source(kernel).read_into(0, buffer) == len(data)
    assert bytes(buffer[: len(data)]) == data


def test_bad_sector_is_told_and_its_neighbours_are_read() -> None:
    source = _source(Kernel32(bytes(MIB), bad=(512 * 9 + 5,)))
    with pytest.raises(UnreadableError, match="cyclic redundancy") as caught:
        source.read_into(0, memoryview(bytearray(64 << 10)))
    assert (caught.value.offset, caught.value.length, caught.value.vanished) == (0, 64 << 10, False)
    assert source.read_into(512 * 8, memoryview(bytearray(512))) == 512
    assert source.read_into(512 * 10, memoryview(bytearray(512))) == 512


def test_unplugged_disk_is_told_as_vanished() -> None:
    source = _source(Kernel32(bytes(MIB), bad=(0,), error=1167))
    with pytest.raises(UnreadableError, match="not connected") as caught:
        source.read_into(0, memoryview(bytearray(512)))
    assert caught.value.vanished


def test_disk_that_ends_early_is_not_taken_for_whole() -> None:
    kernel = Kernel32(bytes(MIB))
    source = _source(kernel)
    kernel.data = bytes(MIB // 2)
    with pytest.raises(UnreadableError, match="ends at") as caught:
        source.read_into(0, memoryview(bytearray(MIB)))
    assert caught.value.vanished


def test_refused_opening_is_told_with_its_reason() -> None:
    kernel = Kernel32(bytes(MIB))
    kernel.refuse_open = 5
    with pytest.raises(AcquireError, match="administrator") as caught:
        _source(kernel)
    assert caught.value.code == "HW2070"


@pytest.mark.parametrize(
    "name", [r"C:\Windows\win.ini", r"\\.\pipe\x", r"\\server\share", "/dev/sda", r"\\.\PhysicalDrive", ""]
)
def test_name_that_is_no_device_is_never_opened(name: str) -> None:
    kernel = Kernel32(bytes(MIB))
    assert not is_windows_device(name)
    with pytest.raises(AcquireError, match="HW2070"):
        _source(kernel, name)
    assert not kernel.opened


def test_module_needs_nothing_that_windows_lacks() -> None:
    absent = {"fcntl", "termios", "pwd", "grp", "resource", "pty"}
    seen, todo = set(), [Path(windows_device.__file__)]
    root = Path(windows_device.__file__).parents[2]
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            assert not absent & set(names), f"{path.name} imports {names}"
            for name in names:
                place = root / (name.replace(".", "/") + ".py")
                if name.startswith("headwater.") and place.exists():
                    todo.append(place)


def test_elsewhere_it_says_that_this_is_not_windows() -> None:
    if hasattr(ctypes, "WinDLL"):
        pytest.skip("this is Windows")
    with pytest.raises(AcquireError, match="not Windows"):
        WindowsSource(DRIVE)
