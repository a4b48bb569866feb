# SPDX-License-Identifier: Apache-2.0
"""Isolation by the server's own kernel: the rules, the timer that takes them back, the test from inside, the way back.

1. A timer that removes the rules is started first; only when it runs are they applied, in one transaction.
2. The rules stand in a table of their own (nftables; chains of their own with iptables) and only ever forbid: what they let
   pass still meets the rules that were there before. Nothing of those is touched, so removing ours restores them.
3. Only from the allowed addresses to the management ports, and the session that applies them; nothing is forwarded,
   nothing starts from inside. Stateless, so that connections that stand already end too.

Everything reaches the server through the standard input of ``sh``; nothing is written to its disk. nft(8), iptables(8).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from headwater.model.errors import UsageError

TABLE = "headwater"
PROBE = "192.0.2.1"  # TEST-NET-1, RFC 5737: routed nowhere
TRIAL_SECONDS = 60
_LISTING_MOST = 4 << 20
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Peer:
    """The present session as the server sees it: the client's address and port, the server's address and port."""

    client: str
    client_port: int
    server: str
    port: int


@dataclass(frozen=True, slots=True)
class Wall:
    """What is let through. ``method``: ``nft`` or ``iptables``; ``ports``: management ports, TCP."""

    method: str
    allow: tuple[Network, ...]
    ports: tuple[int, ...]
    peer: Peer


def networks(words: Sequence[str]) -> tuple[Network, ...]:
    """Addresses or networks as a person wrote them.

    Raises:
        UsageError: HW2165 none, or one that lets everybody in.
    """
    found = []
    for word in words:
        try:
            net = ipaddress.ip_network(word.strip(), strict=False)
        except ValueError as error:
            raise UsageError("HW2165", what=word) from error
        if net.prefixlen == 0:
            raise UsageError("HW2165", what=word)
        found.append(net)
    return tuple(dict.fromkeys(found))


def peer_of(said: str) -> Peer | None:
    """The session as ``SSH_CONNECTION`` tells it; None where it tells nothing usable."""
    parts = said.split()
    if len(parts) != 4 or not (parts[1].isdigit() and parts[3].isdigit()):
        return None
    try:
        addresses = [ipaddress.ip_address(p.partition("%")[0]) for p in (parts[0], parts[2])]
    except ValueError:
        return None
    client, server = (a.ipv4_mapped or a if isinstance(a, ipaddress.IPv6Address) else a for a in addresses)
    return Peer(str(client), int(parts[1]), str(server), int(parts[3]))


def covers(allow: Sequence[Network], address: str) -> bool:
    """Whether an address is let in."""
    one = ipaddress.ip_address(address)
    return any(one.version == net.version and one in net for net in allow)


# ------------------------------------------------------------------ the rules


def nft_rules(wall: Wall) -> str:
    """The table, for ``nft -f -``. Priority -350: before the tables that were there, after defragmentation."""
    ports = "{ " + ", ".join(str(p) for p in wall.ports) + " }"
    lines = [f"table inet {TABLE} {{"]
    for chain, side, port in (("input", "saddr", "dport"), ("output", "daddr", "sport")):
        lines += [f"  chain {chain} {{", f"    type filter hook {chain} priority -350; policy drop;"]
        lines.append(f'    {"iifname" if chain == "input" else "oifname"} "lo" accept')
        for net in wall.allow:
            family = "ip" if net.version == 4 else "ip6"
            lines.append(f"    {family} {side} {net} tcp {port} {ports} counter accept")
        lines.append("    " + _nft_session(wall.peer, chain))
        if chain == "input":
            lines.append("    icmp type destination-unreachable accept")
            lines.append("    icmpv6 type packet-too-big accept")
        lines.append(
            "    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert } accept"
        )
        lines += ["    counter drop", "  }"]
    lines += [
        "  chain forward {",
        "    type filter hook forward priority -350; policy drop;",
        "    counter drop",
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _nft_session(peer: Peer, chain: str) -> str:
    family = "ip" if ipaddress.ip_address(peer.client).version == 4 else "ip6"
    one, other = ("saddr", "daddr") if chain == "input" else ("daddr", "saddr")
    there, here = ("sport", "dport") if chain == "input" else ("dport", "sport")
    return (
        f"{family} {one} {peer.client} {family} {other} {peer.server} tcp {there} {peer.client_port} "
        f"tcp {here} {peer.port} counter accept"
    )


def iptables_rules(wall: Wall, version: int) -> str:
    """The chains, for ``iptables-restore --noflush``. RETURN, not ACCEPT: what stood there before still has its say."""
    lines = ["*filter", *(f":HEADWATER-{c} - [0:0]" for c in ("IN", "OUT", "FWD"))]
    for chain, side, port, device in (("IN", "-s", "--dports", "-i"), ("OUT", "-d", "--sports", "-o")):
        lines.append(f"-A HEADWATER-{chain} {device} lo -j RETURN")
        ports = ",".join(str(p) for p in wall.ports)
        for net in wall.allow:
            if net.version == version:
                lines.append(f"-A HEADWATER-{chain} {side} {net} -p tcp -m multiport {port} {ports} -j RETURN")
        if ipaddress.ip_address(wall.peer.client).version == version:
            lines.append(_iptables_session(wall.peer, chain))
        if version == 6:
            kinds = (133, 134, 135, 136) if chain == "OUT" else (2, 133, 134, 135, 136)
            lines += [f"-A HEADWATER-{chain} -p icmpv6 --icmpv6-type {kind} -j RETURN" for kind in kinds]
        elif chain == "IN":
            lines.append("-A HEADWATER-IN -p icmp --icmp-type 3 -j RETURN")
        lines.append(f"-A HEADWATER-{chain} -j DROP")
    lines.append("-A HEADWATER-FWD -j DROP")
    for hook, chain in (("INPUT", "IN"), ("OUTPUT", "OUT"), ("FORWARD", "FWD")):
        lines.append(f"-I {hook} 1 -j HEADWATER-{chain}")
    return "\n".join([*lines, "COMMIT"]) + "\n"


def _iptables_session(peer: Peer, chain: str) -> str:
    if chain == "IN":
        ends = f"-s {peer.client} -d {peer.server} -p tcp --sport {peer.client_port} --dport {peer.port}"
    else:
        ends = f"-d {peer.client} -s {peer.server} -p tcp --dport {peer.client_port} --sport {peer.port}"
    return f"-A HEADWATER-{chain} {ends} -j RETURN"


# ------------------------------------------------------------------ what is said to the server

_HEAD = "LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin\n"
_REMOVE = {
    "nft": f"nft delete table inet {TABLE}",
    "iptables": "for i in iptables ip6tables; do command -v $i >/dev/null && { $i -D INPUT -j HEADWATER-IN; "
    "$i -D OUTPUT -j HEADWATER-OUT; $i -D FORWARD -j HEADWATER-FWD; for c in IN OUT FWD; do $i -F HEADWATER-$c; "
    "$i -X HEADWATER-$c; done; }; done; ! iptables -nL HEADWATER-IN >/dev/null 2>&1",
}
_LIST = {
    "nft": "nft -s list ruleset",
    "iptables": "iptables-save && printf 'IPv6\\n' && if command -v ip6tables-save >/dev/null; then ip6tables-save; fi",
}
_OURS = {"nft": f"nft list table inet {TABLE}", "iptables": "iptables -nvxL HEADWATER-OUT"}


def listing_script(method: str) -> bytes:
    """Prints all rules there are, without their counters, then ``status=``; ``ours=`` 0 where our own stand."""
    return (
        f"{_HEAD}{{ {_LIST[method]}; }} 2>&1; printf '\\nstatus=%s\\n' $?\n{_OURS[method]} >/dev/null 2>&1; printf 'ours=%s\\n' $?\n"
    ).encode()


def _timer(method: str, seconds: int, token: str) -> str:
    """Starts the timer in the background, its number in T. A session of its own, so that our logout does not end it."""
    return (
        f"r='sleep {seconds}; {_REMOVE[method]}'\n"
        "s=; command -v setsid >/dev/null 2>&1 && s=setsid\n"
        f"( trap '' HUP; exec $s sh -c \"$r\" {token} ) </dev/null >/dev/null 2>&1 &\nT=$!\n"
        f"n=0; until tr '\\0' ' ' < /proc/$T/cmdline 2>/dev/null | grep -q {token} || [ $n -ge 20 ]; do n=$((n+1)); sleep 0.1; done\n"
        "sleep 0.3\n"  # one that ends at once was there too for a moment
        f"tr '\\0' ' ' < /proc/$T/cmdline 2>/dev/null | grep -q {token} || T=\n"
    )


def _end_timer(pid: int, token: str) -> str:
    """Ends a timer of ours, and nothing that has taken its number since."""
    return (
        f"if tr '\\0' ' ' < /proc/{pid}/cmdline 2>/dev/null | grep -q {token}; then "
        f"kill -- -{pid} 2>/dev/null || kill {pid}; printf 'ended={pid}\\n'; fi\n"
    )


def apply_script(wall: Wall, seconds: int, token: str) -> bytes:
    """Arms the timer, then applies the rules: ``timer=``, ``applied=`` the exit status. Without a timer nothing is applied."""
    # by a pipe: a here-document is a file in /tmp with some shells
    if wall.method == "nft":
        put = f"printf '%s' '{nft_rules(wall)}' | nft -f -\na=$?\n"
    else:
        put = (
            f"printf '%s' '{iptables_rules(wall, 4)}' | iptables-restore --noflush\na=$?\n"
            f"if [ $a = 0 ] && command -v ip6tables-restore >/dev/null; then\n"
            f"printf '%s' '{iptables_rules(wall, 6)}' | ip6tables-restore --noflush\na=$?\nfi\n"
        )
    return (
        _HEAD + _timer(wall.method, seconds, token) + "printf 'timer=%s\\n' \"$T\"\n"
        "if [ -z \"$T\" ]; then printf 'applied=no timer\\n'; exit 0; fi\n" + put + "printf 'applied=%s\\n' \"$a\"\n"
        f"if [ \"$a\" != 0 ]; then kill -- -$T 2>/dev/null || kill $T; {{ {_REMOVE[wall.method]}; }} >/dev/null 2>&1; fi\n"
    ).encode()  # fmt: skip


def confirm_script(method: str, trial: int, token: str, seconds: int | None, later: str) -> bytes:
    """Ends the trial's timer, after starting the lasting one where ``seconds`` says so: ``timer=``, ``ended=``."""
    start = _timer(method, seconds, later) + "printf 'timer=%s\\n' \"$T\"\n" if seconds else ""
    keep = '[ -n "$T" ] || exit 0\n' if seconds else ""
    return (_HEAD + start + keep + _end_timer(trial, token)).encode()


def remove_script(method: str, pid: int, token: str) -> bytes:
    """Removes our rules, ends their timer: ``found=`` 0 where they stood, ``removed=`` the exit status."""
    return (
        f"{_HEAD}{_OURS[method]} >/dev/null 2>&1; printf 'found=%s\\n' $?\n{{ {_REMOVE[method]}; }} >/dev/null 2>&1\n"
        f"printf 'removed=%s\\n' $?\n{_end_timer(pid, token) if token else ''}"
    ).encode()


def test_script(method: str, python: str) -> bytes:
    """From inside: a datagram to an address that nobody has; ``dropped_before=`` and ``dropped_after=`` tell of our last rule."""
    count = (
        f"nft list chain inet {TABLE} output | sed -n 's/.*counter packets \\([0-9]*\\) .*drop.*/\\1/p'"
        if method == "nft"
        else "iptables -nvxL HEADWATER-OUT | awk '$3 == \"DROP\" {print $1}'"
    )
    send = f'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"headwater", ("{PROBE}", 9))'
    return (
        f"{_HEAD}printf 'dropped_before=%s\\n' \"$({count})\"\n"
        f"if [ -n '{python}' ]; then w=python; e=$('{python or 'false'}' -BIS -c '{send}' 2>&1); s=$?\n"
        f"elif command -v bash >/dev/null; then w=bash; e=$(bash -c 'echo > /dev/udp/{PROBE}/9' 2>&1); s=$?\n"
        f"elif command -v ping >/dev/null; then w=ping; e=$(ping -c 1 -W 1 {PROBE} 2>&1); s=$?\nelse w=; e=; s=; fi\n"
        'printf \'probe=%s\\nsaid=%s\\nexit=%s\\n\' "$w" "$(printf \'%s\' "$e" | tail -n 1)" "$s"\n'
        f"printf 'dropped_after=%s\\n' \"$({count})\"\n"
    ).encode()


test_script.__test__ = False  # type: ignore[attr-defined]  # no test of pytest's


# ------------------------------------------------------------------ what it answers


def answers(output: bytes) -> dict[str, str]:
    """``key=value`` lines."""
    found = {}
    for line in output[: 64 << 10].decode("utf-8", "replace").splitlines():
        key, equals, value = line.partition("=")
        if equals and key.isidentifier():
            found[key] = value.strip()
    return found


def listed(output: bytes) -> tuple[str, bool, bool]:
    """(rules, whether they could be listed, whether ours stand) from :func:`listing_script`; counters and dates taken out."""
    text = output[:_LISTING_MOST].decode("utf-8", "replace")
    body, _, tail = text.rpartition("\nstatus=")
    said = answers(("status=" + tail).encode())
    kept = [re.sub(r"\[\d+:\d+\]", "[0:0]", line) for line in body.splitlines() if not line.startswith("#")]
    kept = _without_empty_tables(kept)
    return "\n".join(kept).strip() + "\n", said.get("status") == "0", said.get("ours") == "0"


def _without_empty_tables(lines: Sequence[str]) -> list[str]:
    """Rules of iptables-save without tables that hold nothing: looking at one makes it, and it lets everything pass."""
    found: list[str] = []
    table: list[str] | None = None
    for line in lines:
        if line.startswith("*"):
            table = [line]
        elif table is None:
            found.append(line)
        elif line != "COMMIT":
            table.append(line)
        else:
            if any(not re.fullmatch(r":[A-Z]+ ACCEPT \[0:0\]", each) for each in table[1:]):
                found += [*table, line]
            table = None
    return found + (table or [])
