# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: F401, UP035
# Python 3.6 runs this: types stand in comments, which ruff does not read.
"""The collector's part 4: commands, the kernel's word on processes, and listings past the C library."""

import errno
import hashlib
import os
import select
import shlex
import signal
import stat
import subprocess
import time

from headwater.acquire.collector_walk import small
from headwater.acquire.collector_wire import PIECE, STUCK_SECONDS, Sender, facts_of, new_md5, now_ns, quoted

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Optional, Set, Tuple

TOOL_PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
# nothing of the login's environment: no preloaded library, no pager, no line width, one language
ENVIRONMENT = {
    "PATH": TOOL_PATH, "LC_ALL": "C", "TERM": "dumb", "COLUMNS": "4096", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0",
    "PAGER": "cat", "HOME": "/nonexistent",
}  # fmt: skip
PSEUDO_MOST = 32 << 20
OUTPUT_MOST = 1 << 30
DELETED_MOST = 4 << 30
MEMFD_MOST = 64 << 20


def tool_of(name):
    # type: (str) -> Optional[str]
    """Where a tool is, on a search path of our own."""
    for folder in TOOL_PATH.split(":"):
        path = folder + "/" + name
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


class Host:
    """Asks the running system."""

    def __init__(self, sender):
        # type: (Sender) -> None
        self.sender = sender
        self.wire = sender.wire
        self._tools = {}  # type: Dict[str, Tuple[str, str]]

    def _tool(self, name):
        # type: (str) -> Optional[Tuple[str, str]]
        """(path, SHA-256) of a tool: a command that was replaced is known by its digest."""
        if name not in self._tools:
            path = tool_of(name)
            if path is None:
                return None
            digest = hashlib.sha256()
            try:
                with open(path, "rb") as file:
                    for piece in iter(lambda: file.read(PIECE), b""):
                        digest.update(piece)
                self._tools[name] = (path, digest.hexdigest())
            except OSError:
                self._tools[name] = (path, "")
        return self._tools[name]

    def command(self, artifact, member, argv, timeout):
        # type: (str, bytes, List[str], float) -> None
        """Run a command to its end or its time; what it prints goes into the stream as it comes."""
        line = " ".join(shlex.quote(a) for a in argv).encode("utf-8", "surrogateescape")
        fields = {"kind": "command", "artifact": artifact, "line": quoted(line)}  # type: Dict[str, Any]
        tool = self._tool(argv[0])
        if tool is None:
            fields["status"], fields["why"] = "missing", quoted(b"no such tool on " + TOOL_PATH.encode())
            self.wire.record("M", fields, member)
            return
        fields.update(tool=quoted(os.fsencode(tool[0])), tool_sha256=tool[1] or None, start=now_ns(), timeout=timeout)
        try:
            child = subprocess.Popen(
                [tool[0], *argv[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                cwd="/", env=ENVIRONMENT, start_new_session=True, close_fds=True,
            )  # fmt: skip
        except OSError as error:
            fields["status"], fields["why"] = "failed", quoted((error.strerror or "").encode())
            self.wire.record("M", fields, member)
            return
        fields["pid"] = child.pid
        self.wire.record("B", fields, member)
        end = self._listen(child, timeout)
        end["end"] = now_ns()
        self.wire.record("E", end)

    def _listen(self, child, timeout):
        # type: (subprocess.Popen[bytes], float) -> Dict[str, Any]
        assert child.stdout is not None
        assert child.stderr is not None
        deadline = time.monotonic() + timeout
        kinds = {child.stdout.fileno(): "D", child.stderr.fileno(): "X"}
        digests = {"D": hashlib.sha256(), "X": hashlib.sha256()}
        md5, sizes, status, said = new_md5(), {"D": 0, "X": 0}, "success", b""
        waiting = select.poll()
        for fd in kinds:
            waiting.register(fd, select.POLLIN | select.POLLHUP)
        quiet = 0
        while kinds and status == "success":
            ended = child.poll() is not None
            ready = waiting.poll(max(0, min(1000, int((deadline - time.monotonic()) * 1000))))
            # one that has ended but left its output to a child in the background is not waited for
            quiet = quiet + 1 if ended and not ready else 0
            if quiet > 1:
                break
            for fd, _ in ready:
                data = os.read(fd, 64 << 10)
                kind = kinds[fd]
                if not data:
                    waiting.unregister(fd)
                    del kinds[fd]
                    continue
                sizes[kind] += len(data)
                said += data[: 200 - len(said)] if kind == "X" else b""
                digests[kind].update(data)
                if kind == "D" and md5 is not None:
                    md5.update(data)
                self.wire.record(kind, {}, b"", data)
            if sum(sizes.values()) > OUTPUT_MOST:
                status = "cut"
            elif kinds and time.monotonic() >= deadline:
                status = "timeout"
        end = self._reap(child, deadline if status == "success" else 0)
        child.stdout.close()
        child.stderr.close()
        if end.pop("late", None) and status == "success":
            status = "timeout"
        elif status == "success" and not sizes["D"]:
            status = "failed" if end["exit"] and sizes["X"] else "empty"  # lsof: 1 where nothing fits
        if status != "success" and said:
            end["why"] = quoted(said.strip().replace(b"\n", b"; "))
        end.update(
            status=status, size=sizes["D"], sha256=digests["D"].hexdigest(), md5=None if md5 is None else md5.hexdigest(),
            errors=sizes["X"], errors_sha256=digests["X"].hexdigest(),
        )  # fmt: skip
        return end

    def _reap(self, child, deadline):
        # type: (subprocess.Popen[bytes], float) -> Dict[str, Any]
        """End what has not ended: the whole group, and without waiting for ever for what the kernel does not let go."""
        end = {}  # type: Dict[str, Any]
        try:
            child.wait(max(0.0, deadline - time.monotonic()) if deadline else 0.0)
        except subprocess.TimeoutExpired:
            end["late"] = 1
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except OSError:
                pass  # it has ended meanwhile
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                pass  # stuck in the kernel: left to itself, and said by the missing exit
        end["exit"] = child.returncode
        return end

    def pseudo(self, artifact, path):
        # type: (str, bytes) -> None
        """A file of /proc or /sys: its size is not told, so it is read to its end."""
        fields = {"artifact": artifact, "kind": "file", "pseudo": 1, "at": now_ns()}  # type: Dict[str, Any]
        self.sender.watch.set(STUCK_SECONDS)
        fd = -1
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            parts, size = [], 0
            while size < PSEUDO_MOST:
                data = os.read(fd, PIECE)
                if not data:
                    break
                parts.append(data)
                size += len(data)
            self.sender.watch.set(0)
            data = b"".join(parts)
            md5 = new_md5()
            if md5 is not None:
                md5.update(data)
                fields["md5"] = md5.hexdigest()
            st = os.fstat(fd)
            fields.update(mode=st.st_mode, uid=st.st_uid, gid=st.st_gid, size=size)
            fields["sha256"] = hashlib.sha256(data).hexdigest()
            fields["status"] = "cut" if size >= PSEUDO_MOST else "success" if size else "empty"
            self.wire.record("F", fields, path, data)
        except OSError as error:
            self.sender.watch.set(0)
            self._none(fields, path, error)
        finally:
            self.sender.watch.set(0)
            if fd >= 0:
                os.close(fd)

    def processes(self, artifact, names, links):
        # type: (str, List[str], List[str]) -> None
        """What the kernel says of each process; those that end meanwhile are listed as missing."""
        for pid in pids():
            base = b"/proc/%d" % pid
            if not os.path.isdir(base):
                self.wire.record(
                    "M", {"artifact": artifact, "status": "missing", "why": quoted(b"ended meanwhile")}, base
                )
                continue
            for name in names:
                self.pseudo(artifact, base + b"/" + name.encode())
            for name in links:
                self._links(artifact, base + b"/" + name.encode())

    def _links(self, artifact, path):
        # type: (str, bytes) -> None
        try:
            below = (
                [path + b"/" + n for n in sorted(os.listdir(path))]
                if os.path.basename(path) in (b"fd", b"ns")
                else [path]
            )
        except OSError as error:
            self.sender.failed({"artifact": artifact, "kind": "dir", "pseudo": 1}, path, error)
            return
        for each in below:
            fields = {"artifact": artifact, "kind": "link", "pseudo": 1, "at": now_ns()}  # type: Dict[str, Any]
            try:
                target = os.readlink(each)
                fields["mode"] = os.lstat(each).st_mode
                self.sender.link(fields, each, target)
            except OSError as error:
                self._none(fields, each, error)

    def _none(self, fields, path, error):
        # type: (Dict[str, Any], bytes, OSError) -> None
        """What the kernel does not tell of a process: it has ended, or it is a thread of the kernel's own."""
        base = b"/".join(path.split(b"/")[:3])
        if error.errno in (errno.ENOENT, errno.ESRCH) and os.path.isdir(base):
            fields.update(status="missing", why=quoted(b"the kernel tells none"))
            self.wire.record("F", fields, path)
        else:
            self.sender.failed(fields, path, error)

    def deleted(self, artifact):
        # type: (str) -> None
        """Files that are gone from their folders but that a process still runs or holds open."""
        seen = set()  # type: Set[Tuple[int, int]]
        own = os.getpid()
        for pid in pids():
            base = b"/proc/%d" % pid
            held = [b"exe"]
            try:
                held += [b"fd/" + n for n in os.listdir(base + b"/fd")]
            except OSError:
                pass  # it has ended, or is another's; the listing of processes says so
            for name in held if pid != own else ():
                path = base + b"/" + name
                try:
                    target = os.readlink(path)
                    if not target.endswith(b" (deleted)") or target.startswith((b"/dev/zero", b"/SYSV")):
                        continue
                    st = os.stat(path)
                    if not stat.S_ISREG(st.st_mode) or (st.st_dev, st.st_ino) in seen:
                        continue
                    seen.add((st.st_dev, st.st_ino))
                    self._recover(artifact, pid, name, path, target, st)
                except OSError:
                    continue  # it has ended meanwhile: what it held is gone with it

    def _recover(self, artifact, pid, name, path, target, st):
        # type: (str, int, bytes, bytes, bytes, os.stat_result) -> None
        fields = facts_of(st)
        fields.update(artifact=artifact, origin=quoted(target), at=now_ns())
        to = b"/@deleted/%d/%s" % (pid, name)
        most = MEMFD_MOST if target.startswith(b"/memfd:") else DELETED_MOST
        if st.st_size > most:
            fields["status"], fields["why"] = "failed", quoted(b"larger than the limit for a deleted file")
            self.wire.record("F", fields, to)
            return
        self.sender.content(fields, to, path, None, st, follow=True)


def pids():
    # type: () -> List[int]
    """The processes that the kernel lists now."""
    return sorted(int(n) for n in os.listdir("/proc") if n.isdigit())


def release():
    # type: () -> Dict[str, Any]
    """What is said of the system and of ourselves at the head of the stream."""
    name = os.uname()
    boot = small(b"/proc/sys/kernel/random/boot_id").strip().decode("ascii", "replace")
    machine = small(b"/etc/machine-id").strip().decode("ascii", "replace")
    return {
        "host": quoted(os.fsencode(name.nodename)), "kernel": quoted(os.fsencode(name.release)),
        "arch": quoted(os.fsencode(name.machine)), "boot_id": quoted(boot.encode()), "machine_id": quoted(machine.encode()),
        "uid": os.geteuid(), "pid": os.getpid(), "ppid": os.getppid(), "zone": quoted("/".join(time.tzname).encode()),
        "monotonic": int(time.monotonic() * 1e9), "start": now_ns(),
        "uptime": quoted(small(b"/proc/uptime").strip()), "loadavg": quoted(small(b"/proc/loadavg").strip()),
    }  # fmt: skip
