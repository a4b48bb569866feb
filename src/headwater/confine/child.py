# SPDX-License-Identifier: Apache-2.0
"""The confined child: locks itself down, warms its imports, then runs tasks until its socket closes.

Started as ``python -m headwater.confine.child SOCKET-FD PARENT-PID``. Nothing of evidence reaches it before the
lock-down; even the parsers' libraries are imported behind it. What comes before it (see Early) is the parent's own.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import gc
import importlib
import os
import resource
import select
import socket
import stat
import sys
from collections.abc import Iterator
from typing import Any

from headwater.confine import frames
from headwater.confine.lockdown import die_with_parent, lock_down
from headwater.confine.work import STARVED, Limits


def main(arguments: list[str]) -> None:
    """Serve the socket whose descriptor is the first argument until the other end closes it."""
    die_with_parent(int(arguments[1]))
    sock = socket.socket(fileno=int(arguments[0]))
    _, config, fds = _receive(sock)
    sys.path[:0] = config["paths"]
    _before(config["early"], fds)
    level = lock_down(Limits(**config["limits"]), config["paths"])
    for name in config["warm"]:
        importlib.import_module(name)
    for call, args in config["prepare"]:
        _named(call)(args)
    sock.sendall(frames.encode(frames.READY, {"level": level}))
    gc.freeze()
    own = _open_files()
    while True:
        kind, task, fds = _receive(sock)
        if kind != frames.TASK:
            return
        try:
            _serve(sock, task, fds)
        finally:
            _close_all_but(own)
        gc.collect()


def _before(early: list[tuple[str, dict[str, Any], int]], fds: list[int]) -> None:
    """Make the calls that come before the lock-down, each with its descriptors, which are closed again.

    Raises:
        OSError: one of them left a thread, which the lock-down would not reach.
    """
    at = 0
    for call, args, count in early:
        _named(call)(args, fds[at : at + count])
        at += count
    for fd in fds:
        os.close(fd)
    if early and len(os.listdir("/proc/self/task")) != 1:
        raise OSError("a thread runs before the lock-down")


def _serve(sock: socket.socket, task: dict[str, Any], fds: list[int]) -> None:
    """Run one task and say how it ended; a failure of the task is a frame, a failure of the socket ends the child."""
    out_of_memory = answer = frames.encode(frames.MEMORY, {})
    try:
        for header, blob in _call(task, fds):
            head = frames.encode(frames.MESSAGE, header, len(blob))
            _send(sock, head, blob)
        answer = frames.encode(frames.DONE, {})
    except (BrokenPipeError, ConnectionResetError):
        os._exit(0)
    except MemoryError:
        pass  # the answer was made beforehand, for now nothing can be
    except BaseException as error:  # a Polars panic is one, and so is an exit: all end the task
        said = {"detail": f"{type(error).__name__}: {error}"[:2000], "trace": _where(error)}
        answer = out_of_memory if _for_memory(error) else frames.encode(frames.FAILED, said)
    sock.sendall(answer)


def _call(task: dict[str, Any], fds: list[int]) -> Iterator[tuple[dict[str, Any], bytes]]:
    yield from _named(task["call"])(task["args"], fds)


def _named(call: str) -> Any:
    module, _, name = call.partition(":")
    return getattr(importlib.import_module(module), name)


def _for_memory(error: BaseException) -> bool:
    """Whether native code that found no memory raised this in its own way."""
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    # a Polars panic is no Exception; an Exception's text may quote evidence and so proves nothing
    return not isinstance(error, Exception) and bool(STARVED.search(str(error)))


def _where(error: BaseException) -> str:
    """The last frames of the failure, file names without folders."""
    steps, at = [], error.__traceback__
    while at is not None:
        code = at.tb_frame.f_code
        steps.append(f"{os.path.basename(code.co_filename)}:{at.tb_lineno} {code.co_name}")
        at = at.tb_next
    return "\n".join(steps[-12:])


def _send(sock: socket.socket, head: bytes, blob: bytes) -> None:
    sock.sendall(head if not blob else head + blob if len(blob) < 65_536 else head)
    if len(blob) >= 65_536:
        sock.sendall(blob)


def _receive(sock: socket.socket) -> tuple[bytes, dict[str, Any], list[int]]:
    """A task of the parent, whole, with all of its descriptors; ends the process when the parent has closed the socket."""
    before: list[int] = []
    while True:
        kind, header, fds = _frame(sock)
        before += fds
        if kind != frames.MORE:
            return kind, header, before


def _frame(sock: socket.socket) -> tuple[bytes, dict[str, Any], list[int]]:
    head, fds, _, _ = socket.recv_fds(sock, frames.HEAD.size, frames.FDS_MOST + 3)
    while head and len(head) < frames.HEAD.size:
        head += sock.recv(frames.HEAD.size - len(head))
    if not head:
        os._exit(0)
    kind, length, _ = frames.HEAD.unpack(head)
    body = bytearray()
    while len(body) < length:
        part = sock.recv(min(length - len(body), 1 << 20))
        if not part:
            os._exit(0)
        body += part
    return kind, frames.decode(bytes(body)), fds


@functools.cache
def _numbers() -> select.poll:
    """Every number that a descriptor may have, to be asked about in one call."""
    asked = select.poll()
    for fd in range(resource.getrlimit(resource.RLIMIT_NOFILE)[0]):
        asked.register(fd, 0)
    return asked


def _open_files() -> set[int]:
    """The descriptors of files and devices that are open now, by asking for each: /proc is closed to a child.

    Those of other sorts (event counters and the like) belong to libraries that keep them between tasks.
    """
    closed = {fd for fd, said in _numbers().poll(0) if said & select.POLLNVAL}
    found = set()
    for fd in set(range(resource.getrlimit(resource.RLIMIT_NOFILE)[0])) - closed:
        with contextlib.suppress(OSError):
            mode = os.fstat(fd).st_mode
            if stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
                found.add(fd)
    return found


def _close_all_but(own: set[int]) -> None:
    """Close whatever the task was handed or left open, so that no task sees another's evidence."""
    for fd in _open_files() - own:
        with contextlib.suppress(OSError):
            os.close(fd)


if __name__ == "__main__":
    main(sys.argv[1:])
