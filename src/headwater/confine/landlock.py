# SPDX-License-Identifier: Apache-2.0
"""Landlock: after it, a process may read below the given folders and open nothing else, nor reach the network.

Source: Linux ``Documentation/userspace-api/landlock.rst``, ``include/uapi/linux/landlock.h``. The three calls have the
same numbers on every machine.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FS_FIRST = (1 << 13) - 1  # version 1: execute … make_sym
_FS_LATER = ((2, 1 << 13), (3, 1 << 14), (5, 1 << 15))  # refer, truncate, ioctl on devices
_NET = 3  # version 4: bind and connect of TCP
_SCOPES = 3  # version 6: abstract unix sockets, signals
_NEWEST = 6  # versions above add nothing that is used here


def version(libc: ctypes.CDLL) -> int:
    """The version that the kernel offers and this module uses, 0 where it offers none."""
    return max(0, min(int(libc.syscall(_CREATE, None, 0, 1)), _NEWEST))


def restrict(readable: Iterable[str]) -> int:
    """Let this thread, and all that it starts, read below ``readable`` and nothing else.

    Returns the version that now holds, 0 where the kernel has none. Needs no_new_privs. Names that do not exist are
    passed over.

    Raises:
        OSError: the kernel has Landlock and refused the rules.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    have = version(libc)
    if not have:
        return 0
    handled = _FS_FIRST | sum(bit for since, bit in _FS_LATER if have >= since)
    net = _NET if have >= 4 else 0
    scopes = _SCOPES if have >= 6 else 0
    attributes = struct.pack("=QQQ", handled, net, scopes)[: 8 if have < 4 else 16 if have < 6 else 24]
    ruleset = _call(libc, _CREATE, attributes, len(attributes), 0)
    try:
        for name in readable:
            _allow(libc, ruleset, name)
        _call(libc, _RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)
    return have


def _allow(libc: ctypes.CDLL, ruleset: int, name: str) -> None:
    try:
        fd = os.open(name, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rights = _READ_FILE | (_READ_DIR if os.path.isdir(name) else 0)
        _call(libc, _ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, fd), 0)
    finally:
        os.close(fd)


def _call(libc: ctypes.CDLL, number: int, *arguments: int | bytes) -> int:
    result = int(libc.syscall(number, *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"landlock call {number}: {os.strerror(ctypes.get_errno())}")
    return result
