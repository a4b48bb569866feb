# SPDX-License-Identifier: Apache-2.0
"""One child as its parent sees it: started, handed a task, listened to, watched, killed.

Whatever the child does, no call here blocks on it: the socket and the error pipe do not block, and its end is SIGKILL.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from headwater.confine import frames, ready
from headwater.confine.work import STARVED, Early, Limits, Status, Task

_TAIL = 8192  # bytes of the child's error output that are kept
_COMMAND = (sys.executable, "-P", "-s", "-B", "-X", "faulthandler", "-m", "headwater.confine.child")
_SIGNALS = {int(s): s.name for s in signal.Signals}
_TICK = os.sysconf("SC_CLK_TCK")
_CPU_GRACE = 1  # seconds beyond RLIMIT_CPU after which a child that ignores SIGXCPU is killed
Frame = tuple[bytes, dict[str, Any], bytes]


def _started_anew(paths: Sequence[str]) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """An interpreter of its own, and our end of its socket."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        process = subprocess.Popen(
            [*_COMMAND, str(theirs.fileno()), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            env=ready.environment(paths),
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return process, ours


class Worker:
    """A child process and what is known of it. ``now`` is the pool's clock, which stands still while others work."""

    def __init__(
        self,
        limits: Limits,
        paths: Sequence[str],
        warm: Sequence[str],
        prepare: Sequence[Sequence[Any]] = (),
        early: Sequence[Early] = (),
    ) -> None:
        self.limits = limits
        self.task: Task | None = None
        self.attempt = 1
        self.started = 0.0
        self.level: tuple[str, ...] | None = None
        self.why: tuple[Status, str] | None = None  # the reason for which it was killed by the parent
        self.errors_ended = False
        self._tail = bytearray()
        self._out: deque[tuple[memoryview, tuple[int, ...]]] = deque()
        self._taken_before = self._messages = 0
        self._reaped = False
        self._reserved = 0
        self._cpu_before = 0.0
        self._frames = frames.Assembler(limits.header, limits.blob)
        standing = ready.take()
        self.process: subprocess.Popen[bytes] | ready.Forked
        if standing is not None:
            self.process, self.socket = standing.process, standing.socket
        else:
            self.process, self.socket = _started_anew(paths)
        self.socket.setblocking(False)
        assert self.process.stderr is not None
        self.errors = self.process.stderr.fileno()
        fcntl.fcntl(self.errors, fcntl.F_SETFL, fcntl.fcntl(self.errors, fcntl.F_GETFL) | os.O_NONBLOCK)
        config = {
            "limits": limits.as_dict(), "paths": list(paths), "warm": list(warm), "prepare": list(prepare),
            "early": [[e.call, dict(e.args), len(e.fds)] for e in early],
        }  # fmt: skip
        self._out.append((memoryview(frames.encode(frames.TASK, config)), tuple(fd for e in early for fd in e.fds)))

    # ------------------------------------------------------------------ tasks

    def give(self, task: Task, attempt: int, now: float) -> None:
        """Hand the child a task; its bytes go out as the socket takes them."""
        call = {"call": task.call, "args": dict(task.args)}
        fds = task.fds
        while len(fds) > frames.FDS_MOST:  # one message carries no more than so many
            self._out.append((memoryview(frames.encode(frames.MORE, {})), fds[: frames.FDS_MOST]))
            fds = fds[frames.FDS_MOST :]
        self._out.append((memoryview(frames.encode(frames.TASK, call)), fds))
        self.task, self.attempt = task, attempt
        self._taken_before, self._messages = self._frames.taken, 0
        self.begin(now)

    def begin(self, now: float) -> None:
        """Count time and CPU from here: at a task, or when a new child that has one is ready."""
        self.started = now
        used = self.usage()[0]
        self._cpu_before = used
        soft = int(used) + 1 + self._cpu
        with contextlib.suppress(OSError, ValueError):  # the watch over usage() holds it all the same
            hard = resource.prlimit(self.process.pid, resource.RLIMIT_CPU)[1]
            resource.prlimit(self.process.pid, resource.RLIMIT_CPU, (soft, hard))

    @property
    def _cpu(self) -> int:
        """CPU seconds that the task at hand may use."""
        own = self.task.cpu if self.task is not None else None
        return self.limits.cpu if own is None else own

    @property
    def wants_to_write(self) -> bool:
        return bool(self._out)

    def write(self) -> None:
        """Send what the socket takes now; a child that does not read leaves it here until its time is up."""
        rest, fds = self._out[0]
        try:
            sent = socket.send_fds(self.socket, [rest[:65_536]], list(fds)) if fds else self.socket.send(rest)
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self._out.clear()  # it is dead; the reading side will see the end of the stream
            return
        except OSError as error:  # a descriptor that is closed, or too many of them
            self._out.clear()
            self.why = ("failed", f"its descriptors cannot be handed over: {os.strerror(error.errno or 0)}")
            return
        if sent < len(rest):
            self._out[0] = (rest[sent:], ())
        else:
            self._out.popleft()

    def read(self) -> Frame | bool | None:
        """One read of the socket: a frame, None for not yet, False for the end.

        Raises:
            ProtocolError: the child broke the protocol.
        """
        try:
            frame = self._frames.receive(self.socket)
        except BlockingIOError:
            return None
        except OSError:
            return False
        if isinstance(frame, tuple) and frame[0] == frames.MESSAGE:
            self._messages += 1
        return frame

    def over_limit(self) -> str:
        """Which bound on messages the task has broken, or nothing."""
        if self._messages > self.limits.messages:
            return f"more than {self.limits.messages} messages"
        if self._frames.taken - self._taken_before > self.limits.total:
            return f"more than {self.limits.total} bytes of messages"
        return ""

    def drain_errors(self) -> None:
        """Take what the child wrote on its error pipe, keeping the end of it."""
        with contextlib.suppress(OSError):
            for _ in range(16):
                part = os.read(self.errors, 65_536)
                if not part:
                    self.errors_ended = True
                    return
                self._tail += part
                del self._tail[:-_TAIL]

    # ------------------------------------------------------------------ watch

    def usage(self) -> tuple[float, int]:
        """CPU seconds used so far and threads now; zeros when it is gone."""
        try:
            with open(f"/proc/{self.process.pid}/stat", "rb") as stat:
                after_name = stat.read().rpartition(b")")[2].split()
        except OSError:
            return 0.0, 0
        return (int(after_name[11]) + int(after_name[12])) / _TICK, int(after_name[17])

    def memory(self) -> tuple[int, int]:
        """Bytes of private memory reserved and resident now; zeros when it is gone."""
        try:
            with open(f"/proc/{self.process.pid}/statm", "rb") as statm:
                pages = [int(n) for n in statm.read().split()]
        except OSError:
            return 0, 0
        return pages[5] * resource.getpagesize(), (pages[1] - pages[2]) * resource.getpagesize()

    def scratch(self) -> int:
        """Bytes that the child's anonymous files hold."""
        total = 0
        folder = f"/proc/{self.process.pid}/fd"
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                with contextlib.suppress(OSError):
                    if os.readlink(f"{folder}/{name}").startswith("/memfd:"):
                        total += os.stat(f"{folder}/{name}").st_blocks * 512
        return total

    def excess(self, now: float) -> tuple[Status, str] | None:
        """What the running task has used up, if anything."""
        if self.task is None:
            return None
        wall = self.limits.wall if self.task.wall is None else self.task.wall
        if now - self.started > wall:
            return "timeout", f"more than {wall:g} s"
        used, threads = self.usage()
        if used - self._cpu_before > self._cpu + _CPU_GRACE:
            return "cpu", f"more than {self._cpu} CPU s"
        if threads > self.limits.threads:
            return "memory", f"more than {self.limits.threads} threads"
        self._reserved = self.memory()[0]
        if self._reserved > self.limits.data - self.limits.data // 32:  # allocators at the limit spin for long
            return "memory", f"more than {self.limits.data} bytes"
        if self.scratch() > self.limits.scratch:
            return "memory", f"more than {self.limits.scratch} bytes of scratch"
        return None

    def grown(self) -> bool:
        """Whether it holds so much memory between tasks that the next should have a fresh child."""
        return self.memory()[1] > self.limits.data // 3

    # ------------------------------------------------------------------ end

    def kill(self) -> None:
        """SIGKILL, and wait for the kernel to have done it."""
        if self._reaped:
            return
        self._reaped = True
        self.process.kill()
        self.process.wait()
        self.drain_errors()
        if self.process.stderr is not None:
            self.process.stderr.close()
        self.socket.close()

    def end(self) -> tuple[Status, str]:
        """Why the child is gone, from its exit; kills it when it only closed its socket."""
        limit = time.monotonic() + 0.5
        while self.process.poll() is None and time.monotonic() < limit:
            time.sleep(0.005)
        closed = self.process.poll() is None
        self.kill()
        if self.why is not None:
            return self.why
        if closed:
            return "crashed", "closed its socket"
        code = self.process.wait()
        trace = self.trace()
        if STARVED.search(trace) or (code < 0 and self._reserved > self.limits.data // 4 * 3):
            return "memory", f"more than {self.limits.data} bytes"
        if code == -signal.SIGXCPU:
            return "cpu", f"more than {self._cpu} CPU s"
        if code < 0:
            return "crashed", f"signal {-code} ({_SIGNALS.get(-code, 'unnamed')})"
        return "crashed", f"exit {code} before the task was done"

    def trace(self) -> str:
        """The end of the child's error output, printable."""
        return self._tail.decode("utf-8", "backslashreplace")
