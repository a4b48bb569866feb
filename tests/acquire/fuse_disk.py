# SPDX-License-Identifier: Apache-2.0
"""A disk with bad sectors: one file served over the raw FUSE protocol whose reads of some sectors fail with EIO.

Run as a program: ``fuse_disk.py MOUNTPOINT SECTORS BAD[,BAD…]``. Under ``losetup -r`` the file becomes a real failing
block device. Protocol: linux/fuse.h, 7.31; only what a read-only file needs. For tests; needs root and /dev/fuse.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

SECTOR = 512
_IN = struct.Struct("<IIQQIIII")
_ATTR = struct.Struct("<6Q10I")
_NO_REPLY = {2, 36, 42}  # FORGET, INTERRUPT, BATCH_FORGET
_DIRECT_IO = 1  # every read reaches us as it was asked: no page cache in between


def content(sectors: int) -> bytes:
    """The disk's bytes, bad sectors included, were they readable."""
    return b"".join(struct.pack("<Q", n) * (SECTOR // 8) for n in range(1, sectors + 1))


def _attributes(node: int, size: int) -> bytes:
    mode = 0o40755 if node == 1 else 0o100444
    return _ATTR.pack(node, size, -(-size // 512), 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 512, 0)


def _answer(opcode: int, body: bytes, node: int, data: bytes, bad: frozenset[int]) -> bytes | int:
    size = len(data)
    if opcode == 26:  # INIT
        return struct.pack("<IIIIHHIIHHI28x", 7, 31, 0, 0, 4, 4, 1 << 16, 1, 0, 0, 0)
    if opcode == 1:  # LOOKUP
        if body.rstrip(b"\0") != b"disk":
            return -errno.ENOENT
        return struct.pack("<QQQQII", 2, 0, 3600, 3600, 0, 0) + _attributes(2, size)
    if opcode == 3:  # GETATTR
        return struct.pack("<QII", 3600, 0, 0) + _attributes(node, 4096 if node == 1 else size)
    if opcode in (14, 27):  # OPEN, OPENDIR
        return struct.pack("<QII", 1, _DIRECT_IO, 0)
    if opcode == 15:  # READ
        offset, length = struct.unpack_from("<QI", body, 8)
        length = max(0, min(length, size - offset))
        if length and not bad.isdisjoint(range(offset // SECTOR, (offset + length - 1) // SECTOR + 1)):
            return -errno.EIO
        return data[offset : offset + length]
    if opcode == 17:  # STATFS
        return struct.pack("<5Q4I24x", 0, 0, 0, 0, 0, 512, 255, 512, 0)
    if opcode in (18, 25, 28, 29, 38):  # RELEASE, FLUSH, READDIR, RELEASEDIR, DESTROY
        return b""
    return -errno.ENOSYS


def serve(where: str, data: bytes, bad: frozenset[int]) -> None:
    """Mount, say ``ready`` on stdout, and answer until unmounted."""
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"headwater-test", where.encode(), b"fuse", 1, options):  # MS_RDONLY
        raise OSError(ctypes.get_errno(), "mount")
    print("ready", flush=True)
    while True:
        try:
            request = os.read(device, 1 << 18)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                continue
            return  # ENODEV: unmounted
        _, opcode, unique, node, _, _, _, _ = _IN.unpack_from(request)
        if opcode in _NO_REPLY:
            continue
        answer = _answer(opcode, request[_IN.size :], node, data, bad)
        body, code = (b"", answer) if isinstance(answer, int) else (answer, 0)
        os.write(device, struct.pack("<IiQ", 16 + len(body), code, unique) + body)


if __name__ == "__main__":
    serve(sys.argv[1], content(int(sys.argv[2])), frozenset(int(n) for n in sys.argv[3].split(",")))
