# SPDX-License-Identifier: Apache-2.0
"""A disk or volume of Windows (``\\\\.\\PhysicalDriveN``, ``\\\\.\\C:``) as a block source, opened for reading only.

Sources: Microsoft Learn, fileapi.h (CreateFileW, ReadFile), ioapiset.h (DeviceIoControl), winioctl.h
(IOCTL_DISK_GET_LENGTH_INFO, IOCTL_DISK_GET_DRIVE_GEOMETRY_EX, IOCTL_DISK_IS_WRITABLE, IOCTL_STORAGE_QUERY_PROPERTY with
STORAGE_DEVICE_DESCRIPTOR and STORAGE_ACCESS_ALIGNMENT_DESCRIPTOR). Not yet run on Windows: tried against a kernel32 made
after these pages. Reads are aligned to sectors, as raw devices demand; others may write meanwhile, so ``live`` holds
unless a person states otherwise.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Mapping
from typing import Any

from headwater.acquire.devices import BlockDevice
from headwater.acquire.ports import UnreadableError
from headwater.acquire.system_files import NotRecorded, inert_text
from headwater.formats.patterns import lazy_regex
from headwater.model.errors import AcquireError

_GENERIC_READ = 0x80000000
_SHARE_READ_WRITE = 0x1 | 0x2  # others keep what access they have: refusing it would break a running system
_OPEN_EXISTING = 3
_INVALID_HANDLE = ctypes.c_void_p(-1).value
_FILE_BEGIN = 0

_GET_LENGTH = 0x0007405C
_GET_GEOMETRY_EX = 0x000700A0
_IS_WRITABLE = 0x00070024
_QUERY_PROPERTY = 0x002D1400
_DEVICE_PROPERTY, _ALIGNMENT_PROPERTY = 0, 6
_ERROR_WRITE_PROTECT = 19

# winerror.h: the device or the way to it is gone, as against a sector that cannot be read
_GONE = frozenset({2, 21, 55, 433, 1006, 1110, 1112, 1167})
_ERRORS = {
    2: "not found", 3: "not found", 5: "access denied: administrator's rights are needed", 21: "not ready",
    23: "data error (cyclic redundancy check)", 27: "sector not found", 30: "read fault", 32: "in use by another program",
    55: "device no longer exists", 433: "no such device", 1006: "volume changed", 1110: "medium changed",
    1112: "no medium", 1117: "I/O device error", 1167: "device not connected",
}  # fmt: skip
_BUSES = {
    1: "scsi", 2: "atapi", 3: "ata", 4: "ieee1394", 5: "ssa", 6: "fibre-channel", 7: "usb", 8: "raid", 9: "iscsi",
    10: "sas", 11: "ata", 12: "sd", 13: "mmc", 14: "virtual", 15: "file-backed", 16: "storage-spaces", 17: "nvme",
}  # fmt: skip
_NAME = lazy_regex(r"\\\\[.?]\\(?:PhysicalDrive\d{1,4}|[A-Za-z]:|Volume\{[0-9a-fA-F-]{36}\})\Z")
_READ_MOST = 16 << 20


def is_windows_device(name: str) -> bool:
    r"""Whether a name is that of a Windows disk or volume: ``\\.\PhysicalDrive0``, ``\\.\C:``, ``\\?\Volume{…}``."""
    return bool(_NAME.match(name))


def load_kernel32() -> tuple[Any, Callable[[], int]]:
    """The system's kernel32 with the types of what is called here, and how to ask for the last error.

    Raises:
        AcquireError: HW2070, this is not Windows.
    """
    loader = getattr(ctypes, "WinDLL", None)
    last_error = getattr(ctypes, "get_last_error", None)
    if loader is None or last_error is None:
        raise AcquireError("HW2070", "kernel32", what="this system is not Windows")
    library = loader("kernel32", use_last_error=True)
    pointer, word, flag = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int
    types: dict[str, tuple[Any, list[Any]]] = {
        "CreateFileW": (pointer, [ctypes.c_wchar_p, word, word, pointer, word, word, pointer]),
        "ReadFile": (flag, [pointer, pointer, word, pointer, pointer]),
        "SetFilePointerEx": (flag, [pointer, ctypes.c_int64, pointer, word]),
        "DeviceIoControl": (flag, [pointer, word, pointer, word, pointer, word, pointer, pointer]),
        "CloseHandle": (flag, [pointer]),
    }
    for name, (result, arguments) in types.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library, last_error


class WindowsSource:
    """See :class:`headwater.acquire.ports.BlockSource`."""

    def __init__(
        self, name: str, *, live: bool = True, kernel32: Any = None, last_error: Callable[[], int] | None = None
    ) -> None:
        """Open it for reading.

        Raises:
            AcquireError: HW2070, no device name, not Windows, or it cannot be opened or measured.
        """
        if not is_windows_device(name):
            raise AcquireError("HW2070", inert_text(name), what=r"\\.\PhysicalDriveN, \\.\C:")
        self.name = name
        self.live = live
        if kernel32 is None or last_error is None:
            kernel32, last_error = load_kernel32()
        self._api, self._last_error = kernel32, last_error
        self._handle: Any = self._api.CreateFileW(name, _GENERIC_READ, _SHARE_READ_WRITE, None, _OPEN_EXISTING, 0, None)
        if self._handle in (None, 0, -1, _INVALID_HANDLE):
            raise AcquireError("HW2070", name, what=self._words(self._last_error()))
        try:
            self.size = self._length()
            self.sector_size, physical = self._sectors()
            self.facts: Mapping[str, str] = self._describe(physical)
        except AcquireError:
            self.close()
            raise

    # ------------------------------------------------------------------ what it is

    def _words(self, code: int) -> str:
        return f"{_ERRORS.get(code, 'Windows error')} ({code})"

    def _control(self, code: int, question: bytes, room: int) -> bytes | int:
        """The answer to an ioctl; the error code where it is refused."""
        asked = ctypes.create_string_buffer(question, max(1, len(question)))
        answer, count = ctypes.create_string_buffer(max(1, room)), ctypes.c_uint32(0)
        done = self._api.DeviceIoControl(
            self._handle, code, asked if question else None, len(question), answer if room else None, room,
            ctypes.pointer(count), None,
        )  # fmt: skip
        return answer.raw[: min(room, count.value)] if done else self._last_error()

    def _length(self) -> int:
        """GET_LENGTH_INFORMATION; the geometry's size only where that is refused."""
        told = self._control(_GET_LENGTH, b"", 8)
        if isinstance(told, bytes) and len(told) == 8:
            return int(struct.unpack("<q", told)[0])
        geometry = self._control(_GET_GEOMETRY_EX, b"", 256)
        if isinstance(geometry, bytes) and len(geometry) >= 32:
            return int(struct.unpack_from("<q", geometry, 24)[0])
        raise AcquireError("HW2070", self.name, what=self._words(told if isinstance(told, int) else 0))

    def _sectors(self) -> tuple[int, int | NotRecorded]:
        """Logical and physical sector; 4096 for reading, which suits both kinds, where neither is told."""
        found = self._property(_ALIGNMENT_PROPERTY, 28)
        if len(found) >= 24:
            logical, physical = struct.unpack_from("<II", found, 16)
            if logical in (512, 1024, 2048, 4096):
                return logical, physical
        geometry = self._control(_GET_GEOMETRY_EX, b"", 256)
        told = struct.unpack_from("<I", geometry, 20)[0] if isinstance(geometry, bytes) and len(geometry) >= 24 else 0
        return (told if told in (512, 1024, 2048, 4096) else 4096), NotRecorded("the driver does not tell")

    def _property(self, number: int, room: int) -> bytes:
        found = self._control(_QUERY_PROPERTY, struct.pack("<II4x", number, 0), room)
        return found if isinstance(found, bytes) else b""

    def _describe(self, physical: int | NotRecorded) -> dict[str, str]:
        about = self._property(_DEVICE_PROPERTY, 4096)
        places = struct.unpack_from("<4I", about, 12) if len(about) >= 32 else (0, 0, 0, 0)
        bus = struct.unpack_from("<I", about, 28)[0] if len(about) >= 32 else 0
        said = {
            "source": self.name,
            "kind": "block device",
            "size": str(self.size),
            "logical_sector": str(self.sector_size),
            "physical_sector": str(physical) if isinstance(physical, int) else f"not recorded: {physical.reason}",
            "transport": _BUSES.get(bus, f"unknown ({bus})"),
            "removable": ("yes" if about[10] else "no")
            if len(about) > 10
            else "not recorded: the driver does not tell",
            "read_only": self._read_only(),
            "reading": "CreateFileW for reading, shared",
            "mounts": "not recorded: not asked on Windows",
        }
        for name, place in zip(("vendor", "model", "firmware", "serial"), places):
            text = about[place:].split(b"\0")[0].strip() if 0 < place < len(about) else b""
            said[name] = inert_text(text) if text else "not recorded: the driver does not tell"
        return said

    def _read_only(self) -> str:
        """Whether Windows holds the medium for write-protected: a question, nothing is written."""
        told = self._control(_IS_WRITABLE, b"", 0)
        if isinstance(told, bytes):
            return "no"
        return "yes" if told == _ERROR_WRITE_PROTECT else f"not recorded: {self._words(told)}"

    def device(self) -> BlockDevice:
        """The disk as a device of an environment record; its own facts say the rest."""

        def told(name: str) -> str | NotRecorded:
            text = self.facts[name]
            return NotRecorded(text.partition(": ")[2]) if text.startswith("not recorded: ") else text

        def flag(name: str) -> bool | NotRecorded:
            text = told(name)
            return text if isinstance(text, NotRecorded) else text == "yes"

        physical = told("physical_sector")
        return BlockDevice(
            name=self.name, path=self.name, number="", kind="disk", size=self.size, logical_sector=self.sector_size,
            physical_sector=physical if isinstance(physical, NotRecorded) else int(physical),
            rotational=NotRecorded("not asked on Windows"), removable=flag("removable"), read_only=flag("read_only"),
            transport=self.facts["transport"], vendor=told("vendor"), model=told("model"), serial=told("serial"),
            firmware=told("firmware"), wwid=NotRecorded("not asked on Windows"),
        )  # fmt: skip

    # ------------------------------------------------------------------ reading

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """See :meth:`BlockSource.read_into`. Unaligned tails are read as a whole sector and cut."""
        wanted = min(len(buffer), max(0, self.size - offset))
        done = 0
        while done < wanted:
            length = min(wanted - done, _READ_MOST)
            whole = length - length % self.sector_size
            if whole and offset % self.sector_size == 0:
                came = self._read(
                    offset + done, (ctypes.c_char * whole).from_buffer(buffer, done), whole, offset, wanted
                )
                done += came
                if came < whole:
                    break
                continue
            done += self._unaligned(offset + done, buffer[done : done + length], offset, wanted)
            break
        if done < wanted:
            raise UnreadableError(offset, wanted, f"it ends at {offset + done} of {self.size}", vanished=True)
        return done

    def _unaligned(self, at: int, part: memoryview, offset: int, wanted: int) -> int:
        """A range that is not of whole sectors, through a buffer that is."""
        skip = at % self.sector_size
        room = -(-(skip + len(part)) // self.sector_size) * self.sector_size
        held = ctypes.create_string_buffer(room)
        came = max(0, self._read(at - skip, held, room, offset, wanted) - skip)
        count = min(came, len(part))
        part[:count] = held.raw[skip : skip + count]
        return count

    def _read(self, at: int, into: Any, length: int, offset: int, wanted: int) -> int:
        count = ctypes.c_uint32(0)
        done = self._api.SetFilePointerEx(self._handle, at, None, _FILE_BEGIN) and self._api.ReadFile(
            self._handle, into, length, ctypes.pointer(count), None
        )
        if not done:
            code = self._last_error()
            raise UnreadableError(offset, wanted, self._words(code), vanished=code in _GONE)
        return min(count.value, length)

    def close(self) -> None:
        """Close the handle; closing twice is harmless."""
        if self._handle is not None:
            self._api.CloseHandle(self._handle)
            self._handle = None
