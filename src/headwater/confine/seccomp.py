# SPDX-License-Identifier: Apache-2.0
"""A seccomp filter of our own: an allow-list of system calls, built as classic BPF and set through prctl.

What is refused answers EPERM, so that a library that tries takes its other way; nothing is killed by the filter
itself. A filter sees argument values but cannot follow pointers: paths are Landlock's part.
Source: Linux ``Documentation/userspace-api/seccomp_filter.rst``, ``include/uapi/linux/{seccomp,filter,audit}.h``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator

from headwater.confine.syscalls import ABSENT, FREE, NEWER, RULED

_LOAD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF_LD|W|ABS, BPF_JMP|…|K, BPF_RET|K
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NR, _ARCH, _ARGS = 0, 4, 16  # offsets in struct seccomp_data; arguments are 8 bytes each, little-endian
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32_BIT = 0x40000000

_OPEN_CHANGES = 0o1 | 0o2 | 0o100 | 0o1000 | 0o2000 | 0o20000000  # WRONLY RDWR CREAT TRUNC APPEND __O_TMPFILE
_PROT_WRITE, _PROT_EXEC, _MAP_SHARED, _MAP_ANONYMOUS = 2, 4, 1, 0x20
_CLONE_THREAD = 0x10000
_IOCTLS = (0x5401, 0x5450, 0x5451, 0x541B, 0x80081272)  # TCGETS FIONCLEX FIOCLEX FIONREAD BLKGETSIZE64
_FCNTLS = (0, 1, 2, 3, 4, 1030, 1033, 1034)  # DUPFD GETFD SETFD GETFL SETFL DUPFD_CLOEXEC ADD_SEALS GET_SEALS
_PRCTLS = (15, 16, 42, 0x53564D41)  # SET_NAME GET_NAME GET_THP_DISABLE SET_VMA

_Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


def _low(argument: int) -> _Instruction:
    return (_LOAD, 0, 0, _ARGS + 8 * argument)


def _high(argument: int) -> _Instruction:
    return (_LOAD, 0, 0, _ARGS + 8 * argument + 4)


_YES: _Instruction = (_RET, 0, 0, _ALLOW)
_NO: _Instruction = (_RET, 0, 0, _ERRNO | errno.EPERM)
_NONE: _Instruction = (_RET, 0, 0, _ERRNO | errno.ENOSYS)


def _none_of(argument: int, bits: int) -> list[_Instruction]:
    return [_low(argument), (_JSET, 1, 0, bits), _YES, _NO]


def _one_of(argument: int, values: tuple[int, ...]) -> list[_Instruction]:
    tests: list[_Instruction] = []
    for value in values:
        tests += [(_JEQ, 0, 1, value), _YES]
    return [_low(argument), *tests, _NO]


def _mmap() -> list[_Instruction]:
    """No memory that is writable and executable, none executable or shared without a file behind it.

    Shared anonymous memory would pass RLIMIT_DATA unseen; the content of memfd files is watched by the parent.
    """
    return [
        _low(3),
        (_JSET, 0, 4, _MAP_ANONYMOUS),
        (_JSET, 2, 0, _MAP_SHARED),
        _low(2),
        (_JSET, 0, 4, _PROT_EXEC),
        _NO,
        _low(2),
        (_JSET, 0, 1, _PROT_EXEC),
        (_JSET, 1, 0, _PROT_WRITE),
        _YES,
        _NO,
    ]


def _rules(pid: int) -> dict[str, list[_Instruction]]:
    return {
        "open": _none_of(1, _OPEN_CHANGES),
        "openat": _none_of(2, _OPEN_CHANGES),
        "mmap": _mmap(),
        "mprotect": _none_of(2, _PROT_EXEC),
        "ioctl": _one_of(1, _IOCTLS),
        "fcntl": _one_of(1, _FCNTLS),
        "clone": [_low(0), (_JSET, 0, 1, _CLONE_THREAD), _YES, _NO],
        "prctl": _one_of(0, _PRCTLS),
        # reading limits only: the pointer to new ones is null in both halves
        "prlimit64": [_low(2), (_JEQ, 0, 3, 0), _high(2), (_JEQ, 0, 1, 0), _YES, _NO],
        "kill": _one_of(0, (pid,)),
        "tgkill": _one_of(0, (pid,)),
    }


def _program(machine: str, pid: int) -> Iterator[_Instruction]:
    column, arch = _MACHINES[machine]
    yield (_LOAD, 0, 0, _ARCH)
    yield (_JEQ, 1, 0, arch)
    yield (_RET, 0, 0, _KILL)  # another machine's numbering would make the table meaningless
    yield (_LOAD, 0, 0, _NR)
    if machine == "x86_64":
        yield (_JGE, 0, 1, _X32_BIT)
        yield _NO
    for numbers in FREE.values():
        if numbers[column] is not None:
            yield (_JEQ, 0, 1, numbers[column] or 0)
            yield _YES
    rules = _rules(pid)
    for name, numbers in RULED.items():
        number = numbers[column]
        if number is not None:
            yield (_JEQ, 0, len(rules[name]), number)
            yield from rules[name]
    for numbers in ABSENT.values():
        yield (_JEQ, 0, 1, numbers[column] or 0)
        yield _NONE
    yield (_JGE, 0, 1, NEWER)
    yield _NONE
    yield _NO


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def install() -> bool:
    """Set the filter on this process; False where the machine or the kernel has none. Needs no_new_privs.

    Threads inherit it; those already running would not, so it is set before any exists.
    """
    machine = platform.machine()
    if machine not in _MACHINES:
        return False
    code = b"".join(struct.pack("<HBBI", *i) for i in _program(machine, os.getpid()))
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    set_seccomp, filter_mode = 22, 2
    return bool(libc.prctl(set_seccomp, filter_mode, ctypes.byref(program), 0, 0) == 0)
