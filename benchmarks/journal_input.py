# SPDX-License-Identifier: Apache-2.0
"""A journal of systemd for the benchmarks, laid out as journald lays it out, from a fixed seed.

Regular layout (https://systemd.io/JOURNAL_FILE_FORMAT/): hash tables, a field object for each name, each value stored once,
arrays of the entries that name a value, written when they are first needed and each twice as long as the last, and the
main chain of entry arrays. Left out are the hashes' values: no reader of the peers or here finds anything by them.
Some 20 fields an entry, as journald gathers them; of the messages a third are ssh's, which guessers fill.
"""

from __future__ import annotations

import random
import struct
from pathlib import Path

from inputs import SEED

_HEAD, _TABLE = 264, 233_016 * 16
_START = 1_772_336_000_000_000  # microseconds
_PROGRAMS = (
    ("sshd", "ssh.service", "/usr/sbin/sshd", "10"), ("CRON", "cron.service", "/usr/sbin/cron", "9"),
    ("systemd", "init.scope", "/usr/lib/systemd/systemd", "3"), ("nginx", "nginx.service", "/usr/sbin/nginx", "3"),
    ("sudo", "session-4.scope", "/usr/bin/sudo", "10"), ("kernel", "", "", "0"), ("app", "app.service", "/opt/app/bin/app", "3"),
)  # fmt: skip
_SHARES = (40, 15, 12, 10, 4, 5, 14)


class _Writer:
    def __init__(self) -> None:
        self.body = bytearray(_HEAD)
        self.tail = self.objects = 0
        self.known: dict[bytes, int] = {}
        self.named: dict[int, int] = {}  # how many entries name a value
        self.fields: set[bytes] = set()
        self.put(4, bytes(_TABLE))
        self.put(5, bytes(333 * 16))

    def put(self, kind: int, content: bytes) -> int:
        self.tail = len(self.body)
        self.objects += 1
        self.body += struct.pack("<B7xQ", kind, 16 + len(content)) + content
        self.body += bytes(-len(self.body) % 8)
        return self.tail

    def value(self, payload: bytes) -> int:
        at = self.known.get(payload)
        if at is None:
            name = payload.partition(b"=")[0]
            at = self.known[payload] = self.put(1, bytes(48) + payload)
            if name not in self.fields:
                self.fields.add(name)
                self.put(2, bytes(24) + name)
        return at

    def entry(self, number: int, time: int, items: list[int]) -> int:
        head = struct.pack("<QQQ16sQ", number, time, time - _START + 9_000_000, bytes(range(16)), 0)
        at = self.put(3, head + b"".join(struct.pack("<QQ", item, 0) for item in sorted(items)))
        for item in items:
            count = self.named[item] = self.named.get(item, 0) + 1
            if count >= 2 and count & (count - 1) == 0:  # the first stands in the value itself
                self.put(6, bytes(8 + 8 * max(4, count)))
        return at

    def close(self, entries: list[int]) -> bytes:
        at = last = 0
        for low in range(0, len(entries), 65_536):
            some = entries[low : low + 65_536]
            here = self.put(6, struct.pack(f"<Q{len(some)}Q", 0, *some))
            if last:
                struct.pack_into("<Q", self.body, last + 16, here)
            at, last = at or here, here
        head = struct.pack(
            "<8sIIB7x16s16s16s16sQQQQQQQQQQQQQQQ", b"LPKSHHRH", 0, 0, 0, b"f" * 16, b"m" * 16, bytes(range(16)), b"s" * 16, _HEAD,
            len(self.body) - _HEAD, _HEAD + 16, _TABLE, _HEAD + 32 + _TABLE, 333 * 16, self.tail, self.objects, len(entries),
            len(entries), 1, at, 0, 0, 0,
        )  # fmt: skip
        self.body[: len(head)] = head
        return bytes(self.body)


def _message(program: str, pick: random.Random, number: int, address: str) -> str:
    port, user = pick.randrange(1024, 65_536), pick.choice(("root", "root", "admin", "oracle", "git", "test"))
    sort = pick.random()
    if program == "sshd":
        if sort < 0.45:
            return (
                f"Failed password for {'' if user == 'root' else 'invalid user '}{user} from {address} port {port} ssh2"
            )
        if sort < 0.75:
            return f"Disconnected from authenticating user {user} {address} port {port} [preauth]"
        return f"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={address}"
    if program == "CRON":
        return "(root) CMD (cd / && run-parts --report /etc/cron.hourly)" if sort < 0.5 else (
            "pam_unix(cron:session): session closed for user root"
        )  # fmt: skip
    if program == "systemd":
        return f"Started unit{port % 40}.service - Some service number {port % 40}."
    if program == "sudo":
        return f"  deploy : TTY=pts/0 ; PWD=/home/deploy ; USER=root ; COMMAND=/bin/systemctl status n{port}"
    if program == "kernel":
        return (
            f"[UFW BLOCK] IN=eth0 OUT= SRC={address} DST=10.0.0.5 LEN=40 TTL=243 ID={port} PROTO=TCP SPT={port} DPT=22"
        )
    if program == "nginx":
        return f'{address} - - "GET /index.php?id={port} HTTP/1.1" 200 {number % 9000}'
    return f'{{"level":"info","msg":"请求完成","id":{number},"ms":{port % 900}}}'


def journal(path: Path, entries: int) -> Path:
    """A journal of so many entries."""
    pick, writer = random.Random(SEED), _Writer()
    addresses = [".".join(str(pick.randrange(1, 255)) for _ in range(4)) for _ in range(1 + entries // 60)]
    time, made = _START, []
    for number in range(entries):
        time += pick.randrange(400_000)
        program, unit, file, facility = pick.choices(_PROGRAMS, _SHARES)[0]
        pid = 1000 + number // 4 % 60_000
        fields = [
            "_BOOT_ID=000102030405060708090a0b0c0d0e0f", "_MACHINE_ID=8f3b6e0b1d5a4c0f9e2d7a6c5b4a3920", "_HOSTNAME=web01",
            "_RUNTIME_SCOPE=system", f"PRIORITY={4 if program == 'kernel' else 6}", f"SYSLOG_FACILITY={facility}",
            f"SYSLOG_IDENTIFIER={program}", "MESSAGE=" + _message(program, pick, number, pick.choice(addresses)),
            f"_TRANSPORT={'syslog' if file else 'kernel'}", f"_SOURCE_REALTIME_TIMESTAMP={time - 113}",
        ]  # fmt: skip
        if file:
            fields += [
                f"_PID={pid}", "_UID=0", "_GID=0", f"_COMM={program.lower()}", f"_EXE={file}", f"_CMDLINE={file} -D {pid % 7}",
                "_CAP_EFFECTIVE=1ffffffffff", "_SELINUX_CONTEXT=unconfined", f"_SYSTEMD_CGROUP=/system.slice/{unit}",
                f"_SYSTEMD_UNIT={unit}", "_SYSTEMD_SLICE=system.slice", f"SYSLOG_PID={pid}",
            ]  # fmt: skip
        made.append(writer.entry(number + 1, time, [writer.value(f.encode()) for f in fields]))
    path.write_bytes(writer.close(made))
    return path
