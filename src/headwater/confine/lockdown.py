# SPDX-License-Identifier: Apache-2.0
"""Takes from a process what parsing does not need, in the one order in which each step is still permitted.

1. rlimits                  memory, descriptors, file size, processes, core
2. namespaces               an empty network and IPC space, where the process may make one
3. capabilities             all dropped; reading past permissions is kept only where the library itself needs it
4. no_new_privs             a condition of the next two
5. Landlock                 reads below the interpreter's own folders; no writes; no TCP; no signals outward
6. seccomp                  an allow-list of calls: no socket, exec, fork, ptrace, open for writing …
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
import sysconfig
from collections.abc import Sequence

from headwater.confine import landlock, seccomp
from headwater.confine.work import Limits

_SYSTEM = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/etc/ld.so.cache")
_PDEATHSIG, _NO_NEW_PRIVS, _CAPBSET_DROP = 1, 38, 24
_CAP_VERSION_3 = 0x20080522
_CAP_DAC_READ_SEARCH = 2
_CLONE_NEWIPC, _CLONE_NEWNET = 0x08000000, 0x40000000
_STACK = 8 << 20


def die_with_parent(parent: int) -> None:
    """Ask for SIGKILL when the thread that started this process ends, and leave at once if it already has."""
    ctypes.CDLL(None).prctl(_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def readable(extra: Sequence[str]) -> list[str]:
    """The interpreter's own folders, the system's shared libraries and zones, and ``extra``."""
    places = sysconfig.get_paths()
    names = [places[k] for k in ("stdlib", "platstdlib", "purelib", "platlib")]
    names += [os.path.join(sys.base_prefix, "lib"), *(p for p in sys.path if p), *_SYSTEM, *extra]
    real = (os.path.realpath(n) for n in names)
    return sorted({n for n in real if n != "/" and os.path.exists(n)})


def lock_down(limits: Limits, extra: Sequence[str] = ()) -> tuple[str, ...]:
    """Confine this process for good; must run before it starts a thread. Returns the words of the level reached.

    Raises:
        OSError: a limit or a Landlock rule was refused by a kernel that has them.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    folders = readable(extra)
    level = [_rlimits(limits)]
    if libc.unshare(_CLONE_NEWNET | _CLONE_NEWIPC) == 0:
        level.append("net-namespace")
    level += _drop_capabilities(libc, folders)
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        level.append("no-new-privs")
    held = landlock.restrict(folders) if limits.landlock else 0
    if held:
        level.append(f"landlock-v{held}")
    if seccomp.install():
        level += ["seccomp", "no-network"]
    return tuple(level)


def _rlimits(limits: Limits) -> str:
    """Soft and hard alike, never above what is already in force; the CPU limit is the parent's, per task."""
    wanted = {
        resource.RLIMIT_DATA: limits.data,
        resource.RLIMIT_NOFILE: limits.files,
        resource.RLIMIT_FSIZE: limits.scratch,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_STACK: _STACK,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    for which, value in wanted.items():
        hard = resource.getrlimit(which)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, value))
    # counts all threads of the user, so it can only be a backstop; new processes are seccomp's part
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    most = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
    return "rlimits"


def _drop_capabilities(libc: ctypes.CDLL, folders: Sequence[str]) -> list[str]:
    """Drop all; where the library lies in a folder closed to this user, keep the one that reads it and say so.

    Root by sudo with an interpreter in another user's closed home is such a case.
    """
    for capability in range(64):
        libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0)
    _capset(libc, 0, 1 << _CAP_DAC_READ_SEARCH)
    closed = not all(os.access(f, os.R_OK, effective_ids=True) for f in folders)
    keep = 1 << _CAP_DAC_READ_SEARCH if closed else 0
    if keep and _capset(libc, keep, keep):
        return ["capability-dac-read-search"]
    return ["no-capabilities"] if _capset(libc, 0, 0) else []


def _capset(libc: ctypes.CDLL, effective: int, permitted: int) -> bool:
    header = struct.pack("=Ii", _CAP_VERSION_3, 0)
    return bool(libc.capset(header, struct.pack("=6I", effective, permitted, 0, 0, 0, 0)) == 0)
