# SPDX-License-Identifier: Apache-2.0
"""Views of a running system differ for innocent reasons too: what began, ended or moved between two outputs is not hidden."""

from __future__ import annotations

from typing import Any

import pytest
from memory_events import MemoryEvents, at, event

from headwater.detect import registry
from headwater.detect.detectors import (
    hidden_file,
    hidden_library,
    hidden_listener,
    hidden_module,
    hidden_port,
    hidden_process,
    hidden_program,
)
from headwater.model.kinds import Confidence, EventKind, Severity
from headwater.model.nouns import Finding
from headwater.model.ports import Settings

K = EventKind
PS = "2026-11-22 07:00:10"
BEFORE, AFTER = "2026-11-22 06:00:00", "2026-11-22 07:00:12"


class Live(MemoryEvents):
    """A running system in few words: ps ran at 07:00:10, /proc was read two seconds later."""

    def row(self, feed: str, path: str, kind: EventKind, when: str | None = None, **named: Any) -> Live:
        self.say(feed, path, (kind, when, named))
        return self

    def ps(self, *pids: int, when: str = PS, name: str = "ps-ef") -> Live:
        for pid in pids:
            self.row(
                "live.ps",
                f"/@command/{name}.stdout",
                K.STATE_PROCESS,
                when,
                pid=pid,
                t_kind="captured",
                command_line="x",
            )
        return self

    def process(
        self, pid: int, started: str | None = BEFORE, seen: str | None = AFTER, raw: str | None = "true", **own: Any
    ) -> Live:
        base = f"/proc/{pid}"
        if seen:
            self.row(
                "live.proc_pid",
                base + "/status",
                K.STATE_PROCESS,
                pid=pid,
                process=own.pop("process", "x"),
                fields={"fact": "status"},
            )
            self.row("fs.macb", "/", K.FILE_ACCESSED, seen, file_path=base + "/stat")
            if started:
                self.row(
                    "live.proc_pid",
                    base + "/stat",
                    K.STATE_PROCESS,
                    started,
                    pid=pid,
                    t_kind="started",
                    fields={"fact": "stat"},
                )
        if raw:
            self.row(
                "live.raw_pids",
                "/@raw/pids.txt",
                K.STATE_PROCESS,
                pid=pid,
                process="x",
                fields={"listed": raw == "true"},
            )
            self.row("fs.macb", "/", K.FILE_ACCESSED, AFTER, file_path="/@raw/pids.txt")
        if "cgroup" in own:
            fields = {"fact": "cgroup", "value": own.pop("cgroup")}
            self.row("live.proc_pid", base + "/cgroup", K.STATE_PROCESS, pid=pid, fields=fields)
        if "argument" in own:
            fields = {"fact": "cmdline", "program": own["argument"]}
            self.row(
                "live.proc_pid",
                base + "/cmdline",
                K.STATE_PROCESS,
                pid=pid,
                command_line=own["argument"],
                fields=fields,
            )
        return self

    def link(self, path: str, target: str) -> Live:
        return self.row("fs.macb", "/", K.FILE_ACCESSED, AFTER, file_path=path, fields={"target": target})

    def socket(self, path: str, port: int, when: str | None = None, **own: Any) -> Live:
        feed = "live.proc_net" if "/net/" in path else "live.ss" if "ss-" in path else "live.netstat"
        fields = {"protocol": "tcp", "state": "LISTEN", "local_address": "0.0.0.0", "local_port": port} | own
        return self.row(feed, path, K.STATE_SOCKET, when, fields=fields)

    def run(self, module: Any) -> list[Finding]:
        return list(registry.run(module, self, Settings()))


def test_a_case_without_a_live_collection_asks_for_nothing() -> None:
    events = MemoryEvents().say(
        "fs.macb", "p1", (K.FILE_CHANGED, BEFORE, {"file_path": "/proc/1/exe", "fields": {"target": "/memfd:x"}})
    )
    for module in (
        hidden_process,
        hidden_port,
        hidden_module,
        hidden_file,
        hidden_program,
        hidden_library,
        hidden_listener,
    ):
        assert not list(registry.run(module, events, Settings()))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "proved"),
        ({"started": "2026-11-22 07:00:11"}, None),  # began after ps
        ({"seen": "2026-11-22 07:00:05", "raw": None}, None),  # ended before ps
        ({"started": None, "seen": None}, "library"),  # nothing but the probe of numbers shows it
        ({"started": None, "seen": None, "raw": "false"}, "unlisted"),
        ({"raw": "false"}, "unlisted"),
        ({"raw": None}, "proved"),
    ],
)
def test_a_process_counts_as_hidden_only_where_it_lived_while_ps_ran(given: dict[str, Any], reason: str | None) -> None:
    live = Live().ps(1, 50, 90)
    for pid in (1, 50, 90):
        live.process(pid)
    findings = live.process(66, **given).run(hidden_process)
    assert [f.facts["reason"] for f in findings] == ([reason] if reason else [])
    assert all(f.facts["pid"] == 66 for f in findings)


def test_a_number_above_all_others_is_a_process_that_came_later() -> None:
    live = Live().ps(1, 50)
    for pid in (1, 50):
        live.process(pid)
    live.process(51, started=None, seen=None).process(52, started=None, seen=None, raw="false")
    assert not live.run(hidden_process)


def test_what_ps_alone_shows_and_a_list_of_one_session_are_no_difference() -> None:
    live = Live().ps(1, 50, 77)
    for pid in (1, 50):
        live.process(pid)
    assert not live.run(hidden_process)
    short = Live().ps(50)
    for pid in range(2, 60):
        short.process(pid)
    assert not short.run(hidden_process)


def test_one_tool_that_leaves_out_what_another_shows_is_told() -> None:
    live = Live().ps(1, 50).ps(1, 50, 66, when="2026-11-22 07:00:30", name="ps-auxww")
    for pid in (1, 50):
        live.process(pid)
    (finding,) = live.process(66).run(hidden_process)
    assert "ps-ef" in finding.text.zh
    assert "ps-auxww" not in finding.text.zh


def test_numbers_that_began_anew_hide_nothing() -> None:
    """ps had number 32,700; then they began anew: 5 to 80 came later, 200 had been there before."""
    live = Live().ps(1, 32_000).ps(1, 32_000, when="2026-11-22 07:00:40", name="ps-late")
    for name, pid, when in (("ps-ef", 32_700, PS), ("ps-late", 90, "2026-11-22 07:00:40")):
        fields = {"itself": True}
        live.row(
            "live.ps", f"/@command/{name}.stdout", K.STATE_PROCESS, when, pid=pid, t_kind="captured", fields=fields
        )
    for pid in (1, 32_000):
        live.process(pid)
    for pid in (5, 80, 32_750, 200):
        live.process(pid, started=None, seen=None, raw="false" if pid == 80 else "true")
    assert [f.facts["pid"] for f in live.run(hidden_process)] == [200]


def test_where_no_tool_ran_later_numbers_near_their_end_say_nothing() -> None:
    for number, found in ((32_700, []), (900, [200])):
        live = Live().ps(1)
        fields: dict[str, Any] = {"itself": True}
        live.row("live.ps", "/@command/ps-ef.stdout", K.STATE_PROCESS, PS, pid=number, t_kind="captured", fields=fields)
        live.process(1)
        fields = {"listed": True, "probed_to": 32_768}
        live.row("live.raw_pids", "/@raw/pids.txt", K.STATE_PROCESS, pid=200, process="x", fields=fields)
        assert [f.facts["pid"] for f in live.run(hidden_process)] == found


def test_a_mount_over_a_process_is_told_and_mounts_below_proc_are_not() -> None:
    live = Live()
    for place in ("/proc/66", "/proc/sys/fs/binfmt_misc", "/proc"):
        live.row(
            "live.mounts",
            "/proc/mounts",
            K.STATE_MOUNT,
            file_path=place,
            fields={"device": "tmpfs", "file_system": "tmpfs"},
        )
    assert [f.facts["pid"] for f in live.run(hidden_process)] == [66]


def sockets(*ports: int, **own: Any) -> Live:
    live = Live()
    for path in (
        "/@command/ss-antp.stdout",
        "/@command/netstat-antp.stdout",
        "/proc/net/tcp",
        "/@raw/files/proc/net/tcp",
    ):
        for port in ports:
            live.socket(path, port, PS if "@command" in path else None, **own)
    return live


@pytest.mark.parametrize(
    ("owner", "severity"),
    [
        ({}, Severity.HIGH),
        ({"started": "2026-11-22 07:00:11"}, Severity.LOW),  # it began after the tools ran
        ({"started": "2026-11-22 07:00:09"}, Severity.LOW),  # or within the second of the boot's own time
        ({"started": None}, Severity.MEDIUM),
        (None, Severity.MEDIUM),  # nobody was seen to hold it
    ],
)
def test_a_port_that_no_tool_shows_is_weighed_by_its_owner(owner: dict[str, Any] | None, severity: Severity) -> None:
    live = sockets(22, 80)
    for path in ("/proc/net/tcp", "/@raw/files/proc/net/tcp"):
        live.socket(path, 4444, inode=99)
    if owner is not None:
        live.process(66, **owner).link("/proc/66/fd/3", "socket:[99]").link("/proc/66/exe", "/usr/bin/nc")
    (finding,) = live.run(hidden_port)
    assert (finding.severity, finding.facts["port"], finding.facts["pids"]) == (
        severity,
        4444,
        "66" if owner is not None else "",
    )
    assert ("/usr/bin/nc" in finding.text.en) is (owner is not None)


@pytest.mark.parametrize(("seen", "severity"), [(AFTER, Severity.HIGH), ("2026-11-22 07:00:10", Severity.LOW)])
def test_a_port_hidden_from_the_kernels_own_table_is_told_where_its_owner_lived_on(
    seen: str, severity: Severity
) -> None:
    live = sockets(22).process(66, seen=seen, raw=None)
    for path in ("/proc/net/tcp", "/@raw/files/proc/net/tcp"):
        live.row("fs.macb", "/", K.FILE_ACCESSED, "2026-11-22 07:00:11", file_path=path)
    for path in ("/@command/ss-antp.stdout", "/@command/netstat-antp.stdout"):
        live.socket(path, 4444, PS, inode=99)
    (finding,) = live.link("/proc/66/fd/3", "socket:[99]").run(hidden_port)
    assert finding.severity == severity
    assert "/proc/net/tcp" in finding.text.en


def test_connections_and_passing_ports_are_one_word_of_information() -> None:
    live = sockets(22)
    for path in ("/proc/net/tcp", "/@raw/files/proc/net/tcp"):
        live.socket(
            path, 22, state="ESTABLISHED", local_address="10.0.0.5", remote_address="10.0.0.9", remote_port=50000
        )
        live.socket(path.replace("tcp", "udp"), 41000, protocol="udp", state="UNCONN", remote_port=None)
    live.socket("/@command/ss-anup.stdout", 68, PS, protocol="udp", state="UNCONN", remote_port=None)
    live.socket("/proc/net/udp", 68, protocol="udp", state="UNCONN", remote_port=None)
    live.socket("/@raw/files/proc/net/udp", 68, protocol="udp", state="UNCONN", remote_port=None)
    (finding,) = live.run(hidden_port)
    assert (finding.severity, finding.facts["reason"]) == (Severity.INFO, "transient")


def test_dual_stack_sockets_and_their_many_spellings_are_one_port() -> None:
    live = Live()
    live.socket("/@command/ss-antp.stdout", 80, PS, local_address="*")
    live.socket("/@command/netstat-antp.stdout", 80, PS, protocol="tcp6", local_address="::")
    live.socket("/proc/net/tcp6", 80, protocol="tcp6", local_address="::")
    live.socket("/@command/ss-antp.stdout", 81, PS, local_address="::ffff:10.0.0.5")
    live.socket("/@command/netstat-antp.stdout", 81, PS, protocol="tcp6", local_address="10.0.0.5")
    live.socket("/proc/net/tcp6", 81, protocol="tcp6", local_address="10.0.0.5")
    live.socket("/proc/net/tcp", 22).socket("/@command/ss-antp.stdout", 22, PS).socket(
        "/@command/netstat-antp.stdout", 22, PS
    )
    assert not live.run(hidden_port)


def test_lsof_that_may_not_see_an_owner_is_no_difference() -> None:
    fields = {"protocol": "tcp", "state": "LISTEN", "local_address": "*", "local_port": 80}
    live = sockets(22, 80).row("live.lsof", "/@command/lsof-i.stdout", K.STATE_SOCKET, PS, fields=fields)
    assert not live.run(hidden_port)


def modules(listed: str, proc: str, sysfs: str, **taints: str) -> Live:
    live = Live()
    for path, names in (("/@command/lsmod.stdout", listed), ("/proc/modules", proc)):
        for name in names.split():
            fields = {"module": name, "view": path, "taint": taints.get(name)}
            live.row("live.modules", path, K.STATE_MODULE, PS if "@" in path else None, fields=fields)
    for name in sysfs.split():
        fields = {"module": name, "fact": "initstate", "value": "live"}
        live.row("live.sys_module", f"/sys/module/{name}/initstate", K.STATE_MODULE, fields=fields)
    return live


def test_a_module_that_left_the_lists_and_not_sysfs_is_told() -> None:
    (finding,) = modules("ext4 tls", "ext4 tls", "ext4 tls diamorphine").run(hidden_module)
    assert (finding.severity, finding.facts["module"]) == (Severity.HIGH, "diamorphine")
    assert not modules("ext4 tls", "tls ext4", "ext4 tls").run(hidden_module)


def test_a_taint_that_no_listed_module_explains_is_told() -> None:
    taint = {"mechanism": "tainted", "value": "12288"}
    path = "/proc/sys/kernel/tainted"
    (finding,) = modules("ext4", "ext4", "ext4").row("live.host", path, K.STATE_HOST, fields=taint).run(hidden_module)
    assert (finding.severity, finding.facts["flags"]) == (Severity.MEDIUM, "EO")
    explained = modules("ext4 vbox", "ext4 vbox", "ext4 vbox", vbox="OE")
    assert not explained.row("live.host", path, K.STATE_HOST, fields=taint).run(hidden_module)


def listing(*names: str, folder: str = "/etc/cron.d", raw: tuple[str, ...] = ()) -> Live:
    live = Live()
    for feed, which in (("live.ls", names), ("live.raw_names", raw)):
        path = "/@command/ls-x.stdout" if feed == "live.ls" else "/@raw/ls-x.txt"
        for name in which:
            fields = {"folder": folder, "name": name, "listed_ns": at(PS) if feed == "live.ls" else None}
            live.row(feed, path, K.STATE_LISTED, file_path=f"{folder}/{name}", fields=fields)
    return live


def test_a_name_that_ls_leaves_out_is_weighed_by_its_own_times() -> None:
    (finding,) = listing("a", raw=("a", "x")).run(hidden_file)
    assert (finding.severity, finding.confidence) == (Severity.HIGH, Confidence.MEDIUM)
    old = listing("a", folder="/tmp", raw=("a", "x")).row("fs.macb", "/", K.FILE_CHANGED, BEFORE, file_path="/tmp/x")
    assert [(f.severity, f.confidence) for f in old.run(hidden_file)] == [(Severity.HIGH, Confidence.HIGH)]
    new = listing("a", folder="/tmp", raw=("a", "x")).row("fs.macb", "/", K.FILE_CHANGED, AFTER, file_path="/tmp/x")
    assert not new.run(hidden_file)
    assert not listing("1", folder="/proc", raw=("1", "2")).run(hidden_file)
    assert (
        not Live()
        .row("live.raw_names", "/@raw/ls-x.txt", K.STATE_LISTED, file_path="/a/b", fields={"folder": "/a"})
        .run(hidden_file)
    )


def image(live: Live, changed: str, machine: str = "m") -> Live:
    live.row("live.mounts", "/proc/mounts", K.STATE_MOUNT, file_path="/", fields={"file_system": "ext4"})
    live.row("live.mounts", "/proc/mounts", K.STATE_MOUNT, file_path="/tmp", fields={"file_system": "tmpfs"})
    live.ps(1)
    live.row("fs.content", "/etc/machine-id", K.STATE_FILE, file_path="/etc/machine-id", hash="m")
    for feed, path, kind, named in (
        ("fs.content", "p1!/etc/machine-id", K.STATE_FILE, {"file_path": "/etc/machine-id", "hash": machine}),
        ("fs.macb", "p1", K.FILE_CHANGED, {"file_path": "/etc/cron.d/x"}),
        ("fs.macb", "p1", K.FILE_CHANGED, {"file_path": "/tmp/under"}),
    ):
        live.offset += 100
        live.put(feed, path, [event(kind, changed if feed == "fs.macb" else None, live.offset, **named)], source=2)
    return live


def test_what_the_raw_disk_of_the_same_host_has_and_ls_lacks_is_told() -> None:
    (finding,) = image(listing("a", raw=("a",)), BEFORE).run(hidden_file)
    assert (finding.facts["reason"], finding.facts["path"]) == ("disk", "/etc/cron.d/x")
    assert {c.span.evidence for c in finding.spans} == {1, 2}
    assert not image(listing("a", raw=("a",)), AFTER).run(hidden_file)
    assert not image(listing("a", raw=("a",)), BEFORE, machine="another").run(hidden_file)


@pytest.mark.parametrize(
    ("target", "more", "reason", "severity"),
    [
        ("/usr/sbin/sshd", {}, None, None),
        ("/usr/sbin/sshd (deleted)", {}, "replaced", Severity.LOW),
        ("/home/u/app (deleted)", {}, "deleted", Severity.MEDIUM),
        ("/dev/shm/.x/w (deleted)", {}, "deleted-odd", Severity.HIGH),
        ("/tmp/build/test", {}, "odd-place", Severity.MEDIUM),
        ("/tmp/build/test", {"cgroup": "0::/system.slice/docker-1f2e.scope"}, "odd-place", Severity.LOW),
        ("/root/.pyenv/versions/3.11/bin/python", {}, None, None),
        ("/memfd:a (deleted)", {}, "memory", Severity.HIGH),
        ("/memfd:runc_cloned:/proc/self/exe (deleted)", {}, None, None),
        ("/usr/bin/perl", {"argument": "[kworker/0:1]"}, "false-name", Severity.HIGH),
        ("/usr/bin/bash", {"argument": "[ -f /x ]"}, None, None),
        ("/usr/bin/kworkerctl", {"process": "kworkerctl"}, None, None),
    ],
)
def test_a_running_program_is_graded_by_what_stands_behind_it(
    target: str, more: dict[str, Any], reason: str | None, severity: Severity | None
) -> None:
    findings = Live().process(66, **more).link("/proc/66/exe", target).run(hidden_program)
    assert [(f.facts["reason"], f.severity) for f in findings] == ([(reason, severity)] if reason else [])


@pytest.mark.parametrize(
    ("value", "severity"),
    [
        ("/tmp/.x/lib.so", Severity.HIGH),
        ("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2", None),
        ("/usr/lib/libowned.so", None),
        ("/usr/lib/libforeign.so", Severity.MEDIUM),
        ("/opt/agent/libagent.so:/dev/shm/a.so", Severity.HIGH),
        ("/opt/agent/libagent.so", Severity.MEDIUM),
        ("libx.so", Severity.LOW),
    ],
)
def test_a_preloaded_library_is_graded_by_where_it_lies(value: str, severity: Severity | None) -> None:
    live = Live().row(
        "linux.dpkg_files",
        "/var/lib/dpkg/info/p.md5sums",
        K.STATE_PACKAGE_FILE,
        file_path="/usr/lib/libowned.so",
        fields={"md5": "a"},
    )
    fields = {"fact": "environ", "variable": "LD_PRELOAD", "value": value}
    live.row("live.proc_pid", "/proc/66/environ", K.STATE_PROCESS, pid=66, fields=fields)
    live.row("live.proc_pid", "/proc/66/environ", K.STATE_PROCESS, pid=66, fields=fields | {"variable": "HOME"})
    assert [f.severity for f in live.run(hidden_library)] == ([severity] if severity else [])


def test_what_a_cut_output_does_say_is_told() -> None:
    live = Live().process(66)
    fields = {"fact": "environ", "variable": "LD_PRELOAD", "value": "/tmp/.x.so", "incomplete": True}
    live.row("live.proc_pid", "/proc/66/environ", K.STATE_PROCESS, pid=66, fields=fields)
    assert len(live.run(hidden_library)) == 1


def test_libraries_of_the_system_and_of_version_managers_in_memory_are_not_told() -> None:
    live = Live().process(66)
    for name in ("/usr/lib/libc.so.6", "/usr/lib/libold.so (deleted)", "/root/.pyenv/v/lib/x.so", "/tmp/x.data"):
        fields = {"name": name, "permissions": "r-xp"}
        live.row(
            "live.proc_maps",
            "/proc/66/maps",
            K.STATE_MAPPING,
            pid=66,
            file_path=name.removesuffix(" (deleted)"),
            fields=fields,
        )
    assert not live.run(hidden_library)


@pytest.mark.parametrize(
    ("name", "severity"),
    [
        ("/var/tmp/a.so (deleted)", Severity.MEDIUM),
        ("/tmp/.x/a.so", Severity.HIGH),
        ("/dev/shm/a.so", Severity.HIGH),
        ("/tmp/libnetty_transport_native_epoll_x86_6412.so (deleted)", Severity.LOW),
        ("/opt/app/lib/a.so (deleted)", Severity.LOW),
        ("/memfd:x (deleted)", Severity.MEDIUM),
        ("/memfd:libffi (deleted)", None),
        ("/work/.venv/lib/python3.11/site-packages/x.so", None),
    ],
)
def test_a_library_in_memory_is_graded_by_where_it_lies(name: str, severity: Severity | None) -> None:
    fields = {"name": name, "permissions": "r-xp"}
    live = Live().process(66)
    live.row(
        "live.proc_maps",
        "/proc/66/maps",
        K.STATE_MAPPING,
        pid=66,
        file_path=name.removesuffix(" (deleted)"),
        fields=fields,
    )
    assert [f.severity for f in live.run(hidden_library)] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("program", "severity"),
    [
        ("/usr/sbin/sshd", None),
        ("/lib/systemd/systemd", None),
        ("/usr/sbin/backd", Severity.MEDIUM),
        ("/usr/local/nginx/sbin/nginx", Severity.LOW),
        ("/www/server/nginx/sbin/nginx", Severity.LOW),
        ("/tmp/.x/listen", Severity.HIGH),
    ],
)
def test_a_listening_program_is_held_against_the_package_database(program: str, severity: Severity | None) -> None:
    live = sockets(8080, inode=99).process(66).link("/proc/66/fd/3", "socket:[99]").link("/proc/66/exe", program)
    assert not live.run(hidden_listener)  # without a database nothing is said
    for owned in ("/usr/sbin/sshd", "/usr/lib/systemd/systemd"):
        live.row(
            "linux.dpkg_files",
            "/var/lib/dpkg/info/p.md5sums",
            K.STATE_PACKAGE_FILE,
            file_path=owned,
            fields={"md5": "a"},
        )
    assert [f.severity for f in live.run(hidden_listener)] == ([severity] if severity else [])


def test_a_program_of_a_container_is_not_held_against_the_hosts_packages() -> None:
    live = sockets(8080, inode=99).process(66, cgroup="0::/kubepods/pod1/abc")
    live.link("/proc/66/fd/3", "socket:[99]").link("/proc/66/exe", "/app/server")
    live.row(
        "linux.dpkg_files",
        "/var/lib/dpkg/info/p.md5sums",
        K.STATE_PACKAGE_FILE,
        file_path="/usr/bin/x",
        fields={"md5": "a"},
    )
    assert not live.run(hidden_listener)
