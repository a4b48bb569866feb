# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: F401, UP031, UP035
# Python 3.6 runs this: types stand in comments, which ruff does not read.
"""The collector's part 5: names, files and process numbers by system call, past the C library.

A preloaded library that hides a file answers for ``readdir`` and ``open``, and this very interpreter is among those it
answers to. ``syscall(2)`` goes by the number, so what it shows and the tools do not is being hidden.
"""

import errno
import hashlib
import os
import struct
import time

from headwater.acquire.collector_patterns import part_match
from headwater.acquire.collector_wire import Wire, new_md5, now_ns, quoted

try:
    import ctypes
except ImportError:  # an interpreter that was built without it still collects everything else
    ctypes = None  # type: ignore[assignment]

MYPY = False
if MYPY:
    from typing import Any, Dict, Iterator, List, Set, Tuple

# open(at), read, close, getdents64: https://github.com/torvalds/linux/blob/master/arch/x86/entry/syscalls/syscall_64.tbl
# and include/uapi/asm-generic/unistd.h
NUMBERS = {
    "x86_64": (257, 0, 3, 217),
    "aarch64": (56, 63, 57, 61),
    "riscv64": (56, 63, 57, 61),
    "loongarch64": (56, 63, 57, 61),
}
TYPES = {1: "fifo", 2: "char", 4: "dir", 6: "block", 8: "file", 10: "link", 12: "socket"}
NAMES_MOST = 2000000
FILE_MOST = 32 << 20
PROBE_SECONDS = 10.0


class Raw:
    """System calls by number."""

    def __init__(self, wire):
        # type: (Wire) -> None
        if ctypes is None:
            raise OSError(errno.ENOSYS, "this interpreter has no ctypes")
        self.wire = wire
        self.numbers = NUMBERS.get(os.uname().machine)
        self.call = ctypes.CDLL(None, use_errno=True).syscall
        self.call.restype = ctypes.c_long

    def _open(self, path, flags):
        # type: (bytes, int) -> int
        if self.numbers is None:
            raise OSError(errno.ENOSYS, "system calls of this machine are not known")
        fd = self.call(
            ctypes.c_long(self.numbers[0]), ctypes.c_long(-100), ctypes.c_char_p(path), ctypes.c_long(flags), 0
        )
        if fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return int(fd)

    def _some(self, which, fd, size):
        # type: (int, int, int) -> bytes
        assert self.numbers is not None
        room = ctypes.create_string_buffer(size)
        got = self.call(ctypes.c_long(self.numbers[which]), ctypes.c_long(fd), room, ctypes.c_long(size))
        if got < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return bytes(room.raw[:got])

    def _close(self, fd):
        # type: (int) -> None
        assert self.numbers is not None
        self.call(ctypes.c_long(self.numbers[2]), ctypes.c_long(fd))

    def listing(self, path):
        # type: (bytes) -> Iterator[Tuple[int, str, bytes]]
        """(inode, type, name) of everything in a folder, as getdents64(2) gives them."""
        fd = self._open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            while True:
                block, at = self._some(3, fd, 64 << 10), 0
                if not block:
                    return
                while at + 19 <= len(block):
                    inode, _, length, kind = struct.unpack_from("<QqHB", block, at)
                    if length < 20:
                        return
                    yield inode, TYPES.get(kind, "other"), block[at + 19 : at + length].split(b"\0", 1)[0]
                    at += length
        finally:
            self._close(fd)

    def content(self, path):
        # type: (bytes) -> bytes
        """A file to its end."""
        fd = self._open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            parts, size = [], 0
            while size < FILE_MOST:
                data = self._some(1, fd, 64 << 10)
                if not data:
                    break
                parts.append(data)
                size += len(data)
            return b"".join(parts)
        finally:
            self._close(fd)

    def send(self, artifact, path, make):
        # type: (str, bytes, Any) -> None
        """One file of the stream, made by a call."""
        fields = {"artifact": artifact, "kind": "file", "pseudo": 1, "at": now_ns()}  # type: Dict[str, Any]
        try:
            data = make()
        except OSError as error:
            gone = error.errno in (errno.ENOENT, errno.ENOTDIR)
            fields["status"], fields["why"] = "missing" if gone else "failed", quoted((error.strerror or "").encode())
            self.wire.record("F", fields, path)
            return
        fields.update(size=len(data), sha256=hashlib.sha256(data).hexdigest(), status="success" if data else "empty")
        md5 = new_md5()
        if md5 is not None:
            md5.update(data)
            fields["md5"] = md5.hexdigest()
        self.wire.record("F", fields, path, data)

    def names(self, artifact, path):
        # type: (str, bytes) -> None
        """``/@raw/ARTIFACT.txt``: one line for each name in a folder: inode, type, name percent-encoded."""

        def made():
            # type: () -> bytes
            lines = ["# %s" % quoted(path)]
            for count, (inode, kind, name) in enumerate(self.listing(path)):
                if count >= NAMES_MOST:
                    lines.append("# cut")
                    break
                lines.append("%d\t%s\t%s" % (inode, kind, quoted(name)))
            return ("\n".join(lines) + "\n").encode("ascii")

        self.send(artifact, b"/@raw/" + artifact.encode() + b".txt", made)

    def files(self, artifact, paths):
        # type: (str, List[bytes]) -> None
        """``/@raw/files/PATH``: the content of files of the kernel."""
        for path in paths:
            self.send(artifact, b"/@raw/files" + path, lambda path=path: self.content(path))

    def pids(self, artifact):
        # type: (str) -> None
        """``/@raw/pids.txt``: one line for each process: number, ``listed`` or ``unlisted`` in /proc, its command."""
        self.send(artifact, b"/@raw/pids.txt", self._pids)

    def _pids(self):
        # type: () -> bytes
        listed = {int(name) for _, _, name in self.listing(b"/proc") if part_match(b"[0-9]*", name) and name.isdigit()}
        most = 32768
        try:
            most = int(self.content(b"/proc/sys/kernel/pid_max"))
        except (OSError, ValueError):
            pass  # the kernel's own default
        last, began = 0, time.monotonic()
        answers = set()  # type: Set[int]
        for number in range(1, most + 1):
            try:
                os.kill(number, 0)
                answers.add(number)
            except ProcessLookupError:
                pass
            except OSError:
                answers.add(number)  # it is there and not ours
            last = number
            if not number % 4096 and time.monotonic() - began > PROBE_SECONDS:
                break
        lines = ["# probed 1..%d of %d" % (last, most)]
        for number in sorted(listed | answers):
            try:
                status = self.content(b"/proc/%d/status" % number)
                name = self.content(b"/proc/%d/comm" % number).strip()
            except OSError:
                continue  # it has ended meanwhile
            if b"\nTgid:\t%d\n" % number not in status:
                continue  # a thread answers to signals as well
            lines.append("%d\t%s\t%s" % (number, "listed" if number in listed else "unlisted", quoted(name)))
        return ("\n".join(lines) + "\n").encode("ascii")
