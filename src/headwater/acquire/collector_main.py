# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: F401, UP035
# Python 3.6 runs this: types stand in comments, which ruff does not read.
"""The collector's part 6: does what the order says, in its order, and ends the stream with a count."""

import json
import os
import resource
import sys

from headwater.acquire.collector_host import Host, release
from headwater.acquire.collector_patterns import users
from headwater.acquire.collector_raw import Raw
from headwater.acquire.collector_walk import Walker, small
from headwater.acquire.collector_wire import Full, Gone, Marks, Sender, Wire, now_ns, quoted

MYPY = False
if MYPY:
    from typing import Any, BinaryIO, Dict, List


class Collector:
    """One run."""

    def __init__(self, order, fd, held=b""):
        # type: (Dict[str, Any], int, bytes) -> None
        self.order = order
        self.wire = Wire(fd, order["marker"].encode("ascii"), int(order["most"]))
        self.sender = Sender(self.wire, int(order["file_most"]))
        self.host = Host(self.sender)
        self.walker = Walker(self.sender, Marks(held))

    def run(self):
        # type: () -> None
        """The whole stream. What goes wrong with one artifact is said in the stream and ends that artifact alone."""
        self.wire.start()
        head = release()
        head.update(
            form="python",
            version=quoted(sys.version.split()[0].encode()),
            interpreter=quoted(os.fsencode(sys.executable)),
        )
        head.update(collector=self.order["sha256"], tool=quoted(self.order["tool"].encode()))
        head.update((k, quoted(v.encode("utf-8"))) for k, v in self.order["facts"].items())
        self.wire.record("H", head)
        full = 0
        try:
            for artifact in self.order["artifacts"]:
                for what in artifact["collect"]:
                    try:
                        self.one(artifact["name"], what)
                    except OSError as error:
                        why = quoted((error.strerror or type(error).__name__).encode("utf-8", "replace"))
                        fields = {"artifact": artifact["name"], "kind": "artifact", "status": "failed", "why": why}
                        self.wire.record("M", fields)
                self.wire.flush()
        except Full:
            full = 1
        self.wire.most = 1 << 62
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu = int((usage.ru_utime + usage.ru_stime) * 1000)
        # ru_maxrss still counts whoever started this interpreter
        peak = [line.split()[1] for line in small(b"/proc/self/status").split(b"\n") if line.startswith(b"VmHWM:")]
        end = {"end": now_ns(), "full": full, "rss_kib": int(peak[0]) if peak else None, "cpu_ms": cpu}
        if self.walker.marks.held:
            end["passed_over"] = self.walker.marks.passed
        self.wire.record("Q", end)
        self.wire.flush()

    def one(self, name, what):
        # type: (str, Dict[str, Any]) -> None
        """One thing to collect."""
        if "command" in what:
            argv, timeout = what["command"], float(what.get("timeout", 30))
            if what.get("each") == "user":
                for user in users(small(b"/etc/passwd")):
                    words = [w.replace("{user}", user.decode("ascii")) for w in argv]
                    self.host.command(name, name.encode() + b"." + user, words, timeout)
            else:
                self.host.command(name, name.encode(), argv, timeout)
        elif "files" in what:
            self.walker.collect(name, _bytes(what["files"]), _bytes(what.get("exclude", [])))
        elif "pseudo" in what:
            self.walker.pseudo(name, _bytes(what["pseudo"]), self.host.pseudo)
        elif "process" in what:
            self.host.processes(name, what["process"], what.get("links", []))
        elif "recover" in what:
            self.host.deleted(name)
        elif "raw" in what:
            self.raw(name, what)

    def raw(self, name, what):
        # type: (str, Dict[str, Any]) -> None
        """What goes past the C library; an interpreter without ctypes cannot."""
        raw = Raw(self.wire)
        if what["raw"] == "names":
            raw.names(name, what["path"].encode())
        elif what["raw"] == "files":
            raw.files(name, _bytes(what["paths"]))
        else:
            raw.pids(name)


def _bytes(texts):
    # type: (List[str]) -> List[bytes]
    return [os.fsencode(t) for t in texts]


def main(source, fd):
    # type: (BinaryIO, int) -> None
    """Read the order (a line with its length, then JSON), the marks of what is held already, and do it."""
    order = json.loads(source.read(int(source.readline())).decode("utf-8"))
    held = source.read(int(order.get("held", 0)))
    try:
        Collector(order, fd, held).run()
    except Gone:
        os._exit(1)  # nothing of ours is left to be put in order
