# SPDX-License-Identifier: Apache-2.0
"""A replaced program, a setuid copy and a foreign program are told; configuration, diversions and merged /usr are not."""

from __future__ import annotations

from memory_events import MemoryEvents

from headwater.detect import registry
from headwater.detect.detectors import package_files, privileged_file, unowned_program
from headwater.model.kinds import EventKind, Severity
from headwater.model.ports import Settings

K = EventKind
WHEN = "2026-03-02 03:04:05"
SUID = 0o104755


class System(MemoryEvents):
    """A Debian system in few words."""

    def owned(self, path: str, md5: str, **more: object) -> System:
        own = {"md5": md5, "package": "p", **more}
        row = (K.STATE_PACKAGE_FILE, None, {"file_path": path, "fields": own})
        self.say("linux.dpkg_files", "p1!/var/lib/dpkg/info/p.md5sums", row)
        return self

    def holds(
        self, path: str, md5: str, kind: str = "elf", mode: int = 0o100755, uid: int = 0, **more: object
    ) -> System:
        own = {"md5": md5, "type": kind, "disguised": False, "php_inside": False}
        self.say("fs.content", "p1!" + path, (K.STATE_FILE, None, {"file_path": path, "hash": md5 * 2, "fields": own}))
        self.say(
            "fs.macb", "p1", (K.FILE_CHANGED, WHEN, {"file_path": path, "fields": {"mode": mode, "uid": uid, "gid": 0, **more}}),
        )  # fmt: skip
        return self

    def ordinary(self) -> System:
        for n in range(20):
            self.owned(f"/bin/tool{n}", f"{n:032x}").holds(f"/usr/bin/tool{n}", f"{n:032x}")
        return self

    def found(self, module: object) -> list:
        return list(registry.run(module, self, Settings()))


def test_a_replaced_program_is_told_with_both_digests() -> None:
    system = System().ordinary().owned("/usr/sbin/sshd", "a" * 32).holds("/usr/sbin/sshd", "b" * 32)
    (found,) = system.found(package_files)
    assert (found.severity, found.facts["path"]) == (Severity.HIGH, "/usr/sbin/sshd")
    assert {c.claims["md5"] for c in found.spans if "md5" in c.claims} == {"a" * 32, "b" * 32}
    assert found.ts_first is not None


def test_ordinary_systems_give_nothing() -> None:
    system = (
        System()
        .ordinary()
        .owned("/etc/x.conf", "a" * 32, conffile=True)
        .holds("/etc/x.conf", "b" * 32, "text", 0o100644)
        .owned("/usr/bin/perf", "a" * 32)
        .owned("/usr/bin/perf", "b" * 32, package="wrapper")
        .owned("/usr/bin/perf", "", target="/usr/bin/perf.real", package="wrapper")
        .holds("/usr/bin/perf", "b" * 32)
        .holds("/usr/bin/perf.real", "a" * 32)
        .owned("/usr/bin/sudo", "c" * 32)
        .holds("/usr/bin/sudo", "c" * 32, mode=SUID)
        .holds("/usr/local/bin/own", "d" * 32)
        .holds("/usr/lib/modules/6.1/updates/dkms/x.ko", "e" * 32)
    )
    assert not system.found(package_files)
    assert not system.found(unowned_program)
    assert not system.found(privileged_file)


def test_a_setuid_copy_of_a_shell_names_its_original() -> None:
    system = System().ordinary().owned("/usr/bin/bash", "a" * 32).holds("/usr/bin/bash", "a" * 32)
    (found,) = system.holds("/var/tmp/.b", "a" * 32, mode=SUID).found(unowned_program)
    assert (found.severity, found.facts["copy_of"]) == (Severity.HIGH, "/usr/bin/bash")


def test_an_unowned_program_among_owned_ones_is_low_and_a_foreign_database_says_nothing_more() -> None:
    (found,) = System().ordinary().holds("/usr/bin/xmr", "f" * 32).found(unowned_program)
    assert (found.severity, found.facts["path"]) == (Severity.LOW, "/usr/bin/xmr")
    foreign = System().owned("/usr/bin/only", "a" * 32).holds("/usr/bin/only", "a" * 32)
    for n in range(30):
        foreign.holds(f"/usr/bin/t{n}", f"{n:032x}")
    assert not foreign.found(unowned_program)


def test_a_database_of_another_system_is_one_low_finding() -> None:
    system = System()
    for n in range(100):
        system.owned(f"/usr/bin/t{n}", f"{n:032x}").holds(f"/usr/bin/t{n}", "f" * 32)
    (found,) = system.found(package_files)
    assert (found.severity, found.facts["reason"]) == (Severity.LOW, "foreign")


def test_missing_programs_are_counted_in_one_low_finding() -> None:
    system = System().ordinary()
    for n in range(7):
        system.owned(f"/usr/bin/gone{n}", "a" * 32)
    (found,) = system.found(package_files)
    assert (found.severity, found.facts["files"]) == (Severity.LOW, 7)


def test_a_live_collection_never_held_the_programs_it_lacks() -> None:
    system = System().ordinary()
    for n in range(7):
        system.owned(f"/usr/bin/gone{n}", "a" * 32)
    system.say("live.ps", "live/ps.txt", (K.STATE_PROCESS, WHEN, {"pid": 1, "process": "init"}))
    assert not system.found(package_files)


def test_a_part_of_a_system_is_no_loss_and_a_wiped_one_is() -> None:
    def part() -> System:
        system = System().ordinary()
        for n in range(70):
            system.owned(f"/usr/bin/gone{n}", "a" * 32)
        return system

    assert not part().found(package_files)
    wiped = part()
    wiped.say("fs.macb", "p1!deleted", (K.FILE_DELETED, WHEN, {"file_path": "/usr/bin/gone3"}))
    (found,) = wiped.found(package_files)
    assert (found.severity, found.facts["files"]) == (Severity.LOW, 70)
    assert "deletions" in found.text.en


def test_what_an_administrator_s_diversion_puts_in_a_program_s_place_is_told() -> None:
    system = (
        System()
        .ordinary()
        .owned("/usr/bin/ssh", "a" * 32)
        .owned("/usr/bin/ssh", "", target="/usr/bin/ssh.real", package=None)
    )
    system.holds("/usr/bin/ssh.real", "a" * 32).holds("/usr/bin/ssh", "b" * 32, "script")
    (found,) = system.found(package_files)
    assert (found.facts["reason"], found.facts["target"]) == ("diverted", "/usr/bin/ssh.real")
    assert not system.found(unowned_program)  # the program of the package, under its other name
    copied = (
        System()
        .ordinary()
        .owned("/usr/bin/ssh", "a" * 32)
        .owned("/usr/bin/ssh", "", target="/usr/bin/ssh.real", package=None)
    )
    assert not copied.holds("/usr/bin/ssh.real", "a" * 32).holds("/usr/bin/ssh", "a" * 32).found(package_files)


def test_a_diverted_program_is_compared_where_it_went() -> None:
    system = (
        System()
        .ordinary()
        .owned("/usr/bin/ssh", "a" * 32)
        .owned("/usr/bin/ssh", "", target="/usr/bin/ssh.real", package=None)
    )
    (found,) = system.holds("/usr/bin/ssh.real", "c" * 32).found(package_files)
    assert (found.facts["reason"], found.facts["path"]) == ("changed", "/usr/bin/ssh.real")


def test_firewall_rules_in_etc_make_no_live_collection() -> None:
    system = System().ordinary().owned("/usr/bin/gone", "a" * 32)
    system.say(
        "live.firewall", "p1!/etc/nftables.conf", (K.STATE_FIREWALL, None, {"fields": {"rule": "flush ruleset"}})
    )
    (found,) = system.found(package_files)
    assert found.facts["reason"] == "missing"


def test_prelink_lowers_what_a_changed_program_proves() -> None:
    system = System().ordinary().owned("/usr/sbin/sshd", "a" * 32).holds("/usr/sbin/sshd", "b" * 32)
    (found,) = system.holds("/etc/prelink.cache", "e" * 32, "data").found(package_files)
    assert found.severity == Severity.MEDIUM
    assert "prelink" in found.text.en


def test_rights_that_no_package_states_are_told() -> None:
    system = System().ordinary()
    for path, mode, more in (
        ("/usr/bin/find", SUID, {}),
        ("/usr/bin/python3.11", 0o100755, {"capabilities": "cap_setuid=ep"}),
        ("/usr/bin/passwd", SUID, {}),
        ("/usr/bin/chsh", SUID, {}),
        ("/usr/bin/ping", 0o100755, {"capabilities": "cap_net_raw=ep"}),
    ):
        digest = path.encode().hex().ljust(32, "0")[-32:]
        system.owned(path, digest).holds(path, digest, mode=mode, **more)
    system.holds("/usr/local/sbin/x", "9" * 32, mode=0o102755).holds(
        "/srv/app", "6" * 32, capabilities="cap_net_bind_service=ep"
    )
    told = {f.facts["path"]: (f.facts["reason"], f.severity) for f in system.found(privileged_file)}
    assert told == {
        "/usr/bin/find": ("setuid", Severity.HIGH),
        "/usr/bin/python3.11": ("capabilities", Severity.HIGH),
        "/usr/local/sbin/x": ("setgid", Severity.MEDIUM),
    }


def test_rpm_s_own_modes_and_capabilities_decide() -> None:
    system = System().ordinary()
    for path, stated, mode, more in (
        ("/usr/bin/newuidmap", {"mode": 0o100755, "capabilities": "= cap_setuid+ep"}, 0o100755, {"capabilities": "cap_setuid=ep"}),
        ("/usr/sbin/suexec", {"mode": 0o100510, "capabilities": "cap_setuid,cap_setgid+pe"}, 0o100510, {"capabilities": "cap_setgid,cap_setuid=ep"}),
        ("/usr/bin/mount", {"mode": SUID}, SUID, {}),
        ("/usr/bin/odd", {"mode": 0o100755}, SUID, {}),
        ("/usr/bin/tidy", {"mode": 0o100755}, 0o100755, {"capabilities": "cap_dac_override=ep"}),
    ):  # fmt: skip
        system.owned(path, "7" * 32, **stated).holds(path, "7" * 32, mode=mode, **more)
    assert [(f.facts["path"], f.facts["reason"]) for f in system.found(privileged_file)] == [
        ("/usr/bin/odd", "setuid"),
        ("/usr/bin/tidy", "capabilities"),
    ]


def test_a_capability_on_a_copy_of_an_interpreter_names_it() -> None:
    system = System().ordinary().owned("/usr/bin/perl", "a" * 32).holds("/usr/bin/perl", "a" * 32)
    (found,) = system.holds("/var/tmp/.p", "a" * 32, capabilities="cap_setuid=ep").found(privileged_file)
    assert (found.severity, found.facts["copy_of"]) == (Severity.HIGH, "/usr/bin/perl")
    (low,) = (
        System()
        .ordinary()
        .holds("/opt/netdata/apps.plug", "b" * 32, capabilities="cap_sys_ptrace=ep")
        .found(privileged_file)
    )
    assert low.severity == Severity.LOW


def test_layers_of_images_are_not_held_to_the_host_s_packages() -> None:
    system = System().ordinary()
    system.holds("/var/lib/docker/overlay2/ab/diff/usr/bin/chage", "a" * 32, mode=0o102755)
    assert not system.found(privileged_file)
