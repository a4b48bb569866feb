# SPDX-License-Identifier: Apache-2.0
"""What a disk itself answers: identity, hidden areas (HPA, DCO) and health, asked with commands that change nothing.

Specifications: ATA/ATAPI-8 ACS-2 (T13/2015-D): IDENTIFY DEVICE 7.12, READ NATIVE MAX ADDRESS EXT 7.34, DEVICE
CONFIGURATION IDENTIFY 7.9, SMART RETURN STATUS 7.48; ACS-4 GET NATIVE MAX ADDRESS EXT; SAT-3 12.2 (ATA PASS-THROUGH 16)
and 12.2.5 (ATA status return descriptor); NVM Express 1.4 5.14.1.2 (SMART log); Linux scsi/sg.h and nvme_ioctl.h.
Each command is one of a closed list of reads and non-data queries: there is no way to send another from here.

Not run on a disk that has an HPA or a DCO: none was at hand. Tried against answers made by the specification.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headwater.acquire.device_answers import DeviceAnswers, nothing
from headwater.acquire.system_files import NotRecorded, inert_text

_SG_IO = 0x2285
_SG_DXFER_NONE, _SG_DXFER_FROM_DEV = -1, -3
_TIMEOUT_MS = 5_000
_NVME_ADMIN = 0xC0484E41  # _IOWR('N', 0x41, struct nvme_passthru_cmd), 72 bytes

IDENTIFY = (0xEC, 0x00)
NATIVE_MAX_EXT = (0x27, 0x00)
GET_NATIVE_MAX = (0x78, 0x00)
DCO_IDENTIFY = (0xB1, 0xC2)
SMART_STATUS = (0xB0, 0xDA)
_WITH_DATA = {IDENTIFY, DCO_IDENTIFY}


@dataclass(frozen=True, slots=True)
class Answer:
    """``data``: the 512 bytes of a data-in command; the registers as the device returned them."""

    data: bytes
    status: int
    lba: int


Ask = Callable[[tuple[int, int]], Answer]


class _SgHeader(ctypes.Structure):
    """struct sg_io_hdr of scsi/sg.h."""

    _fields_ = (
        ("interface_id", ctypes.c_int),
        ("dxfer_direction", ctypes.c_int),
        ("cmd_len", ctypes.c_ubyte),
        ("mx_sb_len", ctypes.c_ubyte),
        ("iovec_count", ctypes.c_ushort),
        ("dxfer_len", ctypes.c_uint),
        ("dxferp", ctypes.c_void_p),
        ("cmdp", ctypes.c_void_p),
        ("sbp", ctypes.c_void_p),
        ("timeout", ctypes.c_uint),
        ("flags", ctypes.c_uint),
        ("pack_id", ctypes.c_int),
        ("usr_ptr", ctypes.c_void_p),
        ("status", ctypes.c_ubyte),
        ("masked_status", ctypes.c_ubyte),
        ("msg_status", ctypes.c_ubyte),
        ("sb_len_wr", ctypes.c_ubyte),
        ("host_status", ctypes.c_ushort),
        ("driver_status", ctypes.c_ushort),
        ("resid", ctypes.c_int),
        ("duration", ctypes.c_uint),
        ("info", ctypes.c_uint),
    )


def pass_through(command: tuple[int, int]) -> bytes:
    """The 16-byte ATA PASS-THROUGH CDB of one of the commands of this module (SAT-3 12.2.2)."""
    code, feature = command
    with_data = command in _WITH_DATA
    protocol = 4 if with_data else 3  # PIO data-in, non-data
    extended = command in (NATIVE_MAX_EXT, GET_NATIVE_MAX)
    flags = 0x0E if with_data else 0x20  # t_dir in, blocks, length in count; else ck_cond: give the registers back
    cdb = bytearray(16)
    cdb[0], cdb[1], cdb[2] = 0x85, protocol << 1 | extended, flags
    cdb[4], cdb[6] = feature, 1 if with_data else 0
    if command == SMART_STATUS:
        cdb[10], cdb[12] = 0x4F, 0xC2
    cdb[13], cdb[14] = 0x40, code
    return bytes(cdb)


def registers(sense: bytes) -> tuple[int, int]:
    """(status, 48-bit LBA) that sense data returns (SAT-3 12.2.5 and 12.2.6).

    Raises:
        OSError: the sense data holds no such descriptor.
    """
    if len(sense) >= 22 and sense[0] & 0x7F in (0x72, 0x73) and sense[8] == 0x09 and sense[9] >= 12:
        part = sense[8:22]
        lba = (part[7], part[9], part[11], part[6], part[8], part[10])
        return part[13], sum(byte << 8 * at for at, byte in enumerate(lba))
    # fixed format: only the lower 24 bits of the LBA, usable where byte 8 says that the upper ones are zero
    if len(sense) >= 14 and sense[0] & 0x7F == 0x70 and sense[12:14] == b"\x00\x1d" and not sense[8] & 0x20:
        return sense[4], int.from_bytes(sense[9:12], "little")
    raise OSError(errno.EIO, "no ATA registers in the sense data")


def ask_ata(fd: int) -> Ask:
    """Asks the disk behind an open descriptor (O_RDONLY is enough)."""

    def ask(command: tuple[int, int]) -> Answer:
        cdb = ctypes.create_string_buffer(pass_through(command), 16)
        data, sense = ctypes.create_string_buffer(512), ctypes.create_string_buffer(64)
        with_data = command in _WITH_DATA
        header = _SgHeader(
            interface_id=ord("S"),
            dxfer_direction=_SG_DXFER_FROM_DEV if with_data else _SG_DXFER_NONE,
            cmd_len=16,
            mx_sb_len=64,
            dxfer_len=512 if with_data else 0,
            dxferp=ctypes.addressof(data) if with_data else None,
            cmdp=ctypes.addressof(cdb),
            sbp=ctypes.addressof(sense),
            timeout=_TIMEOUT_MS,
        )
        fcntl.ioctl(fd, _SG_IO, header)
        if header.host_status or (header.status and not header.sb_len_wr):
            raise OSError(errno.EIO, f"host status {header.host_status}, SCSI status {header.status}")
        if with_data:
            if header.status:
                raise OSError(errno.EIO, f"SCSI status {header.status}")
            return Answer(data.raw, 0x50, 0)
        status, lba = registers(sense.raw[: header.sb_len_wr])
        return Answer(b"", status, lba)

    return ask


def ata_answers(ask: Ask) -> DeviceAnswers:
    """Identity, hidden areas and health of an ATA disk. What it refuses is recorded as refused."""
    identity = _data(ask, IDENTIFY)
    if isinstance(identity, NotRecorded):
        return nothing(identity.reason)
    words = struct.unpack("<256H", identity)
    user = _sectors(words)
    native = _native(ask, words)
    sector = _sector(words)
    hpa: int | NotRecorded
    if isinstance(native, NotRecorded) or not user:
        hpa = native if isinstance(native, NotRecorded) else NotRecorded("the device names no user sectors")
    elif native < user:
        hpa = NotRecorded(f"contradictory: native {native} sectors, user {user}")
    else:
        hpa = (native - user) * sector
    return DeviceAnswers(
        model=_string(words[27:47]),
        serial=_string(words[10:20]),
        firmware=_string(words[23:27]),
        hidden_hpa=hpa,
        hidden_dco=_dco(ask, words, native, sector),
        health=_smart(ask, words),
    )


def _data(ask: Ask, command: tuple[int, int]) -> bytes | NotRecorded:
    try:
        data = ask(command).data
    except OSError as error:
        return NotRecorded(f"the device does not answer ATA commands: {error.strerror or error}")
    if len(data) != 512 or not any(data):
        return NotRecorded("the device answers with nothing")
    return data


def _string(words: tuple[int, ...]) -> str | NotRecorded:
    text = struct.pack(f">{len(words)}H", *words).strip(b" \0")  # ATA strings: the first letter in the high byte
    return inert_text(text) if text else NotRecorded("the device leaves it empty")


def _sectors(words: tuple[int, ...]) -> int:
    """User addressable sectors: 48-bit where supported (word 83 bit 10), else 28-bit."""
    if words[83] & 0xC400 == 0x4400:
        return sum(words[100 + at] << 16 * at for at in range(4))
    return words[60] | words[61] << 16


def _sector(words: tuple[int, ...]) -> int:
    """Logical sector in bytes: words 117-118 where word 106 says so, else 512."""
    if words[106] & 0xD000 == 0x5000:
        return 2 * (words[117] | words[118] << 16)
    return 512


def _native(ask: Ask, words: tuple[int, ...]) -> int | NotRecorded:
    """Native sectors: by READ NATIVE MAX ADDRESS EXT where the HPA feature is, else by GET NATIVE MAX ADDRESS EXT."""
    command = NATIVE_MAX_EXT if words[82] & 0x0400 else GET_NATIVE_MAX if words[119] & 0xC100 == 0x4100 else None
    if command is None:
        return NotRecorded("the device has neither the HPA nor the accessible-maximum-address feature")
    try:
        answer = ask(command)
    except OSError as error:
        return NotRecorded(f"native size refused: {error.strerror or error}")
    return NotRecorded("native size refused by the device") if answer.status & 0x21 else answer.lba + 1


def _dco(ask: Ask, words: tuple[int, ...], native: int | NotRecorded, sector: int) -> int | NotRecorded:
    """Bytes that a device configuration overlay hides beyond the native size (ACS-2 table 33)."""
    if not words[83] & 0x0800 or words[83] & 0xC000 != 0x4000:
        return NotRecorded("the device has no configuration overlay feature")
    data = _data(ask, DCO_IDENTIFY)
    if isinstance(data, NotRecorded):
        return NotRecorded(f"configuration overlay: {data.reason}")
    if sum(data) & 0xFF:
        return NotRecorded("the checksum of the configuration overlay is wrong")
    if isinstance(native, NotRecorded):
        return NotRecorded("the native size is not known")
    whole = int.from_bytes(data[6:14], "little") + 1
    return max(0, whole - native) * sector


def _smart(ask: Ask, words: tuple[int, ...]) -> str | NotRecorded:
    if not words[85] & 1:
        return NotRecorded("SMART is not enabled")
    try:
        answer = ask(SMART_STATUS)
    except OSError as error:
        return NotRecorded(f"SMART status refused: {error.strerror or error}")
    mark = answer.lba >> 8 & 0xFFFF
    return {0xC24F: "SMART: passed", 0x2CF4: "SMART: failing"}.get(mark, f"SMART: unclear, {mark:#06x}")


def nvme_health(fd: int, ioctl: Callable[..., Any] = fcntl.ioctl) -> str | NotRecorded:
    """The SMART log of an NVMe drive: critical warnings, spare, wear, media errors."""
    log = ctypes.create_string_buffer(512)
    # struct nvme_passthru_cmd: opcode 02h Get Log Page, nsid all, addr, data_len, cdw10 = dwords-1 and log 02h
    command = struct.pack(
        "<BBHIIIQQIIIIIIIIII", 2, 0, 0, 0xFFFFFFFF, 0, 0, 0, ctypes.addressof(log), 0, 512,
        127 << 16 | 2, 0, 0, 0, 0, 0, _TIMEOUT_MS, 0,
    )  # fmt: skip
    try:
        ioctl(fd, _NVME_ADMIN, bytearray(command))
    except OSError as error:
        return NotRecorded(f"the drive does not answer: {error.strerror or error}")
    return nvme_words(log.raw)


def nvme_words(log: bytes) -> str:
    """The words of an NVMe SMART log (NVMe 1.4 figure 194)."""
    errors = int.from_bytes(log[160:176], "little")
    hours = int.from_bytes(log[128:144], "little")
    return (
        f"NVMe: critical warning {log[0]:#04x}, spare {log[3]} %, used {log[5]} %, "
        f"power-on hours {hours}, media errors {errors}"
    )
