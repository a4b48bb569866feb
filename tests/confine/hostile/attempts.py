# SPDX-License-Identifier: Apache-2.0
"""What a parser taken over by hostile bytes might try; each runs inside a confined child."""

# ruff: noqa: SIM115 - an attempt that succeeds is the failure, not the file left open
from __future__ import annotations

import ctypes
import mmap
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

Messages = Iterator[tuple[dict[str, Any], bytes]]


def echo(args: dict[str, Any], fds: list[int]) -> Messages:
    yield {"args": args, "heads": [os.pread(fd, 8, 0).hex() for fd in fds]}, b""


_early: list[str] = []


def hold_early(args: dict[str, Any], fds: list[int]) -> None:
    _early.append(args["word"] + os.pread(fds[0], 100, 0).decode())


def early(args: dict[str, Any], fds: list[int]) -> Messages:
    yield {"held": _early, "open": [fd for fd in range(3, 200) if _is_open(fd)]}, b""


def early_thread(args: dict[str, Any], fds: list[int]) -> None:
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()


def count(args: dict[str, Any], fds: list[int]) -> Messages:
    for i in range(args["n"]):
        yield {"i": i}, bytes([i % 256]) * (i * 37 % 3000)


def burn(args: dict[str, Any], fds: list[int]) -> Messages:
    end = time.process_time() + args["seconds"]
    while time.process_time() < end:
        pass
    yield {}, b""


def big(args: dict[str, Any], fds: list[int]) -> Messages:
    yield {}, b"\x5a" * args["size"]


def environment(args: dict[str, Any], fds: list[int]) -> Messages:
    yield (
        {
            "env": dict(os.environ),
            "cwd": os.getcwd(),
            "open": [fd for fd in range(3, 200) if _is_open(fd)],
            "hash": hash("headwater"),
            "path": sys.path,
            "modules": sorted(sys.modules),
            "bytecode": sys.dont_write_bytecode,
            "encoding": [sys.getfilesystemencoding(), sys.stderr.encoding],
        },
        b"",
    )


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _syscall(number: int, *arguments: Any) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result = int(libc.syscall(number, *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _ptrace(pid: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, pid, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return 0


def _code(_: dict[str, Any]) -> Any:
    """Memory that is writable and executable at once."""
    return mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_WRITE | mmap.PROT_EXEC)


def _write_through_descriptor(a: dict[str, Any]) -> Any:
    return os.write(a["fds"][0], b"x")


_ATTEMPTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "open-write": lambda a: open(a["file"], "w"),
    "open-append": lambda a: open(a["file"], "a"),
    "open-update": lambda a: os.open(a["file"], os.O_RDWR),
    "create": lambda a: os.open(a["file"] + ".new", os.O_CREAT | os.O_RDONLY, 0o600),
    "tmpfile": lambda a: os.open("/tmp", os.O_TMPFILE | os.O_WRONLY, 0o600),
    "truncate": lambda a: os.truncate(a["file"], 0),
    "unlink": lambda a: os.unlink(a["file"]),
    "rename": lambda a: os.rename(a["file"], a["file"] + ".x"),
    "link": lambda a: os.link(a["file"], a["file"] + ".x"),
    "symlink": lambda a: os.symlink("/", a["file"] + ".x"),
    "mkdir": lambda a: os.mkdir(a["file"] + ".d"),
    "chmod": lambda a: os.chmod(a["file"], 0o777),
    "utime": lambda a: os.utime(a["file"]),
    "xattr": lambda a: os.setxattr(a["file"], "user.x", b"1"),
    "write-descriptor": _write_through_descriptor,
    "truncate-descriptor": lambda a: os.ftruncate(a["fds"][0], 0),
    "chmod-descriptor": lambda a: os.fchmod(a["fds"][0], 0o777),
    "utime-descriptor": lambda a: os.utime(a["fds"][0]),
    "socket-tcp": lambda a: socket.socket(),
    "socket-udp": lambda a: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "socket-unix": lambda a: socket.socket(socket.AF_UNIX),
    "socket-netlink": lambda a: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "socketpair": lambda a: socket.socketpair(),
    "exec": lambda a: os.execv("/bin/sh", ["sh", "-c", "exit 0"]),
    "fork": lambda a: os.fork(),
    "spawn": lambda a: os.posix_spawn("/bin/true", ["true"], {}),
    "system": lambda a: os.system("true") and _refused(),
    "ptrace": lambda a: _ptrace(os.getppid()),
    "kill-parent": lambda a: os.kill(os.getppid(), signal.SIGTERM),
    "signal-parent": lambda a: os.kill(os.getppid(), 0),
    "kill-all": lambda a: os.kill(-1, 0),
    "chdir": lambda a: os.chdir("/etc"),
    "chroot": lambda a: os.chroot("/"),
    "setuid": lambda a: os.setuid(65534),
    "nice": lambda a: os.nice(-1),
    "limit": lambda a: resource.setrlimit(resource.RLIMIT_NOFILE, (10, 10)),
    "limit-of-parent": lambda a: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (10, 10)),
    "memory-of-parent": lambda a: _syscall(310, os.getppid(), None, 0, None, 0, 0),
    "mount": lambda a: _syscall(165, b"none", b"/mnt", b"tmpfs", 0, None),
    "unshare": lambda a: _syscall(272, 0x10000000),
    "bpf": lambda a: _syscall(321, 0, None, 0),
    "io-uring": lambda a: _syscall(425, 1, None),
    "keyring": lambda a: _syscall(250, 0, -3, 0),
    "userfault": lambda a: _syscall(323, 0),
    "handle": lambda a: _syscall(304, 3, None, 0),
    "undo-seccomp": lambda a: _syscall(157, 22, 0, 0, 0, 0),
    "dumpable": lambda a: _syscall(157, 4, 0, 0, 0, 0),
    "machine-code": _code,
    "shared-memory": lambda a: mmap.mmap(-1, 4096, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS),
    "x32": lambda a: _syscall(0x40000000 | 39),
}
# refused by Landlock alone: a filter on calls cannot see names
_READS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "read-shadow": lambda a: open("/etc/shadow").read(),
    "read-passwd": lambda a: open("/etc/passwd").read(),
    "read-file": lambda a: open(a["file"]).read(),
    "read-home": lambda a: os.listdir(a["home"]),
    "read-root": lambda a: os.listdir("/"),
    "read-proc": lambda a: open("/proc/self/maps").read(),
    "read-environment-of-parent": lambda a: open(f"/proc/{os.getppid()}/environ").read(),
    "read-zero-device": lambda a: open("/dev/zero").read(1),
    "reopen-descriptor": lambda a: os.open(f"/proc/self/fd/{a['fds'][0]}", os.O_RDONLY),
}


def _refused() -> None:
    raise PermissionError("refused")


def all_attempts() -> tuple[list[str], list[str]]:
    return list(_ATTEMPTS), list(_READS)


def attempt(args: dict[str, Any], fds: list[int]) -> Messages:
    """One message per attempt: what came of it."""
    for name in args["names"]:
        try:
            (_ATTEMPTS | _READS)[name]({**args, "fds": fds})
        except (OSError, ValueError) as error:  # resource makes a ValueError of EPERM
            yield {"name": name, "result": "refused", "why": str(error)}, b""
        else:
            yield {"name": name, "result": "possible"}, b""


def allowed(args: dict[str, Any], fds: list[int]) -> Messages:
    """What parsing needs and a child therefore has."""
    import decimal
    import zoneinfo

    import polars as pl

    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(1))
    thread.start()
    thread.join()
    spool = os.memfd_create("spool")
    os.write(spool, b"spooled")
    frame = pl.DataFrame({"a": list(range(1000))}).with_columns(b=pl.col("a") % 7).group_by("b").len()
    yield (
        {
            "thread": seen,
            "spool": os.pread(spool, 7, 0).decode(),
            "groups": frame.height,
            "zone": str(zoneinfo.ZoneInfo("Asia/Shanghai")),
            "lazy": str(decimal.Decimal("1.5")),
        },
        b"",
    )


def hog(args: dict[str, Any], fds: list[int]) -> Messages:
    yield {"before": True}, b""
    kept = []
    while True:
        kept.append(bytearray(1 << 24))


def hog_once(args: dict[str, Any], fds: list[int]) -> Messages:
    yield {"size": len(bytearray(1 << 34))}, b""


def hog_native(args: dict[str, Any], fds: list[int]) -> Messages:
    import polars as pl

    yield (
        {"height": pl.select(pl.int_range(0, 10**9, eager=False).alias("a")).with_columns(b=pl.col("a") * 2).height},
        b"",
    )


def hog_spool(args: dict[str, Any], fds: list[int]) -> Messages:
    spools = []
    part = bytes(1 << 20)
    while True:
        spools.append(os.memfd_create("s"))
        for _ in range(args["mib"]):
            os.write(spools[-1], part)
        yield {"spools": len(spools)}, b""


def hog_threads(args: dict[str, Any], fds: list[int]) -> Messages:
    threading.stack_size(65536)
    while True:
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        time.sleep(0.001)


def loop(args: dict[str, Any], fds: list[int]) -> Messages:
    yield {"before": True}, b""
    while True:
        pass


def loop_deaf(args: dict[str, Any], fds: list[int]) -> Messages:
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            continue
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    while True:
        pass
    yield {}, b""


def sleep(args: dict[str, Any], fds: list[int]) -> Messages:
    time.sleep(args["seconds"])
    yield {}, b""


def crash(args: dict[str, Any], fds: list[int]) -> Messages:
    yield {"before": True}, b""
    ctypes.string_at(0)


def crash_once(args: dict[str, Any], fds: list[int]) -> Messages:
    """Dies unless it is the first task of its child."""
    yield {"i": 1}, b""
    if getattr(sys, "seen", False):
        os._exit(3)
    yield {"i": 2}, b""


def mark(args: dict[str, Any], fds: list[int]) -> Messages:
    sys.seen = True  # type: ignore[attr-defined]
    yield {}, b""


def leave(args: dict[str, Any], fds: list[int]) -> Messages:
    yield {"before": True}, b""
    os._exit(0)


def leave_politely(args: dict[str, Any], fds: list[int]) -> Messages:
    yield {"before": True}, b""
    sys.exit(0)


def error(args: dict[str, Any], fds: list[int]) -> Messages:
    yield {"before": True}, b""
    raise ValueError("a parser's fault")


def not_json(args: dict[str, Any], fds: list[int]) -> Messages:
    yield {"x": float("nan")}, b""


def deep(args: dict[str, Any], fds: list[int]) -> Messages:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    yield {"x": value}, b""


def raw(args: dict[str, Any], fds: list[int]) -> Messages:
    """Write on the pool's own socket."""
    for fd in range(3, 4096):
        try:
            os.write(fd, bytes.fromhex(args["hex"]))
        except OSError:
            continue
    yield {}, b""
    time.sleep(3600)


def close_socket(args: dict[str, Any], fds: list[int]) -> Messages:
    for fd in range(3, 4096):
        try:
            os.close(fd)
        except OSError:
            continue
    while True:
        time.sleep(1)
    yield {}, b""


def endless(args: dict[str, Any], fds: list[int]) -> Messages:
    while True:
        yield {}, b"x" * args["size"]


def noisy(args: dict[str, Any], fds: list[int]) -> Messages:
    for _ in range(args["n"]):
        os.write(2, b"\xff\x1b[2J" * 1000)
    yield {"done": True}, b""


def stop_reading(args: dict[str, Any], fds: list[int]) -> Messages:
    """Say that the task is done without ever reading the next one."""
    for fd in range(3, 4096):
        try:
            os.write(fd, b"D" + (2).to_bytes(4, "big") + bytes(4) + b"{}")
        except OSError:
            continue
        break
    time.sleep(3600)
    yield {}, b""


def leak(args: dict[str, Any], fds: list[int]) -> Messages:
    for fd in fds:
        os.dup(fd)
    yield {}, b""
