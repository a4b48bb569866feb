# SPDX-License-Identifier: Apache-2.0
"""Children that stand ready: made by fork from a process that has loaded the parsers and learnt nothing of a case yet.

A child started anew loads an interpreter, Polars and every parser, which its parent loads as well; made by fork it
shares them, and a case of a few small files costs a fifth less. So a verb that will need children says so at once
(:func:`stand_by`), before keys, case or evidence are touched, and the pool takes these first; whoever is needed later, in
place of one that died, is started anew as before. What a child is locked into is the same for both and comes after.

It is left alone where the two would differ: another system than Linux, an interpreter whose hashes or whose encoding
are not those of a child, a thread beside the one that asks, a debugger, or more
processors than :data:`THREADS_MOST`, where a child would come to have as many threads as its parent.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import os
import signal
import site
import socket
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import headwater

THREADS_MOST = 4  # Polars counts its threads once, when it is loaded: parent and children have the same number then
_OWN_THREADS = frozenset({"polars-ooc-clea"})  # of a library, which sleeps until something was spilt to a disk
_ROOT = str(Path(headwater.__file__).resolve().parent.parent)
_SHARED = ("HEADWATER_PURE",)  # whether evidence is read without the compiled scanner, which the record says of both
ALLOCATOR = "background_thread:false,narenas:4"  # Polars' own: fewer threads and arenas


def environment(paths: Sequence[str]) -> dict[str, str]:
    """Nothing of the parent's: no proxy, no home, one language, one zone, hashing that is the same each time."""
    return {
        "HOME": "/nonexistent",
        "PATH": "/nonexistent",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "PYTHONPATH": os.pathsep.join([_ROOT, *paths]),
        "POLARS_MAX_THREADS": "2",
        "POLARS_SKIP_CPU_CHECK": "1",  # it writes and runs machine code, which a child may not; the parent has made it
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "POLARS_ASYNC_THREAD_COUNT": "1",
        "TOKIO_WORKER_THREADS": "1",
        "RUST_BACKTRACE": "0",
        "_RJEM_MALLOC_CONF": ALLOCATOR,
        **{name: os.environ[name] for name in _SHARED if name in os.environ},
    }


class Forked:
    """A child made by fork, with what a parent asks of :class:`subprocess.Popen`."""

    def __init__(self, pid: int, errors: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stderr = os.fdopen(errors, "rb", buffering=0)

    def poll(self) -> int | None:
        """The exit code, negative for a signal, or None while it runs."""
        return self._reap(os.WNOHANG)

    def wait(self) -> int:
        """The exit code, once it has ended."""
        code = self._reap(0)
        assert code is not None
        return code

    def kill(self) -> None:
        """SIGKILL, unless it is known to have ended."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def _reap(self, how: int) -> int | None:
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, how)
            except ChildProcessError:  # somebody else waited for all children
                pid, status = self.pid, 0
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


@dataclass(frozen=True, slots=True)
class Ready:
    """One that waits to be told what it is for: its process and our end of its socket."""

    process: Forked
    socket: socket.socket


_standing: list[Ready] = []


def take() -> Ready | None:
    """One that stands ready, or None; whoever takes it must end it."""
    while _standing:
        one = _standing.pop()
        if one.process.poll() is None:
            return one
        one.socket.close()
        one.process.stderr.close()
    return None


def _able() -> bool:
    """Whether a child made by fork could be what one is that is started anew, hashes aside."""
    return (
        sys.platform == "linux"
        and (os.cpu_count() or 1) <= THREADS_MOST
        and sys.getfilesystemencoding() == "utf-8"
        and sys.gettrace() is None
        and sys.getprofile() is None
    )


def start_again() -> None:
    """Make this process its own program once more, with hashes fixed as a child's are (``PYTHONHASHSEED=0``).

    Nothing that a child says may depend on hashes, so they are the same each time. For a program that has done nothing
    yet but read its arguments; returns where there is no need or no way.
    """
    asked = "PYTHONHASHSEED" in os.environ or sys.flags.ignore_environment or getattr(sys, "frozen", False)
    if not _able() or sys.flags.hash_randomization == 0 or asked or not sys.executable:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | {"PYTHONHASHSEED": "0"})  # noqa: S606 - itself


def stand_by(count: int, modules: Iterable[str], prepare: Iterable[str] = ()) -> int:
    """Load ``modules``, call each ``module:function`` of ``prepare``, and make ``count`` children that have them.

    Returns how many there are: none where a child made so would differ from one that is started anew.
    """
    if not _able() or sys.flags.hash_randomization:
        return 0
    os.environ["_RJEM_MALLOC_CONF"] = ALLOCATOR  # before Polars is loaded: a thread of its allocator would be lost
    for module in modules:
        importlib.import_module(module)
    for call in prepare:
        module, _, name = call.partition(":")
        getattr(importlib.import_module(module), name)()
    if not _alone():
        return 0
    gc.collect()
    gc.freeze()  # what is shared stays shared: the search for cycles would write to each object
    while len(_standing) < count:
        if not _fork():
            break
    return len(_standing)


def _alone() -> bool:
    """Whether no thread runs beside this one that could hold a lock which a forked child would wait for."""
    try:
        others = [t for t in os.listdir("/proc/self/task") if int(t) != os.getpid()]
        return all(Path(f"/proc/self/task/{t}/comm").read_text().strip() in _OWN_THREADS for t in others)
    except OSError:  # no /proc here, or a thread that ended while it was asked: children are started anew then
        return False


def _fork() -> bool:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    errors, told = os.pipe()
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        pid = os.fork()
    except OSError:  # no room for a process: one that is started anew will say so
        for each in (ours, theirs):
            each.close()
        os.close(errors)
        os.close(told)
        return False
    if not pid:
        _be(theirs.detach(), told, parent)
    theirs.close()
    os.close(told)
    _standing.append(Ready(Forked(pid, errors), ours))
    return True


def _be(served: int, errors: int, parent: int) -> None:
    """What the forked process does, and never returns: it becomes what one that is started anew would be."""
    code = 1
    try:
        os.setsid()
        os.chdir("/")
        null = os.open(os.devnull, os.O_RDWR)
        for fd, number in ((null, 0), (null, 1), (errors, 2)):
            os.dup2(fd, number)
        os.closerange(3, served)
        os.closerange(served + 1, os.sysconf("SC_OPEN_MAX"))
        _forget_surroundings()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        sys.dont_write_bytecode = True
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        faulthandler.enable(2)
        Path("/proc/self/comm").write_text("headwater-child")  # ps shows the command line of the parent for both
        from headwater.confine import child

        child.main([str(served), str(parent)])
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _forget_surroundings() -> None:
    """Let go of the parent's environment and of the folders it imports from beyond the interpreter's own."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    own = {"", os.path.dirname(os.path.realpath(sys.argv[0] or "/")), site.getusersitepackages(), *given}
    sys.path[:] = [_ROOT, *(p for p in sys.path if p not in own and p != _ROOT)]
    wanted = environment(())
    os.environ.clear()
    os.environ.update(wanted)
    time.tzset()
    stat = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    begin, end = int(stat[47]), int(stat[48])  # proc(5): env_start and env_end, where its strings first lay
    if 0 < begin < end:
        import ctypes

        ctypes.memset(begin, 0, end - begin)
